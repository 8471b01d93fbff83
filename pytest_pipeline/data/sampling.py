"""Which spans are read where there is no time for all of them, and what they tell of the whole.

Spans are drawn, not lines: each record belongs to the span that it starts in, so that all have the same chance, long or
short. A file that is packed, or of another shape than lines, can only be read from its start: it is one span, and such
files are a stratum of their own. Of each stratum `LEAST_SPANS` are drawn at least, or all there are.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, takewhile
from typing import TYPE_CHECKING

from pytest_pipeline.data.intervals import (
    CONFIDENCE,
    LEAST_SPANS,
    Stratum,
    UnknownShareError,
    hidden_share,
    korn_graubard,
    share_of,
)
from pytest_pipeline.data.spans import Shape, Span, spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from pytest_pipeline.data.result import Result
    from pytest_pipeline.data.spans import DataFile

SAMPLE_SPAN_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """The spans drawn of one stratum, in the order of the draw: any number of the first ones is a random sample too."""

    spans: tuple[Span, ...]
    of_spans: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What is to be read. `exact`: it is all there is, in the order of the files."""

    draws: tuple[Draw, ...]
    seed: int
    exact: bool

    @property
    def spans(self) -> tuple[Span, ...]:
        """All spans, so mixed that any first part of them holds its share of each draw."""
        placed = sorted(
            ((number + 0.5) / len(draw.spans), stratum, number)
            for stratum, draw in enumerate(self.draws)
            for number in range(len(draw.spans))
        )
        return tuple(self.draws[stratum].spans[number] for _, stratum, number in placed)

    @property
    def size_bytes(self) -> int:
        """How many bytes are to be read, packed or not."""
        return sum(span.end - span.start for draw in self.draws for span in draw.spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The share of bad records, and between what and what it lies (95 %), all from 0 to 1.

    `hidden` is the largest share of spans that may hold what none of those looked at showed: bad records in a few
    places are met by chance only, and no interval speaks of what was not met.
    """

    share: float
    low: float
    high: float
    bad: int
    records: int
    spans: int
    of_spans: int
    hidden: float
    seed: int
    exact: bool

    def sentence(self, what: str = "invalid") -> str:
        """Return `12 of 51,617 records, exact`, or the share with its limits and what it was told from."""
        looked_at = f"{self.bad:,} of {self.records:,} records"
        if self.exact:
            return f"{looked_at}, exact"
        share, low, high = _percents(self.share, self.low, self.high)
        return (
            f"{what} {share} % ({low}-{high} %, {CONFIDENCE * 100:.0f} %,"
            f" {looked_at} in {self.spans:,} of {self.of_spans:,} spans, seed {self.seed})"
        )


def choose(files: Sequence[DataFile], *, budget_bytes: int, seed: int, span_bytes: int = SAMPLE_SPAN_BYTES) -> Sample:
    """Return all spans where the files fit into the budget, and random ones that about fill it where they do not.

    The same seed gives the same spans of the same files, in whatever order these are; a larger budget adds spans to
    them, so that what was read is not read again. The least sample, of a budget of 0, tells how long records are.
    """
    total_bytes = sum(file.size_bytes for file in files)
    strata = [stratum for whole in (False, True) if (stratum := _Spans.of(files, span_bytes, whole=whole)).count]
    counts = [
        min(stratum.count, max(LEAST_SPANS, math.ceil(stratum.count * budget_bytes / total_bytes)))
        for stratum in strata
    ]
    if total_bytes <= budget_bytes or counts == [stratum.count for stratum in strata]:
        spans = spans_of(files)
        return Sample(draws=(Draw(spans=spans, of_spans=len(spans)),), seed=seed, exact=True)
    return Sample(draws=tuple(map(_draw, strata, counts, [seed] * len(strata))), seed=seed, exact=False)


def bytes_for(records: int, results: Iterable[Result]) -> int:
    """Return how many bytes hold about as many records, by what was read so far; for `choose`.

    Raises UnknownShareError where no record was read.
    """
    read = [(result.span.end - result.span.start, result.records) for result in results]
    found = sum(count for _, count in read)
    if not found:
        raise UnknownShareError(f"no record starts in the {len(read)} spans that were looked at")
    return math.ceil(records * sum(size_bytes for size_bytes, _ in read) / found)


def invalid(result: Result) -> int:
    """Return how many records of a span are not valid."""
    return result.records - result.valid


def estimate(sample: Sample, results: Iterable[Result], bad: Callable[[Result], int] = invalid) -> Estimate:
    """Return the share of bad records among all, from the results of a sample's spans in any order.

    Where time ran out, those count that were read before the first one, in the order of the draw, that was not: the
    others are not random, since long ones are the likelier to be missing. Raises UnknownShareError where they are too
    few, where no record was read, and where a span of an exact sample is missing.
    """
    read = {result.span: result for result in results}
    strata = [
        Stratum(
            counts=[(bad(read[span]), read[span].records) for span in takewhile(read.__contains__, draw.spans)],
            of_spans=draw.of_spans,
        )
        for draw in sample.draws
    ]
    counts = [count for stratum in strata for count in stratum.counts]
    of_spans = sum(stratum.of_spans for stratum in strata)
    if sample.exact and len(counts) < of_spans:
        raise UnknownShareError(f"only {len(read):,} of {of_spans:,} spans were read, and those not drawn at random")
    interval = korn_graubard(strata)
    return Estimate(
        share=share_of(strata),
        low=interval.low,
        high=interval.high,
        bad=sum(bad_here for bad_here, _ in counts),
        records=sum(records for _, records in counts),
        spans=len(counts),
        of_spans=of_spans,
        hidden=hidden_share(strata),
        seed=sample.seed,
        exact=sample.exact,
    )


def _splits(file: DataFile) -> bool:
    return not file.compression and file.shape is Shape.LINES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spans:
    """The spans of one stratum by number, without a list of them: there may be millions."""

    files: tuple[DataFile, ...]
    ends: tuple[int, ...]  # the number after each file's last span
    span_bytes: int
    whole: bool  # each file is one span

    @classmethod
    def of(cls, files: Iterable[DataFile], span_bytes: int, *, whole: bool) -> _Spans:
        """Take the files that are one span each, or the others, in an order of their own; empty ones have no record."""
        mine = sorted(
            (file for file in files if file.size_bytes and whole is not _splits(file)),
            key=lambda file: file.uri,
        )
        counts = (1 if whole else math.ceil(file.size_bytes / span_bytes) for file in mine)
        return cls(files=tuple(mine), ends=tuple(accumulate(counts)), span_bytes=span_bytes, whole=whole)

    @property
    def count(self) -> int:
        return self.ends[-1] if self.ends else 0

    def __getitem__(self, number: int) -> Span:
        which = bisect_right(self.ends, number)
        file = self.files[which]
        if self.whole:
            return Span(file=file, start=0, end=file.size_bytes)
        start = (number - (self.ends[which - 1] if which else 0)) * self.span_bytes
        return Span(file=file, start=start, end=min(start + self.span_bytes, file.size_bytes))


def _draw(stratum: _Spans, count: int, seed: int) -> Draw:
    chance = random.Random(f"{seed} {'files' if stratum.whole else 'spans'}")  # noqa: S311  # a draw is no secret
    numbers = _shuffled(stratum.count, chance)
    return Draw(spans=tuple(stratum[next(numbers)] for _ in range(count)), of_spans=stratum.count)


def _shuffled(count: int, chance: random.Random) -> Iterator[int]:
    """Numbers below `count` in random order (Fisher and Yates), of which only those taken cost anything.

    Not `random.sample`: of that module only the sequence of `random()` is promised to stay as it is.
    """
    moved: dict[int, int] = {}
    for taken in range(count):
        other = taken + int(chance.random() * (count - taken))
        yield moved.get(other, other)
        moved[other] = moved.pop(taken, taken)


def _percents(share: float, low: float, high: float) -> tuple[str, str, str]:
    """All with as many decimals as give the share, or what is left of it, two digits; limits are rounded outwards."""
    smallest = min(share, 1 - share) or min(high, 1 - low)
    decimals = max(0, -math.floor(math.log10(smallest)) - 1)
    scale = 10 ** (decimals + 2)
    told = (round(share * scale), math.floor(low * scale), math.ceil(high * scale))
    share_text, low_text, high_text = (f"{value / 10**decimals:.{decimals}f}" for value in told)
    return share_text, low_text, high_text
