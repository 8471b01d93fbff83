"""Commands that live for as long as somebody holds them, the same over every kind of connection."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.connections.connection import (
    CommandTimedOut,
    Connection,
    ConnectionFailed,
    Finished,
    Held,
    OutputTooLong,
    Target,
)
from pytest_pipeline.connections.local import open_local
from pytest_pipeline.connections.opening import open_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from connections.ssh_servers import Host, Keys

READY = b"@@ready@@"
HOLD = "echo $$ > {pid}; read -r word; echo noise >&2; echo @@$word@@; cat >/dev/null; echo bye"


@pytest.fixture(params=["local", "fabric", "openssh"])
def connection(
    request: pytest.FixtureRequest, serve: Callable[..., Host], keys: Keys, tmp_path: Path
) -> Iterator[Connection]:
    if request.param == "openssh" and shutil.which("ssh") is None:
        pytest.skip("no ssh program on this machine")
    if request.param == "local":
        yield open_local().connection
        return
    port = serve(forgets=True).port
    (tmp_path / "config").touch()
    known = keys.known_hosts((f"[127.0.0.1]:{port}", keys.host))
    target = Target(
        address="127.0.0.1", port=port, user="ubuntu", key=keys.file("key"), known_hosts=known,
        ssh_config=tmp_path / "config",
    )  # fmt: skip
    opened = open_connection(request.param, target)
    with closing(opened.connection):
        yield opened.connection


def held(connection: Connection, pid: Path) -> Held:
    found = connection.hold(HOLD.format(pid=pid), stdin=b"ready\n", until=READY, timeout_s=9)
    assert not isinstance(found, Finished)
    return found


def gone(pid: int) -> bool:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:  # noqa: PTH123  # shorter beside the except
                if file.read().rsplit(")", 1)[1].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_it_lives_until_it_is_closed(connection: Connection, tmp_path: Path) -> None:
    one = held(connection, tmp_path / "pid")
    pid = int((tmp_path / "pid").read_text())

    assert READY in one.stdout
    assert connection.run(f"kill -0 {pid} && echo alive", timeout_s=9).stdout == b"alive\n"
    one.close()
    one.close()
    assert gone(pid)


def test_many_are_held_beside_the_commands_that_run(connection: Connection, tmp_path: Path) -> None:
    several = [held(connection, tmp_path / str(number)) for number in range(5)]
    assert connection.run("echo as always", timeout_s=9).stdout == b"as always\n"
    for one in several:
        one.close()


def test_one_that_ends_before_it_is_ready_says_how(connection: Connection) -> None:
    ended = connection.hold("echo no; exit 7", stdin=b"ready\n", until=READY, timeout_s=9)
    assert isinstance(ended, Finished)
    assert (ended.exit_status, ended.stdout) == (7, b"no\n")


def test_one_that_is_never_ready_is_ended_at_its_deadline(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(CommandTimedOut) as caught:
        connection.hold(f"echo $$ > {tmp_path}/pid; echo so far; exec cat", stdin=b"", until=READY, timeout_s=0.7)
    assert b"so far" in caught.value.stdout
    assert gone(int((tmp_path / "pid").read_text()))


def test_what_it_says_first_is_bounded() -> None:
    with pytest.raises(OutputTooLong):
        open_local().connection.hold("cat /dev/zero", stdin=b"", until=READY, timeout_s=60)


def test_it_ends_with_its_connection(serve: Callable[..., Host], keys: Keys, tmp_path: Path) -> None:
    port = serve().port
    (tmp_path / "config").touch()
    known = keys.known_hosts((f"[127.0.0.1]:{port}", keys.host))
    target = Target(
        address="127.0.0.1", port=port, user="ubuntu", key=keys.file("key"), known_hosts=known,
        ssh_config=tmp_path / "config",
    )  # fmt: skip
    connection = open_connection("fabric", target).connection
    one = held(connection, tmp_path / "pid")
    connection.close()
    assert gone(int((tmp_path / "pid").read_text()))
    one.close()
    with pytest.raises(ConnectionFailed):
        connection.hold("true", stdin=b"", until=READY, timeout_s=9)


def test_it_ends_with_a_gate_that_is_killed(tmp_path: Path) -> None:
    command = HOLD.format(pid=tmp_path / "pid")
    program = f"""
from pytest_pipeline.connections.local import open_local
one = open_local().connection.hold({command!r}, stdin=b"ready\\n", until={READY!r}, timeout_s=9)
print("held", flush=True)
input()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as gate:
        assert gate.stdout
        assert gate.stdout.readline() == b"held\n"
        os.kill(gate.pid, signal.SIGKILL)
        assert gone(int((tmp_path / "pid").read_text()))
