"""Files of records, and the byte spans that they are read in. A record belongs to the span that it starts in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SPAN_BYTES = 64 * 1024 * 1024


class Compression(StrEnum):
    """How the bytes of a file are packed."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


class Shape(StrEnum):
    """What a file is as a whole. Only lines are judged one by one: anything else is one defect, not one a line."""

    LINES = "lines"
    ARRAY = "array"  # one JSON array
    PRETTY_PRINTED = "pretty-printed"  # objects over several lines each
    UTF16 = "utf-16"
    UTF32 = "utf-32"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file as it was when it was listed.

    `uri` is `s3://bucket/key` or an absolute path; `version` what tells whether it still is the same (an ETag, or size
    and time of change); `size_bytes` its size as it lies there, packed or not. `compression` and `shape` are what its
    first bytes say (`pytest_pipeline.data.shape.examined`), whatever its name is.
    """

    uri: str
    size_bytes: int
    version: str = ""
    compression: Compression = Compression.NONE
    shape: Shape = Shape.LINES


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes [start, end) of a file.

    A packed file can only be read from its start, and one of another shape than lines is judged as a whole: each is one
    span.
    """

    file: DataFile
    start: int
    end: int


def spans_of(files: Iterable[DataFile], span_bytes: int = SPAN_BYTES) -> tuple[Span, ...]:
    """Return the spans that cover files without a hole, in order."""
    return tuple(span for file in files for span in _spans(file, span_bytes))


def _spans(file: DataFile, span_bytes: int) -> list[Span]:
    if file.compression or file.shape is not Shape.LINES or not file.size_bytes:
        return [Span(file=file, start=0, end=file.size_bytes)]
    return [
        Span(file=file, start=start, end=min(start + span_bytes, file.size_bytes))
        for start in range(0, file.size_bytes, span_bytes)
    ]
