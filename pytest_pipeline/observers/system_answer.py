"""From what the host says of itself as a machine to readings; pure and strict."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.system_readings import (
    ClockSync,
    HostCredentials,
    LockFile,
    Memory,
    Notices,
    Process,
    Processes,
    ResolvedName,
    SystemReadings,
    UnitLimits,
)
from pytest_pipeline.observers.untrusted import (
    Unreadable,
    flag,
    items,
    mapping,
    number,
    printable,
    reading,
    text,
    whole,
)
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.observers.host_request import SystemRequest

_CONNECTION = "ssh-access"
_MEMORY, _PROCESSES, _CLOCK = "co-tenants", "stale-processes", "host-clock"
_LIMITS = "limits"
_NAMES, _CREDENTIALS, _NOTICES = "name-resolution", "credential-lifetime", "instance-stays-up"
_NO_CREDENTIALS = "s3-read"  # the row that tries them first


def system(answer: Reading[Any], asked: SystemRequest, gpus: Reading[Any]) -> SystemReadings:
    """Return the readings of the machine; `gpus` is what the probe of the GPUs said, which knows whose they are."""
    if not answer.is_known:
        return nothing_of_system(answer, asked)
    try:
        of = mapping(answer.value, "the machine")
    except Unreadable as error:
        why = Reading[Any].missing(f"the host's answer for the machine makes no sense: {error}", by=_CONNECTION)
        return nothing_of_system(why, asked)
    processes: Reading[Processes] = reading(of.get("processes"), "the processes", by=_PROCESSES, read=_processes)
    return SystemReadings(
        memory=reading(of.get("memory"), "main memory", by=_MEMORY, read=_memory),
        processes=processes,
        clock_sync=reading(of.get("clock_sync"), "how the clock is kept", by=_CLOCK, read=_clock_sync),
        names={name: _of(of, "names", name, by=_NAMES, read=_name) for name in asked.names},
        credentials=_credentials(of, asked),
        notices=_notices(of, asked),
        locks={path: _of(of, "locks", path, by=_PROCESSES, read=partial(_lock, path)) for path in asked.locks},
        gpu_owners=_owners(gpus),
        unit_limits=_unit_limits(of, asked),
    )


def nothing_of_system(why: Reading[Any], asked: SystemRequest) -> SystemReadings:
    """Return the readings of a machine of which nothing could be read, for the reason of the given reading."""
    gap = why.hand_on()
    return SystemReadings(
        memory=gap,
        processes=gap,
        clock_sync=gap,
        names=dict.fromkeys(asked.names, gap),
        credentials=gap,
        notices=gap,
        locks=dict.fromkeys(asked.locks, gap),
        gpu_owners=gap,
        unit_limits=gap,
    )


def _of(of: dict[str, Any], kind: str, name: str, *, by: str, read: Callable[[Any], Any]) -> Reading[Any]:
    """Return the reading of one of several things that were asked for by name; the name stands in every reason."""
    answers = of.get(kind)
    if not isinstance(answers, dict) or name not in answers:
        return Reading.missing(f"the host did not answer for {name}", by=_CONNECTION)
    return reading(answers[name], name, by=by, read=read)


def _memory(value: object) -> Memory:
    of = mapping(value, "main memory")
    memory = Memory(
        total_bytes=whole(of, "total_bytes"),
        available_bytes=whole(of, "available_bytes"),
        swap_total_bytes=whole(of, "swap_total_bytes"),
        swap_free_bytes=whole(of, "swap_free_bytes"),
    )
    if not memory.total_bytes:
        raise Unreadable("total_bytes is 0")
    return memory


def _processes(value: object) -> Processes:
    of = mapping(value, "the processes")
    return Processes(
        largest=_each(of, "largest"),
        components=_each(of, "components"),
        trainers=_each(of, "trainers"),
        total=whole(of, "total"),
        hidden=flag(of, "hidden"),
    )


def _owners(gpus: Reading[Any]) -> Reading[tuple[Process, ...]]:
    if not gpus.is_known or not isinstance(gpus.value, dict):
        return Reading.missing("the processes on the GPUs were not read", by=_PROCESSES)
    what = "the processes on the GPUs"
    return reading(gpus.value.get("owners"), what, by=_PROCESSES, read=lambda value: _each({"owners": value}, "owners"))


def _unit_limits(of: dict[str, Any], asked: SystemRequest) -> Reading[UnitLimits]:
    if not asked.units:
        return Reading.missing("no context is that of a systemd unit", by=_LIMITS)
    return reading(of.get("unit_limits"), "what systemd gives a unit", by=_LIMITS, read=_limits_of_units)


def _limits_of_units(value: object) -> UnitLimits:
    of = mapping(value, "the limits of units")
    names = ("open_files", "processes")
    given = {name: None if of.get(name, 0) is None else whole(of, name) for name in names}
    return UnitLimits(**given)


def _each(of: dict[str, Any], kind: str) -> tuple[Process, ...]:
    return tuple(_process(mapping(one, "a process")) for one in items(of.get(kind), kind))


def _process(of: dict[str, Any]) -> Process:
    return Process(
        pid=whole(of, "pid"),
        user=text(of, "user"),
        command=text(of, "command"),
        resident_bytes=whole(of, "resident_bytes"),
        age_s=number(of, "age_s"),
        component=text(of, "component"),
        gate=flag(of, "gate"),
        state=text(of, "state"),
    )


def _lock(path: str, value: object) -> LockFile:
    of = mapping(value, "the lock file")
    if not flag(of, "exists"):
        return LockFile(path=path, exists=False)
    return LockFile(
        path=path,
        exists=True,
        held=flag(of, "held"),
        holder=whole(of, "holder"),
        age_s=number(of, "age_s"),
        made=flag(of, "made"),
        maker=whole(of, "maker"),
        maker_lives=flag(of, "maker_lives"),
    )


def _clock_sync(value: object) -> ClockSync:
    of = mapping(value, "how the clock is kept")
    synchronized = None if of.get("synchronized", 0) is None else flag(of, "synchronized")
    return ClockSync(synchronized=synchronized, source=text(of, "source"))


def _name(value: object) -> ResolvedName:
    of = mapping(value, "its addresses")
    addresses = tuple(printable(one) for one in items(of.get("addresses"), "addresses"))
    if not addresses:
        raise Unreadable("it has no address")
    return ResolvedName(addresses=addresses, took_s=number(of, "took_s"))


def _credentials(of: dict[str, Any], asked: SystemRequest) -> Reading[HostCredentials]:
    if not asked.credentials:
        return Reading.missing("nothing on the host was said to use AWS", by="settings")
    answer: Reading[dict[str, Any]] = reading(
        of.get("credentials"), "the host's credentials", by=_CREDENTIALS, read=lambda value: mapping(value, "they")
    )
    if not answer.is_known:
        return answer.hand_on()
    try:
        if "none" in answer.value:
            return Reading.missing(text(answer.value, "none"), by=_NO_CREDENTIALS)
        return Reading.of(
            HostCredentials(
                source=text(answer.value, "source"),
                lasting=flag(answer.value, "lasting"),
                expires_in_s=_number_or_none(answer.value, "ends_in_s"),
                at_most_s=_number_or_none(answer.value, "at_most_s"),
                renewed=flag(answer.value, "renewed"),
            )
        )
    except Unreadable as error:
        return Reading.missing(f"the host's answer for its credentials makes no sense: {error}", by=_CREDENTIALS)


def _number_or_none(of: dict[str, Any], name: str) -> float | None:
    return None if of.get(name, 0) is None else number(of, name)


def _notices(of: dict[str, Any], asked: SystemRequest) -> Reading[Notices]:
    if not asked.metadata:
        return Reading.missing("the instance's own metadata was not asked for", by=_NOTICES)
    return reading(of.get("notices"), "the instance's notices", by=_NOTICES, read=_notices_of)


def _notices_of(value: object) -> Notices:
    of = mapping(value, "the notices")
    return Notices(
        life_cycle=text(of, "life_cycle"),
        spot_action=text(of, "spot_action"),
        rebalance=text(of, "rebalance"),
        maintenance=tuple(printable(one) for one in items(of.get("maintenance"), "maintenance")),
    )
