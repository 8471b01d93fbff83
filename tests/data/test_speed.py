"""Speeds with their error bars, what binds, and what is said of it."""

from __future__ import annotations

import math
import random
import statistics
from itertools import pairwise

import pytest

from pytest_pipeline.data.speed import (
    Bound,
    Limits,
    Speed,
    Verdict,
    bounds,
    figure,
    judge,
    mbps,
    span,
    speed_of,
)

MBPS = 1e6 / 8
GBPS = 1000 * MBPS


def at(rate_mbps: float, error: float = 0.2) -> Speed:
    mean = rate_mbps * MBPS
    return Speed(mean_bytes_s=mean, low_bytes_s=mean * (1 - error), high_bytes_s=mean * (1 + error))


def limits(network: float = 8000, baseline: float | None = 10_000, volume: float | None = 4000) -> Limits:
    return Limits(
        network=at(network),
        connections=8,
        baseline_bytes_s=None if baseline is None else baseline * MBPS,
        volume=None if volume is None else at(volume),
    )


# --- the error bar


def test_equal_batches_are_still_uncertain_by_a_fifth() -> None:
    assert speed_of([100.0] * 4) == Speed(mean_bytes_s=100.0, low_bytes_s=80.0, high_bytes_s=120.0)


@pytest.mark.parametrize(
    ("means", "half"),
    [
        ((50.0, 150.0), 12.706 * 50),
        ((60.0, 80.0, 120.0, 140.0), 3.182 * statistics.stdev((60, 80, 120, 140)) / 2),
        ((50.0, 150.0) * 10, 2.262 * statistics.stdev((50, 150) * 10) / math.sqrt(20)),
    ],
    ids=["two", "four", "more than the table has"],
)
def test_batches_that_differ_have_the_interval_of_student(means: tuple[float, ...], half: float) -> None:
    speed = speed_of(means)
    assert speed.mean_bytes_s == 100
    assert speed.high_bytes_s == pytest.approx(100 + half)
    logarithms = [math.log(mean) for mean in means]
    factor = math.exp(-half / statistics.stdev(means) * statistics.stdev(logarithms))
    assert speed.low_bytes_s == pytest.approx(max(100 - half, statistics.geometric_mean(means) * factor))


def test_a_fast_and_fitful_network_has_a_lower_end_all_the_same() -> None:
    assert speed_of([150e6, 100e6, 50e6]).low_bytes_s == pytest.approx(22.9e6, rel=0.01)
    assert speed_of([150e6, 100e6, 0.0]).low_bytes_s == 0


def test_nothing_that_moved_is_no_speed() -> None:
    with pytest.raises(ValueError, match=r"^a speed needs something that moved$"):
        speed_of([0.0, 0.0])


def throughput(chance: random.Random, seconds: float, memory: float, spread: float) -> list[float]:
    """A network's speed each quarter of a second, around 100: each like the one before, by so much (AR(1))."""
    found, state = [], chance.gauss(0, 1)
    for _ in range(int(seconds * 4)):
        state = memory * state + math.sqrt(1 - memory**2) * chance.gauss(0, 1)
        found.append(100 * max(0.05, 1 + spread * state))
    return found


@pytest.mark.parametrize(("memory", "spread"), [(0.0, 0.4), (0.7, 0.3), (0.9, 0.2), (0.97, 0.1)])
def test_the_interval_holds_what_a_long_download_takes(memory: float, spread: float) -> None:
    """9.5 s of measuring, and then a minute of the download: its mean lies in 95 of 100 intervals at least."""
    chance, inside, rounds = random.Random(7), 0, 300  # noqa: S311  # no secret
    for _ in range(rounds):
        whole = throughput(chance, 70, memory, spread)
        speed = speed_of([statistics.fmean(whole[first:last]) for first, last in pairwise((0, 13, 25, 38))])
        inside += speed.low_bytes_s <= statistics.fmean(whole) <= speed.high_bytes_s
    assert inside / rounds >= 0.95


# --- what binds


