"""The same results on one worker and on several, in any spans, and after workers died; nothing dropped, none left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from data.counted_lines import (
    LINES,
    count_lines,
    die_at_the_last,
    die_once,
    end_but_the_last,
    fail,
    fail_unsendably,
    never_end,
    wait_for_the_other,
    write_lines,
)
from pytest_pipeline.data import running
from pytest_pipeline.data.executors import NoExecutorError, here, lent, pool_opener, processes
from pytest_pipeline.data.result import Result
from pytest_pipeline.data.running import Progress, Unread, WorkerLostError, WorkError, run
from pytest_pipeline.data.spans import spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pytest_pipeline.data.executors import OpenPool
    from pytest_pipeline.data.running import Work
    from pytest_pipeline.data.spans import DataFile, Span

TWO = partial(processes, 2)


@pytest.fixture
def lines(tmp_path: Path) -> DataFile:
    return write_lines(tmp_path)


def in_order(results: Iterable[Result | Unread]) -> list[Result | Unread]:
    return sorted(results, key=lambda result: result.span.start)


def read_into(done: list[Result | Unread], spans: Iterable[Span], work: Work, open_pool: OpenPool) -> None:
    """Keep what came, also where an error comes after it."""
    for result in run(spans, work, open_pool=open_pool):
        done.append(result)  # noqa: PERF402


def totals(results: Iterable[Result | Unread]) -> tuple[int, int, bytes]:
    ordered = [result for result in in_order(results) if isinstance(result, Result)]
    return (
        sum(result.lines for result in ordered),
        sum(result.valid for result in ordered),
        b"".join(result.digests for result in ordered),
    )


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(true: Callable[[], object], within_s: float = 20) -> bool:
    ends_at = time.monotonic() + within_s
    while not true() and time.monotonic() < ends_at:
        time.sleep(0.01)
    return bool(true())


class LateOnce:
    """A clock by which the deadline comes once so many spans are read, and another one is being read."""

    def __init__(self, spans: int, folder: Path) -> None:
        self.spans = spans
        self.folder = folder
        self.late = False

    def after(self, progress: Progress) -> None:
        if progress.spans == self.spans:
            assert until(lambda: [*self.folder.glob("*.pid")])
            self.late = True

    def monotonic(self) -> float:
        return 1e9 if self.late else 0.0


def test_several_workers_come_to_the_same_results_as_one(lines: DataFile) -> None:
    spans = spans_of([lines], 5_000)
    one, two = in_order(run(spans, count_lines)), in_order(run(spans, wait_for_the_other, open_pool=TWO))

    assert one == two == [count_lines(span) for span in spans]
    assert len([*(Path(lines.uri).parent / "readers").iterdir()]) == 2


@pytest.mark.parametrize("span_bytes", [997, 10_000, 10_000_000])
def test_any_spans_in_any_order_come_to_the_same_totals(lines: DataFile, span_bytes: int) -> None:
    whole = totals(run(spans_of([lines], lines.size_bytes), count_lines))
    shuffled = [*spans_of([lines], span_bytes)]
    random.Random(1).shuffle(shuffled)  # noqa: S311

    assert whole[0] == LINES
    assert totals(run(shuffled, count_lines, open_pool=TWO)) == whole


def test_the_spans_of_a_worker_that_is_killed_are_read_again(lines: DataFile) -> None:
    spans = spans_of([lines], 5_000)
    done = in_order(run(spans, die_once, open_pool=TWO))

    assert Path(lines.uri).with_suffix(".died").exists()
    assert done == [count_lines(span) for span in spans]


def test_a_span_that_kills_its_workers_is_named_and_no_other(lines: DataFile) -> None:
    spans = spans_of([lines], 50_000)
    done: list[Result | Unread] = []
    with pytest.raises(WorkerLostError) as raised:
        read_into(done, spans, die_at_the_last, TWO)

    assert raised.value.spans == spans[-1:]
    assert str(raised.value) == (
        f"the worker that reads {lines.uri} bytes 150,000-{lines.size_bytes:,} dies: out of memory, or killed from"
        " outside; look at the kernel's log and at the worker's"
    )
    assert in_order(done) == [count_lines(span) for span in spans[:-1]]


class _Breaks(Executor):
    """Somebody's executor that breaks at the third span, some of them before it takes it."""

    def __init__(self, *, at_once: bool) -> None:
        self.at_once = at_once
        self.taken = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        self.taken += 1
        future: Future[Any] = Future()
        if self.taken < 3:
            future.set_result(fn(*args))
        elif self.at_once:
            raise BrokenExecutor
        else:
            future.set_exception(BrokenExecutor())
        return future


@pytest.mark.parametrize("breaks", [_Breaks(at_once=True), _Breaks(at_once=False)], ids=["at once", "later"])
def test_what_somebody_elses_executor_lost_is_named_and_what_it_read_is_not_lost(
    lines: DataFile, breaks: _Breaks
) -> None:
    spans = spans_of([lines], 50_000)
    done: list[Result | Unread] = []
    with pytest.raises(WorkerLostError) as raised:
        read_into(done, spans, count_lines, partial(lent, breaks, 3))

    assert raised.value.spans == spans[2:3]
    assert in_order(done) == [count_lines(span) for span in spans[:2]]


def test_any_executor_will_do_and_is_left_open(lines: DataFile) -> None:
    spans = spans_of([lines], 5_000)
    with ThreadPoolExecutor(3) as threads:
        assert in_order(run(spans, count_lines, open_pool=partial(lent, threads, 3))) == in_order(
            run(spans, count_lines)
        )
        assert threads.submit(int, "7").result() == 7


