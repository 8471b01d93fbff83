"""Files older than what they were made of."""

from __future__ import annotations

import pytest

from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.staleness import Dated, findings, staleness

NOON_S = 1_790_000_000.0  # 2026-09-21 14:13 UTC


def at(uri: str, later_s: float | None = 0.0) -> Dated:
    return Dated(uri=uri, modified_s=None if later_s is None else NOON_S + later_s)


def test_a_file_that_is_older_than_a_source_is_said() -> None:
    made = [at("train.jsonl"), at("validation.jsonl", 10), at("test.jsonl", 90_000)]
    sources = [at("a.pdf", -500), at("b.pdf", 7_200), at("c.pdf", 90_000)]

    assert findings(staleness(made, sources)) == (
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="train.jsonl of 2026-09-21 14:13 UTC is older than its sources (and 1 more of 3 files): "
            "2 of 3 sources were written after it, the last c.pdf, 25 hours later; "
            "make it again, or say that these are not its sources",
        ),
    )


@pytest.mark.parametrize(
    ("later_s", "said"), [(-1, ""), (0, ""), (299, ""), (301, "5 minutes"), (9_000, "2 hours"), (259_200, "3 days")]
)
def test_clocks_may_differ(later_s: float, said: str) -> None:
    found = findings(staleness([at("train.jsonl")], [at("a.pdf", later_s)]))

    assert [finding.sentence.split(", ")[2].partition(" later")[0] for finding in found] == ([said] if said else [])


def test_what_has_no_time_is_not_fine() -> None:
    made, sources = [at("train.jsonl", None)], [at("a.pdf"), at("b.pdf", None)]

    assert findings(staleness(made, sources)) == (
        Finding(
            gravity=Gravity.UNKNOWN,
            sentence="when train.jsonl and 1 more was written is not known, nor whether it is stale",
        ),
    )


def test_what_is_stale_is_said_although_a_time_is_missing() -> None:
    found = findings(staleness([at("train.jsonl")], [at("a.pdf", 9_000), at("b.pdf", None)]))

    assert [finding.gravity for finding in found] == [Gravity.DOUBTFUL, Gravity.UNKNOWN]


def test_nothing_to_compare_is_not_fine() -> None:
    assert findings(staleness([], [at("a.pdf")]))[0].sentence == (
        "no file to compare: nothing is known of what is stale"
    )
    assert findings(staleness([at("train.jsonl")], []))[0].sentence == (
        "no source to compare: nothing is known of what is stale"
    )


def test_a_time_beyond_the_calendar_is_no_crash() -> None:
    made = [Dated(uri="train.jsonl", modified_s=-1e18)]

    assert findings(staleness(made, [at("a.pdf")]))[0].sentence.startswith(
        "train.jsonl of a time that is none is older"
    )
