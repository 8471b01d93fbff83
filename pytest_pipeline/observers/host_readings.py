"""What is known of a host after one round trip. Plain values: an observation is stored as JSON and read back."""

from dataclasses import dataclass, field
from enum import StrEnum

from pytest_pipeline.observers.context_readings import ContextReadings
from pytest_pipeline.observers.gpu_readings import GpuPresence, KernelLog, Smi
from pytest_pipeline.observers.model_readings import ModelFolder
from pytest_pipeline.observers.s3_attempt import BucketAccess
from pytest_pipeline.observers.system_readings import SystemReadings
from pytest_pipeline.outcome import Reading


class VolumeKind(StrEnum):
    """What a path lies on. The first six are those that the settings may allow."""

    EBS = "ebs"
    INSTANCE_STORE = "instance-store"  # empty after a stop and start
    FSX = "fsx"
    EFS = "efs"
    ROOT = "root"  # the root file system, whatever is under it
    TMPFS = "tmpfs"  # memory
    DISK = "disk"  # a disk that is none of Amazon's, or several kinds together
    NETWORK = "network"  # another network file system
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """The mount that a path lies on, as the kernel describes it."""

    point: str
    fs_type: str
    source: str
    options: tuple[str, ...]
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """What an ordinary user may still fill; the blocks reserved for root are not in it.

    `inodes_total` is 0 where the file system has no fixed number of them (btrfs, some network ones): not limited.
    """

    total_bytes: int
    available_bytes: int
    inodes_total: int
    inodes_available: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The connecting user's own limits; 0 is no limit."""

    bytes_limit: int
    bytes_used: int
    inodes_limit: int
    inodes_used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteTest:
    """How far writing, syncing and reading back 1 MiB went, by the connecting user.

    `step` is where it failed (create, write, sync, read back), `errno` the error's name (ENOSPC, EROFS, EACCES).
    """

    ok: bool
    step: str = ""
    errno: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A disk under a mount. `layers` stand between: "lvm: vg-data", "raid: raid0"."""

    name: str
    model: str
    serial: str
    layers: tuple[str, ...] = ()

    @property
    def volume_id(self) -> str:
        """The EBS volume's id as EC2 writes it, or nothing."""
        return f"vol-{self.serial.removeprefix('vol').lstrip('-')}" if self.serial.startswith("vol") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """Whether a mount comes back after a reboot.

    `how` is fstab, systemd, zfs, root or none. Without `nofail` a missing disk stops the boot. `stable_name` is false
    where fstab names a device that may be another after the reboot (/dev/nvme1n1). `mounts_other` is the device that
    fstab would mount there instead of what is mounted now.
    """

    comes_back: bool
    how: str
    detail: str = ""
    nofail: bool = True
    stable_name: bool = True
    mounts_other: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reuse:
    """What is already there of what the pipeline would fetch. Not `complete`: there is more than was counted."""

    exists: bool
    size_bytes: int
    allocated_bytes: int
    complete: bool = True
    same_device: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What is behind a path that the pipeline writes.

    `judged_path` is the folder that was looked at: the path itself, or its nearest parent that exists.
    """

    path: str
    real_path: str
    judged_path: str
    exists: bool
    is_mount: bool
    mount: Mount
    kind: VolumeKind
    same_device_as_root: bool
    space: Reading[Space]
    quota: Reading[Quota | None]
    write: Reading[WriteTest]
    disks: Reading[tuple[Disk, ...]]
    reboot: Reading[Reboot]
    reuse: dict[str, Reading[Reuse]] = field(default_factory=dict)

    @property
    def free_bytes(self) -> int:
        """What the user may still write there: of the file system and of the quota, the smaller."""
        free = self.space.value.available_bytes
        quota = self.quota.or_none
        if quota is None or not quota.bytes_limit:
            return free
        return min(free, max(0, quota.bytes_limit - quota.bytes_used))

    @property
    def free_inodes(self) -> int | None:
        """How many files the user may still make there; None where that is not limited."""
        space, quota = self.space.value, self.quota.or_none
        left = [space.inodes_available] if space.inodes_total else []
        if quota is not None and quota.inodes_limit:
            left.append(max(0, quota.inodes_limit - quota.inodes_used))
        return min(left, default=None)

    @property
    def volume_ids(self) -> tuple[str, ...]:
        """The ids of the EBS volumes under it, as far as they are known."""
        return tuple(disk.volume_id for disk in self.disks.or_none or () if disk.volume_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostIdentity:
    """Who the probe was on the host."""

    hostname: str
    user: str
    uid: int
    kernel: str
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDocument:
    """Which instance the host says that it is (AWS: "Instance identity documents")."""

    id: str
    type: str
    region: str
    zone: str
    account: str
    image: str = ""
    ephemeral: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReadings:
    """All that one round trip brought.

    `clock_offset_s` is by how much the host's clock is ahead of ours at least; 0 where none need be assumed.
    """

    shell: Reading[bool]
    python_version: Reading[str]
    identity: Reading[HostIdentity]
    instance: Reading[InstanceDocument]
    clock_offset_s: Reading[float]
    volumes: dict[str, Reading[Volume]]
    s3_reads: Reading[tuple[BucketAccess, ...]]
    contexts: dict[str, ContextReadings]
    gpu_presence: Reading[GpuPresence]
    gpus: Reading[Smi]
    kernel_log: Reading[KernelLog]
    model: Reading[ModelFolder]
    system: SystemReadings
    took_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLock:
    """The lock that keeps two gates from loading one host. Not `taken`: `holder` has it, by the process `pid`.

    `pid` is 0 where it cannot be seen, `holder` "" where it does not say whose gate it is of: it may be of none.
    """

    taken: bool
    folder: str = ""
    pid: int = 0
    holder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """Who else is on a host, seen while we tried to take its lock."""

    lock: Reading[HostLock]
    gpu_presence: Reading[GpuPresence]
    gpus: Reading[Smi]
    system: SystemReadings
