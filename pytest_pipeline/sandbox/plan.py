"""What a tenant is to become, before anything of it is built: healthy to begin with, then edited by faults.

Only descriptions live here. `tenant` turns them into accounts, buckets, instances, files, mounts and listeners.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from pytest_pipeline.sandbox.accelerator import Accelerator, a10g
from pytest_pipeline.sandbox.aws_identity import Statement
from pytest_pipeline.sandbox.aws_rule import Rule, watched
from pytest_pipeline.sandbox.host_model import healthy_model
from pytest_pipeline.sandbox.python_packages import training_python
from pytest_pipeline.sandbox.tally import Tally

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from pathlib import Path

    from pytest_pipeline.sandbox.aws_identity import Identity
    from pytest_pipeline.sandbox.aws_rule import Effect
    from pytest_pipeline.sandbox.host_content import Content
    from pytest_pipeline.sandbox.python_plan import PythonPlan

VOLUME = "/mnt/training"
LOCK = f"{VOLUME}/mistral_train.lock"
POLICY_BUCKET = "policy-database"
CACHE_BUCKET = "asoba-llm-cache"
REGION = "us-east-1"


class UnavailableError(Exception):
    """A fault cannot be had on this machine; the text says why."""


class Door(Enum):
    """What a client meets at the SSH port."""

    SSH = "an SSH server"
    CLOSED = "nobody listens"
    BLACK_HOLE = "packets are dropped"
    SILENT = "accepts, and says nothing"
    HTTP = "a web server"
    RESETS = "accepts, and resets"


@dataclass(kw_only=True)
class BucketPlan:
    """A bucket: its region and what lies in it."""

    name: str
    region: str = REGION
    versioned: bool = False
    objects: dict[str, bytes] = field(default_factory=dict)
    tiers: dict[str, str] = field(default_factory=dict)  # storage classes, by key
    ages_hours: dict[str, float] = field(default_factory=dict)  # how long ago objects were written, by key


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmPlan:
    """An alarm of CloudWatch on an instance, and what it does; an action is stop, terminate, reboot or recover."""

    name: str
    action: str = "stop"
    metric: str = "CPUUtilization"
    namespace: str = "AWS/EC2"
    operator: str = "LessThanThreshold"
    threshold: float = 5.0
    enabled: bool = True
    old_spelling: bool = False  # of the action's ARN
    of: str = ""  # the instance, where that is another


@dataclass(kw_only=True)
class InstancePlan:
    """An EC2 instance. `address` is its public address, always a loopback one: nothing may leave this machine."""

    id: str
    name: str = "mistral-training"
    type: str = "g5.2xlarge"
    state: str = "running"
    address: str = "127.0.0.1"
    region: str = REGION
    exists: bool = True
    elsewhere: bool = False  # in another account than the tenant's
    data_volume_gib: int | None = 300
    open_ports: tuple[int, ...] = (22,)
    life_cycle: str | None = None  # None is on demand
    tags: dict[str, str] = field(default_factory=dict)
    alarms: list[AlarmPlan] = field(default_factory=list)


@dataclass(kw_only=True)
class MountPlan:
    """A file system on the host: a real tmpfs. `fill_mib` of it are taken."""

    path: str
    source: str = "tmpfs"  # what the kernel shows as its device
    size_mib: int = 512
    inodes: int | None = None
    mode: int = 0o755
    read_only: bool = False
    fill_mib: int = 0
    in_fstab: bool = True
    content: dict[str, Content] = field(default_factory=dict)  # by path below it; takes none of `inodes`


@dataclass(kw_only=True)
class HostPlan:
    """The GPU host: its door, its account, its file systems."""

    addresses: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    port: int = 0
    door: Door = Door.SSH
    drop_first: int = 0  # so many connections are closed at once, as by MaxStartups
    banner_delay_s: float = 0.0
    command_delay_s: float = 0.0
    cut_output_after: int | None = None  # bytes of a command's output, then the connection is gone
    refusal: tuple[str, int] | None = None  # what every command is answered instead of being run, and its status
    user: str = "ubuntu"
    motd: str = ""
    python: bool = True  # whether there is a python3 on its PATH
    hidden_pythons: bool = False  # those of this machine, which stand where any system has them
    system_python: PythonPlan = field(default_factory=training_python)
    environments: dict[str, PythonPlan] = field(default_factory=dict)  # further ones, by folder: `~/envs/pytorch`
    shell: str = "/bin/bash"
    environment: dict[str, str] = field(default_factory=dict)  # variables that every command is given
    mounts: list[MountPlan] = field(default_factory=lambda: [MountPlan(path=VOLUME, content=healthy_model())])
    folders: dict[str, int] = field(default_factory=lambda: {VOLUME: 0o755})  # plain ones, and their modes
    links: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)  # on its volumes: path and size in bytes
    programs: dict[str, str] = field(default_factory=dict)  # scripts first in PATH
    fstab: str | None = None  # None: what the mounts say
    shm: MountPlan = field(default_factory=lambda: MountPlan(path="/dev/shm", size_mib=256, mode=0o1777))  # noqa: S108
    hosts: str = "127.0.0.1 localhost\n"  # its /etc/hosts; nothing else resolves a name there
    resolv_pipe: Path | None = None  # what /etc/resolv.conf is: a named pipe, whose reader waits for ever
    processes: list[list[str]] = field(default_factory=list)  # what runs there, started in the home of its account
    locked: list[str] = field(default_factory=list)  # files that are made and locked while it runs
    home_read_only: bool = False
    accelerator: Accelerator | None = field(default_factory=a10g)  # None: no GPU, and no driver
    met: Tally = field(default_factory=Tally)  # connections that came through the door
    commands: Tally = field(default_factory=Tally)  # commands that were run, or refused


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSpec:
    """A file of the tenant's own folder."""

    text: str
    mode: int = 0o600


