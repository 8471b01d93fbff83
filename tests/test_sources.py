"""How sources are judged, and the PDF files in them, word for word."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from matrix_tests.sources import judge_pdfs, judge_source
from pytest_pipeline import Blocked
from pytest_pipeline.data.listing import BroughtBack, Names, SourceListing
from pytest_pipeline.data.pdfs import PdfFault
from pytest_pipeline.observers.pdf_count import Unseen
from pytest_pipeline.observers.pdf_look import PdfsSeen
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Pdfs, Source

if TYPE_CHECKING:
    from collections.abc import Callable

URI = "s3://policy/trade/"
TRADE = Source(name="trade", uri=URI)
LATER = Source(name="trade", uri=URI, optional=True)
NONE = Names()
LISTED = SourceListing(
    uri=URI, kept=(), count=3, size_bytes=300, folder_markers=0, empty=NONE, archived=NONE, excluded=NONE,
    no_files=NONE, others=0, unmatched=(), brought_back=(), newest=None, complete=True,
)  # fmt: skip
NOTHING = replace(LISTED, count=0, size_bytes=0)


def names(*first: str, count: int = 0) -> Names:
    return Names(count=count or len(first), first=first)


def said(judge: Callable[..., object], *given: Any) -> tuple[str, Evidence]:
    """Return the failure's text, "" where there is none, and what was noted."""
    evidence = Evidence()
    try:
        judge(*given, evidence)
    except Blocked:
        raise
    except pytest.fail.Exception as failed:
        return str(failed), evidence
    return "", evidence


def blocked(judge: Callable[..., object], *given: Any) -> tuple[str, str]:
    """Return why a row could not look, and which row answers for it."""
    with pytest.raises(Blocked) as caught:
        judge(*given, Evidence())
    return caught.value.reason, caught.value.by


def judged(listing: SourceListing, source: Source = TRADE, **others: Reading[SourceListing]) -> tuple[str, Evidence]:
    return said(judge_source, source, {"trade": Reading.of(listing), **others})


class TestSource:
    """data-sources, one case."""

    def test_a_source_with_files_is_right(self) -> None:
        failure, evidence = judged(
            LISTED,
            empty=Reading.of(NOTHING),
            denied=Reading.missing("denied", by="s3-read"),
            more=Reading.of(LISTED),
        )

        assert (failure, evidence.warnings) == ("", [])
        assert evidence.noted == {
            "folder": "trade", "uri": URI, "ok": 2, "all": 4, "files": 3, "size_bytes": 300,
        }  # fmt: skip

    def test_one_without_a_file_is_wrong(self) -> None:
        failure, evidence = judged(NOTHING)

        assert failure == f"nothing to read at {URI}"
        assert (evidence.noted["files"], evidence.noted["ok"], evidence.noted["all"]) == (0, 0, 1)

    def test_what_is_there_instead_of_files_is_told(self) -> None:
        of_others = replace(NOTHING, excluded=names("a.tmp", count=1_200), empty=names("b.jsonl"), folder_markers=2)
        failure, evidence = judged(of_others)

        assert failure == (
            f"nothing to read at {URI} (1,200 left out by the patterns, 1 without content, 2 folder markers)"
        )
        assert evidence.warnings == ["b.jsonl of trade have no content"]

    def test_one_that_may_be_empty_is_right_without_a_file(self) -> None:
        assert judged(NOTHING, LATER)[0] == ""

    def test_one_that_could_not_be_listed_is_no_empty_one_even_if_it_may_be_empty(self) -> None:
        denied: Reading[SourceListing] = Reading.missing("s3:ListBucket denied", by="s3-read")
        for source in (TRADE, LATER):
            assert blocked(judge_source, source, {"trade": denied}) == ("s3:ListBucket denied", "s3-read")

    def test_what_is_archived_cannot_be_read_beside_what_can(self) -> None:
        failure, evidence = judged(replace(LISTED, archived=names("a (GLACIER)", "b (DEEP_ARCHIVE)", count=7)))

        assert failure == "a (GLACIER), b (DEEP_ARCHIVE) and 5 more must be restored from an archive tier first"
        assert evidence.command == f"aws s3api restore-object ... # for each of them under {URI}"

    def test_empty_files_and_those_that_are_none_are_warned_of(self) -> None:
        _, evidence = judged(replace(LISTED, empty=names("a", "b"), no_files=names("pipe")))

        assert evidence.warnings == [
            "a, b of trade have no content",
            "pipe of trade are no files that can be read",
        ]

    def test_a_pattern_that_matches_nothing_is_warned_of(self) -> None:
        _, evidence = judged(replace(LISTED, unmatched=("-procesed/*", "+*.jsnl")))

        assert evidence.warnings == [
            "the pattern '-procesed/*' of trade matches nothing",
            "the pattern '+*.jsnl' of trade matches nothing",
        ]

    def test_an_exclude_that_a_later_include_undoes_is_warned_of(self) -> None:
        back = BroughtBack(exclude="-processed/*", include="+*.jsonl", keys=names("processed/a.jsonl", count=3))
        _, evidence = judged(replace(LISTED, brought_back=(back,)))

        assert evidence.warnings == [
            "'-processed/*' of trade leaves out what the later '+*.jsonl' takes in again: "
            "processed/a.jsonl and 2 more; put the exclude after it"
        ]

    def test_a_listing_without_its_end_does_not_pass_as_complete(self) -> None:
        failure, evidence = judged(replace(LISTED, complete=False))

        assert (failure, evidence.noted["files"]) == ("", "3+")
        assert evidence.warnings == ["trade was not listed to its end in time: nothing is known of what comes after"]

    def test_a_listing_without_its_end_and_without_a_file_does_not_say_that_there_is_none(self) -> None:
        late = replace(NOTHING, complete=False)

        assert blocked(judge_source, TRADE, {"trade": Reading.of(late)}) == (
            f"{URI} was not listed to its end in time, and no file was met",
            "data-sources",
        )
        failure, evidence = judged(late, LATER)
        assert (failure, len(evidence.warnings)) == ("", 1)


