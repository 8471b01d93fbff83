"""Limits of shares: the figures of scipy 1.17.1, recorded, and how often they hold in made-up files."""

from __future__ import annotations

import random

import pytest

from data.interval_coverage import CASES, HARDEST, coverage
from pytest_pipeline.data.intervals import (
    LEAST_SPANS,
    Interval,
    Stratum,
    UnknownShareError,
    beta_quantile,
    beta_share,
    clopper_pearson,
    hidden_share,
    korn_graubard,
    share_of,
    t_quantile,
)

SPREAD = [(n * n % 5, 200 + 7 * n % 40) for n in range(64)]
CLUSTERED = [(30 if n % 8 == 0 else 0, 200 + 7 * n % 40) for n in range(64)]


@pytest.mark.parametrize(
    ("x", "a", "b", "share"),
    [
        (0.3, 2, 3, 0.3483),
        (0.9, 0.5, 0.5, 0.7951672353008665),
        (0.0001, 3, 20_000, 0.3233777204114007),
        (0.5, 1e5, 1e5, 0.5),
        (0.0021, 26, 13_017, 0.6304971541109496),
        (0.999, 5_000, 4, 0.26446456496929827),
        (0, 2, 3, 0),
        (1, 2, 3, 1),
    ],
)
def test_the_incomplete_beta_function_is_scipys(x: float, a: float, b: float, share: float) -> None:
    assert beta_share(x, a, b) == pytest.approx(share, rel=1e-9)


def test_a_quantile_undoes_the_function() -> None:
    for a, b in ((0.5, 0.5), (1, 1), (26, 13_017), (3e5, 7), (1e6, 1e6)):
        for probability in (1e-6, 0.025, 0.5, 0.975):
            assert beta_share(beta_quantile(probability, a, b), a, b) == pytest.approx(probability, rel=1e-6)


@pytest.mark.parametrize(
    ("probability", "freedom", "quantile"),
    [
        (0.975, 1, 12.706204736174694),
        (0.975, 2, 4.302652729749462),
        (0.975, 63, 1.998340542520741),
        (0.995, 7, 3.4994832973504924),
        (0.975, 13_041, 1.9601459098278393),
        (0.975, 1e12, 1.959963984540054),
    ],
)
def test_quantiles_of_students_t_are_scipys(probability: float, freedom: float, quantile: float) -> None:
    assert t_quantile(probability, freedom) == pytest.approx(quantile, rel=2e-6)


@pytest.mark.parametrize(
    ("bad", "records", "low", "high"),
    [
        (0, 1_000, 0.0, 0.003682083896865671),
        (2, 1_000, 0.00024230111687723185, 0.007205838911457497),
        (26, 13_042, 0.0013026595929641982, 0.002919671432213508),
        (12, 51_617, 0.00012013219296873078, 0.00040606322360020174),
        (998, 1_000, 0.9927941610885425, 0.9997576988831227),
        (1_000, 1_000, 0.9963179161031344, 1.0),
        (0.7, 31.4, 0.00014256429981224897, 0.14989266082388245),
        (5_000_000, 10_000_000, 0.4996900525213711, 0.5003099474786289),
    ],
)
def test_exact_limits_are_scipys(bad: float, records: float, low: float, high: float) -> None:
    told = clopper_pearson(bad, records)

    assert [told.low, told.high] == pytest.approx([low, high], rel=1e-8)


@pytest.mark.parametrize(("bad", "records"), [(0, 0), (3, 2), (-1, 2)])
def test_what_is_no_share_has_no_limits(bad: float, records: float) -> None:
    with pytest.raises(ValueError, match="records is no share"):
        clopper_pearson(bad, records)


@pytest.mark.parametrize(
    ("strata", "low", "high"),
    [
        ([Stratum(counts=SPREAD, of_spans=936)], 0.007413022184776527, 0.011268818078586304),
        ([Stratum(counts=CLUSTERED, of_spans=936)], 0.007887848287388689, 0.032118572987787135),
        (
            [
                Stratum(counts=[(n % 3, 50 + n) for n in range(40)], of_spans=400),
                Stratum(counts=[(5, 1_000), (2, 900), (9, 1_500)], of_spans=3),
            ],
            0.009938413621197312,
            0.016727495150192288,
        ),
    ],
    ids=["spread", "clustered", "two strata"],
)
def test_limits_from_spans_are_those_of_the_formula_worked_out_with_scipy(
    strata: list[Stratum], low: float, high: float
) -> None:
    told = korn_graubard(strata)

    assert [told.low, told.high] == pytest.approx([low, high], rel=1e-8)


