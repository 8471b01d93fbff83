"""Opening files of records where they lie, as the very version that was listed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pytest_pipeline.data.spans import DataFile


class FileChangedError(Exception):
    """A file is no longer what was listed: what was read of it, and what is still to be read, are of two files."""


class Readable(Protocol):
    """Bytes that are read once, from first to last."""

    def readinto(self, view: memoryview) -> int:
        """Fill the front of `view` and return how many bytes; 0 at the end of the file only, or for an empty view."""

    def close(self) -> None:
        """Let go of the file. Raises FileChangedError where it can be seen that it changed meanwhile."""


class Opener(Protocol):
    """Opens files of one kind of place. It is sent to other processes, so it must survive pickling."""

    def open(self, file: DataFile, start: int) -> Readable:
        """Return the file's bytes from `start` on, as they lie there, packed or not.

        Raises FileChangedError where the file is no longer the version that was listed.
        """


def whole(source: Readable, size_bytes: int) -> Readable:
    """Return a source of exactly so many bytes: what was appended since is left, and an early end is an error.

    Reading raises FileChangedError where the source ends before them; a part must never pass for all.
    """
    return _Whole(source, size_bytes)


class _Whole:
    def __init__(self, source: Readable, size_bytes: int) -> None:
        self._source = source
        self._left_bytes = size_bytes

    def readinto(self, view: memoryview) -> int:
        if not self._left_bytes:
            return 0
        got = self._source.readinto(view[: self._left_bytes])
        if not got and len(view):
            raise FileChangedError(f"a file ended {self._left_bytes:,} bytes before the size that was listed")
        self._left_bytes -= got
        return got

    def close(self) -> None:
        self._source.close()


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """Opens plain paths."""

    def open(self, file: DataFile, start: int) -> Readable:
        """Return the file's bytes from `start` on. Raises FileChangedError, and OSError for what the system refuses."""
        try:
            # Without O_NONBLOCK a pipe that has taken the file's name would never open.
            handle = os.open(file.uri, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise FileChangedError(f"{file.uri} is gone since it was listed") from None
        opened = _LocalFile(handle=handle, file=file)
        try:
            opened.compare()
            os.lseek(handle, start, os.SEEK_SET)
        except BaseException:
            os.close(handle)
            raise
        return opened


def version_of(seen: os.stat_result) -> str:
    """Return what tells one version of a local file from another: its size, and when it was changed, in ns."""
    return f"{seen.st_size}-{seen.st_mtime_ns}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _LocalFile:
    handle: int
    file: DataFile

    def readinto(self, view: memoryview) -> int:
        return os.readv(self.handle, [view])

    def close(self) -> None:
        try:
            self.compare()
        finally:
            os.close(self.handle)

    def compare(self) -> None:
        seen = os.fstat(self.handle)
        same = stat.S_ISREG(seen.st_mode) and seen.st_size == self.file.size_bytes
        if not same or (self.file.version and version_of(seen) != self.file.version):
            raise FileChangedError(f"{self.file.uri} is not what was listed: it was changed since")
