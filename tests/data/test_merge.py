"""Results put together in any order, however often they came, and never with one missing."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from data.places import InMemory, file_of
from pytest_pipeline.data.merge import HoleError, merge
from pytest_pipeline.data.result import Result
from pytest_pipeline.data.spans import Span, spans_of
from pytest_pipeline.data.spec import Field, RecordSpec
from pytest_pipeline.data.validate import validate

CONTENT = b'{"text": "a"}\n\n{"text": ""}\n[]\n' * 50
SPANS = spans_of([file_of(CONTENT)], 100)
RESULTS = [validate(span, RecordSpec(fields=(Field(name="text"),)), InMemory(CONTENT)) for span in SPANS]


def test_order_and_repetition_do_not_matter() -> None:
    whole = merge(RESULTS, SPANS)
    rng = random.Random(3)  # noqa: S311  # no secret

    for _ in range(20):
        shuffled = RESULTS + rng.sample(RESULTS, len(RESULTS) // 3)
        rng.shuffle(shuffled)
        assert merge(shuffled, rng.sample(SPANS, len(SPANS))) == whole


def test_lines_count_from_the_start_of_the_file() -> None:
    (whole,) = merge(RESULTS, SPANS)

    assert (whole.whole, whole.lines, whole.records, whole.valid) == (True, 200, 150, 50)
    assert [one.line for one in whole.defects if one.reason == "empty"] == [*range(3, 80, 4)]


def test_a_span_that_was_not_read_is_a_hole() -> None:
    with pytest.raises(
        HoleError, match=r"^1 of 16 spans were not read; the first: /data/train\.jsonl, bytes 0 to 100$"
    ):
        merge(RESULTS[1:], SPANS)
    with pytest.raises(HoleError, match=r"^16 of 16 spans were not read"):
        merge([], SPANS)


def test_a_span_that_was_read_in_two_ways_is_refused() -> None:
    with pytest.raises(HoleError, match=r"was read twice, and not alike$"):
        merge([*RESULTS, replace(RESULTS[3], valid=0)], SPANS)


def test_overlapping_spans_are_refused() -> None:
    span = Span(file=SPANS[0].file, start=50, end=150)
    with pytest.raises(HoleError, match=r"bytes 50 to 150 overlaps with the span before$"):
        merge([*RESULTS, Result(span=span, lines=0, records=0, valid=0, read_bytes=0)], [*SPANS, span])


def test_of_a_sample_no_line_is_said() -> None:
    (sampled,) = merge(RESULTS, SPANS[2:5])

    assert not sampled.whole
    assert sampled.lines == sum(result.lines for result in RESULTS[2:5])
    assert {one.line for one in sampled.defects} == {0}
    assert all(one.offset for one in sampled.defects)


def test_a_hole_between_sampled_spans_is_no_whole_file() -> None:
    (sampled,) = merge(RESULTS, [SPANS[0], *SPANS[2:]])

    assert not sampled.whole
