"""Signs of broken hardware: the row gpu-health judges what nvidia-smi and the kernel's log say of every card.

A card that does not report something is no worse for it: what was looked at is noted, and what was not.
Sources: NVIDIA "XID Errors", "GPU Memory Error Management", nvidia-smi(1).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from matrix_tests.interpreters import needs_gpu
from pytest_pipeline import on_host

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.gpu_readings import Gpu, GpuPresence, KernelLog, Smi, Xid
    from pytest_pipeline.settings import Requirements

_WINDOW_S = 24 * 3600
_BROKEN = {
    48: "uncorrectable memory error",
    62: "its power management has halted",
    64: "a broken row of memory could not be remapped",
    74: "NVLink error",
    79: "it has fallen off the bus",
    95: "uncontained memory error",
    119: "its firmware (GSP) does not answer",
    120: "error in its firmware (GSP)",
    140: "unrecovered memory error",
    143: "it could not be initialised",
}
"""Xids after which a card cannot be used until it is reset or replaced."""

_FAILING = {92: "many memory errors, corrected so far", 94: "memory error, contained to one process"}
"""Xids of a card that still works: the process that met them did not."""

_REMAPPING, _RECOVERY = 63, 154
_NOTHING_TO_DO = "(None)"
_OF_PROCESSES = {13: "exception in a kernel", 31: "page fault", 43: "stopped processing", 45: "work was cut off"}
"""Xids that a process usually brings on itself."""

_NARROWEST = 0.5  # of the lanes that a card could use: EC2 wires A10G and T4 with 8 of 16
_POWER = 0.99  # of a card's own power limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What is seen of a card. `remedy` is a command that may help."""

    gpu: str
    what: str
    broken: bool = False  # it cannot be used
    remedy: str = ""


def judge_health(
    smi: Reading[Smi],
    log: Reading[KernelLog],
    presence: Reading[GpuPresence],
    required: Requirements,
    evidence: Evidence,
) -> None:
    """Fail where a card shows that it is broken; warn where somebody should look."""
    if presence.or_none and not presence.value.any and not needs_gpu(required):
        evidence.not_applicable("the host has no NVIDIA GPU and no driver for one, and none is required")
    cards = smi.or_none.gpus if smi.or_none else ()
    xids = recent(log)
    signs = [*_of_xids(xids, cards), *(sign for card in cards for sign in _of_card(card))]
    if signs:  # before all that could not be read: what was seen is enough
        _fail(signs, evidence)
    seen = smi.value
    if not log.is_known and not any(map(_looked_at, seen.gpus)):
        log.value  # noqa: B018 - raises: neither the cards nor the kernel tell anything
    for what in [*_of_processes(xids, cards), *_of_wear(seen, presence)]:
        evidence.warn(what)
    note = f"kernel log not readable: {log.reason}" if not log.is_known else f"kernel log read with {log.value.source}"
    evidence(gpus=_in_words(seen.gpus), kernel_log=note, not_reported="; ".join(_not_reported(seen.gpus)) or "nothing")


def recent(log: Reading[KernelLog]) -> list[Xid]:
    """Return the errors of the last day, those without a time included; not those that a reset has put an end to."""
    xids = [xid for xid in (log.or_none.xids if log.or_none else ()) if xid.age_s is None or xid.age_s <= _WINDOW_S]
    return [xid for xid in xids if not any(_ends(other, xid) for other in xids)]


def _ends(recovered: Xid, xid: Xid) -> bool:
    """Whether the driver said later of the same card that nothing need be done to it any more."""
    said_so = recovered.number == _RECOVERY and recovered.text.rstrip(" .").endswith(_NOTHING_TO_DO)
    if not said_so or recovered.switch or xid.switch or recovered.device != xid.device:
        return False
    return recovered.age_s is not None and xid.age_s is not None and recovered.age_s < xid.age_s


def _fail(signs: Sequence[Sign], evidence: Evidence) -> None:
    worst = next((sign for sign in signs if sign.broken), signs[0])
    ordered = sorted(signs, key=lambda sign: sign.gpu != worst.gpu)
    evidence(gpu=worst.gpu)
    if worst.broken:
        evidence.severity("critical")
    if worst.remedy:
        evidence.remedy(on_host(worst.remedy))
    pytest.fail("; ".join(s.what if s.gpu == worst.gpu else f"GPU {s.gpu}: {s.what}" for s in ordered), pytrace=False)


def _of_xids(xids: Sequence[Xid], cards: Sequence[Gpu]) -> Iterator[Sign]:
    for xid in xids:
        what = _meaning(xid)
        if what:
            yield Sign(
                gpu=_name_of(xid, cards),
                what=f"{_called(xid)}: {what}{_when(xid)}",
                broken=xid.number not in _FAILING,
                remedy="sudo reboot",
            )


def _meaning(xid: Xid) -> str:
    """Say what is wrong with a card after such an error, or nothing where the card is not to blame."""
    if xid.switch:
        return xid.text if xid.text.startswith("Fatal") else ""
    if xid.number == _REMAPPING:  # recording it is what should happen; that it is pending, nvidia-smi says
        return xid.text if "fail" in xid.text.lower() else ""
    if xid.number == _RECOVERY:
        return "" if xid.text.rstrip(" .").endswith(_NOTHING_TO_DO) else xid.text
    return {**_BROKEN, **_FAILING}.get(xid.number, "")


