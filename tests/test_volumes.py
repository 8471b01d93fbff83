"""How a path on the host is judged: what is mounted there, and what is free of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from matrix_tests.volumes import free_for, judge_mount, needed_bytes, not_the_volume
from pytest_pipeline.observers.host_readings import Mount, Quota, Reboot, Reuse, Space, Volume, VolumeKind, WriteTest
from pytest_pipeline.observers.instance_facts import AttachedVolume
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Disk

if TYPE_CHECKING:
    from collections.abc import Sequence

GB = 10**9
ATTACHED = AttachedVolume(id="vol-0data", device="/dev/sdf", state="attached", size_gb=322.1, root=False)
ROOT = AttachedVolume(id="vol-0root", device="/dev/sda1", state="attached", size_gb=97.0, root=True)
VOLUME = Volume(
    path="/mnt/training",
    real_path="/mnt/training",
    judged_path="/mnt/training",
    exists=True,
    is_mount=True,
    mount=Mount(point="/mnt/training", fs_type="ext4", source="/dev/nvme1n1", options=("rw",), read_only=False),
    kind=VolumeKind.EBS,
    same_device_as_root=False,
    space=Reading.of(Space(total_bytes=300 * GB, available_bytes=250 * GB, inodes_total=10**6, inodes_available=10**6)),
    quota=Reading.of(None),
    write=Reading.of(WriteTest(ok=True)),
    disks=Reading.of(()),
    reboot=Reading.of(Reboot(comes_back=True, how="fstab")),
)
DISK = Disk(free_gb=100, kinds=("ebs",), survives_reboot=True)


def judged(
    volume: Volume, disk: Disk = DISK, attached: Sequence[AttachedVolume] | None = (ROOT, ATTACHED)
) -> list[str]:
    """Return the warnings. Raises pytest.fail.Exception."""
    evidence = Evidence()
    known: Reading[Any] = (
        Reading.missing("not authorised", by="ec2-exists") if attached is None else Reading.of(attached)
    )
    judge_mount(volume, disk, known, evidence)
    return evidence.warnings


def test_a_mounted_writable_attached_volume_that_comes_back_is_right() -> None:
    assert judged(VOLUME) == []
    assert judged(VOLUME, attached=None) == []


PLAIN: dict[str, Any] = {
    "is_mount": False,
    "kind": VolumeKind.ROOT,
    "mount": Mount(point="/", fs_type="ext4", source="/dev/root", options=("rw",), read_only=False),
}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "missing": ({"exists": False}, "/mnt/training does not exist"),
    "plain folder": (PLAIN, "/mnt/training is a plain folder on / (/dev/root): `df` shows that, and exits 0"),
    "linked to a folder": (
        PLAIN | {"real_path": "/data"},
        "/mnt/training (/data) is a plain folder on / (/dev/root): `df` shows that, and exits 0",
    ),
    "another kind": (
        {"kind": VolumeKind.INSTANCE_STORE},
        "/mnt/training is instance-store (ext4 on /dev/nvme1n1), not ebs",
    ),
    "read-only": ({"mount": replace(VOLUME.mount, read_only=True)}, "/mnt/training is mounted read-only"),
    "not writable": (
        {"write": Reading.of(WriteTest(ok=False, step="create", errno="EACCES", why="Permission denied"))},
        "the training user cannot write to /mnt/training: create: Permission denied (EACCES)",
    ),
}


@pytest.mark.parametrize(("changes", "message"), WRONG.values(), ids=WRONG.keys())
def test_anything_else_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(replace(VOLUME, **changes))
    assert str(failed.value) == message


def test_what_ec2_says_of_a_missing_volume_is_added() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"exits 0; EC2 says that no data volume is attached$"):
        judged(replace(VOLUME, **PLAIN), attached=(ROOT,))


def test_a_mount_that_ec2_knows_nothing_of_is_wrong() -> None:
    with pytest.raises(pytest.fail.Exception, match="no data volume is attached, although /mnt/training is mounted"):
        judged(VOLUME, attached=(ROOT,))
    with pytest.raises(pytest.fail.Exception, match="EC2 says that vol-0data under /mnt/training is detaching"):
        judged(VOLUME, attached=(ROOT, replace(ATTACHED, state="detaching")))


def test_a_full_volume_is_there_all_the_same() -> None:
    full = WriteTest(ok=False, step="write", errno="ENOSPC", why="No space left on device")

    assert judged(replace(VOLUME, write=Reading.of(full))) == []


def test_a_root_disk_is_right_where_the_settings_say_so() -> None:
    assert judged(replace(VOLUME, **PLAIN), Disk(free_gb=1, kinds=("root",))) == []
    assert not_the_volume(replace(VOLUME, **PLAIN), Disk(free_gb=1)) == ""


@pytest.mark.parametrize(
    ("reboot", "warning"),
    [
        (
            Reading.of(Reboot(comes_back=False, how="none")),
            "/mnt/training does not come back after a reboot: it is not in /etc/fstab",
        ),
        (
            Reading.of(Reboot(comes_back=True, how="fstab", nofail=False)),
            "/mnt/training is in /etc/fstab without nofail: the host does not boot without the volume",
        ),
        (
            Reading.of(Reboot(comes_back=True, how="fstab", mounts_other="/dev/sdg")),
            "after a reboot /dev/sdg is mounted at /mnt/training instead",
        ),
        (
            Reading[Reboot].missing("Permission denied", by="ssh-access"),
            "whether /mnt/training comes back after a reboot could not be read: Permission denied",
        ),
    ],
)
def test_a_mount_that_a_reboot_takes_away_is_warned(reboot: Reading[Reboot], warning: str) -> None:
    assert judged(replace(VOLUME, reboot=reboot)) == [warning]
    assert judged(replace(VOLUME, reboot=reboot), Disk(free_gb=1, kinds=("ebs",))) == []


def space(available_gb: float, inodes: int = 10**6, total: int = 10**6) -> Reading[Space]:
    return Reading.of(
        Space(
            total_bytes=300 * GB,
            available_bytes=int(available_gb * GB),
            inodes_total=total,
            inodes_available=inodes,
        )
    )


def test_free_is_rounded_down_and_needed_up() -> None:
    free = free_for(replace(VOLUME, space=space(99.99)), Disk(free_gb=100.01))

    assert (free.gb, free.required_gb, free.enough, free.why) == (99.9, 100.1, False, "at /mnt/training")


def test_exactly_enough_is_enough() -> None:
    assert free_for(replace(VOLUME, space=space(100)), DISK).enough


def test_no_inodes_is_no_space() -> None:
    free = free_for(replace(VOLUME, space=space(250, inodes=12)), DISK)

    assert (free.gb, free.enough) == (0.0, False)
    assert free.why == "12 inodes left at /mnt/training, need 1000 (df -i); 250.0GB of blocks"


def test_a_file_system_without_a_fixed_number_of_inodes_is_not_limited() -> None:
    assert free_for(replace(VOLUME, space=space(250, inodes=0, total=0)), DISK).enough


def test_a_quota_limits_what_is_free() -> None:
    quota = Quota(bytes_limit=50 * GB, bytes_used=20 * GB, inodes_limit=0, inodes_used=0)
    free = free_for(replace(VOLUME, quota=Reading.of(quota)), DISK)

    assert (free.gb, free.enough, free.why) == (30.0, False, "at /mnt/training, by the user's quota of 50.0GB")


def test_what_is_already_there_is_not_needed_again() -> None:
    model = Reuse(exists=True, size_bytes=27 * GB, allocated_bytes=27 * GB)
    elsewhere = replace(model, same_device=False)
    volume = replace(VOLUME, space=space(80), reuse={"/m": Reading.of(model), "/n": Reading.of(elsewhere)})

    assert needed_bytes(volume, DISK) == 73 * GB
    assert free_for(volume, DISK).enough


def test_paths_on_one_file_system_share_what_is_free() -> None:
    volume = replace(VOLUME, space=space(85))
    free = free_for(volume, Disk(free_gb=60), others_bytes=60 * GB)

    assert (free.gb, free.enough) == (25.0, False)
    assert free.why == "at /mnt/training, when other declared paths on /mnt/training have taken theirs"
