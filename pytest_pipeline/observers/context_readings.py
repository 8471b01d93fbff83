"""What is known of one context: the interpreter that the pipeline's own shell finds, and what it can import.

Plain values: an observation is stored as JSON and read back.
"""

from dataclasses import dataclass
from typing import Any

from pytest_pipeline.outcome import Reading


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """A Python as it says that it is.

    `real` is its executable with all links followed. `environment` holds those variables that bend what is imported
    and what CUDA sees (PATH, PYTHONPATH, LD_LIBRARY_PATH, VIRTUAL_ENV, CONDA_PREFIX, CUDA_VISIBLE_DEVICES ...), no
    others. `pip` is the interpreter that `pip` on the PATH installs for: `executable` itself where it is this one, ""
    where there is no pip, or one that does not say (pyenv's).
    """

    version: str
    implementation: str
    executable: str
    real: str
    prefix: str
    base_prefix: str
    path: tuple[str, ...]
    environment: dict[str, str]
    pip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a process there (getrlimit(2)); None is no limit."""

    open_files: int | None
    open_files_hard: int | None
    processes: int | None
    locked_bytes: int | None
    address_space_bytes: int | None
    file_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMemory:
    """What /dev/shm has, as an ordinary user may use it."""

    total_bytes: int
    available_bytes: int
    fs_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """An installed distribution, as its metadata has it; `requires` are its Requires-Dist lines, unevaluated.

    `requires_read` is false where they could not be read as a whole, and for those outside the closure of what is
    required: their lines were not sent.
    """

    name: str
    version: str
    location: str = ""
    requires: tuple[str, ...] = ()
    requires_python: str = ""
    requires_read: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A required package after it was imported: by which name, from where, and which version it says that it is.

    `version` is what the module says of itself, "" where it says nothing; `module` is "" where nothing can be imported
    of it (a package of data or programs), or where nothing says by which name: `guess` was tried, and is none.
    `warnings` are the first lines of warnings, and what it said on stderr.
    """

    module: str
    version: str
    file: str
    took_s: float = 0.0
    warnings: tuple[str, ...] = ()
    guess: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """PyTorch as built. `cuda` is the CUDA version that it was built for; "" on a build for the CPU alone."""

    version: str
    cuda: str
    hip: str
    file: str
    cudnn: int | None = None
    took_s: float = 0.0
    simulated: bool = False
    warnings: tuple[str, ...] = ()


_NOT_TRIED: Reading[float] = Reading.missing("it was not tried", by="cuda")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU that a process of the context can use, in its own numbering. `trial` is one small multiplication.

    `free_bytes` and `total_bytes` are those of torch.cuda.mem_get_info: what a process can get, less than the card has.
    """

    index: int
    name: str
    capability: str
    total_bytes: int
    free_bytes: Reading[int]
    uuid: str = ""
    trial: Reading[float] = _NOT_TRIED
    """The relative error of a product of two small matrices, in the configured precision, against the CPU's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuda:
    """What PyTorch says of CUDA. `why` are the warnings and errors of asking, the first line of each."""

    available: bool
    why: tuple[str, ...]
    arch_list: tuple[str, ...]
    devices: tuple[Device, ...]
    bf16: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingName:
    """An import of a deployed script that would fail. `silent`: the script swallows the ImportError and goes on.

    `local`: a module of that name (or its folder) belongs to what was deployed.
    """

    name: str
    file: str
    line: int
    silent: bool
    local: bool
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoint:
    """A deployed script, its imports followed through the modules that were deployed with it, none of them executed."""

    path: str
    files_read: int
    imports: int
    missing: tuple[MissingName, ...]
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextReadings:
    """All that was read in one context. `packages` by the requirement as the settings have it."""

    interpreter: Reading[Interpreter]
    limits: Reading[Limits]
    shared_memory: Reading[SharedMemory]
    memory_limit_bytes: Reading[int | None]
    torch: Reading[Torch]
    cuda: Reading[Cuda]
    distributions: Reading[tuple[Distribution, ...]]
    packages: dict[str, Reading[Imported]]
    entry_points: dict[str, Reading[EntryPoint]]


def nothing_of(context: Reading[Any], packages: tuple[str, ...], entry_points: tuple[str, ...]) -> ContextReadings:
    """Return the readings of a context of which nothing could be read, for the reason of the given reading."""
    why = context.hand_on()
    return ContextReadings(
        interpreter=why,
        limits=why,
        shared_memory=why,
        memory_limit_bytes=why,
        torch=why,
        cuda=why,
        distributions=why,
        packages=dict.fromkeys(packages, why),
        entry_points=dict.fromkeys(entry_points, why),
    )
