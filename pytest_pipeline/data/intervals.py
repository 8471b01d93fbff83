"""Between what and what a share lies, told from a sample: exact binomial limits, and those for spans drawn whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95

LEAST_SPANS = 32
"""To be drawn of more. Where nine spans of ten are bad and the tenth is not, 80 % of the intervals of 16 spans hold."""

_PRECISION = 1e-14
_SMALLEST = 1e-300  # stands for a zero that would be divided by
_MOST_STEPS = 100_000  # about the root of a + b are needed
_NEARLY_NORMAL = 1e6  # degrees of freedom; t differs from the normal distribution by less than 1e-6 there


class UnknownShareError(ValueError):
    """What was looked at does not tell the share; the message says why. Never the same as a share of 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Limits of a share, both from 0 to 1."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Spans drawn at random, without replacement, out of `of_spans`: for each how many of its records are bad."""

    counts: Sequence[tuple[int, int]]  # (bad, records)
    of_spans: int

    @property
    def whole(self) -> bool:
        """Whether all spans were looked at, so that nothing is left to chance."""
        return len(self.counts) == self.of_spans


def clopper_pearson(bad: float, records: float, confidence: float = CONFIDENCE) -> Interval:
    """Return the exact limits of a binomial share (Clopper and Pearson 1934), also of counts that are not whole."""
    if not 0 <= bad <= records or not records:
        raise ValueError(f"{bad} of {records} records is no share")
    tail = (1 - confidence) / 2
    return Interval(
        low=beta_quantile(tail, bad, records - bad + 1) if bad else 0.0,
        high=beta_quantile(1 - tail, bad + 1, records - bad) if bad < records else 1.0,
    )


def korn_graubard(strata: Sequence[Stratum], confidence: float = CONFIDENCE) -> Interval:
    """Return the limits of the share of bad records, from spans that were drawn whole.

    Records of one span are alike, so that they tell less than as many drawn one by one: the variance between spans says
    how many those would be, and the exact limits are taken for that number (Korn and Graubard, "Confidence intervals
    for proportions with small expected number of positive counts estimated from survey data", Survey Methodology 24,
    1998). Where no bad record was seen there is no variance to go by: the upper limit is also that of the share of
    spans that hold one. Raises UnknownShareError where no record was read, or a stratum neither whole nor in
    `LEAST_SPANS` spans.
    """
    for stratum in strata:
        if len(stratum.counts) < LEAST_SPANS and not stratum.whole:
            raise UnknownShareError(
                f"{len(stratum.counts)} of {stratum.of_spans} spans were looked at; an interval needs {LEAST_SPANS}"
            )
    share = share_of(strata)
    if all(stratum.whole for stratum in strata):
        return Interval(low=share, high=share)
    bad, records = (sum(counts[which] for stratum in strata for counts in stratum.counts) for which in (0, 1))
    if 0 < bad < records:
        return _from_variance(strata, share, records, confidence)
    seen, hidden = clopper_pearson(bad, records, confidence), hidden_share(strata, confidence)
    return Interval(
        low=min(seen.low, 1 - hidden) if bad else 0.0,
        high=1.0 if bad else max(seen.high, hidden),
    )


def share_of(strata: Sequence[Stratum]) -> float:
    """Return the share of bad records, each span standing for those that were not drawn beside it too.

    Raises UnknownShareError where no record was read.
    """
    records = _weighted_records(strata)
    if not records:
        raise UnknownShareError("no record starts in the spans that were looked at")
    return sum(_weight(stratum) * bad for stratum in strata for bad, _ in stratum.counts) / records


def hidden_share(strata: Sequence[Stratum], confidence: float = CONFIDENCE) -> float:
    """Return the largest share of spans that may hold what none of those looked at showed.

    By the hypergeometric distribution, two-sided: more spans than that would have shown with a chance of at least
    1 - (1 - confidence) / 2.
    """
    tail = (1 - confidence) / 2
    spans = sum(stratum.of_spans for stratum in strata)
    return sum(_hidden_spans(len(stratum.counts), stratum.of_spans, tail) for stratum in strata) / spans


