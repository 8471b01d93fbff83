"""Who else works on the host: what computes on its GPUs and is not the gate's, in words that a person can act on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_pipeline.observers.context_readings import ContextReadings
    from pytest_pipeline.observers.gpu_readings import Gpu, GpuProcess
    from pytest_pipeline.observers.system_readings import Process, SystemReadings

_GB = 10**9
_DRAWS = "G"
_ENDED = "X"  # since nvidia-smi saw it
_SHARING_DAEMON = "nvidia-cuda-mps-server"  # what it does it does for others, who are listed themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A process that computes on a GPU. `owner` is None where it cannot be seen on the host: it is in a container."""

    gpu: int
    process: GpuProcess
    owner: Process | None

    def __str__(self) -> str:
        """Say who it is, and what it holds."""
        who = in_words(self.owner) if self.owner else f"pid {self.process.pid} ({self.process.name})"
        used = self.process.used_bytes
        return f"{who} computes on GPU {self.gpu}" + ("" if used is None else f", holding {gb(used)}GB")


def strangers_on(gpu: Gpu, system: SystemReadings) -> Iterator[Stranger]:
    """Yield what computes on a GPU and is neither the gate's nor of a pipeline's run.

    Raises Blocked where it is not known what computes there, or whose it is.
    """
    runs = {one.pid for one in system.processes.value.runs} if computing_on(gpu) else set()
    yield from (one for one in others_on(gpu, system) if one.process.pid not in runs)


def others_on(gpu: Gpu, system: SystemReadings) -> Iterator[Stranger]:
    """Yield what computes on a GPU and is not the gate's. Raises Blocked as `strangers_on` does."""
    computing = computing_on(gpu)
    owners = {owner.pid: owner for owner in system.gpu_owners.value} if computing else {}
    for process in computing:
        owner = owners.get(process.pid)
        if owner is None or not (owner.gate or owner.state == _ENDED):
            yield Stranger(gpu=gpu.index, process=process, owner=owner)


def computing_on(gpu: Gpu) -> list[GpuProcess]:
    """Return what computes on a GPU; what only draws is left out, and nothing else. Raises Blocked."""
    return [one for one in gpu.processes.value if one.kind != _DRAWS and not one.name.endswith(_SHARING_DAEMON)]


def used_ids(contexts: Mapping[str, ContextReadings], count: int | None) -> set[str] | None:
    """Return the ids of the GPUs that the pipeline's contexts use, the first `count` of each or all.

    None where they are not all known.
    """
    found: set[str] = set()
    for context in contexts.values():
        cuda = context.cuda.or_none
        if cuda is None or not cuda.devices or not all(device.uuid for device in cuda.devices):
            return None
        found |= {bare(device.uuid) for device in cuda.devices[:count]}
    return found or None


def used_gpus(gpus: Sequence[Gpu], used: set[str] | None) -> list[Gpu]:
    """Return the GPUs with these ids; all of them where that is not sure."""
    ids = {bare(gpu.uuid) for gpu in gpus}
    # An id that is no card's is that of a slice, and does not say of which card.
    return [gpu for gpu in gpus if not used or not used <= ids or bare(gpu.uuid) in used]


def bare(uuid: str) -> str:
    """Return a GPU's id as PyTorch gives it, who leaves out what nvidia-smi begins with."""
    return uuid.removeprefix("GPU-").lower()


def in_words(process: Process) -> str:
    """Return which process it is: where to look, whom to ask, what it is."""
    return f"pid {process.pid} ({process.user}, {process.command})"


def gb(size_bytes: float) -> float:
    """10^9 bytes, rounded down to a tenth."""
    return size_bytes * 10 // _GB / 10