def test_no_more_spans_are_in_flight_than_the_pool_takes(lines: DataFile) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def work(span: Span) -> Result:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        try:
            return count_lines(span)
        finally:
            with lock:
                now -= 1

    with ThreadPoolExecutor(16) as threads:
        assert len([*run(spans_of([lines], 997), work, open_pool=partial(lent, threads, 3))]) == 165
    assert most <= 3


@pytest.mark.parametrize("open_pool", [here, TWO])
def test_progress_is_told_of_each_result_in_this_process(lines: DataFile, open_pool: Any) -> None:
    told: list[tuple[int, Progress]] = []
    results = [
        *run(
            spans_of([lines], 50_000),
            count_lines,
            open_pool=open_pool,
            progress=lambda progress: told.append((os.getpid(), progress)),
        )
    ]
    whole = Progress(spans=4, done_bytes=lines.size_bytes, records=LINES, invalid=429)

    assert len(results) == 4
    assert told[-1] == (os.getpid(), whole)
    assert [(process, progress.spans) for process, progress in told] == [(os.getpid(), n) for n in (1, 2, 3, 4)]


def test_what_is_not_read_by_the_deadline_is_told_and_given_up(
    lines: DataFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = spans_of([lines], 50_000)
    late = LateOnce(3, Path(lines.uri).parent)
    monkeypatch.setattr(running, "monotonic", late.monotonic)
    done = in_order(run(spans, end_but_the_last, open_pool=TWO, deadline_s=3_600, progress=late.after))
    (stuck,) = (int(mark.stem) for mark in Path(lines.uri).parent.glob("*.pid"))

    assert done == [*map(count_lines, spans[:-1]), Unread(span=spans[-1])]
    assert not alive(stuck)


@pytest.mark.parametrize("open_pool", [here, TWO])
def test_after_the_deadline_nothing_is_begun(lines: DataFile, open_pool: Any) -> None:
    spans = spans_of([lines], 50_000)

    assert [*run(spans, never_end, open_pool=open_pool, deadline_s=0)] == [Unread(span=span) for span in spans]


@pytest.mark.parametrize("open_pool", [here, TWO])
def test_an_error_of_the_work_ends_the_run_and_names_the_span(lines: DataFile, open_pool: Any) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        [*run(spans_of([lines]), fail, open_pool=open_pool)]

    assert raised.value.__notes__ == [f"while {lines.uri} bytes 0-{lines.size_bytes:,} was read"]


@pytest.mark.parametrize("open_pool", [here, TWO])
def test_an_error_that_cannot_be_sent_is_told_in_words_and_is_no_dead_worker(lines: DataFile, open_pool: Any) -> None:
    with pytest.raises(WorkError) as raised:
        [*run(spans_of([lines]), fail_unsendably, open_pool=open_pool)]

    assert str(raised.value) == f"UnsendableError: zstd is needed to read {lines.uri}"


def test_whoever_stops_listening_leaves_no_process(lines: DataFile) -> None:
    before = _children()
    results = run(spans_of([lines], 50_000), end_but_the_last, open_pool=TWO)
    next(results)
    results.close()  # type: ignore[attr-defined]  # it is a generator
    folder = Path(lines.uri).parent

    assert not any(alive(int(mark.stem)) for mark in folder.glob("*.pid"))
    assert _children() <= before | {*_fork_server()}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_one_that_reads(lines: DataFile, how: signal.Signals) -> None:
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"  # CI may have it ignored
        "from functools import partial; from data.counted_lines import never_end;"
        "from pytest_pipeline.data.executors import processes; from pytest_pipeline.data.running import run;"
        "from pytest_pipeline.data.spans import DataFile, spans_of;"
        f"[*run(spans_of([DataFile(uri={lines.uri!r}, size_bytes={lines.size_bytes})], 50_000), never_end,"
        " open_pool=partial(processes, 2))]"
    )
    folder = Path(lines.uri).parent
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as reader:
        assert until(lambda: len([*folder.glob("*.pid")]) == 2)
        os.killpg(reader.pid, how) if how == signal.SIGINT else reader.send_signal(how)
        said = reader.communicate(timeout=30)[1]
    workers = [int(mark.stem) for mark in folder.glob("*.pid")]

    assert until(lambda: not any(map(alive, workers)))
    assert said.count("Traceback") == (how == signal.SIGINT)  # the reader's own; Ctrl-C reaches the workers too


@pytest.mark.parametrize("url", ["localhost:8786", "ray://head:1", "dask://", "dask://head"])
def test_an_executor_of_another_name_is_refused(url: str) -> None:
    with pytest.raises(NoExecutorError, match=rf"^an executor is named as dask://host:port, not as '{url}'$"):
        pool_opener(workers=1, url=url)


def test_one_worker_is_this_process(lines: DataFile) -> None:
    seen = []

    def work(span: Span) -> Result:
        seen.append(os.getpid())
        return count_lines(span)

    assert len([*run(spans_of([lines]), work, open_pool=pool_opener(workers=1))]) == 1
    assert seen == [os.getpid()]
    assert len([*run(spans_of([lines]), count_lines, open_pool=pool_opener(workers=2))]) == 1


def _children() -> set[int]:
    """Return the processes that this one, or its fork server, has."""
    mine = {os.getpid(), *_fork_server()}
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent in mine:
            found.add(int(stat.parent.name))
    return found


def _fork_server() -> list[int]:
    from multiprocessing import forkserver, resource_tracker  # noqa: PLC0415

    servers = (
        forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
        resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
    )
    return [server for server in servers if server]
