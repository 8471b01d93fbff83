"""About how many records the sources have: their size, by the length of the first records of each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.observers.records_look import UNREADABLE, Anywhere
from pytest_pipeline.observers.s3_files import S3ReadError
from pytest_pipeline.observers.side_by_side import side_by_side
from pytest_pipeline.observers.source_look import SOURCES_ROW, listings, want_of

if TYPE_CHECKING:
    from pytest_pipeline.data.listing import Entry, SourceListing
    from pytest_pipeline.settings import Settings

_LINES = (".jsonl", ".ndjson")
_HEADS = 2  # of each source
_HEAD_BYTES = 64 * 1024
_HEADS_S = 20.0


def records_of_sources(settings: Settings) -> int | None:
    """Return about how many records all sources have as JSON lines, None where one of them does not tell."""
    wants = {source.name: replace(want_of(source), suffixes=_LINES, keep=_HEADS) for source in settings.data.sources}
    found = listings(settings, wants, owner=SOURCES_ROW)
    if not all(listing.is_known and listing.value.complete for listing in found.values()):
        return None
    looks = {name: partial(_records, settings, one.value) for name, one in found.items() if one.value.count}
    try:
        records = side_by_side(looks, deadline_s=_HEADS_S)
    except (S3ReadError, *UNREADABLE):
        return None
    return round(sum(records.values())) or None if len(records) == len(looks) else None


def _records(settings: Settings, listing: SourceListing) -> float:
    heads = [_head(settings, entry) for entry in listing.kept]
    lines = sum(1 for head in heads for line in head.splitlines() if line.strip())
    return listing.size_bytes * lines / sum(map(len, heads))


def _head(settings: Settings, entry: Entry) -> bytes:
    """Return the first whole lines of a file, or the beginning of a line that is longer than is read."""
    reader = Anywhere(aws=settings.aws, span_bytes=_HEAD_BYTES).open(entry.file, 0)
    try:
        view = memoryview(bytearray(min(_HEAD_BYTES, entry.size_bytes)))
        filled = 0
        while got := reader.readinto(view[filled:]):
            filled += got
        head = bytes(view[:filled])
    finally:
        reader.close()
    return head if filled == entry.size_bytes else head[: head.rfind(b"\n") + 1] or head
