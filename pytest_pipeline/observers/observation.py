"""Looking at the world once a run, whatever the number of rows and processes.

An answer is a file of the run's folder, behind a lock; a failure is an answer too. An attempt is written down before
looking: who finds an attempt without an answer knows that its observer died, and does not look again. Readers get a
handle at once and wait only when they read, up to the observation's own deadline, which is never stored as its answer.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter

from pytest_pipeline.observers.run_lock import run_lock
from pytest_pipeline.outcome import Blocked, Reading
from pytest_pipeline.run_folder import write_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping
    from pathlib import Path

R = TypeVar("R")

_POLL_S = 0.02
_GRACE_S = 1.0  # for reading the answer of another process that finished at its deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Generic[R]):
    """One way of looking: what it yields, what it needs to have been seen first, and how long it may take.

    `owner` is the row that says so when it could not look at all. `needs` name other observations and form an acyclic
    graph. One with `effects` starts with the row that reads it, never before, and cleans up after itself.
    """

    name: str
    owner: str
    answers: type[R]
    look: Callable[[Observations], R | Reading[R]]
    deadline_s: float
    needs: tuple[str, ...] = ()
    effects: bool = False


@dataclass(slots=True)
class _Running:
    """What this process knows of an observation it asked for."""

    answer: Reading[Any] | None = None
    started: float | None = None  # monotonic, when this process or another began to look
    done: threading.Event = field(default_factory=threading.Event)


class Observations:
    """The observations of one run, as one process sees them."""

    def __init__(self, folder: Path, catalogue: Iterable[Observation[Any]]) -> None:
        self._folder = folder
        self._catalogue: Mapping[str, Observation[Any]] = {one.name: one for one in catalogue}
        self._running: dict[str, _Running] = {}
        self._guard = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all observations of the run."""
        return tuple(self._catalogue)

    def start(self, name: str) -> None:
        """Begin to look, if nobody in this process has, and return at once.

        The thread is a daemon: a session that has finished abandons it, and never waits for it.
        """
        with self._guard:
            if name in self._running:
                return
            running = self._running[name] = _Running()
        observation = self._catalogue[name]
        for need in observation.needs:
            self.start(need)
        threading.Thread(target=self._answer, args=(observation, running), name=f"observe {name}", daemon=True).start()

    def start_early(self, names: Iterable[str]) -> None:
        """Begin with everything that leaves no trace."""
        for name in names:
            if not self._catalogue[name].effects:
                self.start(name)

    def reading(self, name: str) -> Reading[Any]:
        """Wait for an observation, and return its answer or the reason why there is none (yet)."""
        self.start(name)
        observation, running = self._catalogue[name], self._running[name]
        for need in observation.needs:
            self.reading(need)
        begun = time.monotonic()
        while not running.done.wait(_POLL_S if running.started is None else self._left_s(observation, running)):
            if running.started is None and time.monotonic() - begun > observation.deadline_s + _GRACE_S:
                return _gave_up(observation)
            if running.started is not None and self._left_s(observation, running) <= 0:
                return _gave_up(observation)
        return running.answer or _gave_up(observation)

    def stored(self, name: str) -> Reading[Any] | None:
        """Return an answer that somebody in this run already has, without looking."""
        return _read(self._catalogue[name], self._file(name)) if name in self._catalogue else None

    def _left_s(self, observation: Observation[Any], running: _Running) -> float:
        started = running.started if running.started is not None else time.monotonic()
        return max(0.0, started + observation.deadline_s + _GRACE_S - time.monotonic())

    def _answer(self, observation: Observation[Any], running: _Running) -> None:
        try:
            for need in observation.needs:
                self.reading(need)
            running.answer = self._look_once(observation, running)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to: what broke is the answer
            running.answer = Reading.missing(f"{observation.name} broke: {_named(error)}", by=observation.owner)
        finally:
            running.done.set()

    def _look_once(self, observation: Observation[Any], running: _Running) -> Reading[Any]:
        answer_file = self._file(observation.name)
        attempt_file = answer_file.with_suffix(".attempt")
        while True:
            if (answer := _read(observation, answer_file)) is not None:
                return answer
            with run_lock(answer_file.with_suffix(".lock")) as have_lock:
                if have_lock:
                    if (answer := _read(observation, answer_file)) is not None:
                        return answer
                    if attempt_file.exists():
                        died: Reading[Any] = Reading.missing("unknown: observer died", by=observation.owner)
                        _store(observation, answer_file, died)
                        return died
                    running.started = time.monotonic()
                    attempt = {"pid": os.getpid(), "start": time.time(), "deadline_s": observation.deadline_s}
                    write_whole(attempt_file, json.dumps(attempt))
                    answer = self._look(observation)
                    _store(observation, answer_file, answer)
                    return answer
            running.started = running.started or _begun_elsewhere(attempt_file)
            time.sleep(_POLL_S)  # another process is looking; flock tells nobody when it is free

    def _look(self, observation: Observation[Any]) -> Reading[Any]:
        try:
            seen = observation.look(self)
            return seen if isinstance(seen, Reading) else Reading.of(seen)
        except (Exception, Blocked) as error:  # noqa: BLE001 - what broke is the answer: ten rows never retry it
            if isinstance(error, Blocked):
                return Reading.missing(error.reason, by=error.by, remedy=error.remedy)
            return Reading.missing(f"{observation.name} broke: {_named(error)}", by=observation.owner)

    def _file(self, name: str) -> Path:
        safe = "".join(char if char.isalnum() or char in "-_" else "_" for char in name)
        return self._folder / "observations" / f"{safe}.json"


