"""Who else is on the host: the rows co-tenants and stale-processes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import Blocked, on_host
from pytest_pipeline.observers.co_tenants import gb, in_words, others_on, strangers_on, used_gpus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.context_readings import ContextReadings
    from pytest_pipeline.observers.gpu_readings import Gpu
    from pytest_pipeline.observers.system_readings import LockFile, Memory, Process, Processes, SystemReadings

_GB = 10**9
_FREE_SHARE = 0.5  # of main memory, on a host that is there to train and where nothing is required
_NAMED = 3
# What driver and display keep of a card for themselves, and a trial of the gate's own takes meanwhile.
_DRIVER_BYTES, _DRIVER_SHARE = 15 * 10**8, 0.05
_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


def judge_memory(
    system: SystemReadings, contexts: Mapping[str, ContextReadings], required_gb: float | None, evidence: Evidence
) -> None:
    """Fail where less main memory is left than required; without a requirement, warn where most of it is taken."""
    memory = system.memory.value
    available_bytes, limited_by = _available(memory, contexts)
    evidence(ram_gb=gb(available_bytes), ram_total_gb=gb(memory.total_bytes), ram_required_gb=required_gb)
    largest = _largest(system.processes.or_none)
    if required_gb is None:
        if available_bytes < _FREE_SHARE * memory.total_bytes:
            evidence.warn(
                f"only {gb(available_bytes)}GB of {gb(memory.total_bytes)}GB of main memory are available{limited_by}; "
                f"the largest: {largest}"
            )
        return
    if available_bytes >= required_gb * _GB:
        return
    held_bytes = sum(one.resident_bytes for one in _runs(system.processes))
    why = (
        f"{gb(available_bytes)}GB of main memory available, need {required_gb:g}GB{limited_by}; the largest: {largest}"
    )
    if not limited_by and available_bytes + held_bytes >= required_gb * _GB:
        raise Blocked(f"an earlier run holds {gb(held_bytes)}GB of main memory: {why}", by="stale-processes")
    _fail(why, evidence)


def _available(memory: Memory, contexts: Mapping[str, ContextReadings]) -> tuple[float, str]:
    """Return what a new process can get in the narrowest context, and what narrows it."""
    limits = {name: context.memory_limit_bytes.or_none for name, context in contexts.items()}
    name, limit = min(
        ((name, limit) for name, limit in limits.items() if limit), key=lambda one: one[1], default=("", 0)
    )
    if limit and limit < memory.available_bytes:
        return limit, f" (the control group of context {name} allows no more)"
    return memory.available_bytes, ""


def _largest(processes: Processes | None) -> str:
    if processes is None:
        return "not known"
    others = [one for one in processes.largest if not one.gate]
    return ", ".join(f"{in_words(one)} {gb(one.resident_bytes)}GB" for one in others[:_NAMED]) or "not known"


def _runs(processes: Reading[Processes]) -> Sequence[Process]:
    return processes.or_none.runs if processes.or_none else ()


def judge_gpus(gpus: Sequence[Gpu], used: set[str] | None, system: SystemReadings, evidence: Evidence) -> None:
    """Fail where somebody else computes on a GPU that the training uses; `used` are their ids, None for all."""
    ours = used_gpus(gpus, used)
    found = [stranger for gpu in ours for stranger in strangers_on(gpu, system)]
    evidence(gpus=len(gpus), gpu_strangers=len(found), alone="Nobody else is on the GPU")
    others = [gpu for gpu in gpus if gpu not in ours and gpu.processes.is_known]
    if elsewhere := [str(stranger) for gpu in others for stranger in strangers_on(gpu, system)]:
        evidence(elsewhere="; ".join(elsewhere))
    if found:
        evidence.remedy(on_host(f"ps -fp {','.join(str(one.process.pid) for one in found)}"))
        _fail("; ".join(str(one) for one in found), evidence)
    if runs := [str(other) for gpu in ours for other in others_on(gpu, system)]:
        raise Blocked(f"an earlier run is on the GPU: {'; '.join(runs)}", by="stale-processes")
    for gpu in ours:
        if unseen_bytes := _held_by_nobody(gpu):
            evidence.warn(
                f"{gb(unseen_bytes)}GB of GPU {gpu.index} are held by nobody that can be seen: a process of another "
                "container, or memory that was not given back"
            )


def _held_by_nobody(gpu: Gpu) -> int:
    """Return the memory that no process is listed for, 0 where it is no more than a driver and a trial of ours take."""
    total, free = gpu.total_bytes.or_none, gpu.free_bytes.or_none
    listed = gpu.processes.or_none
    if total is None or free is None or listed is None or any(one.used_bytes is None for one in listed):
        return 0
    unseen_bytes = total - free - sum(one.used_bytes or 0 for one in listed)
    return unseen_bytes if unseen_bytes > max(_DRIVER_BYTES, total * _DRIVER_SHARE) else 0


def judge_runs(processes: Processes, locks: Mapping[str, Reading[LockFile]], evidence: Evidence) -> None:
    """Fail where something of an earlier run is alive, or holds its lock; warn of a lock that it has left."""
    runs = processes.runs
    evidence(processes=processes.total, others_hidden=processes.hidden, runs=len(runs))
    if processes.hidden:
        evidence.warn("the processes of others are hidden from this user (hidepid): a run of theirs is not seen")
    wrong = []
    if runs:
        more = f", and {len(runs) - _NAMED} more" if len(runs) > _NAMED else ""
        wrong.append("; ".join(_run(one) for one in runs[:_NAMED]) + more)
        evidence.remedy(on_host(_look_or_kill(runs)))
    for path, reading in locks.items():
        lock = reading.value
        evidence(**{f"lock {path}": _lock_in_words(lock)})
        if lock.held or (lock.made and lock.maker_lives):
            holder = lock.holder or (lock.maker if lock.maker_lives else 0)
            by = f" by pid {holder}" if holder else ""
            if not runs:
                evidence.remedy(on_host(f"fuser -v {shlex.quote(path)}"))
            if not any(one.pid == holder for one in runs):
                wrong.append(f"{path} is locked{by}")
        elif lock.exists and lock.made:
            whose = f" by pid {lock.maker}, which is gone" if lock.maker else ""
            evidence.warn(f"{path} was left{whose}: a run that takes its presence for a lock does not start")
    if wrong:
        _fail("; ".join(wrong), evidence)


def _look_or_kill(runs: Sequence[Process]) -> str:
    """Return a command for these processes: what only looks like a run, or is one of many, is looked at first."""
    pids = [str(one.pid) for one in runs]
    ours = len(runs) <= _NAMED and all(one.component for one in runs) and len({one.user for one in runs}) == 1
    return f"kill {' '.join(pids)}" if ours else f"ps -o pid,user,lstart,args -p {','.join(pids)}"


def _run(one: Process) -> str:
    name = f"{one.component}: " if one.component else ""
    stopped = ", stopped" if one.state in ("T", "t") else ""
    return f"{name}{in_words(one)}, for {_age(one.age_s)}{stopped}"


def _age(seconds: float) -> str:
    if seconds >= _DAY_S:
        return f"{seconds // _DAY_S:.0f} d"
    return f"{seconds // _HOUR_S:.0f} h" if seconds >= _HOUR_S else f"{seconds // 60:.0f} min"


def _lock_in_words(lock: LockFile) -> str:
    if not lock.exists:
        return "not there"
    return "held" if lock.held else f"not held, {_age(lock.age_s)} old"


def _fail(why: str, evidence: Evidence) -> None:
    evidence(error=why)
    pytest.fail(why, pytrace=False)