@dataclass(kw_only=True)
class TenantPlan:
    """One tenant under construction. A fault edits it; what it must answer for is said by `Fault`."""

    id: str
    folder: Path
    account: str
    aws_url: str
    operator: Identity
    host_identity: Identity
    settings: dict[str, Any]
    role_session: Callable[[str, str], Identity]  # makes a session (second) of a role (first) of the account
    host: HostPlan
    buckets: dict[str, BucketPlan]
    instances: list[InstancePlan]
    files: dict[str, FileSpec]
    rules: list[Rule] = field(default_factory=list)
    strangers: dict[str, Tally] = field(default_factory=dict)
    sso: dict[str, Identity] = field(default_factory=dict)
    simulated: list[str] = field(default_factory=lambda: ["accelerator"])
    pipes: list[Path] = field(default_factory=list)  # named pipes that the sandbox holds open while it lives
    link_bytes_s: float = 8e6  # from S3 to the host, over all connections
    keep: list[socket.socket] = field(default_factory=list)  # ports that are taken while the tenant lives

    @property
    def instance(self) -> InstancePlan:
        """The instance that the settings name."""
        return self.instances[0]

    @property
    def mounts(self) -> list[MountPlan]:
        """What is mounted on the host. Raises UnavailableError where this machine forbids mounts."""
        if "volume" in self.simulated:
            raise UnavailableError(
                "this fault is made of real mounts, and mount namespaces are forbidden on this machine; "
                "run the sandbox where `unshare -Urm true` works"
            )
        return self.host.mounts

    @property
    def volume(self) -> MountPlan:
        """What is mounted as the training volume. Raises UnavailableError where this machine forbids mounts."""
        return next(mount for mount in self.mounts if mount.path == VOLUME)

    def path(self, name: str) -> Path:
        """Return where a file of the tenant's folder lies."""
        return self.folder / name

    def rule(self, actions: str, effect: Effect = watched, **more: Any) -> Tally:
        """Add a rule for calls of these actions (blank-separated), and return its tally."""
        rule = Rule(actions=tuple(actions.split()), effect=effect, **more)
        self.rules.append(rule)
        return rule.tally

    def withhold(
        self,
        actions: str,
        *resources: str,
        of: Identity | tuple[Identity, ...],
        prefixes: tuple[str, ...] = (),
    ) -> Tally:
        """Take permissions away from one or more identities: no policy allows these actions any more."""
        statement = Statement(actions=tuple(actions.split()), resources=resources or ("*",), prefixes=prefixes)
        for identity in of if isinstance(of, tuple) else (of,):
            identity.withhold.append(statement)
        return statement.tally

    def deny(self, actions: str, *resources: str, of: Identity) -> Tally:
        """Deny permissions in so many words, whatever else allows them."""
        statement = Statement(actions=tuple(actions.split()), resources=resources or ("*",))
        of.deny.append(statement)
        return statement.tally

    def bucket_settings(self, name: str) -> dict[str, Any]:
        """Return the settings of one bucket, to be edited."""
        return next(bucket for bucket in self.settings["aws"]["buckets"] if bucket["name"] == name)
