"""Commands on this machine."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, OutputTooLong, Trouble
from pytest_pipeline.connections.local import LocalConnection, open_local
from pytest_pipeline.connections.opening import open_connection

if TYPE_CHECKING:
    from pathlib import Path


def test_a_command_runs_in_bash() -> None:
    opened = open_local()
    finished = opened.connection.run("[[ a == a ]] && cat; echo oops >&2; exit 7", stdin=b"hello", timeout_s=9)
    assert (finished.exit_status, finished.stdout, finished.stderr) == (7, b"hello", b"oops\n")
    opened.connection.close()
    assert opened.fabric is None


def test_a_signal_is_a_status_as_in_a_shell() -> None:
    assert LocalConnection().run("kill -9 $$", timeout_s=9).exit_status == 137


def test_streams_do_not_block_each_other() -> None:
    sent = os.urandom(3_000_000)
    finished = LocalConnection().run("head -c 4000000 /dev/zero >&2; cat", stdin=sent, timeout_s=30)
    assert finished.stdout == sent
    assert len(finished.stderr) == 4_000_000


def test_a_command_that_does_not_read_its_input() -> None:
    finished = LocalConnection().run("exec <&-; echo done", stdin=b"x" * 3_000_000, timeout_s=9)
    assert finished.stdout == b"done\n"


def test_the_deadline_ends_a_command_and_its_children(tmp_path: Path) -> None:
    started = time.monotonic()
    with pytest.raises(CommandTimedOut) as caught:
        LocalConnection().run(f"sleep 60 & echo $! > {tmp_path}/pid; echo so far; wait", timeout_s=0.5)
    assert time.monotonic() - started < 3
    assert caught.value.stdout == b"so far\n"
    assert str(caught.value) == "the command did not end within 0.5 s"
    pid = int((tmp_path / "pid").read_text())
    gone_by = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < gone_by:
        time.sleep(0.02)
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123  # shorter beside the except
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_closes_its_streams_is_still_waited_for_no_longer() -> None:
    with pytest.raises(CommandTimedOut):
        LocalConnection().run("exec >&- 2>&- <&-; sleep 60", timeout_s=0.3)


def test_output_is_bounded() -> None:
    with pytest.raises(OutputTooLong):
        LocalConnection().run("cat /dev/zero", timeout_s=30)


def test_no_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = LocalConnection()
    monkeypatch.setattr(connection, "_shell", "/no/such/shell")
    with pytest.raises(ConnectionFailed) as caught:
        connection.run("true", timeout_s=9)
    assert caught.value.kind is Trouble.NO_SHELL
    assert caught.value.message == "/no/such/shell cannot be started on this machine: No such file or directory"


def test_opening_by_kind() -> None:
    assert open_connection("local", None).connection.run("echo here", timeout_s=9).stdout == b"here\n"
    with pytest.raises(ValueError, match="a connection by fabric needs a target"):
        open_connection("fabric", None)
