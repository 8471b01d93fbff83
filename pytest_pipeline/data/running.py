"""Reading many spans: few at a time, again where a worker died, until a deadline."""

from __future__ import annotations

import pickle
from collections import Counter, deque
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

from pytest_pipeline.data.executors import here

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from pytest_pipeline.data.executors import OpenPool, Pool
    from pytest_pipeline.data.result import Result
    from pytest_pipeline.data.spans import Span

    Work = Callable[[Span], Result]

ATTEMPTS = 3
"""Of reading a span whose worker dies each time, the last ones with nothing else beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A span that was not read when the deadline came."""

    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is. `done_bytes` are those of the spans as they lie there, packed or not."""

    spans: int = 0
    done_bytes: int = 0
    records: int = 0
    invalid: int = 0

    def after(self, result: Result) -> Progress:
        """Return the progress once one more span is read."""
        return Progress(
            spans=self.spans + 1,
            done_bytes=self.done_bytes + result.span.end - result.span.start,
            records=self.records + result.records,
            invalid=self.invalid + result.records - result.valid,
        )


class WorkerLostError(Exception):
    """Workers die while they read `spans`, which were therefore not read."""

    def __init__(self, spans: tuple[Span, ...]) -> None:
        self.spans = spans
        first, more = _named(spans[0]), f" and {len(spans) - 1} more" if len(spans) > 1 else ""
        super().__init__(
            f"the worker that reads {first}{more} dies: out of memory, or killed from outside;"
            " look at the kernel's log and at the worker's"
        )


class WorkError(Exception):
    """What the work raised, in words: the error itself does not survive the way from one process to another."""


def run(
    spans: Iterable[Span],
    work: Work,
    *,
    open_pool: OpenPool = here,
    deadline_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Result | Unread]:
    """Read spans and hand out each result as it comes, in no order; after `deadline_s`, each span that was not read.

    A span being read here, in one process, is read to its end; elsewhere it is given up at the deadline. `progress` is
    told of each result, in this process. An error that `work` raises ends the run, as it is, with a note of the span.
    Raises WorkerLostError where a span's workers die again and again; NoExecutorError as the pool does.
    """
    left = _Left(spans=deque(spans))
    ends_at = None if deadline_s is None else monotonic() + deadline_s
    done = Progress()
    while left.spans:
        try:
            with open_pool() as pool, closing(_read(left, work, pool, ends_at)) as results:
                for result in results:
                    done = done.after(result)
                    if progress:
                        progress(done)
                    yield result
        except _LostError:
            continue
        except _LateError:
            break
    yield from (Unread(span=span) for span in left.spans)


class _LostError(Exception):
    """A worker died, and the pool with it; what it was reading is left again."""


class _LateError(Exception):
    """The deadline came."""


@dataclass(slots=True, kw_only=True)
class _Left:
    """What is left to read. Spans that were being read when a worker died come first, and one at a time."""

    spans: deque[Span]
    suspects: set[Span] = field(default_factory=set)
    losses: Counter[Span] = field(default_factory=Counter)

    def put_back(self, spans: Iterable[Span]) -> None:
        self.spans.extendleft(reversed([*spans]))

    def lose(self, lost: Mapping[Span, BaseException], reading: Sequence[Span], pool: Pool) -> NoReturn:
        """Note that a worker died while all these were read, and raise; for good where it is known well enough why."""
        why = next(iter(lost.values()))
        if not pool.renewable:
            raise WorkerLostError(tuple(lost)) from why
        self.suspects.update(reading)
        if len(reading) == 1:
            self.losses.update(reading)
            if self.losses[reading[0]] == ATTEMPTS:
                raise WorkerLostError(tuple(reading)) from why
        raise _LostError from why


def _read(left: _Left, work: Work, pool: Pool, ends_at: float | None) -> Generator[Result, None, None]:
    """Hand out results until nothing is left. What is being read when this ends early is left again."""
    reading: dict[Future[Result], Span] = {}
    try:
        while left.spans or reading:
            time_left_s = None if ends_at is None else max(0.0, ends_at - monotonic())
            if time_left_s != 0:
                _hand_out(left, work, pool, reading)
            ready = wait(reading, time_left_s, FIRST_COMPLETED).done
            if not ready:
                raise _LateError
            lost: dict[Span, BaseException] = {}
            for future in [future for future in reading if future in ready]:
                try:
                    result = future.result()
                except pool.lost as error:
                    lost[reading[future]] = error
                    continue
                except Exception as error:
                    error.add_note(f"while {_named(reading[future])} was read")
                    raise
                left.suspects.discard(reading.pop(future))
                yield result
            if lost:
                left.lose(lost, [*reading.values()], pool)
    finally:
        _give_up(reading, pool)
        left.put_back(reading.values())


def _hand_out(left: _Left, work: Work, pool: Pool, reading: dict[Future[Result], Span]) -> None:
    while left.spans and len(reading) < (1 if left.suspects else pool.in_flight):
        span = left.spans.popleft()
        reading[_submit(pool, work, span)] = span


def _submit(pool: Pool, work: Work, span: Span) -> Future[Result]:
    try:
        return pool.executor.submit(_portable, work, span)
    except pool.lost as error:  # it broke while it was idle
        broken: Future[Result] = Future()
        broken.set_exception(error)
        return broken


def _portable(work: Work, span: Span) -> Result:
    """Do the work; an error that cannot be sent is told in words, since a pool that cannot read it breaks."""
    try:
        return work(span)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301  # its own
        except Exception:  # noqa: BLE001  # whatever an error's own code raises
            raise WorkError(f"{type(error).__name__}: {error}") from None
        raise


def _give_up(reading: Iterable[Future[Result]], pool: Pool) -> None:
    if pool.renewable:  # it is stopped as a whole, and trips over what was cancelled (Python 3.11)
        return
    for future in reading:
        future.cancel()


def _named(span: Span) -> str:
    return f"{span.file.uri} bytes {span.start:,}-{span.end:,}"