@pytest.mark.parametrize(
    ("all_three", "bound", "mean"),
    [
        (limits(800), Bound.NETWORK, 800),
        (limits(baseline=2500), Bound.BASELINE, 2500),
        (limits(volume=1000), Bound.VOLUME, 1000),
        (limits(800, baseline=None, volume=None), Bound.NETWORK, 800),
    ],
    ids=["network", "baseline", "volume", "nothing else known"],
)
def test_the_slowest_of_the_three_binds(all_three: Limits, bound: Bound, mean: float) -> None:
    assert all_three.binds is bound
    assert mbps(all_three.mean_bytes_s) == mean
    assert all_three.hours(360).mean == pytest.approx(360e9 * 8 / (mean * 1e6) / 3600)


def test_the_interval_is_that_of_what_binds_at_each_end() -> None:
    hours = limits(800).hours(360)
    assert (hours.low, hours.high) == pytest.approx((1 / 1.2, 1 / 0.8))
    hours = limits(1000, volume=1000).hours(360)
    assert (hours.low, hours.high) == pytest.approx((0.8 / 1.2, 0.8 / 0.8))
    # The network may go as low as 800, below a volume that is slower on the whole.
    mixed = Limits(network=at(1000, 0.5), connections=8, volume=at(900))
    assert mixed.hours(360).high == pytest.approx(800 / 500)


def test_credits_for_bursts_may_help_for_an_hour_at_best() -> None:
    bursting = limits(10_000, baseline=2500, volume=None)
    hours = bursting.hours(27)
    assert (hours.low, hours.mean, hours.high) == pytest.approx(
        (27e9 / (12 * GBPS) / 3600, 27e9 / (2.5 * GBPS) / 3600, 27e9 / (2.5 * GBPS) / 3600)
    )
    first_gb = 12 * 3600 / 8
    assert bursting.hours(first_gb + 2.5 * 3600 / 8).low == pytest.approx(2)
    assert limits(baseline=10_000, volume=None).hours(100_000).low == pytest.approx(800_000 / 9.6 / 3600)


# --- the verdict


@pytest.mark.parametrize(
    ("most_hours", "verdict"),
    [(1.26, Verdict.ENOUGH), (1.24, Verdict.UNSURE), (0.84, Verdict.UNSURE), (0.83, Verdict.TOO_SLOW)],
)
def test_the_verdict_is_of_the_whole_interval(most_hours: float, verdict: Verdict) -> None:
    assert judge(limits(800), 360, most_hours) is verdict  # 0.833 to 1.25 h


def test_a_volume_of_unknown_speed_is_never_enough_and_never_an_excuse() -> None:
    unknown = limits(800, volume=None)
    assert judge(unknown, 360, 100) is Verdict.UNSURE
    assert judge(unknown, 360, 0.5) is Verdict.TOO_SLOW


def test_an_interval_without_an_end_is_unsure() -> None:
    wild = Limits(network=speed_of([100e6, 100e6, 100e6, 0.0]), connections=8, volume=at(8000))
    assert math.isinf(wild.hours(27).high)
    assert judge(wild, 27, 1000) is Verdict.UNSURE


# --- what is said


@pytest.mark.parametrize(
    ("all_three", "said"),
    [
        (
            limits(800),
            "0.062-0.094h; the network binds (network 800Mbps +-20% over 8 connections, baseline 10000Mbps, "
            "volume 4000Mbps +-20%)",
        ),
        (
            limits(9600, baseline=2500),
            "0.013-0.024h; the instance's baseline bandwidth binds (network 9600Mbps +-20% over 8 connections, "
            "baseline 2500Mbps, volume 4000Mbps +-20%)",
        ),
        (
            Limits(network=at(8), connections=1),
            "6.2-9.4h; the network binds (network 8Mbps +-20% over 1 connection, baseline not known, volume not known)",
        ),
        (
            Limits(network=at(0.8), connections=1, volume=at(0.4, 1)),
            "75h or more; the volume's write speed binds (network 0.8Mbps +-20% over 1 connection, baseline not "
            "known, volume 0.4Mbps +-100%)",
        ),
    ],
    ids=["network", "baseline", "nothing else known", "no end"],
)
def test_what_is_said_of_27_gb(all_three: Limits, said: str) -> None:
    assert f"{span(all_three.hours(27))}; {bounds(all_three)}" == said


@pytest.mark.parametrize(
    ("hours", "written"),
    [(1e-7, "0.0001"), (0.0241, "0.024"), (0.999, "1"), (9.94, "9.9"), (9.96, "10"), (123.4, "123")],
)
def test_hours_have_two_digits_that_count(hours: float, written: str) -> None:
    assert figure(hours) == written
