"""Lines of the kernel's log, as a probe sends them, become errors of GPUs; whatever else they say is harmless."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_pipeline.observers.gpu_readings import KernelLog, Xid
from pytest_pipeline.observers.kernel_log_answer import kernel_log
from pytest_pipeline.outcome import Reading

FALLEN = "NVRM: Xid (PCI:0000:00:1e): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
SWITCH = "nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): 20034, Fatal, Link 30 LTSSM Fault Up"
KILLED = "Out of memory: Killed process 4242 (python3) total-vm:90000000kB, anon-rss:60000000kB"


def line(text: str, kind: str = "xid", **more: Any) -> dict[str, Any]:
    return {"kind": kind, "text": text, "age_s": 60.5, "count": 1, **more}


def said(*lines: dict[str, Any], **more: Any) -> Reading[KernelLog]:
    value = {"source": "journalctl", "lines": list(lines), **more}
    return kernel_log(Reading.of({"value": value}))


def test_a_quiet_log_is_read_and_has_nothing() -> None:
    assert said().value == KernelLog(source="journalctl", xids=(), oom_kills=())


def test_an_xid_has_its_number_its_device_and_its_age() -> None:
    assert said(line(FALLEN, count=3)).value.xids == (
        Xid(
            number=79,
            device="PCI:0000:00:1e",
            text="pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
            age_s=60.5,
            count=3,
        ),
    )


@pytest.mark.parametrize(
    ("text", "number", "device", "rest"),
    [
        ("NVRM: Xid (0000:01:00): 13, 0005 00000000", 13, "0000:01:00", "0005 00000000"),
        ("NVRM: Xid (PCI:0000:53:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)",
         154, "PCI:0000:53:00", "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"),
        ("NVRM: Xid (PCI:0000:53:00): 31", 31, "PCI:0000:53:00", ""),
    ],
)  # fmt: skip
def test_the_ways_an_xid_is_written(text: str, number: int, device: str, rest: str) -> None:
    (xid,) = said(line(text)).value.xids

    assert (xid.number, xid.device, xid.text, xid.switch) == (number, device, rest, False)


def test_a_switch_reports_errors_too() -> None:
    (xid,) = said(line(SWITCH, "sxid")).value.xids

    assert (xid.number, xid.device, xid.switch) == (20034, "PCI:0000:c1:00.0", True)
    assert xid.text == "Fatal, Link 30 LTSSM Fault Up"


def test_an_age_may_be_unknown() -> None:
    assert said(line(FALLEN, age_s=None)).value.xids[0].age_s is None


def test_processes_that_were_killed_for_want_of_memory() -> None:
    log = said(line(KILLED, "oom"), line(FALLEN)).value

    assert log.oom_kills == (KILLED,)
    assert len(log.xids) == 1


def test_a_log_that_may_not_be_read_is_unknown_and_says_what_would_help() -> None:
    refused = kernel_log(Reading.of({"error": "dmesg: read kernel buffer failed: Operation not permitted"}))

    assert (refused.by, refused.remedy) == (
        "gpu-health",
        'on the host: sudo usermod -aG systemd-journal "$USER"  # and log in again',
    )
    assert refused.reason == "the kernel's log: dmesg: read kernel buffer failed: Operation not permitted"


def test_a_probe_that_did_not_come_through_hands_its_reason_on() -> None:
    assert kernel_log(Reading.missing("connection lost", by="ssh-access")).by == "ssh-access"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"value": []},
        {"value": {"source": "journalctl"}},
        {"value": {"source": 3, "lines": []}},
        {"value": {"source": "journalctl", "lines": [3]}},
        {"value": {"source": "journalctl", "lines": [line(FALLEN, "other")]}},
        {"value": {"source": "journalctl", "lines": [line("usb 1-1: NVRM: Xid (PCI:0): 79, no")]}},
        {"value": {"source": "journalctl", "lines": [line(FALLEN, age_s="soon")]}},
        {"value": {"source": "journalctl", "lines": [line(FALLEN, age_s=float("nan"))]}},
        {"value": {"source": "journalctl", "lines": [line(FALLEN, count=-1)]}},
    ],
)
def test_senseless_answers_are_missing_readings(answer: Any) -> None:
    assert kernel_log(Reading.of(answer)).by == "gpu-health"


def test_what_would_act_on_a_terminal_is_lost() -> None:
    (xid,) = said(line("NVRM: Xid (PCI:0000:00:1e): 31, name=\x1b[2Jx\u202e")).value.xids

    assert xid.text == "name=x?"
