"""How many records there are is told from sizes, about right, and not at all where a source does not tell."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.observers import record_estimate
from pytest_pipeline.observers.record_estimate import records_of_sources
from pytest_pipeline.observers.source_look import listings
from pytest_pipeline.outcome import Reading
from pytest_pipeline.settings import Data, Settings, Source

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.data.listing import SourceListing


def lay(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def lines(count: int, length: int = 20) -> bytes:
    return b"".join(json.dumps({"text": "x" * (length + number % 7)}).encode() + b"\n" for number in range(count))


def estimated(*folders: Path, **more: object) -> int | None:
    sources = [Source(name=folder.name, uri=f"{folder}/", **more) for folder in folders]  # type: ignore[arg-type]
    return records_of_sources(Settings(data=Data(sources=sources)))


def test_small_files_are_counted(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.jsonl", lines(10))
    lay(tmp_path, "a/2.JSONL", b"\n" + lines(5).removesuffix(b"\n"))
    lay(tmp_path, "b/1.ndjson", lines(7))

    assert estimated(tmp_path / "a", tmp_path / "b") == 22


def test_large_files_are_estimated_from_their_beginning(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.jsonl", lines(40_000))
    for number in range(2, 9):
        lay(tmp_path, f"a/{number}.jsonl", lines(1000))

    assert estimated(tmp_path / "a") == pytest.approx(47_000, rel=0.01)


def test_a_record_that_is_cut_does_not_count(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.jsonl", lines(10, length=50_000))

    assert estimated(tmp_path / "a") == 10


def test_a_record_that_is_longer_than_what_is_read(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.jsonl", lines(2, length=100_000))

    assert estimated(tmp_path / "a") in (3, 4)  # about


def test_what_is_no_record_has_no_part_in_it(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.jsonl", lines(10))
    lay(tmp_path, "a/report.pdf", b"\n" * 5000)
    lay(tmp_path, "a/old/1.jsonl", lines(10))
    lay(tmp_path, "pdfs/report.pdf", b"\n" * 5000)

    assert estimated(tmp_path / "a", tmp_path / "pdfs", filters=["-old/*"]) == 10


def test_a_listing_that_stopped_early_is_no_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*given: Any, **more: Any) -> dict[str, Reading[SourceListing]]:
        found = listings(*given, **more)
        return {name: Reading.of(replace(one.value, complete=False)) for name, one in found.items()}

    lay(tmp_path, "a/1.jsonl", lines(10))
    monkeypatch.setattr(record_estimate, "listings", cut)

    assert estimated(tmp_path / "a") is None


def test_a_source_that_does_not_tell_leaves_it_unknown(tmp_path: Path) -> None:
    lay(tmp_path, "a/1.jsonl", lines(10))
    lay(tmp_path, "pdfs/report.pdf", b"%PDF")

    assert estimated(tmp_path / "a", tmp_path / "gone") is None
    assert estimated(tmp_path / "pdfs") is None
    assert estimated() is None
