"""Records as values, for what is looked at beyond their form. What is malformed is the validator's business."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from pytest_pipeline.data.lines import Block, Break, Lines, LongLine
from pytest_pipeline.data.opening import LocalFiles, whole
from pytest_pipeline.data.place import Place
from pytest_pipeline.data.spans import Compression, Shape
from pytest_pipeline.data.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.data.opening import Opener
    from pytest_pipeline.data.spans import DataFile, Span
    from pytest_pipeline.data.spec import RecordSpec

_decode = msgspec.json.Decoder().decode
_DEEPEST = 32


class Record(msgspec.Struct, frozen=True, kw_only=True):  # made in a fifth of a dataclass's time
    """A well-formed record. `start` is of its span, `line` counts from that span's first line, 1."""

    file: DataFile
    start: int
    line: int
    offset: int
    values: dict[str, object]

    @property
    def place(self) -> Place:
        """Where the record stands."""
        return Place(uri=self.file.uri, offset=self.offset, start=self.start, line=self.line)


def records_of(span: Span, spec: RecordSpec, opener: Opener | None = None) -> Iterator[list[Record]]:
    """Return the well-formed records that start in a span, block by block; `opener` is of plain paths unless given.

    A file whose shape is not lines has none. Raises as `validate` does.
    """
    before = 0
    for piece in pieces_of(span, spec, opener):
        if isinstance(piece, Block):
            content = bytes(piece.view)
            yield list(_records(content, span, piece.offset, before))
            before += content.count(b"\n")
        else:
            before += 1


def pieces_of(span: Span, spec: RecordSpec, opener: Opener | None = None) -> Iterator[Block | LongLine | Break]:
    """Return the lines that start in a span, in blocks, and what is in the place of lines that are none."""
    if span.file.shape is not Shape.LINES:
        return
    packed = span.file.compression is not Compression.NONE
    from_byte = 0 if packed else max(span.start - 1, 0)
    source = whole((opener or LocalFiles()).open(span.file, from_byte), span.file.size_bytes - from_byte)
    with closing(unpacked(source, span.file.compression)) as stream:
        end = None if packed else span.end
        yield from Lines(stream, start=span.start, end=end, longest_bytes=spec.max_line_bytes).blocks()


def _records(content: bytes, span: Span, offset: int, before: int) -> Iterator[Record]:
    for number, line in enumerate(content.split(b"\n"), start=before + 1):
        try:
            values = _decode(line)
        # A line of nothing, of other characters than UTF-8, or nested beyond what a decoder goes into.
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            values = None
        if type(values) is dict:
            yield Record(file=span.file, start=span.start, line=number, offset=offset, values=values)
        offset += len(line) + 1


def texts_of(value: object, depth: int = _DEEPEST) -> list[str]:
    """Return all strings in a record's values, keys aside, down to 32 levels."""
    if type(value) is str:
        return [value]
    if not depth or not isinstance(value, (dict, list)):
        return []
    texts: list[str] = []
    for entry in value.values() if isinstance(value, dict) else value:
        if type(entry) is str:
            texts.append(entry)
        elif type(entry) is dict or type(entry) is list:
            texts += texts_of(entry, depth - 1)
    return texts
