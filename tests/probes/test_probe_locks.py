"""Lock files: held or only there, by whom, and left by whom."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = 'exec 9> "$1" && flock 9 && echo held && exec cat'


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "train.lock"


@pytest.fixture
def held(lock: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold it, by a process other than the `flock` that asked for it, which is gone."""
    command = ["sh", "-c", HOLD, "sh", str(lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.communicate()


def look(path: Path, proc: str = "/proc") -> Any:
    return part("locks").look(str(path), proc)


def test_no_lock_file(lock: Path) -> None:
    assert look(lock) == {"exists": False}


def test_an_empty_file_that_nobody_holds(lock: Path) -> None:
    lock.touch()
    answer = look(lock)
    assert {name: answer[name] for name in ("held", "holder", "made", "maker")} == {
        "held": False, "holder": 0, "made": False, "maker": 0,
    }  # fmt: skip
    assert 0 <= answer["age_s"] < 60


def test_a_lock_is_held_although_who_asked_for_it_is_gone(lock: Path, held: subprocess.Popen[str]) -> None:
    assert held.poll() is None
    assert look(lock)["held"] is True


def test_who_holds_it_is_named(lock: Path) -> None:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert (look(lock)["held"], look(lock)["holder"]) == (True, os.getpid())


def test_a_record_lock_counts_too(lock: Path) -> None:
    program = f"import fcntl; f = open({str(lock)!r}, 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "\n"
        assert (look(lock)["held"], look(lock)["holder"]) == (True, holder.pid)
        holder.communicate("\n")


def test_where_not_all_locks_are_listed_one_is_tried_and_let_go(
    lock: Path, held: subprocess.Popen[str], tmp_path: Path
) -> None:
    proc = tmp_path / "proc"
    (proc / "self" / "ns").mkdir(parents=True)
    (proc / "self" / "ns" / "pid").symlink_to("pid:[4026532777]")
    (proc / "locks").write_text("")
    assert look(lock, str(proc))["held"] is True
    held.communicate()
    assert look(lock, str(proc))["held"] is False
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_who_waits_for_a_lock_holds_nothing(lock: Path) -> None:
    lock.touch()
    status = lock.stat()
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lines = f"1: -> FLOCK  ADVISORY  WRITE 10 {file} 0 EOF\n2: POSIX  ADVISORY  READ 11 00:01:1 0 EOF\n"
    (lock.parent / "locks").write_text(lines)
    assert part("locks").locked(status, str(lock.parent)) == []
    (lock.parent / "locks").write_text(lines.replace("-> ", ""))
    assert part("locks").locked(status, str(lock.parent)) == [10]


@pytest.mark.parametrize(
    ("text", "maker"), [("99999999\n", 99999999), ("pid: 4242\nhost\n", 4242), ("run 7\n", 0), ("", 0)]
)
def test_who_made_it(lock: Path, text: str, maker: int) -> None:
    lock.write_text(text)
    answer = look(lock)
    assert (answer["made"], answer["maker"], answer["maker_lives"]) == (bool(text), maker, False)


def test_its_maker_lives(lock: Path) -> None:
    lock.write_text(str(os.getpid()))
    assert look(lock)["maker_lives"] is True


def test_a_process_that_is_younger_than_the_file_is_not_its_maker(lock: Path) -> None:
    """After a reboot a number stands for another process."""
    lock.write_text(str(os.getpid()))
    long_ago = time.time() - 9 * 86400
    os.utime(lock, (long_ago, long_ago))
    assert look(lock)["maker_lives"] is False


def test_a_dead_child_that_nobody_has_asked_for_does_not_live() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert part("locks").lives(child.pid, "/proc") is False
    finally:
        child.wait()


def test_a_folder_is_a_lock_by_being_there(lock: Path) -> None:
    lock.mkdir()
    answer = look(lock)
    assert (answer["held"], answer["made"], answer["maker"]) == (False, True, 0)