class Handle(Generic[R]):
    """What a fixture hands out at once; looking at it waits."""

    def __init__(self, observations: Observations, name: str) -> None:
        self._observations = observations
        self._name = name

    @property
    def reading(self) -> Reading[R]:
        """The whole answer, or why there is none."""
        return self._observations.reading(self._name)

    @property
    def readings(self) -> R:
        """The answer's readings; each of them missing for the same reason where there is no answer."""
        whole = self.reading
        return whole.value if whole.is_known else Nothing(whole)  # type: ignore[return-value]  # stands in for any R

    @property
    def facts(self) -> Facts:
        """The answer's values; asking for one that is missing raises Blocked."""
        return Facts(self.readings)


class Nothing:
    """The readings of an observation that has no answer: whatever is asked for is missing, for the same reason."""

    def __init__(self, why: Reading[Any]) -> None:
        self._why = why

    def __getattr__(self, name: str) -> Reading[Any]:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._why


class Facts:
    """Values in place of readings: `facts.x` is `readings.x.value`, and likewise by key where `x` is a mapping."""

    def __init__(self, readings: object) -> None:
        self._readings = readings

    def __getattr__(self, name: str) -> Any:
        return _valued(getattr(self._readings, name))


class FactsByKey:
    """A mapping of readings, as values."""

    def __init__(self, readings: Mapping[str, Any]) -> None:
        self._readings = readings

    def __getitem__(self, key: str) -> Any:
        return _valued(self._readings[key])

    def __iter__(self) -> Generator[str]:
        yield from self._readings

    def __len__(self) -> int:
        return len(self._readings)


def _valued(reading: Any) -> Any:
    if isinstance(reading, Reading):
        return _valued(reading.value)
    if isinstance(reading, dict) and any(isinstance(one, Reading) for one in reading.values()):
        return FactsByKey(reading)
    return reading


def _gave_up(observation: Observation[Any]) -> Reading[Any]:
    return Reading.missing(f"no answer within {observation.deadline_s:g} s", by=observation.owner)


def _named(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _adapter(observation: Observation[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(Reading[observation.answers])  # type: ignore[name-defined]  # a type made from a value


def _read(observation: Observation[Any], file: Path) -> Reading[Any] | None:
    try:
        text = file.read_bytes()
    except FileNotFoundError:
        return None
    answer: Reading[Any] = _adapter(observation).validate_json(text)
    return answer


def _store(observation: Observation[Any], file: Path, answer: Reading[Any]) -> None:
    write_whole(file, _adapter(observation).dump_json(answer).decode())


def _begun_elsewhere(attempt_file: Path) -> float | None:
    """Return when another process began to look, on this process's monotonic clock."""
    try:
        start = float(json.loads(attempt_file.read_text(encoding="utf-8"))["start"])
    except FileNotFoundError:
        return None
    return time.monotonic() - max(0.0, time.time() - start)
