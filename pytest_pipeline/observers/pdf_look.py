"""The PDF files of the sources that have a limit on them: counted in folders and archives, and a few of them opened."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_pipeline.data.archives import ARCHIVES, is_archive
from pytest_pipeline.data.listing import Names  # noqa: TC001 - likewise
from pytest_pipeline.data.pdfs import EDGE_BYTES, SUFFIX, PdfFault, drawn, is_pdf
from pytest_pipeline.observers.pdf_count import Unseen, count_in_archives, open_pdfs
from pytest_pipeline.observers.records_look import SEED, Anywhere
from pytest_pipeline.observers.source_look import listings, want_of
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pytest_pipeline.data.listing import Entry
    from pytest_pipeline.settings import Settings

PDFS_ROW = "operatives-limit"
_OPENED = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfsSeen:
    """How many PDF files there are: `count`, or more where `at_least`; `in_archives` of them lie in archives.

    Of those in folders `opened` were opened: `faults` says what is wrong with which. `unseen` are archives and files
    that could not be looked at.
    """

    count: int
    at_least: bool
    in_archives: int
    archives: int
    opened: int
    faults: Mapping[PdfFault, Names]
    unseen: tuple[Unseen, ...]


def look_at_pdfs(settings: Settings) -> Reading[Any]:
    """Count the PDF files up to the limit and one, and open a few."""
    wanted = settings.data.pdfs
    if wanted is None:
        return Reading.missing("data.pdfs: sources and limit", by="settings")
    sources = [source for source in settings.data.sources if source.name in wanted.sources]
    suffixes = (SUFFIX, *(ARCHIVES if wanted.archives else ()))
    wants = {one.name: replace(want_of(one), keep=None, suffixes=suffixes) for one in sources}
    entries: list[Entry] = []
    unfinished: list[str] = []
    for listing in listings(settings, wants, owner=PDFS_ROW).values():
        if not listing.is_known:
            return listing.hand_on()
        if not listing.value.complete:
            unfinished.append(listing.value.uri)
        entries += listing.value.kept
    opener = Anywhere(aws=settings.aws, span_bytes=EDGE_BYTES)
    pdfs = [entry.file for entry in entries if is_pdf(entry.key)]
    if unfinished and len(pdfs) <= wanted.limit:
        return Reading.missing(f"{unfinished[0]} was not listed to its end in time", by=PDFS_ROW)
    archives = [entry.file for entry in entries if wanted.archives and is_archive(entry.key)]
    most = max(0, wanted.limit + 1 - len(pdfs))
    inside = count_in_archives(archives, opener, at_most=most)
    opened = open_pdfs(drawn(pdfs, _OPENED, SEED), opener)
    return Reading.of(
        PdfsSeen(
            count=len(pdfs) + inside.count,
            at_least=bool(unfinished) or (bool(archives) and inside.enough),
            in_archives=inside.count,
            archives=len(archives),
            opened=opened.looked,
            faults=opened.faults,
            unseen=(*inside.unseen, *opened.unseen),
        )
    )
