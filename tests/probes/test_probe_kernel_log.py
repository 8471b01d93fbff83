"""The kernel's log is read from the journal, else from its buffer; what may not be read is never a quiet log."""

from __future__ import annotations

import json
import os
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import parts

if TYPE_CHECKING:
    from pathlib import Path

XID = "NVRM: Xid (PCI:0000:00:1e): 79, GPU has fallen off the bus."
CLOSED = "No journal files were opened due to insufficient permissions."
NOT_PERMITTED = "dmesg: read kernel buffer failed: Operation not permitted"


class Host:
    """journalctl and dmesg of a host; it has none to begin with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def program(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def journal(self, *messages: Any, age_s: int = 60, ends: int = 0) -> None:
        stamp = str(int((time.time() - age_s) * 1e6))
        entries = [json.dumps({"MESSAGE": one, "__REALTIME_TIMESTAMP": stamp}) for one in messages]
        (self.folder / "entries").write_text("\n".join([*entries, ""]))
        first = f"echo {shlex.quote(json.dumps({'MESSAGE': 'Linux version', '__REALTIME_TIMESTAMP': stamp}))}"
        self.program(
            "journalctl",
            'case "$*" in\n'
            f'"--no-pager -k -o json -n 1") {first};;\n'
            f'"--no-pager -k -o json --since=-24h") cat {self.folder}/entries; exit {ends};;\n'
            "*) exit 9;;\nesac",
        )

    def buffer(self, *lines: str) -> None:
        (self.folder / "lines").write_text("\n".join([*lines, ""]))
        self.program("dmesg", f"[ $# = 0 ] && cat {self.folder}/lines")

    def answer(self, deadline_s: float = 20.0) -> Any:
        loaded = parts()
        answer = loaded["kernel_log"].read({"deadline_s": deadline_s}, loaded)
        assert json.loads(json.dumps(answer)) == answer
        return answer

    def lines(self) -> list[tuple[str, str, int]]:
        return [(line["kind"], line["text"], line["count"]) for line in self.answer()["value"]["lines"]]


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    for name in ("cat", "sleep"):  # a PATH without this machine's own journal
        (tmp_path / name).symlink_to(f"/bin/{name}")
    monkeypatch.setenv("PATH", str(tmp_path))
    return Host(tmp_path)


def test_a_quiet_journal_is_an_answer(host: Host) -> None:
    host.journal("eth0: link up")

    assert host.answer() == {"value": {"source": "journalctl", "lines": []}}


def test_a_journal_without_an_entry_today_is_an_answer(host: Host) -> None:
    host.journal(ends=1)

    assert host.answer() == {"value": {"source": "journalctl", "lines": []}}


def test_the_lines_that_matter_are_sent_and_no_others(host: Host) -> None:
    switch = "nvidia-nvswitch0: SXid (PCI:0000:c1:00.0): 12028, Non-fatal, Link 32"
    killed = "Out of memory: Killed process 4242 (python3) total-vm:1kB"
    group = "Memory cgroup out of memory: Killed process 77 (python3)"
    host.journal("eth0: link up", XID, switch, killed, group, "process 12 is fine")

    assert host.lines() == [("xid", XID, 1), ("sxid", switch, 1), ("oom", killed, 1), ("oom", group, 1)]
    assert 59 < host.answer()["value"]["lines"][0]["age_s"] < 90


def test_a_name_in_the_middle_of_a_message_is_no_xid(host: Host) -> None:
    host.journal(f"traps: {XID}", "python3[4242]: NVRM: Xid (PCI:0): 79,", "usb: Out of memory: Killed process 3")

    assert host.lines() == []


def test_a_storm_does_not_drive_out_the_one_that_counts(host: Host) -> None:
    storm = [f"NVRM: Xid (PCI:0000:00:1e): 31, pid={pid}" for pid in range(2000)]
    killed = [f"Out of memory: Killed process {pid} (x)" for pid in range(2000)]
    host.journal(XID, *storm, *killed)
    lines = host.lines()

    assert lines[:2] == [("xid", XID, 1), ("xid", storm[-1], 2000)]
    assert [text for kind, text, _ in lines if kind == "oom"] == killed[-20:]


def test_a_message_that_is_not_all_printable_comes_as_bytes(host: Host) -> None:
    host.journal([*XID.encode(), 0xFF])

    assert host.lines() == [("xid", f"{XID}\ufffd", 1)]


def test_a_long_message_is_cut(host: Host) -> None:
    host.journal(XID + "x" * 10_000)

    assert len(host.lines()[0][1]) == 400


def test_entries_that_make_no_sense_are_passed_over(host: Host) -> None:
    host.journal(None, 3, [XID], {"Xid": 1}, XID)
    with (host.folder / "entries").open("a") as file:
        file.write('Xid\n{"MESSAGE": "Xid"}\n[]\n{"MESSAGE": [300]}\n')

    assert host.lines() == [("xid", XID, 1)]


def test_a_closed_journal_is_not_a_quiet_one(host: Host) -> None:
    host.program("journalctl", f"echo '{CLOSED}' >&2; exit 1")
    host.program("dmesg", f"echo '{NOT_PERMITTED}' >&2; exit 1")

    assert host.answer() == {"error": f"journalctl: {CLOSED}; {NOT_PERMITTED}"}


def test_a_journal_that_is_silent_with_status_0_is_not_a_quiet_one(host: Host) -> None:
    host.program("journalctl", "echo 'No journal files were found.' >&2; echo '-- No entries --'")
    host.buffer(f"[  12.500000] {XID}")

    answer = host.answer()["value"]
    assert answer["source"] == "dmesg"
    assert answer["lines"][0]["text"] == XID


def test_a_journal_that_breaks_off_is_not_a_quiet_one(host: Host) -> None:
    host.journal("eth0: link up", ends=2)

    assert host.answer() == {"error": "journalctl: it ended with 2; No such file or directory: dmesg"}


def test_a_journal_that_hangs_leaves_time_for_the_buffer(host: Host) -> None:
    host.program("journalctl", "exec sleep 600")
    host.buffer("[    0.000000] Linux version")

    assert host.answer(deadline_s=3.0) == {"value": {"source": "dmesg", "lines": []}}


def test_both_may_be_absent(host: Host) -> None:
    assert host.answer() == {"error": "No such file or directory: journalctl; No such file or directory: dmesg"}


def test_an_empty_buffer_is_none(host: Host) -> None:
    host.program("dmesg", "exit 0")

    assert "dmesg said nothing" in host.answer()["error"]


@pytest.mark.parametrize(
    "stamp", ["[    0.500000] ", "<4>[    0.500000] ", "[    0.500000][    T1] ", "[    0.500000][  C12] "]
)
def test_the_stamps_of_the_buffer_are_ages(host: Host, stamp: str) -> None:
    host.buffer("[    0.000000] Linux version", f"{stamp}{XID}")
    up_s = time.monotonic()
    (line,) = host.answer()["value"]["lines"]

    assert line["text"] == XID
    assert abs(line["age_s"] - up_s + 0.5) < 30


def test_a_buffer_without_stamps_has_no_ages(host: Host) -> None:
    host.buffer(XID)

    assert host.answer()["value"]["lines"][0]["age_s"] is None


def test_nothing_is_left_running(host: Host) -> None:
    pipe = host.folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    host.program("journalctl", f"sleep 600 > {pipe} & wait")

    assert "journalctl gave no answer within" in host.answer(deadline_s=1.0)["error"]

    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)
