"""All that is looked at beyond form: the same of a whole file as of its spans, put together in any order."""

from __future__ import annotations

import gzip
import json
import random
from dataclasses import replace

import pytest

from data.places import InMemory, file_of
from pytest_pipeline.data.examination import Examination, examine, merge
from pytest_pipeline.data.spans import SPAN_BYTES, Compression, Shape, spans_of
from pytest_pipeline.data.spec import Field, RecordSpec

SPEC = RecordSpec(fields=(Field(name="text"),))
TOKEN = "ghp_" + "a8Kd03lQzX7mB2vN5cR9tY1uWe4iOp6sJfGh"  # nobody's
DAMAGED = "d\u00c3\u00a9j\u00c3\u00a0 vu"
TEXTS = [f"{number} {DAMAGED} {TOKEN if number == 40 else ''}" for number in range(60)]
RECORDS = b"".join(json.dumps({"text": text, "n": text[:1]}).encode() + b"\n" for text in TEXTS)
CONTENT = RECORDS + b"[1]\n\nbroken\n"


def seen(content: bytes = CONTENT, span_bytes: int = SPAN_BYTES, **changed: object) -> Examination:
    spans = spans_of([replace(file_of(content), **changed)], span_bytes)  # type: ignore[arg-type]
    return merge(examine(span, SPEC, InMemory(content)) for span in spans)


def counts(of: Examination) -> dict[str, tuple[int, int, int]]:
    return {uri: (one.records, one.mojibake, one.lost) for uri, one in of.damage.files.items()}


def test_each_kind_of_sight_sees_all_well_formed_records() -> None:
    whole = seen()

    assert (whole.draw.seen, whole.secrets.records) == (60, 60)
    assert [(one.records, one.mojibake) for one in whole.damage.files.values()] == [(60, 60)]
    assert sum(part.records for part in whole.columns.parts.values()) == 60
    assert {kind.value: found.count for kind, found in whole.secrets.found.items()} == {"GitHub token": 1}


@pytest.mark.parametrize("span_bytes", [1, 17, 500, 4_000])
def test_spans_are_seen_as_their_file_is(span_bytes: int) -> None:
    whole, parts = seen(), seen(span_bytes=span_bytes)

    assert [(lot, one.text) for lot, one in sorted(parts.draw.kept.items())] == [
        (lot, one.text) for lot, one in sorted(whole.draw.kept.items())
    ]
    assert (counts(parts), parts.secrets.records) == (counts(whole), whole.secrets.records)
    assert [(key, part.records, {*part.columns}) for key, part in parts.columns.parts.items()] == [
        (key, part.records, {*part.columns}) for key, part in whole.columns.parts.items()
    ]


def test_the_order_of_parts_does_not_matter() -> None:
    spans = spans_of([file_of(CONTENT)], 300)
    parts = [examine(span, SPEC, InMemory(CONTENT)) for span in spans]
    shuffled = random.Random(2).sample(parts, len(parts))  # noqa: S311  # no secret

    assert merge(shuffled) == merge(parts)


def test_a_packed_file_is_seen_through() -> None:
    packed = gzip.compress(CONTENT)

    assert seen(packed, compression=Compression.GZIP).draw.kept.keys() == seen().draw.kept.keys()


def test_of_nothing_and_of_another_shape_nothing_is_seen() -> None:
    nothing = Examination()

    assert seen(b"") == seen(b"\n\n[1]\n") == seen(shape=Shape.ARRAY) == merge([]) == nothing


def test_no_secret_is_kept_beyond_its_beginning() -> None:
    kept = seen().secrets

    assert TOKEN not in repr(kept)
    assert "ghp_" in repr(kept)
