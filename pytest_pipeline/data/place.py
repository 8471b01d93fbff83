"""Where a record stands, said to a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_pipeline.data.result import Result


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """A line of a file. `start` is the span that it was found in; `line` counts from that span's first line, 1.

    `offset` is of the line's first byte, in the unpacked stream. Places of one file are ordered as its bytes are.
    """

    uri: str
    offset: int
    start: int
    line: int

    def named(self, lines_before: Mapping[tuple[str, int], int] | None = None) -> str:
        """Return `train.jsonl line 12`, or `train.jsonl byte 1,024` where nobody counted the lines before the span.

        `lines_before` is by file and start of a span; before a file's first span there are none.
        """
        before = 0 if not self.start else (lines_before or {}).get((self.uri, self.start))
        if before is None:
            return f"{self.uri} byte {self.offset:,}"
        return f"{self.uri} line {before + self.line:,}"


def lines_before(results: Iterable[Result]) -> dict[tuple[str, int], int]:
    """Return how many lines stand before each span, by file and start; of spans behind a hole that is not known."""
    before: dict[tuple[str, int], int] = {}
    end, lines = ("", 0), 0
    for result in sorted(results, key=lambda result: (result.span.file.uri, result.span.start)):
        start = result.span.file.uri, result.span.start
        if not result.span.start:
            lines = 0
        elif start != end:
            continue
        before[start] = lines
        lines += result.lines
        end = result.span.file.uri, result.span.end
    return before
