"""What a file is as a whole, by its first bytes: how it is packed, in what characters, and whether it has lines."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_pipeline.data.defect import Reason
from pytest_pipeline.data.opening import whole
from pytest_pipeline.data.spans import Compression, DataFile, Shape
from pytest_pipeline.data.unpacking import BrokenStreamError, unpacked

if TYPE_CHECKING:
    from pytest_pipeline.data.opening import Opener, Readable

HEAD_BYTES = 64 * 1024

REASONS = {
    Shape.ARRAY: (Reason.ARRAY, "the file is one JSON array, not one record a line"),
    Shape.PRETTY_PRINTED: (Reason.PRETTY_PRINTED, "its records go over several lines each"),
    Shape.UTF16: (Reason.UTF16, "the file is in UTF-16, not UTF-8"),
    Shape.UTF32: (Reason.UTF16, "the file is in UTF-32, not UTF-8"),
}
"""Of each shape but lines: the one defect that the whole file is, and its detail."""

_MAGIC = {Compression.GZIP: b"\x1f\x8b", Compression.ZSTD: b"\x28\xb5\x2f\xfd"}  # RFC 1952 and RFC 8878
_BOM = b"\xef\xbb\xbf"
_NUL_PATTERNS = (  # of the first four bytes, which are ASCII in JSON (RFC 4627, section 3)
    (re.compile(rb"(?s)\xff\xfe\0\0|\0\0\xfe\xff|[^\0]\0\0\0|\0\0\0[^\0]"), Shape.UTF32),
    (re.compile(rb"(?s)\xff\xfe|\xfe\xff|[^\0]\0[^\0]\0|\0[^\0]\0[^\0]|[^\0]\0\Z|\0[^\0]\Z"), Shape.UTF16),
)
_ARRAY = re.compile(rb"\s*\[\s*(?:\{|\Z)")
_SPREAD = re.compile(rb'\s*\{[ \t\r]*\n\s*["}]')


def examined(file: DataFile, opener: Opener) -> DataFile:
    """Return the file with its compression and shape, from its first 64 KiB.

    Raises FileChangedError, MissingLibraryError, and what the opener raises.
    """
    if not file.size_bytes:
        return file
    with closing(whole(opener.open(file, 0), file.size_bytes)) as source:
        compression = compression_of(_head(source, HEAD_BYTES))
    with closing(unpacked(whole(opener.open(file, 0), file.size_bytes), compression)) as source:
        head = _head(source, HEAD_BYTES + 1)
    return replace(file, compression=compression, shape=shape_of(head[:HEAD_BYTES], complete=len(head) <= HEAD_BYTES))


def compression_of(head: bytes) -> Compression:
    """Return how a file is packed, by its first four bytes."""
    return next((kind for kind, magic in _MAGIC.items() if head.startswith(magic)), Compression.NONE)


def shape_of(head: bytes, *, complete: bool) -> Shape:
    """Return what a file is, from its first bytes, unpacked; `complete` where they are all.

    An array is told by what it begins with, unless its first line is a whole value and others follow: that is a line
    of its own, and wrong as one. Pretty-printed is an object whose brace stands alone on a line, or one that ends on
    another line than it begins on.
    """
    for pattern, shape in _NUL_PATTERNS:
        if pattern.match(head[:4]):
            return shape
    text = head.removeprefix(_BOM).lstrip()
    first, _, others = text.partition(b"\n")
    if _ARRAY.match(text):
        alone = complete and not others.strip()
        return Shape.LINES if _is_value(first) and not alone else Shape.ARRAY
    if text.startswith(b"{") and (_SPREAD.match(text) or _goes_over_lines(text)):
        return Shape.PRETTY_PRINTED
    return Shape.LINES


def _is_value(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _goes_over_lines(text: bytes) -> bool:
    characters = text.decode("utf-8", "replace")
    try:
        _, end = json.JSONDecoder().raw_decode(characters)
    except (ValueError, RecursionError):
        return False
    return "\n" in characters[:end]


def _head(source: Readable, most_bytes: int) -> bytes:
    """Return the first bytes; of a stream that breaks sooner, those before: the validator says where it broke."""
    head = bytearray(most_bytes)
    have = 0
    try:
        while have < most_bytes and (got := source.readinto(memoryview(head)[have:])):
            have += got
    except BrokenStreamError:
        pass
    return bytes(head[:have])
