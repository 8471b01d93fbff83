"""Work for the tests of running: lines of a file counted, by a function that any process can import."""

from __future__ import annotations

import os
import signal
import time
from hashlib import blake2b
from pathlib import Path

from pytest_pipeline.data.defect import Reason
from pytest_pipeline.data.result import DIGEST_BYTES, Result
from pytest_pipeline.data.spans import DataFile, Span

LINES = 3_000


def write_lines(folder: Path, name: str = "lines.jsonl") -> DataFile:
    """Write lines of many lengths; each seventh one is bad."""
    path = folder / name
    path.write_text("".join(f"{'bad' if n % 7 == 0 else 'good'} {n} {'x' * (n % 90)}\n" for n in range(LINES)))
    return DataFile(uri=str(path), size_bytes=path.stat().st_size)


def count_lines(span: Span) -> Result:
    """Count the lines that start in a span."""
    with Path(span.file.uri).open("rb") as file:
        file.seek(max(0, span.start - 1))
        if span.start and file.read(1) != b"\n":
            file.readline()
        lines = []
        while file.tell() < span.end and (line := file.readline()):
            lines.append(line)
    good = [line for line in lines if line.startswith(b"good")]
    return Result(
        span=span,
        lines=len(lines),
        records=len(lines),
        valid=len(good),
        read_bytes=sum(map(len, lines)),
        reasons={Reason.EMPTY: len(lines) - len(good)} if len(lines) > len(good) else {},
        digests=b"".join(blake2b(line, digest_size=DIGEST_BYTES).digest() for line in good),
    )


def wait_for_the_other(span: Span) -> Result:
    """Count, and before that wait until somebody else is at it too, told by files beside the data."""
    folder = Path(span.file.uri).parent / "readers"
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 30
    while len([*folder.iterdir()]) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    return count_lines(span)


def die_once(span: Span) -> Result:
    """Count, but for the first time that the second span is read: the process is killed then."""
    mark = Path(span.file.uri).with_suffix(".died")
    if span.start and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return count_lines(span)


def die_at_the_last(span: Span) -> Result:
    """Count, but for the last span, which kills whoever reads it."""
    if span.end == span.file.size_bytes:
        os.kill(os.getpid(), signal.SIGKILL)
    return count_lines(span)


def never_end(span: Span) -> Result:
    """Leave a mark, and wait for ever."""
    (Path(span.file.uri).parent / f"{os.getpid()}.pid").touch()
    while True:
        time.sleep(60)


def end_but_the_last(span: Span) -> Result:
    """Count, but wait for ever at the last span."""
    return never_end(span) if span.end == span.file.size_bytes else count_lines(span)


def fail(span: Span) -> Result:
    """Fail as a file does that is gone."""
    raise FileNotFoundError(2, "No such file or directory", span.file.uri)


def die_once_two_are_at_it(span: Span) -> Result:
    """Count; once two processes are at it, one of them is killed at its second span."""
    result = wait_for_the_other(span)
    mark = Path(span.file.uri).with_suffix(".died")
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return result
    os.kill(os.getpid(), signal.SIGKILL)
    return result


class UnsendableError(Exception):
    """An error whose making takes other arguments than it keeps."""

    def __init__(self, library: str, purpose: str) -> None:
        super().__init__(f"{library} is needed {purpose}")


def fail_unsendably(span: Span) -> Result:
    """Fail with an error that cannot be unpickled."""
    raise UnsendableError("zstd", f"to read {span.file.uri}")
