"""Records as a test writes them, and the spans of a file that they come in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_pipeline.data.records import Record
from pytest_pipeline.data.spans import DataFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def file_of(uri: str = "a.jsonl", size_bytes: int = 1) -> DataFile:
    return DataFile(uri=uri, size_bytes=size_bytes)


def records(values: Iterable[Any], uri: str = "a.jsonl") -> list[Record]:
    """The records of a whole file; its lines are as long as their values read in Python."""
    whole, offset = [], 0
    for number, value in enumerate(values, start=1):
        whole.append(Record(file=file_of(uri), start=0, line=number, offset=offset, values=value))
        offset += len(repr(value)) + 1
    return whole


def in_spans(whole: Sequence[Record], count: int) -> list[list[Record]]:
    """The records of a file, dealt out to spans: lines count from each span's first."""
    size = -(-len(whole) // count)
    return [
        [
            Record(file=one.file, start=part[0].offset, line=number, offset=one.offset, values=one.values)
            for number, one in enumerate(part, start=1)
        ]
        for part in (whole[at : at + size] for at in range(0, len(whole), size))
    ]
