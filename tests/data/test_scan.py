"""Files looked at as a whole, or in part, and what is said of what was not read."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.data import scan as scanning
from pytest_pipeline.data.distinct import Digests
from pytest_pipeline.data.executors import here, processes
from pytest_pipeline.data.intervals import LEAST_SPANS, UnknownShareError
from pytest_pipeline.data.opening import LocalFiles
from pytest_pipeline.data.sampling import SAMPLE_SPAN_BYTES
from pytest_pipeline.data.scan import Leave, NoRecordError, scan
from pytest_pipeline.data.spans import DataFile
from pytest_pipeline.data.spec import Field, RecordSpec
from pytest_pipeline.data.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.data.opening import Opener
    from pytest_pipeline.data.result import Result
    from pytest_pipeline.data.spans import Span

SPEC = RecordSpec(fields=(Field(name="text"),), digests=True)
ALL = Leave(most_bytes=10**12, most_s=60.0)


def put(folder: Path, content: bytes, name: str = "a.jsonl") -> DataFile:
    path = folder / name
    path.write_bytes(content)
    return DataFile(uri=str(path), size_bytes=len(content))


def line(number: int, filler: str = "") -> bytes:
    return json.dumps({"text": f"{number} {filler}"}).encode() + b"\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> DataFile:
    """A file of forty times the span of a sample, in which one record of 64 is none."""
    filler = "word " * 12_000
    lines = (b"[1]\n" if number % 64 == 0 else line(number, filler) for number in range(700))
    return put(tmp_path_factory.mktemp("large"), b"".join(lines))


def test_what_may_be_read_is_read_and_counted_exactly(tmp_path: Path) -> None:
    files = [
        put(tmp_path, line(1) + b"[1]\n" + line(2) + b"\n", "b.jsonl"),
        put(tmp_path, line(1) + b'{"text": ""}\n', "a.jsonl"),
    ]

    seen = scan(files, SPEC, LocalFiles(), ALL)

    assert (seen.exact, seen.records, seen.valid) == (True, 5, 3)
    assert [(one.file, one.records, one.valid, one.whole) for one in seen.files] == [
        (files[0], 3, 2, True),
        (files[1], 2, 1, True),
    ]
    assert seen.invalid.sentence() == "2 of 5 records, exact"
    assert seen.lines_before == {(files[0].uri, 0): 0, (files[1].uri, 0): 0}
    assert seen.duration_s > 0


def test_files_without_a_record_are_no_success(tmp_path: Path) -> None:
    blank, empty = put(tmp_path, b"\n \n"), put(tmp_path, b"", "b.jsonl")

    with pytest.raises(NoRecordError, match=rf"^there is no record in {blank.uri}$"):
        scan([blank], SPEC, LocalFiles(), ALL)
    with pytest.raises(NoRecordError, match=rf"^there is no record in {blank.uri} and 1 more files$"):
        scan([blank, empty], SPEC, LocalFiles(), ALL)
    with pytest.raises(NoRecordError, match=r"^there is no file$"):
        scan([], SPEC, LocalFiles(), ALL)


def test_of_more_than_may_be_read_random_spans_are(large: DataFile) -> None:
    assert large.size_bytes > (LEAST_SPANS + 5) * SAMPLE_SPAN_BYTES

    seen = scan([large], SPEC, LocalFiles(), replace(ALL, most_bytes=SAMPLE_SPAN_BYTES))
    (of_file,) = seen.files

    assert not seen.exact
    assert not of_file.whole
    assert seen.invalid.spans == LEAST_SPANS
    assert 0 < seen.invalid.records == of_file.records < 700
    assert seen.invalid.low <= 1 / 64 <= seen.invalid.high
    assert {one.line for one in of_file.defects} == {0}


def test_the_same_seed_looks_at_the_same(large: DataFile) -> None:
    leave = replace(ALL, most_bytes=SAMPLE_SPAN_BYTES, seed=3)
    first, second, other = (scan([large], SPEC, LocalFiles(), replace(leave, seed=seed)) for seed in (3, 3, 4))

    assert (first.files, first.invalid) == (second.files, second.invalid)
    assert first.files != other.files


def test_about_as_many_records_as_are_asked_for_are_looked_at(large: DataFile) -> None:
    few = scan([large], SPEC, LocalFiles(), replace(ALL, records=10))
    more = scan([large], SPEC, LocalFiles(), replace(ALL, records=620))
    every = scan([large], SPEC, LocalFiles(), replace(ALL, records=100_000))

    assert (few.exact, few.invalid.spans) == (False, LEAST_SPANS)  # fewer tell nothing
    assert not more.exact
    assert 550 < more.records < 690
    assert (every.exact, every.records) == (True, 700)


def test_of_a_small_file_all_records_are_looked_at_however_few_are_asked_for(tmp_path: Path) -> None:
    seen = scan([put(tmp_path, b"".join(map(line, range(50))))], SPEC, LocalFiles(), replace(ALL, records=1))

    assert (seen.exact, seen.records) == (True, 50)


@pytest.mark.parametrize("records", [None, 600, 100_000])
def test_what_is_read_for_the_pilot_is_counted_once(large: DataFile, tmp_path: Path, records: int | None) -> None:
    with Digests(tmp_path) as digests:
        seen = scan([large], SPEC, LocalFiles(), replace(ALL, records=records), digests=digests)
        repeats = digests.repeats()

    assert (repeats.records, repeats.distinct) == (seen.valid, seen.valid)


def test_what_was_read_for_the_pilot_is_not_read_again(large: DataFile, monkeypatch: pytest.MonkeyPatch) -> None:
    read: Counter[Span] = Counter()

    def count(span: Span, **more: Any) -> Result:
        read[span] += 1
        return validate(span, **more)

    monkeypatch.setattr(scanning, "validate", count)
    seen = scan([large], SPEC, LocalFiles(), replace(ALL, records=600))

    assert {*read.values()} == {1}
    assert len(read) == seen.invalid.spans > LEAST_SPANS


def test_what_repeats_across_files_is_told(tmp_path: Path) -> None:
    files = [put(tmp_path, line(1) + line(2), f"{name}.jsonl") for name in "ab"]
    with Digests(tmp_path) as digests:
        scan(files, SPEC, LocalFiles(), ALL, digests=digests)
        repeats = digests.repeats()

    assert (repeats.records, repeats.distinct) == (4, 2)


def test_digests_of_the_same_file_in_a_second_scan_change_nothing(tmp_path: Path) -> None:
    file = put(tmp_path, line(1) + line(2))
    with Digests(tmp_path) as digests:
        for _ in range(2):
            scan([file], SPEC, LocalFiles(), ALL, digests=digests)
        assert digests.records == 2


class Clock:
    """Stands still until a span was read, and is far beyond every deadline then."""

    def __init__(self) -> None:
        self.now = 0.0

    def validate(self, span: Span, *, spec: RecordSpec, opener: Opener) -> Result:
        self.now = 1e6
        return validate(span, spec, opener)

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("leave", "message"),
    [
        (replace(ALL, most_bytes=SAMPLE_SPAN_BYTES), r"^1 of 4\d spans were looked at; an interval needs 32$"),
        (replace(ALL, records=600), r"^\d of 4\d spans were looked at; an interval needs 32$"),
    ],
)
def test_time_that_runs_out_is_no_result(
    large: DataFile, monkeypatch: pytest.MonkeyPatch, leave: Leave, message: str
) -> None:
    clock = Clock()
    monkeypatch.setattr(scanning, "validate", clock.validate)
    monkeypatch.setattr(scanning, "time", clock)
    monkeypatch.setattr("pytest_pipeline.data.running.monotonic", clock.monotonic)

    with pytest.raises(UnknownShareError, match=message):
        scan([large], SPEC, LocalFiles(), leave)


def test_no_time_at_all_is_no_result_of_a_whole_file_either(tmp_path: Path) -> None:
    with pytest.raises(UnknownShareError, match=r"^only 0 of 1 spans were read, and those not drawn at random$"):
        scan([put(tmp_path, line(1))], SPEC, LocalFiles(), replace(ALL, most_s=0.0))


def test_the_result_is_the_same_on_any_number_of_workers(tmp_path: Path) -> None:
    rng = random.Random(5)  # noqa: S311  # no secret
    files = [
        put(tmp_path, b"".join(rng.choice([line(n), b"[1]\n", b"\n", b"{}\n"]) for n in range(900)), f"{name}.jsonl")
        for name in "cab"
    ]
    seen = []
    for open_pool in (here, partial(processes, 1), partial(processes, 3)):
        with Digests(tmp_path) as digests:
            one = scan(files, SPEC, LocalFiles(), ALL, digests=digests, open_pool=open_pool)
            seen.append((one.files, one.invalid, one.lines_before, digests.repeats()))

    assert seen[0] == seen[1] == seen[2]
    assert [file.file for file in seen[0][0]] == files