def _of_processes(xids: Sequence[Xid], cards: Sequence[Gpu]) -> Iterator[str]:
    """Warn of errors that need not be the card's fault: those of programs, and those that are not known here."""
    for xid in xids:
        if not _meaning(xid) and xid.number != _RECOVERY:
            what = _OF_PROCESSES.get(xid.number) or xid.text
            yield f"GPU {_name_of(xid, cards)}: {_called(xid)}: {what}{_when(xid)}"


def _name_of(xid: Xid, cards: Sequence[Gpu]) -> str:
    """Return a card's number; where nvidia-smi does not list it, its place on the bus."""
    place = xid.device.removeprefix("PCI:").lower()
    for card in cards:
        if place and place in card.bus_id.lower():
            return str(card.index)
    return xid.device


def _called(xid: Xid) -> str:
    return f"{'SXid' if xid.switch else 'Xid'} {xid.number}{f' ({xid.count} times)' if xid.count > 1 else ''}"


def _when(xid: Xid) -> str:
    if xid.age_s is None:
        return ", at an unknown time"
    minutes = int(xid.age_s // 60)
    return f", {minutes} min ago" if minutes < 120 else f", {minutes // 60} h ago"


def _of_card(card: Gpu) -> Iterator[Sign]:
    health, number = card.health, str(card.index)
    reset = f"sudo nvidia-smi --gpu-reset -i {number}"

    def sign(what: str, *, broken: bool = False, remedy: str = "") -> Sign:
        return Sign(gpu=number, what=what, broken=broken, remedy=remedy)

    if health.lost:
        yield sign("it is lost: it no longer answers the driver", broken=True, remedy="sudo reboot")
    if health.recovery:
        yield sign(
            f"the driver asks for: {health.recovery}", remedy="sudo reboot" if "reboot" in health.recovery else reset
        )
    if health.ecc_uncorrected:
        yield sign(f"{health.ecc_uncorrected} uncorrectable ECC errors since the driver was loaded", remedy=reset)
    if health.rows_failed:
        yield sign("row remapping failed: its memory has no spare rows left", broken=True)
    if health.worn_out:
        yield sign("its memory cannot be repaired any more", broken=True)
    if health.rows_pending:
        yield sign("row remapping is pending: broken memory is in use until it is reset", remedy=reset)
    if health.pages_pending:
        yield sign("page retirement is pending: broken memory is in use until the driver is loaded anew", remedy=reset)


def _of_wear(smi: Smi, presence: Reading[GpuPresence]) -> Iterator[str]:
    """Warn of what slows a card down, and of cards that do not show up."""
    seen = presence.or_none
    if seen and seen.device_files > len(smi.gpus):
        yield f"/dev has {seen.device_files} NVIDIA GPUs, and nvidia-smi lists {len(smi.gpus)}: one may have been lost"
    elif seen and seen.cards > len(smi.gpus) and not seen.contained:
        yield f"the PCI bus has {seen.cards} NVIDIA GPUs, and nvidia-smi lists {len(smi.gpus)}: the driver left one out"
    yield from (f"nvidia-smi: {note}" for note in smi.notes)
    widest = Counter[str]()
    for card in smi.gpus:
        widest[card.name] = max(widest[card.name], card.health.pcie_width or 0)
    for card in smi.gpus:
        health = card.health
        if health.throttled:
            yield f"GPU {card.index} is slowed down: {', '.join(health.throttled)} ({_temperature(card)})"
        limit_w, default_w = health.power_limit_w, health.power_default_w
        if limit_w is not None and default_w is not None and limit_w < default_w * _POWER:
            yield f"GPU {card.index} may draw {limit_w:g} W only, of {default_w:g} W: its power limit was lowered"
        width, most = health.pcie_width, health.pcie_width_max
        if width and most and (width < most * _NARROWEST or width < widest[card.name]):
            yield f"GPU {card.index} has {width} PCIe lanes of {most}"


def _temperature(card: Gpu) -> str:
    known = card.health.temperature_c
    return "temperature not reported" if known is None else f"{known} C"


def _looked_at(card: Gpu) -> bool:
    """Whether a card reports anything that this row judges."""
    health = card.health
    told = (health.recovery, health.ecc_uncorrected, health.rows_pending, health.pages_pending, health.throttled)
    return any(one is not None for one in told)


def _not_reported(cards: Sequence[Gpu]) -> Iterator[str]:
    for card in cards:
        health = card.health
        rows = health.rows_pending if health.rows_pending is not None else health.pages_pending
        missing = {"ECC errors": health.ecc_uncorrected, "row remapping": rows, "throttling": health.throttled}
        names = [name for name, value in missing.items() if value is None]
        if names:
            yield f"GPU {card.index}: {', '.join(names)}"


def _in_words(cards: Sequence[Gpu]) -> str:
    names = Counter(card.name for card in cards)
    return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in names.items())
