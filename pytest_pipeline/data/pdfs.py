"""PDF files: which names are, and what can be told of one by a few of its bytes (ISO 32000-1, 7.5)."""

from __future__ import annotations

import random
import re
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

SUFFIX = ".pdf"

EDGE_BYTES = 1024
"""What is looked at of either end: the header and `%%EOF` are within it (ISO 32000-1, implementation notes 13, 18)."""

_HTML = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body|\?xml)", re.IGNORECASE)
_CROSS_REFERENCE = re.compile(rb"\s*(?:xref|\d+\s+\d+\s+obj)")
_STARTXREF = re.compile(rb"startxref\s+(\d{1,15})\s")
_ENCRYPT = re.compile(rb"/Encrypt[\s\d<]")


class PdfFault(StrEnum):
    """What is wrong with a file that is named as a PDF."""

    EMPTY = "empty"
    HTML = "an HTML page named .pdf"
    NO_PDF = "no PDF: it lacks %PDF- at its beginning"
    CUT = "cut off: it lacks %%EOF at its end"
    BROKEN = "broken: its table of objects is not where it says"
    ENCRYPTED = "encrypted"


def is_pdf(name: str) -> bool:
    """Whether a file's name says so, in any case."""
    return name.lower().endswith(SUFFIX)


def fault_of(head: bytes, tail: bytes, table: bytes | None = None) -> PdfFault | None:
    """Return what is wrong with a PDF, by its first and last bytes and those at `table_place`; None if nothing is."""
    if not head:
        return PdfFault.EMPTY
    if _HTML.match(head):
        return PdfFault.HTML
    if b"%PDF-" not in head:
        return PdfFault.NO_PDF
    if b"%%EOF" not in tail:
        return PdfFault.CUT
    if table is not None and not _CROSS_REFERENCE.match(table):
        return PdfFault.BROKEN
    return PdfFault.ENCRYPTED if any(_ENCRYPT.search(part) for part in (head, tail, table or b"")) else None


def table_place(head: bytes, tail: bytes) -> int | None:
    """Return where a PDF says that its table of objects is, or None where it does not say or counts from elsewhere.

    In front of the header there may be bytes of somebody else's, and writers disagree on whether they count.
    """
    said = _STARTXREF.findall(tail)
    return int(said[-1]) if said and head.startswith(b"%PDF-") else None


def drawn(files: Sequence[T], count: int, seed: int) -> tuple[T, ...]:
    """Return so many of the files, or all, drawn at random; the same for the same seed."""
    return tuple(random.Random(seed).sample(files, min(count, len(files))))  # noqa: S311  # a sample, no secret
