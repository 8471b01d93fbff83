"""Files that exist in memory only, and what the package says of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.data.merge import merge
from pytest_pipeline.data.spans import SPAN_BYTES, DataFile, spans_of
from pytest_pipeline.data.validate import validate

if TYPE_CHECKING:
    from pytest_pipeline.data.opening import Readable
    from pytest_pipeline.data.result import FileResult
    from pytest_pipeline.data.spec import RecordSpec


@dataclass(frozen=True, slots=True)
class InMemory:
    """Opens one file, whatever its name, in reads of `most_bytes` at most."""

    content: bytes
    most_bytes: int = 1 << 20

    def open(self, file: DataFile, start: int) -> Readable:  # noqa: ARG002
        source = Trickle(self.content[start:])
        source.most_bytes = self.most_bytes
        return source


class Trickle(io.BytesIO):
    most_bytes: int

    def readinto(self, view: memoryview) -> int:  # type: ignore[override]
        return super().readinto(view[: self.most_bytes])


def file_of(content: bytes) -> DataFile:
    return DataFile(uri="/data/train.jsonl", size_bytes=len(content))


def told(content: bytes, spec: RecordSpec, *, span_bytes: int = SPAN_BYTES, most_bytes: int = 1 << 20) -> FileResult:
    """Return what comes of a file that is read in spans."""
    spans = spans_of([file_of(content)], span_bytes)
    return merge([validate(span, spec, InMemory(content, most_bytes)) for span in spans], spans)[0]
