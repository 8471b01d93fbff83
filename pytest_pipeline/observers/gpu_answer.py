"""From what nvidia-smi printed to readings; pure and strict. What cannot be read is owned by the row cuda."""

from __future__ import annotations

import signal
from typing import Any

from pytest_pipeline.observers.gpu_document import smi_of
from pytest_pipeline.observers.gpu_readings import GpuPresence, Smi
from pytest_pipeline.observers.untrusted import Unreadable, flag, mapping, number, reading, text, whole
from pytest_pipeline.outcome import Reading
from pytest_pipeline.remedy import on_host

_ROW = "cuda"
_WITHOUT_DRIVER, _LOST, _CORRUPTED_INFOROM, _MISMATCH = 9, 15, 14, 18
_REMEDIES = {
    _WITHOUT_DRIVER: on_host("sudo modprobe nvidia"),
    _LOST: on_host("sudo reboot"),
    _MISMATCH: on_host("sudo reboot"),  # the kernel still has the driver of before an upgrade
}


def gpu_presence(answer: Reading[Any]) -> Reading[GpuPresence]:
    """Return what shows that there are NVIDIA cards."""
    return _part(answer, "presence", "what shows a GPU", _presence)


def gpus(answer: Reading[Any]) -> Reading[Smi]:
    """Return what nvidia-smi says."""
    seen = _part(answer, "smi", "nvidia-smi", lambda value: mapping(value, "its answer"))
    if not seen.is_known:
        return seen.hand_on()
    of, presence = seen.value, gpu_presence(answer)
    try:
        why, status = _why_none(of, presence.or_none)
        if why:
            return Reading.missing(why, by=_ROW, remedy=_REMEDIES.get(status, ""))
        return Reading.of(smi_of(_whole_text(of)))
    except Unreadable as error:
        return Reading.missing(f"what nvidia-smi printed makes no sense: {error}", by=_ROW)


def _part(answer: Reading[Any], name: str, what: str, read: Any) -> Reading[Any]:
    if not answer.is_known:
        return answer.hand_on()
    if not isinstance(answer.value, dict):
        return Reading.missing(f"the host's answer for {what} makes no sense: it is no object", by=_ROW)
    return reading(answer.value.get(name), what, by=_ROW, read=read)


def _presence(value: object) -> GpuPresence:
    of = mapping(value, "what shows a GPU")
    return GpuPresence(
        program=text(of, "program"),
        device_files=whole(of, "device_files"),
        cards=whole(of, "cards"),
        contained=flag(of, "contained"),
    )


def _why_none(of: dict[str, Any], presence: GpuPresence | None) -> tuple[str, int]:
    """Say why nvidia-smi did not answer, or nothing; and with which status it ended."""
    if not text(of, "program"):
        return f"nvidia-smi is not installed{_traces(presence)}", 0
    if "late_s" in of:
        return f"nvidia-smi gave no answer within {number(of, 'late_s'):g} s", 0
    status = of.get("status")
    if not isinstance(status, int) or isinstance(status, bool):
        raise Unreadable("it did not say how it ended")
    if status < 0:
        return f"nvidia-smi was ended by {_signal(-status)}", status
    # With a corrupted infoROM it warns after the whole document (nvidia-smi(1), "RETURN VALUE").
    if status not in (0, _CORRUPTED_INFOROM):
        return f"nvidia-smi ended with {status}: {_first_line(of) or 'it said nothing'}", status
    return "", status


def _traces(presence: GpuPresence | None) -> str:
    if presence is None:
        return ""
    if presence.cards:
        return f", although the PCI bus has {presence.cards} NVIDIA GPU(s): the driver is missing"
    if presence.device_files:
        return ", although /dev has a file of an NVIDIA GPU"
    return ", and neither /dev nor the PCI bus shows an NVIDIA GPU: it is a machine without one"


def _signal(number_of: int) -> str:
    try:
        return signal.Signals(number_of).name
    except ValueError:
        return f"signal {number_of}"


def _first_line(of: dict[str, Any]) -> str:
    """Return what it said; its errors it prints to standard output."""
    for name in ("stdout", "stderr"):
        said = of.get(name)
        lines = said.strip().splitlines() if isinstance(said, str) else []
        if lines:
            return text({"line": lines[0]}, "line")
    return ""


def _whole_text(of: dict[str, Any]) -> str:
    printed = of.get("stdout")
    if not isinstance(printed, str):
        raise Unreadable("stdout is no text")
    if flag(of, "cut"):
        raise Unreadable(f"it is too long: more than {len(printed)} characters")
    return printed
