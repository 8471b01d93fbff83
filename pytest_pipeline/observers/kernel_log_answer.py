"""From lines of the kernel's log to readings; pure and strict. The lines are hostile: processes name themselves."""

from __future__ import annotations

import re
from typing import Any

from pytest_pipeline.observers.gpu_readings import KernelLog, Xid
from pytest_pipeline.observers.untrusted import Unreadable, items, mapping, number, reading, text, whole
from pytest_pipeline.outcome import Reading
from pytest_pipeline.remedy import on_host

_ROW = "gpu-health"
_REMEDY = on_host('sudo usermod -aG systemd-journal "$USER"  # and log in again')
_LATEST = 20  # processes that were killed for want of memory
_XID = re.compile(r"(?:NVRM: Xid|nvidia-nvswitch\d+: SXid) \(([^)]*)\): (\d{1,6})\b[,:]?\s*(.*)", re.DOTALL)


def kernel_log(answer: Reading[Any]) -> Reading[KernelLog]:
    """Return what the kernel's log says."""
    if not answer.is_known:
        return answer.hand_on()
    log = reading(answer.value, "the kernel's log", by=_ROW, read=_log)
    return log if log.is_known else Reading.missing(log.reason, by=_ROW, remedy=_REMEDY)


def _log(value: object) -> KernelLog:
    of = mapping(value, "the kernel's log")
    lines = [mapping(line, "a line of the kernel's log") for line in items(of.get("lines"), "its lines")]
    kinds = [text(line, "kind") for line in lines]
    if not {"xid", "sxid", "oom"}.issuperset(kinds):
        raise Unreadable("it has lines of another kind")
    return KernelLog(
        source=text(of, "source"),
        xids=tuple(_xid(line, switch=kind == "sxid") for line, kind in zip(lines, kinds, strict=True) if kind != "oom"),
        oom_kills=tuple(text(line, "text") for line, kind in zip(lines, kinds, strict=True) if kind == "oom")[
            -_LATEST:
        ],
    )


def _xid(line: dict[str, Any], *, switch: bool) -> Xid:
    said = text(line, "text")
    found = _XID.match(said)
    if found is None:
        raise Unreadable(f"it has a line that is no Xid: {said}")
    return Xid(
        number=int(found[2]),
        device=found[1],
        text=found[3],
        age_s=None if line.get("age_s") is None else number(line, "age_s"),
        count=whole(line, "count"),
        switch=switch,
    )
