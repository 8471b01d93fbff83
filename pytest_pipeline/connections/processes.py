"""Running a local program to its end or its deadline, with bounded output and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from typing import IO, TYPE_CHECKING

from pytest_pipeline.connections.connection import OUTPUT_LIMIT_BYTES, CommandTimedOut, Finished, OutputTooLong

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHUNK_BYTES = 65536
_TERM_S = 1.0  # in which a probe ends what it has started, in sessions of their own
_ENDING_S = 2.0  # an end of input may take to end a program


def run_to_end(argv: Sequence[str], *, stdin: bytes, timeout_s: float) -> Finished:
    """Run a program in a session of its own; at the deadline the whole of it is killed.

    Raises CommandTimedOut, OutputTooLong, and OSError where the program cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603  # running commands is what this is for
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    ended = False
    try:
        printed = _exchange(process, stdin, timeout_s)
        status = _wait(process, printed, timeout_s)
        ended = True
        return Finished(
            exit_status=status if status >= 0 else 128 - status, stdout=bytes(printed[0]), stderr=bytes(printed[1])
        )
    finally:
        _end(process)
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what it started, and is still there


class HeldProcess:
    """A program that lives for as long as its input is open."""

    def __init__(self, process: subprocess.Popen[bytes], stdout: bytes) -> None:
        self.stdout = stdout
        self._process = process

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        return self._process.poll() is None

    def close(self) -> None:
        """End its input; whatever is left of it after a while is killed."""
        _end(self._process, patience_s=_ENDING_S)


def hold_until(argv: Sequence[str], *, stdin: bytes, until: bytes, timeout_s: float) -> HeldProcess | Finished:
    """Start a program whose input stays open, and return when it has printed `until`, or has ended before.

    Raises CommandTimedOut, OutputTooLong, and OSError where the program cannot be started.
    """
    process = subprocess.Popen(  # noqa: S603  # as above
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    ready = False
    try:
        printed = _read_until(process, until, stdin, timeout_s)
        ready = until in printed
        if ready:
            return HeldProcess(process, printed)
        status = _wait(process, (bytearray(printed), bytearray()), timeout_s)
        return Finished(exit_status=status if status >= 0 else 128 - status, stdout=printed, stderr=b"")
    finally:
        if not ready:
            _end(process)


def _read_until(process: subprocess.Popen[bytes], mark: bytes, stdin: bytes, timeout_s: float) -> bytes:
    """Return what a program prints up to a mark, or to its end. Its input stays open."""
    assert process.stdin is not None  # noqa: S101  # as above
    assert process.stdout is not None  # noqa: S101
    deadline = time.monotonic() + timeout_s
    printed = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        left_to_send = memoryview(stdin)
        while True:
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                if key.fileobj is process.stdin:
                    left_to_send = _send(process.stdin, left_to_send)
                    if not left_to_send:
                        selector.unregister(process.stdin)
                    continue
                data = os.read(key.fd, _CHUNK_BYTES)
                printed += data
                if not data or mark in printed[-len(data) - len(mark) :]:
                    return bytes(printed)
            if len(printed) > OUTPUT_LIMIT_BYTES:
                raise OutputTooLong(OUTPUT_LIMIT_BYTES)
            if time.monotonic() >= deadline:
                raise CommandTimedOut(timeout_s=timeout_s, stdout=bytes(printed))


def _end(process: subprocess.Popen[bytes], *, patience_s: float = 0.0) -> None:
    """End a program's input and, when it does not end with that, all of it; then its pipes."""
    with contextlib.suppress(BrokenPipeError):
        if process.stdin is not None:
            process.stdin.close()
    if not _ended(process, patience_s):
        for number, patience in ((signal.SIGTERM, _TERM_S), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            if _ended(process, patience):
                break
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _ended(process: subprocess.Popen[bytes], patience_s: float | None) -> bool:
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _exchange(process: subprocess.Popen[bytes], stdin: bytes, timeout_s: float) -> tuple[bytearray, bytearray]:
    """Feed and drain all three streams at once: a full pipe in one never stops the others."""
    deadline = time.monotonic() + timeout_s
    printed = bytearray(), bytearray()
    sinks: dict[IO[bytes], bytearray] = {}
    with selectors.DefaultSelector() as selector:
        for stream, sink in zip((process.stdout, process.stderr), printed, strict=True):
            assert stream is not None  # noqa: S101  # Popen was asked for pipes
            sinks[stream] = sink
            selector.register(stream, selectors.EVENT_READ)
        left_to_send = memoryview(stdin)
        assert process.stdin is not None  # noqa: S101  # likewise
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                if key.fileobj is process.stdin:
                    left_to_send = _send(process.stdin, left_to_send)
                    if not left_to_send:
                        selector.unregister(process.stdin)
                        with contextlib.suppress(BrokenPipeError):
                            process.stdin.close()
                else:
                    _receive(selector, key, sinks)
            if sum(map(len, printed)) > OUTPUT_LIMIT_BYTES:
                raise OutputTooLong(OUTPUT_LIMIT_BYTES)
            if time.monotonic() >= deadline:
                raise CommandTimedOut(timeout_s=timeout_s, stdout=bytes(printed[0]), stderr=bytes(printed[1]))
    return printed


def _send(stream: IO[bytes], left: memoryview) -> memoryview:
    try:
        return left[os.write(stream.fileno(), left[:_CHUNK_BYTES]) :] if left else left
    except BlockingIOError:
        return left
    except BrokenPipeError:  # the program did not want the rest
        return left[:0]


def _receive(selector: selectors.BaseSelector, key: selectors.SelectorKey, sinks: dict[IO[bytes], bytearray]) -> None:
    data = os.read(key.fd, _CHUNK_BYTES)
    if data:
        sinks[key.fileobj].extend(data)  # type: ignore[index]  # we registered these streams ourselves
    else:
        selector.unregister(key.fileobj)


def _wait(process: subprocess.Popen[bytes], printed: tuple[bytearray, bytearray], timeout_s: float) -> int:
    """Wait for a program that closed its streams and may still be running."""
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise CommandTimedOut(timeout_s=timeout_s, stdout=bytes(printed[0]), stderr=bytes(printed[1])) from None
