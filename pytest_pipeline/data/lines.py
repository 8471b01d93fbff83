"""The whole lines that start in a span, in blocks, in one buffer that is used again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.data.unpacking import BrokenStreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.data.opening import Readable

BLOCK_BYTES = 1024 * 1024
HEAD_BYTES = 4096
_PAST_END_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Whole lines with their line ends, each as long as is allowed at most.

    `view` is good until the next block is asked for.
    """

    offset: int
    view: memoryview


@dataclass(frozen=True, slots=True, kw_only=True)
class LongLine:
    """A line that is longer than is allowed, its line end not counted. `head` is its beginning."""

    offset: int
    size_bytes: int
    head: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """From here on the stream cannot be unpacked. `offset` is of the line that it broke in, `head` its beginning."""

    offset: int
    why: str
    head: bytes


class Lines:
    """All lines that start in [start, end) of a source, in order; `end` None: to its end.

    The source begins one byte before `start` (at 0 where that is 0): so it is seen whether a line starts there.
    """

    def __init__(
        self, source: Readable, *, start: int, end: int | None, longest_bytes: int, block_bytes: int = BLOCK_BYTES
    ) -> None:
        self._source = source
        self._start = start
        self._end = end
        self._longest_bytes = longest_bytes
        self._buffer = bytearray(min(block_bytes, longest_bytes + 1))
        self._offset = max(start - 1, 0)  # of the buffer's first byte
        self._held_bytes = 0  # in the buffer, not yet handed out
        self._ended = False
        self._broken: BrokenStreamError | None = None

    def blocks(self) -> Iterator[Block | LongLine | Break]:
        """Read the lines. Raises what the source raises, except that a broken stream is a `Break`, the last of all."""
        if self._start:
            self._drop_line(self._end)
        while self._end is None or self._offset < self._end:
            self._fill()
            if until := self._lines_end():
                yield Block(offset=self._offset, view=memoryview(self._buffer)[:until])
                self._drop(until)
            elif self._held_bytes > self._longest_bytes:
                longer = self._long_line()
                yield longer
                if isinstance(longer, Break):
                    return
            elif self._ended:
                if self._broken or self._held_bytes:
                    yield self._rest()
                return

    def _fill(self) -> None:
        if self._held_bytes == len(self._buffer) <= self._longest_bytes:
            larger = bytearray(min(2 * len(self._buffer), self._longest_bytes + 1))
            larger[: self._held_bytes] = self._buffer
            self._buffer = larger
        enough = len(self._buffer)
        if self._end is not None:  # a small span must not cost a large block
            ahead = max(self._end - self._offset, self._held_bytes) + _PAST_END_BYTES
            enough = min(enough, ahead)
        with memoryview(self._buffer) as view:
            try:
                while self._held_bytes < enough and not self._ended:
                    got = self._source.readinto(view[self._held_bytes : enough])
                    self._held_bytes += got
                    self._ended = not got
            except BrokenStreamError as error:
                self._broken, self._ended = error, True

    def _lines_end(self) -> int:
        """Return how many bytes of the buffer are whole lines of the span."""
        last = -1
        if self._end is not None:  # who holds the byte before the end of the span ends with that byte's line
            last = self._buffer.find(b"\n", max(self._end - 1 - self._offset, 0), self._held_bytes)
        return 1 + (last if last >= 0 else self._buffer.rfind(b"\n", 0, self._held_bytes))

    def _drop(self, size_bytes: int) -> None:
        with memoryview(self._buffer) as view:
            view[: self._held_bytes - size_bytes] = view[size_bytes : self._held_bytes]
        self._offset += size_bytes
        self._held_bytes -= size_bytes

    def _drop_line(self, until: int | None) -> tuple[int, bool]:
        """Drop up to and with the next line end, or to `until`; return the line's size, and whether it had an end."""
        size_bytes = 0
        while until is None or self._offset < until:
            self._fill()
            end = self._buffer.find(b"\n", 0, self._held_bytes)
            if end >= 0:
                self._drop(end + 1)
                return size_bytes + end, True
            size_bytes += self._held_bytes
            self._drop(self._held_bytes)
            if self._ended:
                break
        return size_bytes, False

    def _long_line(self) -> LongLine | Break:
        offset, head = self._offset, bytes(self._buffer[:HEAD_BYTES])
        size_bytes, has_end = self._drop_line(None)
        if self._broken and not has_end:
            return Break(offset=offset, why=str(self._broken), head=head)
        return LongLine(offset=offset, size_bytes=size_bytes, head=head)

    def _rest(self) -> Block | Break:
        """Return the last line, which has no line end."""
        if self._broken:
            head = bytes(self._buffer[: min(self._held_bytes, HEAD_BYTES)])
            return Break(offset=self._offset, why=str(self._broken), head=head)
        return Block(offset=self._offset, view=memoryview(self._buffer)[: self._held_bytes])
