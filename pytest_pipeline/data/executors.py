"""Where spans are read: in this process, in several, on a Dask cluster, or wherever somebody's own executor is."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from multiprocessing.connection import Connection

T = TypeVar("T")

CONNECT_S = 10
DASK_RETRIES = 3


class NoExecutorError(Exception):
    """There is no executor of that name, or none that answers; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An executor that is open.

    `in_flight` is how many spans are handed to it at a time, `lost` how it says that a worker died with one. It is
    `renewable` where another one may be opened then; where it is not, it has tried again itself, or is somebody else's.
    """

    executor: Executor
    in_flight: int
    renewable: bool = False
    lost: tuple[type[BaseException], ...] = (BrokenExecutor,)


if TYPE_CHECKING:
    OpenPool = Callable[[], AbstractContextManager[Pool]]
    """Opens a pool; one that is left by an exception stops what it is at."""


def pool_opener(*, workers: int, url: str = "") -> OpenPool:
    """Return what opens the pool of `dask://host:port`, or of as many processes of this machine.

    Raises NoExecutorError for a URL of another form.
    """
    if not url:
        return here if workers == 1 else partial(processes, workers)
    parts = urlsplit(url)
    if parts.scheme != "dask" or not parts.hostname or not parts.port:
        raise NoExecutorError(f"an executor is named as dask://host:port, not as {url!r}")
    return partial(dask, f"tcp://{parts.netloc}")


@contextmanager
def here() -> Iterator[Pool]:
    """Open this very process as a pool: one span after the other."""
    yield Pool(executor=_Here(), in_flight=1)


@contextmanager
def lent(executor: Executor, in_flight: int) -> Iterator[Pool]:
    """Use an executor that somebody else opened and will close."""
    yield Pool(executor=executor, in_flight=in_flight)


@contextmanager
def processes(workers: int) -> Iterator[Pool]:
    """Open a pool of processes, which end with this process however it ends, and at once where the pool is left early.

    They come from a fork server: a plain fork of a process with threads may copy a lock that is held for ever.
    """
    context = multiprocessing.get_context("forkserver")
    theirs, ours = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(workers, mp_context=context, initializer=_live_with, initargs=(theirs,))
    try:
        yield Pool(executor=executor, in_flight=2 * workers, renewable=True)
    except BaseException:
        ours.close()
        raise
    finally:
        executor.shutdown(cancel_futures=True)
        ours.close()
        theirs.close()


@contextmanager
def dask(address: str) -> Iterator[Pool]:
    """Connect to the scheduler of a Dask cluster, which reads the spans of a worker that died on another one.

    The workers need this package, in a version that has the same values. Raises NoExecutorError where Dask is not
    installed, no scheduler answers, or it has no worker.
    """
    try:
        distributed: Any = importlib.import_module("distributed")
        comm: Any = importlib.import_module("distributed.comm")
    except ImportError as error:
        raise NoExecutorError("Dask is not installed: pip install 'pytest-pipeline-readiness[dask]'") from error
    try:
        asyncio.run(asyncio.wait_for(_greet(comm.connect, address), CONNECT_S))
        client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except OSError as error:
        raise NoExecutorError(f"no Dask scheduler answers at {address} within {CONNECT_S} s") from error
    with client:
        try:
            client.wait_for_workers(1, timeout=CONNECT_S)
        except TimeoutError as error:
            raise NoExecutorError(f"the Dask scheduler at {address} has no worker after {CONNECT_S} s") from error
        executor = client.get_executor(retries=DASK_RETRIES, pure=False)
        try:
            yield Pool(
                executor=executor,
                in_flight=2 * sum(client.nthreads().values()),
                lost=(distributed.KilledWorker, CancelledError),
            )
        finally:
            executor.shutdown(wait=False)


async def _greet(connect: Callable[[str], Awaitable[Any]], address: str) -> None:
    """Shake hands and leave: a client would wait for ever for the greeting of a port that takes calls and is silent."""
    await (await connect(address)).close()


class _Here(Executor):
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        done: Future[T] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # handed on to whoever asks for the result
            done.set_exception(error)
        return done


def _live_with(parent: Connection) -> None:
    """End this process when the other end of the pipe closes; Ctrl-C is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Connection) -> None:
    parent.poll(None)
    os._exit(1)
