"""Of which kind a volume is, judged by what the kernel and the disks say of themselves."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_pipeline.observers.host_readings import VolumeKind

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pytest_pipeline.observers.host_readings import Disk, Mount

_MEMORY = frozenset({"tmpfs", "ramfs"})
_NETWORK = frozenset({"cifs", "smb3", "ceph", "9p", "beegfs", "glusterfs", "fuse.sshfs", "fuse.s3fs", "fuse.mount-s3"})
# AWS, "Amazon EBS volumes and NVMe" and "Instance store volumes": what the disks answer as their model.
_EBS_MODEL = "Amazon Elastic Block Store"
_INSTANCE_STORE_MODEL = "Amazon EC2 NVMe Instance Storage"


def kind_of(mount: Mount, disks: Sequence[Disk], ephemeral: Collection[str] = ()) -> VolumeKind:
    """Return the kind of a mount. `ephemeral` are the devices that the instance itself calls so (`sdb`)."""
    if mount.point == "/":
        return VolumeKind.ROOT
    if mount.fs_type in _MEMORY:
        return VolumeKind.TMPFS
    if mount.fs_type == "lustre":
        return VolumeKind.FSX
    if mount.fs_type in {"nfs", "nfs4"}:
        return _nfs(mount)
    if mount.fs_type in _NETWORK:
        return VolumeKind.NETWORK
    kinds = {_disk(disk, ephemeral) for disk in disks}
    if len(kinds) == 1:
        return kinds.pop()
    return VolumeKind.DISK if kinds else VolumeKind.OTHER


def _nfs(mount: Mount) -> VolumeKind:
    server = mount.source.split(":", maxsplit=1)[0]
    if ".fsx." in server:
        return VolumeKind.FSX
    # The EFS mount helper goes through a tunnel on this very host, at a port of its own.
    tunnel = server in {"127.0.0.1", "localhost"} and any(re.match(r"port=20\d\d\d$", one) for one in mount.options)
    # By address, EFS shows in the options that AWS prescribes for it, and that nobody else sets together.
    prescribed = {"vers=4.1", "noresvport"} <= set(mount.options)
    return VolumeKind.EFS if ".efs." in server or tunnel or prescribed else VolumeKind.NETWORK


def _disk(disk: Disk, ephemeral: Collection[str]) -> VolumeKind:
    if disk.model == _INSTANCE_STORE_MODEL:
        return VolumeKind.INSTANCE_STORE
    if disk.model == _EBS_MODEL or disk.volume_id:
        return VolumeKind.EBS
    if disk.name.startswith("xvd"):  # a Xen instance, whose disks say nothing of themselves
        letters = disk.name.removeprefix("xvd")
        return VolumeKind.INSTANCE_STORE if f"sd{letters}" in ephemeral else VolumeKind.EBS
    return VolumeKind.DISK
