"""Distinct records, those that occur again, and those in two sets: exact, in memory and beyond it."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.data import distinct
from pytest_pipeline.data.distinct import (
    Digests,
    Overlap,
    RecordPlace,
    Repeated,
    Repeats,
    Shared,
    overlap,
)
from pytest_pipeline.data.result import DIGEST_BYTES, Result
from pytest_pipeline.data.spans import DataFile, Span

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

IN_MEMORY, WRITTEN = 10_000_000, 1_000  # bytes of digests that are kept in memory


def digest(value: int) -> bytes:
    return value.to_bytes(DIGEST_BYTES, "little")


def result(*values: int, uri: str = "/a", start: int = 0) -> Result:
    span = Span(file=DataFile(uri=uri, size_bytes=1_000), start=start, end=start + 100)
    digests = b"".join(map(digest, values))
    return Result(span=span, lines=len(values), records=len(values), valid=len(values), read_bytes=100, digests=digests)


def digests_of(results: Iterable[Result], scratch: Path, memory_bytes: int = IN_MEMORY) -> Digests:
    digests = Digests(scratch, memory_bytes)
    for each in results:
        digests.add(each)
    return digests


@pytest.mark.parametrize("memory_bytes", [IN_MEMORY, 0])
def test_a_record_that_occurs_again_is_told_with_its_first_places_across_files(
    tmp_path: Path, memory_bytes: int
) -> None:
    results = [
        result(7, 8, uri="/b"),
        result(1, 7, start=100),
        result(7, 2, 3, 7, start=0),
    ]
    with digests_of(results, tmp_path, memory_bytes) as digests:
        assert digests.repeats() == Repeats(
            records=8,
            distinct=5,
            repeated=1,
            most=(
                Repeated(
                    count=4,
                    places=(
                        RecordPlace(uri="/a", start=0, record=1),
                        RecordPlace(uri="/a", start=0, record=4),
                        RecordPlace(uri="/a", start=100, record=2),
                    ),
                ),
            ),
        )


@pytest.mark.parametrize("memory_bytes", [IN_MEMORY, WRITTEN, 0])
@pytest.mark.parametrize("at_once", [150_000, 3])
def test_counts_are_exact_in_memory_and_beyond_and_however_finely_cut(
    tmp_path: Path, memory_bytes: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct, "_DISTINCT_AT_ONCE", at_once)
    chance = random.Random(memory_bytes + at_once)  # noqa: S311
    values = [[chance.randrange(700) ** 2 for _ in range(chance.randrange(60))] for _ in range(40)]
    counts = Counter(value for some in values for value in some)
    with digests_of((result(*some, start=100 * n) for n, some in enumerate(values)), tmp_path, memory_bytes) as digests:
        told = digests.repeats()

    assert (told.records, told.distinct) == (counts.total(), len(counts))
    assert told.repeated == sum(count > 1 for count in counts.values())
    assert [record.count for record in told.most] == sorted(counts.values(), reverse=True)[:10]
    for record in told.most:
        places = [(place.start, place.record) for place in record.places]
        value = values[places[0][0] // 100][places[0][1] - 1]
        everywhere = [
            (100 * n, at) for n, some in enumerate(values) for at, other in enumerate(some, 1) if other == value
        ]
        assert (record.count, places) == (len(everywhere), everywhere[:3])


def test_no_more_distinct_records_are_held_at_once_than_the_memory_has_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distinct, "_DISTINCT_AT_ONCE", 3)
    with digests_of([result(*(n * n for n in range(500)))], tmp_path) as digests:
        held = [len(values) for values, _ in distinct._walk((digests.parts(number),) for number in range(256))]

    assert sum(held) == 500
    assert max(held) <= 3


def test_the_order_in_which_results_come_changes_nothing(tmp_path: Path) -> None:
    results = [result(n, n % 5, n % 7, start=100 * n) for n in range(50)]
    shuffled = random.Random(3).sample(results, len(results))  # noqa: S311
    with digests_of(results, tmp_path) as one, digests_of(shuffled, tmp_path, WRITTEN) as other:
        assert one.repeats() == other.repeats()


@pytest.mark.parametrize("memory_bytes", [IN_MEMORY, 0])
def test_a_span_that_comes_twice_is_counted_once(tmp_path: Path, memory_bytes: int) -> None:
    with digests_of([result(1, 2), result(3, start=100), result(1, 2)], tmp_path, memory_bytes) as digests:
        assert digests.repeats() == Repeats(records=3, distinct=3, repeated=0, most=())


def test_results_without_digests_are_refused_since_nothing_would_be_found_in_them(tmp_path: Path) -> None:
    span = result().span
    bare = Result(span=span, lines=2, records=2, valid=2, read_bytes=100)

    with Digests(tmp_path) as digests, pytest.raises(ValueError, match="the spec must ask for digests"):
        digests.add(bare)


@pytest.mark.parametrize("memory_bytes", [IN_MEMORY, 0])
def test_validation_records_that_are_in_train_are_counted_and_placed_in_both(tmp_path: Path, memory_bytes: int) -> None:
    train = digests_of([result(5, 1, 2, uri="/t"), result(3, 5, uri="/t", start=100)], tmp_path, memory_bytes)
    validation = digests_of([result(9, 5, 8, 5, 3, uri="/v")], tmp_path, memory_bytes)
    with train, validation:
        assert overlap(validation, train) == Overlap(
            records=5,
            shared=3,
            most=(
                Shared(
                    count=2,
                    places=(RecordPlace(uri="/v", start=0, record=2), RecordPlace(uri="/v", start=0, record=4)),
                    elsewhere=(RecordPlace(uri="/t", start=0, record=1), RecordPlace(uri="/t", start=100, record=2)),
                ),
                Shared(
                    count=1,
                    places=(RecordPlace(uri="/v", start=0, record=5),),
                    elsewhere=(RecordPlace(uri="/t", start=100, record=1),),
                ),
            ),
        )


def test_an_overlap_is_exact_however_finely_the_parts_are_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "_DISTINCT_AT_ONCE", 2)
    some, others = [n * n for n in range(0, 900, 2)], [n * n for n in range(0, 900, 3)]
    train = digests_of([result(*some, uri="/t")], tmp_path, WRITTEN)
    validation = digests_of([result(*others, uri="/v")], tmp_path)
    with train, validation:
        told = overlap(validation, train)

    assert (told.records, told.shared) == (300, 150)


def test_nothing_is_left_behind_also_when_it_fails(tmp_path: Path) -> None:
    with digests_of([result(*range(999))], tmp_path, 0) as digests:
        assert [*tmp_path.iterdir()]
        digests.repeats()
    assert [*tmp_path.iterdir()] == []

    with pytest.raises(ValueError, match="must ask"), digests_of([result(*range(999))], tmp_path, 0) as digests:
        digests.add(Result(span=result(start=500).span, lines=2, records=2, valid=2, read_bytes=100))
    assert [*tmp_path.iterdir()] == []
