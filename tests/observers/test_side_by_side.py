"""Several calls at once, in threads that nobody has to wait for."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.observers.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def let() -> Iterator[threading.Event]:
    """What a call that hangs waits for; it is let go when the test has ended."""
    event = threading.Event()
    yield event
    event.set()


def test_calls_run_at_once_and_answers_keep_the_order_of_the_calls() -> None:
    met = threading.Barrier(3)

    def call(answer: int) -> int:
        met.wait(20)  # breaks unless all three are here
        return answer

    answers = side_by_side({name: partial(call, name) for name in (3, 1, 2)}, deadline_s=20)
    assert list(answers.items()) == [(3, 3), (1, 1), (2, 2)]


def test_what_is_late_is_missing_and_its_thread_is_no_burden(let: threading.Event) -> None:
    answers = side_by_side({"late": lambda: let.wait(20), "soon": lambda: True}, deadline_s=0.2)
    assert answers == {"soon": True}
    (abandoned,) = [thread for thread in threading.enumerate() if thread.name == "pipeline-late"]
    assert abandoned.daemon


def test_nothing_is_waited_for_after_enough(let: threading.Event) -> None:
    began = time.monotonic()
    answers = side_by_side({"late": let.wait, "hit": lambda: True}, deadline_s=10, enough=bool)
    assert answers == {"hit": True}
    assert time.monotonic() - began < 5


def test_none_is_an_answer() -> None:
    assert side_by_side({"nothing": lambda: None}, deadline_s=20) == {"nothing": None}


def test_nothing_to_call() -> None:
    assert side_by_side({}, deadline_s=20) == {}


def test_a_defect_is_raised_where_it_is_awaited() -> None:
    def broken() -> int:
        raise AttributeError("a defect of ours")

    with pytest.raises(AttributeError, match="a defect of ours"):
        side_by_side({"broken": broken}, deadline_s=20)