PDFS = PdfsSeen(count=20, at_least=False, in_archives=0, archives=0, opened=20, faults={}, unseen=())
WANTED = Pdfs(sources=["operatives", "trade"], limit=20)
OVER = replace(PDFS, count=21)


class TestPdfs:
    """operatives-limit."""

    def test_as_many_as_the_limit_are_right(self) -> None:
        failure, evidence = said(judge_pdfs, PDFS, WANTED)

        assert (failure, evidence.warnings) == ("", [])
        assert evidence.noted == {"count": "20", "max": "20", "opened": 20}

    def test_one_more_is_wrong(self) -> None:
        failure, evidence = said(judge_pdfs, OVER, WANTED)

        assert failure == "in operatives, trade"
        assert evidence.noted["count"] == "21"

    def test_counting_that_stopped_says_at_least(self) -> None:
        failure, evidence = said(judge_pdfs, replace(OVER, at_least=True, in_archives=19, archives=2), WANTED)

        assert failure == "in operatives, trade, 19 of them in 2 archives"
        assert evidence.noted["count"] == "21+"

    def test_an_archive_that_was_not_seen_may_hold_more(self) -> None:
        unseen = (Unseen(uri="s3://p/a.zip", why="it is broken"), Unseen(uri="s3://p/b.zip", why="late"))

        assert blocked(judge_pdfs, replace(PDFS, unseen=unseen[:1]), WANTED) == (
            "s3://p/a.zip could not be looked at: it is broken",
            "operatives-limit",
        )
        assert blocked(judge_pdfs, replace(PDFS, unseen=unseen), WANTED) == (
            "s3://p/a.zip and 1 more could not be looked at: it is broken",
            "operatives-limit",
        )

    def test_what_was_not_seen_makes_too_many_no_fewer(self) -> None:
        unseen = (Unseen(uri="s3://p/a.zip", why="it is broken"),)

        assert said(judge_pdfs, replace(OVER, unseen=unseen), WANTED)[0] == "in operatives, trade"

    def test_files_that_are_broken_are_named(self) -> None:
        faults = {PdfFault.HTML: names("s3://p/a.pdf", count=4), PdfFault.ENCRYPTED: names("s3://p/b.pdf")}
        failure, evidence = said(judge_pdfs, replace(PDFS, faults=faults), WANTED)

        assert failure == ""
        assert evidence.warnings == [
            "s3://p/a.pdf and 3 more: an HTML page named .pdf",
            "s3://p/b.pdf: encrypted",
        ]
