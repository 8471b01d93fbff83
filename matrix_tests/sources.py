"""Judging the sources of data, and what comes over the network from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import Blocked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.data.listing import Names, SourceListing
    from pytest_pipeline.observers.pdf_look import PdfsSeen
    from pytest_pipeline.settings import Pdfs, Source


def judge_source(source: Source, listings: Mapping[str, Reading[SourceListing]], evidence: Evidence) -> None:
    """Whether a source has files, and whether the patterns take what somebody meant by them."""
    ok = sum(one.is_known and one.value.count > 0 for one in listings.values())
    evidence(folder=source.name, uri=source.uri, ok=ok, all=len(listings))
    listing = listings[source.name].value
    evidence(files=listing.count if listing.complete else f"{listing.count}+", size_bytes=listing.size_bytes)
    if listing.archived.count:
        evidence.remedy(f"aws s3api restore-object ... # for each of them under {source.uri}")
        pytest.fail(f"{_names(listing.archived)} must be restored from an archive tier first", pytrace=False)
    if listing.empty.count:
        evidence.warn(f"{_names(listing.empty)} of {source.name} have no content")
    if listing.no_files.count:
        evidence.warn(f"{_names(listing.no_files)} of {source.name} are no files that can be read")
    for rule in listing.unmatched:
        evidence.warn(f"the pattern {rule!r} of {source.name} matches nothing")
    for back in listing.brought_back:
        evidence.warn(
            f"{back.exclude!r} of {source.name} leaves out what the later {back.include!r} takes in again: "
            f"{_names(back.keys)}; put the exclude after it"
        )
    if not listing.complete:
        if not listing.count and not source.optional:
            raise Blocked(f"{source.uri} was not listed to its end in time, and no file was met", by="data-sources")
        evidence.warn(f"{source.name} was not listed to its end in time: nothing is known of what comes after")
    if not listing.count and not source.optional:
        pytest.fail(f"nothing to read at {source.uri}{_what_else(listing)}", pytrace=False)


def _what_else(listing: SourceListing) -> str:
    there = [
        f"{count:,} {what}"
        for count, what in (
            (listing.excluded.count, "left out by the patterns"),
            (listing.empty.count, "without content"),
            (listing.folder_markers, "folder markers"),
        )
        if count
    ]
    return f" ({', '.join(there)})" if there else ""


def _names(names: Names) -> str:
    more = f" and {names.count - len(names.first):,} more" if names.count > len(names.first) else ""
    return f"{', '.join(names.first)}{more}"


def judge_pdfs(pdfs: PdfsSeen, wanted: Pdfs, evidence: Evidence) -> None:
    """Whether there are no more PDF files than can be processed, and whether those are whole."""
    count = f"{pdfs.count:,}+" if pdfs.at_least else f"{pdfs.count:,}"
    evidence(count=count, max=f"{wanted.limit:,}", opened=pdfs.opened)
    inside = f", {pdfs.in_archives:,} of them in {pdfs.archives} archives" if pdfs.in_archives else ""
    if pdfs.count > wanted.limit:
        pytest.fail(f"in {', '.join(wanted.sources)}{inside}", pytrace=False)
    if pdfs.unseen:
        first = pdfs.unseen[0]
        more = f" and {len(pdfs.unseen) - 1:,} more" if len(pdfs.unseen) > 1 else ""
        raise Blocked(f"{first.uri}{more} could not be looked at: {first.why}", by="operatives-limit")
    for fault, names in pdfs.faults.items():
        evidence.warn(f"{_names(names)}: {fault.value}")