def _hidden_spans(looked_at: int, of_spans: int, tail: float) -> int:
    """The most spans of a stratum that a draw can miss altogether with a chance of `tail` or more."""

    def chance_of_missing(hidden: int) -> float:
        return math.exp(
            math.lgamma(of_spans - hidden + 1)
            - math.lgamma(of_spans - hidden - looked_at + 1)
            - math.lgamma(of_spans + 1)
            + math.lgamma(of_spans - looked_at + 1)
        )

    missed, seen = 0, of_spans - looked_at + 1
    while seen - missed > 1:
        middle = (missed + seen) // 2
        if chance_of_missing(middle) >= tail:
            missed = middle
        else:
            seen = middle
    return missed


def _from_variance(strata: Sequence[Stratum], share: float, records: int, confidence: float) -> Interval:
    variance = sum(_variance(stratum, share) for stratum in strata) / _weighted_records(strata) ** 2
    effective = min(records, share * (1 - share) / variance) if variance else float(records)
    freedom = sum(len(stratum.counts) - 1 for stratum in strata if not stratum.whole)
    upper = (1 + confidence) / 2
    effective *= min(1.0, (t_quantile(upper, records - 1) / t_quantile(upper, freedom)) ** 2)
    return clopper_pearson(share * effective, effective, confidence)


def _weight(stratum: Stratum) -> float:
    return stratum.of_spans / len(stratum.counts)


def _weighted_records(strata: Sequence[Stratum]) -> float:
    return sum(_weight(stratum) * records for stratum in strata for _, records in stratum.counts)


def _variance(stratum: Stratum, share: float) -> float:
    """Of the weighted total of what a span has in bad records beyond the share: Taylor linearisation of the ratio."""
    looked_at = len(stratum.counts)
    if stratum.whole:
        return 0.0
    beyond = [bad - share * records for bad, records in stratum.counts]
    mean = sum(beyond) / looked_at
    spread = sum((value - mean) ** 2 for value in beyond) / (looked_at - 1)
    return _weight(stratum) ** 2 * looked_at * (1 - looked_at / stratum.of_spans) * spread


def t_quantile(probability: float, freedom: float) -> float:
    """Return the quantile of Student's t distribution, for a probability above 0.5 (DLMF 8.17, AMS 26.7.1)."""
    freedom = min(freedom, _NEARLY_NORMAL)
    inside = beta_quantile(2 * (1 - probability), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - inside) / inside)


def beta_quantile(probability: float, a: float, b: float) -> float:
    """Return the x at which the regularised incomplete beta function I_x(a, b) is the probability, by bisection."""
    low, high = 0.0, 1.0
    while True:
        middle = (low + high) / 2
        if high - low <= _PRECISION * high or middle in (low, high):
            return middle
        if beta_share(middle, a, b) < probability:
            low = middle
        else:
            high = middle


def beta_share(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), for a and b above 0 (DLMF 8.17.22, 8.17.4)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):  # the fraction converges fast below
        return front / a / _fraction(x, a, b)
    return 1 - front / b / _fraction(1 - x, b, a)


def _fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ... of DLMF 8.17.22, from its front (Lentz; Thompson and Barnett 1986)."""
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, _MOST_STEPS):
        m = step // 2
        part = -(a + m) * (a + b + m) if step % 2 else m * (b - m)
        part *= x / ((a + step - 1) * (a + step))
        d = 1 / ((1 + part * d) or _SMALLEST)
        c = (1 + part / c) or _SMALLEST
        value *= c * d
        if abs(c * d - 1) < _PRECISION:
            return value
    raise ArithmeticError(f"the incomplete beta function of {x}, {a}, {b} does not converge")
