"""From what a host says of a path to a `Volume`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.host_readings import Disk, Mount, Quota, Reboot, Reuse, Space, Volume, WriteTest
from pytest_pipeline.observers.untrusted import flag, items, mapping, printable, reading, text, whole
from pytest_pipeline.observers.volume_kind import kind_of
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Collection

    from pytest_pipeline.observers.host_request import VolumeRequest

_VOLUME, _SPACE = "ebs-volume", "disk-space"  # the rows that own what cannot be read


def volume(answer: object, wanted: VolumeRequest, ephemeral: Collection[str]) -> Reading[Volume]:
    """Read the answer for one path."""
    reuse = answer.get("reuse") if isinstance(answer, dict) else None
    return reading(answer, wanted.path, by=_VOLUME, read=lambda value: _volume(value, reuse, wanted, ephemeral))


def _volume(value: object, reuse: object, wanted: VolumeRequest, ephemeral: Collection[str]) -> Volume:
    of, path = mapping(value, wanted.path), wanted.path
    mount = _mount(of.get("mount"))
    disks = reading(of.get("disks"), f"the disks under {path}", by=_VOLUME, read=_disks)
    device = whole(of, "device")
    return Volume(
        path=path,
        real_path=text(of, "real"),
        judged_path=text(of, "judged"),
        exists=flag(of, "exists"),
        is_mount=flag(of, "is_mount"),
        mount=mount,
        kind=kind_of(mount, disks.or_none or (), ephemeral),
        same_device_as_root=flag(of, "same_device_as_root"),
        space=reading(of.get("space"), f"the space of {path}", by=_SPACE, read=_space),
        quota=reading(of.get("quota"), f"the quota of {path}", by=_SPACE, read=_quota),
        write=reading(of.get("write"), f"writing to {path}", by=_VOLUME, read=_write),
        disks=disks,
        reboot=reading(of.get("reboot"), f"the mounts at boot, for {path}", by=_VOLUME, read=_reboot),
        reuse={name: _reuse(reuse, name, device) for name in wanted.reuse},
    )


def _mount(value: object) -> Mount:
    of = mapping(value, "mount")
    return Mount(
        point=text(of, "point"),
        fs_type=text(of, "type"),
        source=text(of, "source"),
        options=tuple(printable(option) for option in items(of.get("options"), "options")),
        read_only=flag(of, "read_only"),
    )


def _space(value: object) -> Space:
    of = mapping(value, "space")
    return Space(
        total_bytes=whole(of, "total_bytes"),
        available_bytes=whole(of, "available_bytes"),
        inodes_total=whole(of, "inodes_total"),
        inodes_available=whole(of, "inodes_available"),
    )


def _quota(value: object) -> Quota | None:
    if value is None:
        return None
    of = mapping(value, "quota")
    return Quota(
        bytes_limit=whole(of, "bytes_limit"),
        bytes_used=whole(of, "bytes_used"),
        inodes_limit=whole(of, "inodes_limit"),
        inodes_used=whole(of, "inodes_used"),
    )


def _write(value: object) -> WriteTest:
    of = mapping(value, "write")
    return WriteTest(ok=flag(of, "ok"), step=text(of, "step"), errno=text(of, "errno"), why=text(of, "why"))


def _disks(value: object) -> tuple[Disk, ...]:
    return tuple(_disk(mapping(one, "disk")) for one in items(value, "disks"))


def _disk(of: dict[str, Any]) -> Disk:
    layers = tuple(printable(layer) for layer in items(of.get("layers"), "layers"))
    return Disk(name=text(of, "name"), model=text(of, "model"), serial=text(of, "serial"), layers=layers)


def _reboot(value: object) -> Reboot:
    of = mapping(value, "reboot")
    return Reboot(
        comes_back=flag(of, "comes_back"),
        how=text(of, "how"),
        detail=text(of, "detail"),
        nofail=flag(of, "nofail"),
        stable_name=flag(of, "stable_name"),
        mounts_other=text(of, "mounts_other"),
    )


def _reuse(answers: object, name: str, device: int) -> Reading[Reuse]:
    answer = answers.get(name) if isinstance(answers, dict) else None
    if answer is None:
        return Reading.missing(f"the host did not answer for {name}", by="ssh-access")
    return reading(answer, f"the size of {name}", by=_SPACE, read=lambda value: _reuse_of(mapping(value, name), device))


def _reuse_of(of: dict[str, Any], device: int) -> Reuse:
    return Reuse(
        exists=flag(of, "exists"),
        size_bytes=whole(of, "bytes"),
        allocated_bytes=whole(of, "allocated_bytes"),
        complete=flag(of, "complete"),
        same_device=whole(of, "device") == device,
    )
