"""Looking once a run, across threads and processes, with deadlines, and without ever looking twice at what broke."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.observers.observation import Handle, Observation, Observations
from pytest_pipeline.outcome import Blocked, Reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Readings of a made-up observation."""

    free_gb: Reading[float]
    volumes: Reading[dict[str, Reading[int]]] = field(default_factory=lambda: Reading.of({}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "observations").mkdir()
    return tmp_path


def observation(look: Callable[[Observations], Any], name: str = "disk", **more: Any) -> Observation[Any]:
    given: dict[str, Any] = {"owner": "ssh-access", "answers": Seen, "deadline_s": 10.0}
    return Observation(name=name, look=look, **(given | more))


class Counted:
    """Looks, counts how often, and answers when it is let."""

    def __init__(self) -> None:
        self.looks = 0
        self.let = threading.Event()

    def __call__(self, _: Observations) -> Seen:
        self.looks += 1
        assert self.let.wait(20)
        return Seen(free_gb=Reading.of(12.5))


def test_many_readers_look_once(folder: Path) -> None:
    look = Counted()
    look.let.set()
    several = [Observations(folder, [observation(look)]) for _ in range(3)]  # as three processes would have

    readings = [one.reading("disk") for one in several for _ in range(3)]

    assert look.looks == 1
    assert {reading.value.free_gb.value for reading in readings} == {12.5}


def test_a_handle_does_not_wait_and_its_facts_do(folder: Path) -> None:
    look = Counted()
    handle: Handle[Seen] = Handle(Observations(folder, [observation(look)]), "disk")
    facts: list[float] = []
    reader = threading.Thread(target=lambda: facts.append(handle.facts.free_gb))
    reader.start()
    assert facts == []
    look.let.set()
    reader.join(10)

    assert facts == [12.5]


def test_what_broke_is_stored_and_not_tried_again(folder: Path) -> None:
    looks: list[int] = []

    def look(_: Observations) -> Seen:
        looks.append(1)
        raise ConnectionError("no route to host")

    for _ in range(3):
        reading = Observations(folder, [observation(look)]).reading("disk")

    assert (reading.reason, reading.by) == ("disk broke: ConnectionError: no route to host", "ssh-access")
    assert len(looks) == 1


def test_a_fact_that_is_missing_blocks_by_its_owner(folder: Path) -> None:
    seen = Seen(free_gb=Reading.missing("df: permission denied", by="disk-space", remedy="sudo df"))
    handle: Handle[Seen] = Handle(Observations(folder, [observation(lambda _: seen)]), "disk")

    with pytest.raises(Blocked, match="df: permission denied") as blocked:
        _ = handle.facts.free_gb
    assert (blocked.value.by, blocked.value.remedy) == ("disk-space", "sudo df")
    assert handle.readings.free_gb.or_none is None


def test_facts_by_key_fail_alone(folder: Path) -> None:
    volumes = {"/mnt": Reading.of(3), "/tmp": Reading[int].missing("not read", by="ssh-access")}
    seen = Seen(free_gb=Reading.of(1.0), volumes=Reading.of(volumes))
    handle: Handle[Seen] = Handle(Observations(folder, [observation(lambda _: seen)]), "disk")

    assert handle.facts.volumes["/mnt"] == 3
    with pytest.raises(Blocked, match="not read"):
        _ = handle.facts.volumes["/tmp"]


def test_without_an_answer_every_reading_is_missing_for_the_same_reason(folder: Path) -> None:
    def look(_: Observations) -> Seen:
        raise ConnectionError("no route to host")

    handle: Handle[Seen] = Handle(Observations(folder, [observation(look)]), "disk")

    assert handle.readings.free_gb.reason == "disk broke: ConnectionError: no route to host"
    with pytest.raises(Blocked):
        _ = handle.facts.volumes


def test_a_reader_gives_up_at_the_deadline_and_its_giving_up_is_not_the_answer(folder: Path) -> None:
    look = Counted()
    observations = Observations(folder, [observation(look, deadline_s=0.05)])

    assert observations.reading("disk").reason == "no answer within 0.05 s"
    assert not (folder / "observations" / "disk.json").exists()

    look.let.set()
    deadline = time.monotonic() + 10
    while not (folder / "observations" / "disk.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # another thread writes the file
    assert observations.reading("disk").value.free_gb.value == 12.5


def test_needs_are_looked_at_first(folder: Path) -> None:
    order: list[str] = []

    def look(name: str) -> Callable[[Observations], Seen]:
        def looked(observations: Observations) -> Seen:
            order.append(name)
            free_gb = observations.reading("first").value.free_gb.value if name == "second" else 1.0
            return Seen(free_gb=Reading.of(free_gb))

        return looked

    observations = Observations(
        folder, [observation(look("second"), "second", needs=("first",)), observation(look("first"), "first")]
    )

    assert observations.reading("second").value.free_gb.value == 1.0
    assert order == ["first", "second"]


def test_nothing_that_leaves_a_trace_is_started_early(folder: Path) -> None:
    early, late = Counted(), Counted()
    early.let.set()
    late.let.set()
    observations = Observations(folder, [observation(early, "read"), observation(late, "write", effects=True)])

    observations.start_early(observations.names)
    observations.reading("read")

    assert (early.looks, late.looks) == (1, 0)


DYING = """
import os, pathlib, signal, sys
from pytest_pipeline.observers.observation import Observation, Observations
def look(_):
    print("looking", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
Observations(pathlib.Path(sys.argv[1]), [
    Observation(name="disk", owner="ssh-access", answers=int, look=look, deadline_s=10.0)
]).reading("disk")
"""


def test_an_observer_that_died_is_an_answer_and_nobody_repeats_it(folder: Path) -> None:
    died = subprocess.run([sys.executable, "-c", DYING, str(folder)], capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL
    look = Counted()
    look.let.set()

    readings = [Observations(folder, [observation(look)]).reading("disk") for _ in range(2)]

    assert {(reading.reason, reading.by) for reading in readings} == {("unknown: observer died", "ssh-access")}
    assert look.looks == 0


LOOKING = """
import pathlib, sys
from pytest_pipeline.observers.observation import Observation, Observations
def look(_):
    print("looking", flush=True)
    sys.stdin.read()
    return 5
Observations(pathlib.Path(sys.argv[1]), [
    Observation(name="disk", owner="ssh-access", answers=int, look=look, deadline_s=10.0)
]).reading("disk")
"""


def test_another_process_waits_for_the_answer_of_the_first(folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LOOKING, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdin is not None
        assert first.stdout.readline() == "looking\n"
        look = Counted()
        observations = Observations(folder, [observation(look, answers=int)])
        observations.start("disk")
        first.stdin.close()

        assert observations.reading("disk").value == 5
        assert look.looks == 0


def test_the_attempt_is_written_down_before_looking(folder: Path) -> None:
    written: list[dict[str, Any]] = []

    def look(_: Observations) -> Seen:
        written.append(json.loads((folder / "observations" / "disk.attempt").read_text(encoding="utf-8")))
        return Seen(free_gb=Reading.of(1.0))

    Observations(folder, [observation(look)]).reading("disk")

    assert (written[0]["pid"], written[0]["deadline_s"]) == (os.getpid(), 10.0)


def test_what_was_not_looked_at_has_no_stored_answer(folder: Path) -> None:
    look = Counted()
    look.let.set()
    observations = Observations(folder, [observation(look)])

    assert observations.stored("disk") is None
    observations.reading("disk")
    stored = observations.stored("disk")
    assert stored is not None
    assert stored.value.free_gb.value == 12.5
