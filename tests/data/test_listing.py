"""What lies in a source is told apart, in memory that does not grow with it."""

from __future__ import annotations

from typing import Any

from pytest_pipeline.data.filters import Filters
from pytest_pipeline.data.listing import BroughtBack, Entry, Names, SourceListing, Tally, Want
from pytest_pipeline.data.spans import DataFile


def entry(key: str, size_bytes: int = 10, **more: Any) -> Entry:
    return Entry(key=key, uri=f"s3://b/in/{key}", size_bytes=size_bytes, **more)


def listing(*entries: Entry, rules: tuple[str, ...] = (), complete: bool = True, **more: Any) -> SourceListing:
    tally = Tally(Want(uri="s3://b/in/", filters=Filters(rules=rules), **more))
    for one in entries:
        tally.add(one)
    return tally.listing(complete=complete)


def test_markers_empty_archived_and_excluded_keys_are_no_files() -> None:
    seen = listing(
        entry("", 0),
        entry("sub/", 0),
        entry("a.jsonl", 7, version='"e"', modified_s=5.0),
        entry("_SUCCESS", 0),
        entry("old.jsonl", archived="DEEP_ARCHIVE"),
        entry("notes.txt"),
        entry("pipe", is_file=False),
        rules=("-*.txt",),
    )
    assert seen == SourceListing(
        uri="s3://b/in/",
        kept=(Entry(key="a.jsonl", uri="s3://b/in/a.jsonl", size_bytes=7, version='"e"', modified_s=5.0),),
        count=1,
        size_bytes=7,
        folder_markers=2,
        empty=Names(count=1, first=("_SUCCESS",)),
        archived=Names(count=1, first=("old.jsonl (DEEP_ARCHIVE)",)),
        excluded=Names(count=1, first=("notes.txt",)),
        no_files=Names(count=1, first=("pipe",)),
        others=0,
        unmatched=(),
        brought_back=(),
        newest=Entry(key="a.jsonl", uri="s3://b/in/a.jsonl", size_bytes=7, version='"e"', modified_s=5.0),
        complete=True,
    )
    assert seen.files == (DataFile(uri="s3://b/in/a.jsonl", size_bytes=7, version='"e"'),)


def test_what_filters_leave_out_is_not_called_empty_or_archived() -> None:
    seen = listing(entry("_SUCCESS", 0), entry("x.bin", archived="GLACIER"), rules=("-*",))
    assert (seen.excluded.count, seen.empty.count, seen.archived.count) == (2, 0, 0)


def test_a_pattern_that_matches_nothing_is_named_once_all_keys_are_known() -> None:
    rules = ("-processed/*", "-*", "+*.jsonl", "+*.PDF")
    keys = (entry("a.jsonl"), entry("empty.PDF", 0), entry("processed/", 0))
    assert listing(*keys, rules=rules).unmatched == ("-processed/*",)
    assert listing(*keys, rules=rules, complete=False).unmatched == ()


def test_excludes_that_came_back_are_counted_by_the_pair_that_did_it() -> None:
    keys = [entry(f"processed/{number}.jsonl") for number in range(7)]
    seen = listing(*keys, entry("failed/a.txt"), rules=("-processed/*", "-failed/*", "-*", "+*.jsonl"))
    first = tuple(f"processed/{number}.jsonl" for number in range(5))
    assert seen.brought_back == (
        BroughtBack(exclude="-processed/*", include="+*.jsonl", keys=Names(count=7, first=first)),
    )
    assert (seen.count, seen.excluded.count) == (7, 1)


def test_an_empty_file_that_came_back_is_no_file_that_came_back() -> None:
    seen = listing(entry("processed/a.jsonl", 0), rules=("-processed/*", "-*", "+*.jsonl"))
    assert (seen.brought_back, seen.empty.count) == ((), 1)


def test_there_are_enough_at_the_asked_number_of_files_and_not_of_keys() -> None:
    tally = Tally(Want(uri="s3://b/in/", at_most=2))
    seen = []
    for one in (entry("a/", 0), entry("a/empty", 0), entry("a/1"), entry("a/2")):
        took = tally.add(one)
        seen.append((took, tally.enough))
    assert seen == [(False, False), (False, False), (True, False), (True, True)]


def test_names_of_another_suffix_are_neither_looked_for_nor_excluded() -> None:
    keys = (entry("a.PDF"), entry("b.pdf"), entry("c.txt"), entry("e.txt", 0), entry("f.pdf.bak"), entry("x/d.pdf"))
    seen = listing(*keys, rules=("-x/*",), suffixes=(".Pdf",))
    assert [kept.key for kept in seen.kept] == ["a.PDF", "b.pdf"]
    assert (seen.count, seen.others, seen.excluded.count, seen.empty.count) == (2, 3, 1, 0)


def test_only_as_many_files_are_kept_as_were_asked_for() -> None:
    keys = [entry(str(number), modified_s=float(number % 7)) for number in range(20)]
    seen = listing(*keys, keep=3)
    assert ([kept.key for kept in seen.kept], seen.count, seen.size_bytes) == (["0", "1", "2"], 20, 200)
    assert seen.newest is not None
    assert seen.newest.key == "6"
    assert len(listing(*keys).kept) == 20
    assert listing().newest is None
