"""What a stage prints, of whatever length: its beginning and its end are kept, without secrets."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 192 * 1024  # errors come last

_LONGEST_LINE = 64 * 1024  # characters; a longer one is redacted in parts
_OVERLAP = 8 * 1024  # characters that two such parts share, so that a secret across the cut is seen whole


class StageLog:
    """Takes output as it comes. The beginning is written at once, so that it can be followed; `close` adds the end.

    Lengths are those of the text without secrets, in UTF-8; what is no UTF-8 becomes U+FFFD.
    """

    def __init__(self, file: BinaryIO, redact: Callable[[str], str]) -> None:
        self._file = file
        self._redact = redact
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""  # as far as it has come
        self._head = bytearray()
        self._tail = bytearray()
        self.dropped_bytes = 0

    def write(self, data: bytes) -> None:
        """Take the next piece of output, cut anywhere."""
        lines, newline, rest = (self._line + self._decoder.decode(data)).rpartition("\n")
        self._keep(self._redact(lines + newline))
        if len(rest) > _LONGEST_LINE:
            rest = self._redact(rest)
            self._keep(rest[:-_OVERLAP])
            rest = rest[-_OVERLAP:]
        self._line = rest

    def close(self) -> None:
        """Write the end of the output, and how much of it lies between beginning and end."""
        self._keep(self._redact(self._line + self._decoder.decode(b"", final=True)))
        self._line = ""
        if self.dropped_bytes:
            self._file.write(f"\n[... {self.dropped_bytes:,} bytes dropped ...]\n".encode())
        self._file.write(self._tail)

    @property
    def head(self) -> str:
        """The beginning; all of it where there is no more than `HEAD_BYTES`."""
        return self._head.decode(errors="replace")

    @property
    def tail(self) -> str:
        """What comes last, without what is in `head`."""
        return self._tail.decode(errors="replace")

    def _keep(self, text: str) -> None:
        data = text.encode(errors="replace")
        room = HEAD_BYTES - len(self._head)
        self._head += data[:room]
        self._file.write(data[:room])
        self._tail += data[room:]
        over_bytes = max(0, len(self._tail) - TAIL_BYTES)
        del self._tail[:over_bytes]
        self.dropped_bytes += over_bytes
