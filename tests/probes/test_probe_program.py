"""A program is run to its end or to its deadline, and half of what it printed never passes for all of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from probe_parts import part

MUCH = "i=0; while [ $i -lt 3000 ]; do echo line $i; echo error $i >&2; i=$((i + 1)); done"


def run(script: str, *, deadline_s: float = 20.0, limit_bytes: int = 1_000_000, take: Any = None) -> Any:
    return part("program").run(["sh", "-c", script], deadline_s, limit_bytes, take)


def test_output_errors_and_status() -> None:
    assert run("echo out; echo error >&2; exit 3") == {
        "status": 3,
        "stdout": "out\n",
        "stderr": "error\n",
        "cut": False,
    }


def test_its_messages_are_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    assert run("echo $LC_ALL")["stdout"] == "C\n"


def test_it_has_no_input_and_never_waits_for_one() -> None:
    assert run("cat; echo done")["stdout"] == "done\n"


def test_more_than_the_limit_is_read_and_left_out() -> None:
    answer = run(MUCH, limit_bytes=10)

    assert (answer["stdout"], answer["cut"], answer["status"]) == ("line 0\nlin", True, 0)
    assert len(answer["stderr"]) == 4096


def test_exactly_the_limit_is_not_cut() -> None:
    assert run("printf 0123456789", limit_bytes=10)["cut"] is False


def test_lines_are_given_one_by_one() -> None:
    lines: list[bytes] = []

    assert run(MUCH, take=lines.append)["stdout"] == ""
    assert (len(lines), lines[0], lines[-1]) == (3000, b"line 0\n", b"line 2999\n")


def test_a_line_that_could_not_be_read_fails_the_whole() -> None:
    def trips(line: bytes) -> None:
        raise ValueError(line.decode())

    with pytest.raises(OSError, match=r"what sh printed could not be read: ValueError: line 0"):
        run("echo line 0; echo line 1", take=trips)


def test_a_late_one_is_ended() -> None:
    start = time.monotonic()

    with pytest.raises(OSError, match=r"sh gave no answer within 0\.3 s"):
        run("echo half; sleep 600; echo more", deadline_s=0.3)
    assert time.monotonic() - start < 5


def test_one_that_closes_its_output_and_goes_on_is_late_too() -> None:
    with pytest.raises(OSError, match="gave no answer"):
        run("exec >&- 2>&-; sleep 600", deadline_s=0.3)


def test_one_that_is_not_there() -> None:
    with pytest.raises(FileNotFoundError):
        part("program").run(["/nowhere/nvidia-smi"], 5, 10)
