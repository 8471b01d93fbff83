"""Several conversations at once, each in a daemon thread, all bounded by one deadline.

An executor will not do: it joins its threads at exit, so that one which hangs in a socket holds up the end of pytest.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

K = TypeVar("K")
V = TypeVar("V")


def side_by_side(
    calls: Mapping[K, Callable[[], V]], *, deadline_s: float, enough: Callable[[V], bool] | None = None
) -> dict[K, V]:
    """Make all calls at once and return what has come back by the deadline, in the order of `calls`.

    A name that is missing from the answer was late; its thread is abandoned. With `enough`, nothing is waited for after
    the first answer that it accepts. An exception of a call is raised here.
    """
    answers: queue.SimpleQueue[tuple[K, V | None, BaseException | None]] = queue.SimpleQueue()

    def make(name: K, call: Callable[[], V]) -> None:
        try:
            answers.put((name, call(), None))
        except BaseException as error:  # noqa: BLE001  # nothing is swallowed: it is raised again where it is awaited
            answers.put((name, None, error))

    for name, call in calls.items():
        threading.Thread(target=make, args=(name, call), name=f"pipeline-{name}", daemon=True).start()
    ends = time.monotonic() + deadline_s
    came: dict[K, V] = {}
    for _ in calls:
        try:
            name, answer, error = answers.get(timeout=max(0.0, ends - time.monotonic()))
        except queue.Empty:
            break
        if error is not None:
            raise error
        came[name] = answer  # type: ignore[assignment]  # without an error there is an answer, and V may include None
        if enough is not None and enough(came[name]):
            break
    return {name: came[name] for name in calls if name in came}
