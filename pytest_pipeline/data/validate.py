"""A span of a file, judged: a pure function of the file's bytes, whoever calls it and how often."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from pytest_pipeline.data.defect import Defect, Reason
from pytest_pipeline.data.digest import digests
from pytest_pipeline.data.excerpt import excerpt
from pytest_pipeline.data.grammar import Fault
from pytest_pipeline.data.judging import is_blank, judged
from pytest_pipeline.data.lines import Block, Lines, LongLine
from pytest_pipeline.data.opening import LocalFiles, whole
from pytest_pipeline.data.result import DEFECTS_KEPT, Result
from pytest_pipeline.data.shape import REASONS
from pytest_pipeline.data.spans import Compression, Shape
from pytest_pipeline.data.typed import Typed
from pytest_pipeline.data.unpacking import unpacked

if TYPE_CHECKING:
    from pytest_pipeline.data.lines import Break
    from pytest_pipeline.data.opening import Opener
    from pytest_pipeline.data.spans import Span
    from pytest_pipeline.data.spec import RecordSpec

_PARTS = 8
_FEW_BYTES = 16 * 1024


def validate(span: Span, spec: RecordSpec, opener: Opener | None = None) -> Result:
    """Return what comes of the lines that start in a span; `opener` is of plain paths unless given.

    A file whose shape is not lines is not read: it counts as one line and one record, with one defect. A packed stream
    that breaks counts as one more line and record, the one that it broke in. Raises FileChangedError,
    MissingLibraryError, and what the opener raises where the file cannot be read.
    """
    judge = _Judge(span, spec)
    if span.file.shape is not Shape.LINES:
        judge.whole_file()
        return judge.result()
    packed = span.file.compression is not Compression.NONE
    from_byte = 0 if packed else max(span.start - 1, 0)
    source = whole((opener or LocalFiles()).open(span.file, from_byte), span.file.size_bytes - from_byte)
    with closing(unpacked(source, span.file.compression)) as stream:
        lines = Lines(stream, start=span.start, end=None if packed else span.end, longest_bytes=spec.max_line_bytes)
        for piece in lines.blocks():
            judge.take(piece)
    return judge.result()


class _Judge:
    def __init__(self, span: Span, spec: RecordSpec) -> None:
        self._span = span
        self._spec = spec
        self._typed = Typed(spec)
        self._lines = 0
        self._records = 0
        self._valid = 0
        self._read_bytes = 0
        self._reasons: Counter[Reason] = Counter()
        self._fields: Counter[str] = Counter()
        self._defects: list[Defect] = []
        self._digests = bytearray()

    def result(self) -> Result:
        return Result(
            span=self._span,
            lines=self._lines,
            records=self._records,
            valid=self._valid,
            read_bytes=self._read_bytes,
            reasons=dict(self._reasons),
            fields=dict(self._fields),
            defects=tuple(self._defects),
            digests=bytes(self._digests),
        )

    def whole_file(self) -> None:
        reason, detail = REASONS[self._span.file.shape]
        self._add(0, b"", Fault(reason=reason, at=0, detail=detail))

    def take(self, piece: Block | LongLine | Break) -> None:
        if isinstance(piece, Block):
            self._read_bytes += len(piece.view)
            self._block(piece.view, piece.offset)
        elif isinstance(piece, LongLine):
            self._read_bytes += piece.size_bytes
            detail = f"{piece.size_bytes:,} bytes, more than {self._spec.max_line_bytes:,}"
            self._add(piece.offset, piece.head, Fault(reason=Reason.TOO_LONG, at=0, detail=detail))
        else:
            self._add(piece.offset, piece.head, Fault(reason=Reason.BROKEN_STREAM, at=0, detail=piece.why))

    def _block(self, view: memoryview, offset: int) -> None:
        """Judge a block; where it is not taken at once, its eighths; what is small, line by line."""
        records = self._typed.taken(view)
        if records is not None:
            self._take_all(records)
            return
        block = bytes(view)
        step_bytes = len(block) // _PARTS if len(block) > _FEW_BYTES else 1
        if block.find(b"\n", step_bytes - 1) + 1 in (0, len(block)):  # one long line would make one part of it all
            step_bytes = 1
        start = 0
        while start < len(block):
            end = block.find(b"\n", start + step_bytes - 1) + 1 or len(block)
            if step_bytes == 1:
                self._line(block[start:end], offset + start)
            else:
                self._block(memoryview(block)[start:end], offset + start)
            start = end

    def _line(self, line: bytes, offset: int) -> None:
        records = self._typed.taken(memoryview(line))
        if records is not None:
            self._take_all(records)
            return
        line = line.removesuffix(b"\n")
        if line.endswith(b"\r"):
            self._note(Reason.CRLF, offset)
            line = line[:-1]
        if is_blank(line):
            self._note(Reason.BLANK, offset)
            self._lines += 1
            return
        fault = judged(line, self._spec)
        if fault:
            self._add(offset, line, fault)
            return
        self._typed.learn(line)
        self._take_all([self._typed.one(line)] if self._spec.digests else [None])

    def _take_all(self, records: list[Any]) -> None:
        self._lines += len(records)
        self._records += len(records)
        self._valid += len(records)
        if self._spec.digests:
            self._digests += digests(self._typed.contents(records))

    def _note(self, reason: Reason, offset: int) -> None:
        self._reasons[reason] += 1
        if self._reasons[reason] <= DEFECTS_KEPT:
            self._defects.append(Defect(line=self._lines + 1, offset=offset, reason=reason))

    def _add(self, offset: int, line: bytes, fault: Fault) -> None:
        self._lines += 1
        self._records += 1
        self._reasons[fault.reason] += 1
        if fault.reason.is_content:
            self._fields[fault.field] += 1
        if self._reasons[fault.reason] <= DEFECTS_KEPT:
            self._defects.append(
                Defect(
                    line=self._lines,
                    offset=offset,
                    reason=fault.reason,
                    detail=fault.detail,
                    field=fault.field,
                    excerpt=excerpt(line, fault.at),
                )
            )
