"""Spans are drawn, and what they tell of the whole is said with its limits."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter

import pytest

from pytest_pipeline.data.intervals import LEAST_SPANS, UnknownShareError
from pytest_pipeline.data.result import Result
from pytest_pipeline.data.sampling import (
    SAMPLE_SPAN_BYTES,
    Draw,
    Estimate,
    Sample,
    bytes_for,
    choose,
    estimate,
)
from pytest_pipeline.data.spans import Compression, DataFile, Shape, Span, spans_of

MIB = 1024 * 1024
PLAIN = [DataFile(uri=f"s3://bucket/train-{n}.jsonl", size_bytes=n * 100 * MIB + n) for n in (1, 2, 3, 0)]
PACKED = [
    DataFile(uri=f"s3://bucket/more-{n}.jsonl.gz", size_bytes=MIB + n, compression=Compression.GZIP) for n in range(50)
]


def read(span: Span, bad: int = 0, records: int = 200) -> Result:
    return Result(span=span, lines=records, records=records, valid=records - bad, read_bytes=span.end - span.start)


def told(**of: float) -> Estimate:
    values = {"share": 0, "low": 0, "high": 1, "bad": 0, "records": 1, "spans": 64, "of_spans": 936, "hidden": 0.05}
    return Estimate(**{**values, "seed": 7, "exact": False, **of})  # type: ignore[arg-type]


def test_what_fits_into_the_budget_is_read_whole_and_in_order() -> None:
    sample = choose(PLAIN + PACKED, budget_bytes=1_000 * MIB, seed=7)

    assert sample.exact
    assert sample.spans == spans_of(PLAIN + PACKED)


def test_random_spans_of_a_mebibyte_about_fill_the_budget() -> None:
    sample = choose(PLAIN, budget_bytes=64 * MIB, seed=7)

    assert not sample.exact
    assert len(set(sample.spans)) == len(sample.spans) == 65
    assert 60 * MIB < sample.size_bytes <= 65 * MIB
    for span in sample.spans:
        assert span.start % SAMPLE_SPAN_BYTES == 0
        assert span.end == min(span.start + SAMPLE_SPAN_BYTES, span.file.size_bytes)
    assert [draw.of_spans for draw in sample.draws] == [101 + 201 + 301]


def test_a_small_budget_still_draws_as_many_spans_as_an_interval_needs() -> None:
    assert len(choose(PLAIN, budget_bytes=0, seed=7).spans) == LEAST_SPANS


def test_few_spans_are_all_read_whatever_the_budget() -> None:
    few = [DataFile(uri="/few", size_bytes=LEAST_SPANS * MIB)]

    assert choose(few, budget_bytes=0, seed=7).exact
    assert choose([], budget_bytes=0, seed=7) == Sample(draws=(Draw(spans=(), of_spans=0),), seed=7, exact=True)


def test_the_same_seed_draws_the_same_spans_in_any_order_of_files_and_in_any_process() -> None:
    shuffled = random.Random(1).sample(PLAIN + PACKED, 54)  # noqa: S311
    sample = choose(PLAIN + PACKED, budget_bytes=64 * MIB, seed=7)
    elsewhere = subprocess.run(
        [
            sys.executable,
            "-c",
            "from data.test_sampling import *; sample = choose(PLAIN + PACKED, budget_bytes=64 * MIB, seed=7);"
            "print([(span.file.uri, span.start) for span in sample.spans])",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "5"},
        timeout=60,
    )

    assert choose(shuffled, budget_bytes=64 * MIB, seed=7) == sample
    assert elsewhere.stdout.strip() == str([(span.file.uri, span.start) for span in sample.spans])
    assert choose(PLAIN + PACKED, budget_bytes=64 * MIB, seed=8).spans != sample.spans


def test_a_larger_budget_adds_spans_to_those_of_a_smaller_one() -> None:
    small, large = (choose(PLAIN, budget_bytes=budget * MIB, seed=7) for budget in (64, 128))

    assert large.draws[0].spans[: len(small.draws[0].spans)] == small.draws[0].spans


def test_every_span_is_drawn_as_often_as_any_other() -> None:
    file = DataFile(uri="/a", size_bytes=40 * 1_000)
    drawn = Counter(
        span.start
        for seed in range(2_000)
        for span in choose([file], budget_bytes=0, seed=seed, span_bytes=1_000).spans
    )

    assert len(drawn) == 40
    assert min(drawn.values()) > 2_000 * 0.8 * 0.96
    assert max(drawn.values()) < 2_000 * 0.8 * 1.04


def test_files_of_another_shape_than_lines_are_one_span_too() -> None:
    arrays = [DataFile(uri=f"/{n}", size_bytes=9 * MIB, shape=Shape.ARRAY) for n in range(40)]

    assert {(span.start, span.end) for span in choose(arrays, budget_bytes=0, seed=7).spans} == {(0, 9 * MIB)}


def test_empty_files_are_not_drawn_since_no_record_starts_in_them() -> None:
    empty = [
        DataFile(uri=f"/{n}", size_bytes=0, compression=kind)
        for n, kind in enumerate([Compression.NONE, Compression.GZIP] * 50)
    ]
    sample = choose(PLAIN + empty, budget_bytes=64 * MIB, seed=7)

    assert [draw.of_spans for draw in sample.draws] == [603]


def test_packed_files_are_drawn_whole_as_a_stratum_of_their_own() -> None:
    sample = choose(PLAIN + PACKED, budget_bytes=64 * MIB, seed=7)
    plain, packed = sample.draws

    assert [len(draw.spans) for draw in sample.draws] == [60, LEAST_SPANS]
    assert (plain.of_spans, packed.of_spans) == (603, 50)
    assert all((span.start, span.end) == (0, span.file.size_bytes) for span in packed.spans)
    assert {bool(span.file.compression) for span in plain.spans} == {False}


def test_any_first_part_of_the_spans_holds_its_share_of_each_stratum() -> None:
    sample = choose(PLAIN + PACKED, budget_bytes=64 * MIB, seed=7)

    assert 14 <= sum(bool(span.file.compression) for span in sample.spans[:46]) <= 18


def test_records_are_turned_into_bytes_by_how_long_they_were_found_to_be() -> None:
    spans = choose([DataFile(uri="/a", size_bytes=100 * MIB)], budget_bytes=0, seed=7).spans

    assert bytes_for(1_000, [read(span, records=256) for span in spans]) == 1_000 * 4_096
    with pytest.raises(UnknownShareError, match=r"^no record starts in the 32 spans that were looked at$"):
        bytes_for(1_000, [read(span, records=0) for span in spans])


def test_a_full_scan_is_exact() -> None:
    files = [DataFile(uri="/a", size_bytes=100 * MIB)]
    sample = choose(files, budget_bytes=100 * MIB, seed=7)
    exact = estimate(sample, [read(span, bad=6, records=25_000) for span in sample.spans])

    assert (exact.share, exact.low, exact.high, exact.hidden) == (0.00024, 0.00024, 0.00024, 0.0)
    assert exact.sentence() == "12 of 50,000 records, exact"


def test_a_sample_says_between_what_the_share_lies_and_what_it_was_told_from() -> None:
    sample = choose(PLAIN, budget_bytes=64 * MIB, seed=7)
    results = [read(span, bad=number % 5 == 0) for number, span in enumerate(sample.spans)]

    assert estimate(sample, results).sentence() == (
        "invalid 0.10 % (0.05-0.18 %, 95 %, 13 of 13,000 records in 65 of 603 spans, seed 7)"
    )
    assert estimate(sample, reversed(results)) == estimate(sample, results)


def test_where_nothing_was_found_the_limit_is_that_of_spans_that_were_not_looked_at() -> None:
    sample = choose(PLAIN, budget_bytes=64 * MIB, seed=7)
    clean = estimate(sample, map(read, sample.spans))

    assert clean.high == clean.hidden == 31 / 603
    assert clean.sentence() == "invalid 0.0 % (0.0-5.2 %, 95 %, 0 of 13,000 records in 65 of 603 spans, seed 7)"


def test_something_else_than_invalid_records_can_be_counted() -> None:
    sample = choose(PLAIN, budget_bytes=64 * MIB, seed=7)
    long = estimate(sample, map(read, sample.spans), bad=lambda result: result.lines // 2)

    assert long.sentence("cut").startswith("cut 50 % (49-51 %, 95 %, 6,500 of 13,000 records")


def test_what_was_drawn_first_counts_where_time_ran_out() -> None:
    sample = choose(PLAIN, budget_bytes=64 * MIB, seed=7)
    first, late = sample.spans[:40], sample.spans[45:]
    told = estimate(sample, [*map(read, first), *(read(span, bad=200) for span in late)])

    assert (told.spans, told.of_spans, told.bad) == (40, 603, 0)


def test_too_little_of_a_sample_tells_nothing() -> None:
    sample = choose(PLAIN, budget_bytes=64 * MIB, seed=7)

    with pytest.raises(UnknownShareError, match=r"^20 of 603 spans were looked at; an interval needs 32$"):
        estimate(sample, map(read, sample.spans[:20]))


def test_a_full_scan_that_was_cut_short_is_no_sample() -> None:
    sample = choose(PLAIN, budget_bytes=1_000 * MIB, seed=7)

    with pytest.raises(UnknownShareError, match=r"^only 11 of 12 spans were read, and those not drawn at random$"):
        estimate(sample, map(read, sample.spans[1:]))


def test_no_record_is_no_clean_record() -> None:
    for budget in (64 * MIB, 1_000 * MIB):
        sample = choose(PLAIN, budget_bytes=budget, seed=7)
        with pytest.raises(UnknownShareError, match=r"^no record starts in the spans"):
            estimate(sample, [read(span, records=0) for span in sample.spans])


@pytest.mark.parametrize(
    ("share", "low", "high", "text"),
    [
        (0.002, 0.0013, 0.0029, "invalid 0.20 % (0.13-0.29 %, 95 %"),
        (0.002, 0.001399, 0.002901, "invalid 0.20 % (0.13-0.30 %, 95 %"),
        (0.000004, 0.0000001, 0.0001, "invalid 0.00040 % (0.00001-0.01000 %, 95 %"),
        (0.9998, 0.99, 1.0, "invalid 99.980 % (99.000-100.000 %, 95 %"),
        (1.0, 0.943, 1.0, "invalid 100.0 % (94.3-100.0 %, 95 %"),
        (0.5, 0.41, 0.6, "invalid 50 % (41-60 %, 95 %"),
    ],
)
def test_limits_are_rounded_outwards_and_a_share_is_never_rounded_to_none_or_all(
    share: float, low: float, high: float, text: str
) -> None:
    assert told(share=share, low=low, high=high, bad=26, records=13_042).sentence() == (
        f"{text}, 26 of 13,042 records in 64 of 936 spans, seed 7)"
    )
