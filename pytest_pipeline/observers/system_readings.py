"""What is known of the host as a machine. Plain values: an observation is stored as JSON and read back."""

from dataclasses import dataclass

from pytest_pipeline.outcome import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Main memory (proc(5), /proc/meminfo). `available_bytes` is what a new process can get without swapping."""

    total_bytes: int
    available_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process of the host. `command` is its name and first words, never all its arguments: they may hold secrets.

    `component` is the name of the pipeline's component that its command line matches, "" for none. `gate` is whether
    it descends from what the gate itself started.
    """

    pid: int
    user: str
    command: str
    resident_bytes: int
    age_s: float
    component: str = ""
    gate: bool = False
    state: str = ""  # proc(5): R, S, D, Z ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFile:
    """A file that a running pipeline locks, or makes. `holder` is the process that holds a lock on it, where it lives.

    `made` is whether it looks like a lock by being there: a folder, or a file with something in it. `maker` is the
    process that it names then, 0 for none.
    """

    path: str
    exists: bool
    held: bool = False
    holder: int = 0
    age_s: float = 0.0
    made: bool = False
    maker: int = 0
    maker_lives: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Processes:
    """The processes that matter: the largest, those that match a component, and those that look like a trainer.

    `hidden`: others may be there that this user is not shown (hidepid of proc(5)).
    """

    largest: tuple[Process, ...]
    components: tuple[Process, ...]
    trainers: tuple[Process, ...]
    total: int
    hidden: bool = False

    @property
    def runs(self) -> tuple[Process, ...]:
        """What is alive of a pipeline, the gate's own processes left out; the oldest first."""
        alive = [one for one in (*self.components, *self.trainers) if not one.gate and one.state not in ("Z", "X")]
        return tuple(sorted(alive, key=lambda one: -one.age_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSync:
    """How the host keeps its clock. `synchronized` is None where nothing on the host can tell."""

    synchronized: bool | None
    source: str  # chronyc, kernel, or "" for none


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedName:
    """The addresses of a name, as the host's programs get them."""

    addresses: tuple[str, ...]
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCredentials:
    """The AWS credentials that the host would use. `lasting`: renewed by themselves, or without an end.

    `expires_in_s` is None where they have no end, or none can be told; then they last no longer than `at_most_s`.
    `renewed`: at that end others are fetched, as long as something lasts that cannot be seen (single sign-on).
    """

    source: str
    lasting: bool
    expires_in_s: float | None = None
    at_most_s: float | None = None
    renewed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """What the instance's own metadata announces: a spot interruption, a rebalance, maintenance."""

    life_cycle: str
    spot_action: str = ""
    rebalance: str = ""
    maintenance: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitLimits:
    """The soft limits that systemd gives a unit which says nothing of its own; None is no limit."""

    open_files: int | None
    processes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReadings:
    """All of it, each reading alone. `gpu_owners` are the processes on GPUs, as far as they can be seen on the host."""

    memory: Reading[Memory]
    processes: Reading[Processes]
    clock_sync: Reading[ClockSync]
    names: dict[str, Reading[ResolvedName]]
    credentials: Reading[HostCredentials]
    notices: Reading[Notices]
    locks: dict[str, Reading[LockFile]]
    gpu_owners: Reading[tuple[Process, ...]]
    unit_limits: Reading[UnitLimits]
