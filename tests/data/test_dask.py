"""Spans read on a Dask cluster that the test starts: the same results, also after a worker is killed at its work."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from data.counted_lines import (
    count_lines,
    die_once_two_are_at_it,
    end_but_the_last,
    fail,
    wait_for_the_other,
    write_lines,
)
from data.test_running import LateOnce, in_order
from pytest_pipeline.data import executors, running
from pytest_pipeline.data.executors import NoExecutorError, pool_opener
from pytest_pipeline.data.running import Unread, run
from pytest_pipeline.data.spans import spans_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HAS_DASK = importlib.util.find_spec("distributed") is not None
on_a_cluster = pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed; `tox -e dask` runs this")
ADDRESS = re.compile(r"Scheduler at:\s+tcp://(127\.0\.0\.1:\d+)")


def start(*arguments: str, stderr: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:], "--host", "127.0.0.1"],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path), "PYTHONWARNINGS": "default"},
        stderr=stderr,
        text=True,
    )


def address_of(scheduler: subprocess.Popen[str]) -> str:
    """Return where a scheduler says that it listens."""
    assert scheduler.stderr
    for line in scheduler.stderr:
        if told := ADDRESS.search(line):
            return told[1]
    raise AssertionError(f"the scheduler ended with {scheduler.wait()}")


@pytest.fixture
def scheduler() -> Iterator[str]:
    """The address of a scheduler that has no worker."""
    with start("scheduler", "--port", "0", "--no-dashboard", stderr=subprocess.PIPE) as process:
        try:
            yield address_of(process)
        finally:
            process.terminate()


@pytest.fixture
def cluster(scheduler: str, tmp_path: Path) -> Iterator[str]:
    """The address of a scheduler with two workers of one thread each, which nobody starts again."""
    options = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "10")
    folders = [str(tmp_path / "worker" / name) for name in "ab"]
    workers = [start("worker", f"tcp://{scheduler}", *options, "--local-directory", folder) for folder in folders]
    try:
        yield scheduler
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


@on_a_cluster
def test_a_cluster_comes_to_the_same_results_as_this_process(cluster: str, tmp_path: Path) -> None:
    spans = spans_of([write_lines(tmp_path)], 5_000)
    done = [*run(spans, wait_for_the_other, open_pool=pool_opener(workers=1, url=f"dask://{cluster}"))]

    assert in_order(done) == [count_lines(span) for span in spans]
    assert len([*(tmp_path / "readers").iterdir()]) == 2


@on_a_cluster
def test_the_spans_of_a_worker_that_is_killed_are_read_by_the_other(cluster: str, tmp_path: Path) -> None:
    spans = spans_of([write_lines(tmp_path)], 5_000)
    done = [*run(spans, die_once_two_are_at_it, open_pool=pool_opener(workers=1, url=f"dask://{cluster}"))]

    assert (tmp_path / "lines.died").exists()
    assert in_order(done) == [count_lines(span) for span in spans]


@on_a_cluster
def test_what_a_cluster_has_not_read_by_the_deadline_is_told(
    cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = spans_of([write_lines(tmp_path)], 50_000)
    late = LateOnce(3, tmp_path)
    monkeypatch.setattr(running, "monotonic", late.monotonic)
    opener = pool_opener(workers=1, url=f"dask://{cluster}")
    done = [*run(spans, end_but_the_last, open_pool=opener, deadline_s=3_600, progress=late.after)]

    assert in_order(done) == [*map(count_lines, spans[:-1]), Unread(span=spans[-1])]


@on_a_cluster
def test_an_error_of_the_work_comes_back_from_the_cluster(cluster: str, tmp_path: Path) -> None:
    file = write_lines(tmp_path)
    with pytest.raises(FileNotFoundError) as raised:
        [*run(spans_of([file]), fail, open_pool=pool_opener(workers=1, url=f"dask://{cluster}"))]

    assert f"while {file.uri} bytes 0-{file.size_bytes:,} was read" in raised.value.__notes__


@on_a_cluster
def test_a_cluster_without_workers_is_no_executor(scheduler: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "CONNECT_S", 1)

    with pytest.raises(NoExecutorError) as raised, pool_opener(workers=1, url=f"dask://{scheduler}")():
        pass
    assert str(raised.value) == f"the Dask scheduler at tcp://{scheduler} has no worker after 1 s"


@on_a_cluster
@pytest.mark.parametrize("listens", [False, True], ids=["nobody there", "somebody silent"])
def test_where_no_scheduler_answers_there_is_no_executor(
    monkeypatch: pytest.MonkeyPatch,
    listens: bool,  # noqa: FBT001
) -> None:
    monkeypatch.setattr(executors, "CONNECT_S", 1)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listens:
            server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"

        with pytest.raises(NoExecutorError) as raised, pool_opener(workers=1, url=f"dask://{address}")():
            pass
    assert str(raised.value) == f"no Dask scheduler answers at tcp://{address} within 1 s"


def test_where_dask_is_not_installed_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)

    with pytest.raises(NoExecutorError) as raised, pool_opener(workers=1, url="dask://head:8786")():
        pass
    assert str(raised.value) == "Dask is not installed: pip install 'pytest-pipeline-readiness[dask]'"