def test_a_stratum_stands_for_what_was_not_drawn_beside_it() -> None:
    drawn, whole = Stratum(counts=[(1, 10), (3, 10)], of_spans=20), Stratum(counts=[(0, 200)], of_spans=1)

    assert share_of([drawn, whole]) == pytest.approx(40 / 400)


def test_bad_records_that_stand_together_tell_less() -> None:
    together = [(64, 200)] + [(0, 200)] * 63
    apart = [(1, 200)] * 64

    wide = korn_graubard([Stratum(counts=together, of_spans=10_000)])
    narrow = korn_graubard([Stratum(counts=apart, of_spans=10_000)])
    assert wide.low < narrow.low / 10
    assert wide.high > narrow.high * 4


def test_where_no_bad_record_was_seen_a_span_full_of_them_may_still_hide() -> None:
    told = korn_graubard([Stratum(counts=[(0, 200)] * 64, of_spans=936)])

    assert told == Interval(low=0.0, high=50 / 936)
    assert korn_graubard([Stratum(counts=[(200, 200)] * 64, of_spans=936)]) == Interval(low=1 - 50 / 936, high=1.0)


@pytest.mark.parametrize(
    ("looked_at", "of_spans", "hidden"), [(64, 936, 50), (256, 936, 11), (16, 17, 1), (900, 936, 1), (17, 17, 0)]
)
def test_hidden_spans_are_those_of_the_hypergeometric_distribution(looked_at: int, of_spans: int, hidden: int) -> None:
    assert hidden_share([Stratum(counts=[(0, 1)] * looked_at, of_spans=of_spans)]) == hidden / of_spans


def test_what_was_read_whole_leaves_nothing_to_chance() -> None:
    assert korn_graubard([Stratum(counts=[(1, 10), (0, 30)], of_spans=2)]) == Interval(low=0.025, high=0.025)


def test_too_few_spans_tell_no_share() -> None:
    few = Stratum(counts=[(0, 200)] * (LEAST_SPANS - 1), of_spans=936)

    with pytest.raises(UnknownShareError, match=r"^31 of 936 spans were looked at; an interval needs 32$"):
        korn_graubard([few])


def test_spans_without_a_record_tell_no_share() -> None:
    with pytest.raises(UnknownShareError, match=r"^no record starts in the spans that were looked at$"):
        korn_graubard([Stratum(counts=[(0, 0)] * 64, of_spans=936)])


@pytest.mark.parametrize("case", CASES)
def test_the_interval_holds_the_true_share_as_often_as_it_says(case: str) -> None:
    """A few hundred draws, seeded; interval_coverage.py makes ten thousand."""
    spans = CASES[case](random.Random(1))  # noqa: S311  # nothing secret
    held, _ = coverage(spans, drawn=64, draws=400)

    assert held >= 0.95


def test_the_interval_nearly_holds_where_few_spans_are_unlike_all_others() -> None:
    held, _ = coverage(HARDEST(random.Random(1)), drawn=64, draws=400)  # noqa: S311  # nothing secret

    assert held >= 0.93


def test_the_naive_interval_would_not_hold_where_bad_records_stand_together() -> None:
    """That the simulation can tell a wrong interval from a right one."""
    chance = random.Random(1)  # noqa: S311  # nothing secret
    spans = CASES["40 runs of 50, short"](chance)
    true = sum(bad for bad, _ in spans) / sum(records for _, records in spans)
    naive = []
    for _ in range(200):
        drawn = chance.sample(spans, 64)
        naive.append(clopper_pearson(sum(bad for bad, _ in drawn), sum(records for _, records in drawn)))

    assert sum(told.low <= true <= told.high for told in naive) < 0.5 * len(naive)
