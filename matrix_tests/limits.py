"""What a process of a context may use: the rows shared-memory and limits."""

from __future__ import annotations

import math
import shlex
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import on_host
from pytest_pipeline.observers.co_tenants import gb

if TYPE_CHECKING:
    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.context_readings import Limits, SharedMemory
    from pytest_pipeline.observers.system_readings import UnitLimits
    from pytest_pipeline.settings import Context, Requirements

_GB = 10**9
_CONTAINERS = ("docker", "podman", "nerdctl")
_MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs", "")
# CUDA reserves addresses for the memory of all GPUs and of the host, whatever it uses of them.
_ADDRESSES_BYTES = 2**40
_LARGEST_FILE_BYTES = 10**11  # a checkpoint with its optimiser's state is tens of GB


def judge_shared_memory(shared: SharedMemory, context: Context, required_gb: float, evidence: Evidence) -> None:
    """Fail where /dev/shm has less than required: loaders' workers die of it, by a bus error or without a word."""
    available_gb, total_gb = _hundredths(shared.available_bytes), _hundredths(shared.total_bytes)
    evidence(shm_gb=available_gb, shm_total_gb=total_gb, required_gb=required_gb)
    evidence(context=context.name, kind=shared.fs_type)
    if shared.fs_type not in _MEMORY_FILE_SYSTEMS:
        evidence.warn(f"/dev/shm is {shared.fs_type}, which is no memory: loaders are slow")
    if shared.available_bytes >= required_gb * _GB:
        return
    if shared.total_bytes >= required_gb * _GB:
        evidence.remedy(on_host("ls -lA /dev/shm"))
        why = f"the rest of its {total_gb}GB is taken: a run that was killed leaves its files there"
        pytest.fail(f"{why} (context {context.name})", pytrace=False)
    size_gb = max(1, math.ceil(required_gb))
    remount = f"sudo mount -o remount,size={size_gb}G /dev/shm"
    evidence.remedy(_of_container(context, f"--shm-size={size_gb}g") if context.wrap else on_host(remount))
    pytest.fail(f"its size is {total_gb}GB in context {context.name}", pytrace=False)


def _hundredths(size_bytes: int) -> float:
    """10^9 bytes, rounded down to a hundredth: what Docker gives by default is less than a tenth."""
    return size_bytes * 100 // _GB / 100


def judge_unit(units: Reading[UnitLimits], context: Context, required: Requirements, evidence: Evidence) -> None:
    """Warn where a unit that says nothing of its own gets less than required: what it says itself is not read."""
    evidence(context=context.name, open_files="unknown")
    if not units.is_known:
        evidence.warn(f"the limits of context {context.name} are those of its unit, and were not read: {units.reason}")
        return
    given = units.value
    evidence(open_files=given.open_files, processes=given.processes)
    for directive, has, needs in (
        ("LimitNOFILE", given.open_files, required.open_files),
        ("LimitNPROC", given.processes, required.processes),
    ):
        if has is not None and has < needs:
            unit = f"the unit of context {context.name}"
            evidence.warn(f"systemd gives {unit} {has}, need {needs}, unless it says {directive}={needs}")


def judge_limits(limits: Limits, context: Context, required: Requirements, evidence: Evidence) -> None:
    """Fail where a limit is lower than required, or keeps CUDA or a checkpoint from what they need."""
    evidence(context=context.name, open_files=limits.open_files, open_files_hard=limits.open_files_hard)
    evidence(processes=limits.processes, locked_bytes=limits.locked_bytes)
    counts = (
        ("open files (ulimit -n)", limits.open_files, required.open_files),
        ("processes (ulimit -u)", limits.processes, required.processes),
    )
    sizes = (
        ("addresses (ulimit -v)", limits.address_space_bytes, _ADDRESSES_BYTES),
        ("file size (ulimit -f)", limits.file_bytes, _LARGEST_FILE_BYTES),
    )
    wrong = [(name, str(has), str(needs)) for name, has, needs in counts if has is not None and has < needs]
    wrong += [(name, f"{gb(has)}GB", f"{gb(needs)}GB") for name, has, needs in sizes if has is not None and has < needs]
    if wrong:
        (limit, value, need), *others = wrong
        evidence(limit=limit, value=value, required=need)
        if limit == counts[0][0]:
            evidence.remedy(_more_files(limits, context, required.open_files))
        also = "".join(f"; {name} is {has}, need {needs}" for name, has, needs in others)
        pytest.fail(f"in context {context.name}{also}", pytrace=False)
    for name, has, _ in sizes:
        if has is not None:
            evidence.warn(f"{name} is limited to {gb(has)}GB in context {context.name}")


def _of_container(context: Context, option: str) -> str:
    """Return the command that starts a context's container with an option, nothing where that is not known."""
    words = list(context.wrap)
    for place, word in enumerate(words[:-1]):
        if PurePosixPath(word).name in _CONTAINERS and words[place + 1] == "run":
            return f"{shlex.join(words[: place + 2])} {option} ..."
    return ""


def _more_files(limits: Limits, context: Context, required: int) -> str:
    if limits.open_files_hard is None or limits.open_files_hard >= required:
        return f"ulimit -n {required}  # in the setup of context {context.name}"
    if context.wrap:
        return _of_container(context, f"--ulimit nofile={required}")
    return on_host(f"echo '* - nofile {required}' | sudo tee /etc/security/limits.d/training.conf")
