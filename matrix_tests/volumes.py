"""What lies under the paths that the pipeline writes: the rows ebs-volume and disk-space judge each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.host_readings import Volume, VolumeKind
    from pytest_pipeline.observers.instance_facts import AttachedVolume
    from pytest_pipeline.settings import Disk

_GB = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Free:
    """What may still be written at a path, rounded down to a tenth of 10^9 bytes, and why that is not enough."""

    gb: float
    required_gb: float
    enough: bool
    why: str = ""


def in_words(kind: VolumeKind) -> str:
    """Return what a kind of volume is called in a sentence that begins with it."""
    return {"ebs": "EBS volume", "tmpfs": "Simulated EBS volume", "root": "Root disk"}.get(kind, f"Volume ({kind})")


def judge_mount(volume: Volume, disk: Disk, attached: Reading[tuple[AttachedVolume, ...]], evidence: Evidence) -> None:
    """Fail where the path is no mount of an allowed kind that can be written; warn where a reboot takes it away."""
    wrong = not_the_volume(volume, disk)
    if wrong and attached.is_known and not any(one.state == "attached" and not one.root for one in attached.value):
        wrong = f"{wrong}; EC2 says that no data volume is attached"
    wrong = wrong or _not_writable(volume) or _not_attached(volume, attached)
    if wrong:
        pytest.fail(wrong, pytrace=False)
    if disk.survives_reboot:
        for what in _after_reboot(volume):
            evidence.warn(what)


def not_the_volume(volume: Volume, disk: Disk) -> str:
    """Say why what lies at the path is not the volume that is required, or nothing."""
    if not disk.kinds:
        return ""
    where = volume.path if volume.real_path == volume.path else f"{volume.path} ({volume.real_path})"
    if not volume.exists:
        return f"{where} does not exist"
    on_root = volume.kind == "root" and "root" in disk.kinds
    if not volume.is_mount and not on_root:
        return (
            f"{where} is a plain folder on {volume.mount.point} ({volume.mount.source}): `df` shows that, and exits 0"
        )
    if volume.kind not in disk.kinds:
        return (
            f"{where} is {volume.kind} ({volume.mount.fs_type} on {volume.mount.source}), not {' or '.join(disk.kinds)}"
        )
    return ""


def _not_writable(volume: Volume) -> str:
    if volume.mount.read_only:
        return f"{volume.path} is mounted read-only"
    test = volume.write.value
    # A full volume is there; that it is full is disk-space's to say.
    if test.ok or test.errno in ("ENOSPC", "EDQUOT"):
        return ""
    return f"the training user cannot write to {volume.path}: {test.step}: {test.why} ({test.errno})"


def _not_attached(volume: Volume, attached: Reading[tuple[AttachedVolume, ...]]) -> str:
    """Compare with EC2 where it may be asked, and the volume is (or stands for) one of EBS."""
    known = attached.or_none
    if known is None or volume.kind not in ("ebs", "tmpfs"):
        return ""
    data = {one.id: one for one in known if not one.root}
    ids = volume.volume_ids or tuple(data)
    for volume_id in ids:
        state = data[volume_id].state if volume_id in data else "not attached"
        if state != "attached" and volume_id not in {one.id for one in known if one.root}:
            return f"EC2 says that {volume_id} under {volume.path} is {state}"
    if not ids:
        return f"EC2 says that no data volume is attached, although {volume.path} is mounted"
    return ""


def _after_reboot(volume: Volume) -> list[str]:
    reboot = volume.reboot.or_none
    if reboot is None:
        return [f"whether {volume.path} comes back after a reboot could not be read: {volume.reboot.reason}"]
    if not reboot.comes_back:
        return [f"{volume.path} does not come back after a reboot: {reboot.detail or 'it is not in /etc/fstab'}"]
    warnings = []
    if reboot.mounts_other:
        warnings.append(f"after a reboot {reboot.mounts_other} is mounted at {volume.path} instead")
    if not reboot.stable_name:
        warnings.append(f"{volume.path} is in /etc/fstab by a device name that may change; use UUID= ({reboot.detail})")
    if not reboot.nofail:
        warnings.append(f"{volume.path} is in /etc/fstab without nofail: the host does not boot without the volume")
    return warnings


def free_for(volume: Volume, disk: Disk, *, others_bytes: float = 0.0) -> Free:
    """Return what is free for a fresh run, what is already there and reusable taken off what is needed.

    `others_bytes` is what other declared paths need of the same file system: they share what is free.
    """
    need_bytes = needed_bytes(volume, disk)
    required_gb = _tenths(need_bytes, up=True)
    free_bytes, inodes = volume.free_bytes, volume.free_inodes
    if inodes is not None and inodes < disk.inodes:
        # What cannot be put into files is not free, however many bytes there are.
        why = f"{inodes} inodes left at {volume.path}, need {disk.inodes} (df -i); {_tenths(free_bytes)}GB of blocks"
        return Free(gb=0.0, required_gb=required_gb, enough=False, why=why)
    quota = volume.quota.or_none
    why = f"at {volume.path}"
    if quota is not None and quota.bytes_limit and free_bytes < volume.space.value.available_bytes:
        why = f"at {volume.path}, by the user's quota of {_tenths(quota.bytes_limit)}GB"
    if others_bytes and free_bytes >= need_bytes:
        left_bytes = max(0.0, free_bytes - others_bytes)
        why = f"at {volume.path}, when other declared paths on {volume.mount.point} have taken theirs"
        return Free(gb=_tenths(left_bytes), required_gb=required_gb, enough=left_bytes >= need_bytes, why=why)
    return Free(gb=_tenths(free_bytes), required_gb=required_gb, enough=free_bytes >= need_bytes, why=why)


def needed_bytes(volume: Volume, disk: Disk) -> float:
    """Return what a fresh run needs at a path, less what is already there."""
    there = [reuse.value for reuse in volume.reuse.values()]
    return max(0.0, disk.free_gb * _GB - sum(one.allocated_bytes for one in there if one.exists and one.same_device))


def _tenths(size_bytes: float, *, up: bool = False) -> float:
    """10^9 bytes to a tenth: what there is is rounded down, what is needed up."""
    tenths = -(-size_bytes * 10 // _GB) if up else size_bytes * 10 // _GB
    return tenths / 10
