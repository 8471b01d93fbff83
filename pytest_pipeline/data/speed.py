"""How long a download will take: speeds with error bars, what binds of network and volume, and the verdict. Pure.

Speeds are in bytes a second. A short measurement is one of a few batches: means of stretches that are long enough to be
nearly independent, as seconds of a network are not (Law, Simulation Modeling and Analysis, "batch means").
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_ERROR = 0.2
"""What seconds say of hours is never more certain than this: others come and go, whatever the batches say."""

_BYTES_IN_GB = 10**9
_BITS_IN_MEGABIT = 10**6
_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)  # Student's, from 1 degree of freedom on
# Amazon EC2 User Guide, "Network bandwidth": credits last "typically from 5 to 60 minutes".
_BURST_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """A measured speed and its interval, of 95 % and never less than `LEAST_ERROR` to each side."""

    mean_bytes_s: float
    low_bytes_s: float
    high_bytes_s: float

    def __str__(self) -> str:
        """The speed in megabits a second, with its error bar in per cent."""
        error = (self.high_bytes_s - self.mean_bytes_s) / self.mean_bytes_s
        return f"{figure(mbps(self.mean_bytes_s))}Mbps +-{error:.0%}"


def speed_of(means_bytes_s: Sequence[float]) -> Speed:
    """Return the speed that the means of two or more batches come to. Raises ValueError where nothing moved."""
    mean = statistics.fmean(means_bytes_s)
    if mean <= 0:
        raise ValueError("a speed needs something that moved")
    quantile = _T_975[min(len(means_bytes_s) - 1, len(_T_975)) - 1]
    half = quantile * statistics.stdev(means_bytes_s) / math.sqrt(len(means_bytes_s))
    half = max(half, LEAST_ERROR * mean)
    low = min(max(mean - half, _least(means_bytes_s, quantile)), (1 - LEAST_ERROR) * mean)
    return Speed(mean_bytes_s=mean, low_bytes_s=max(0.0, low), high_bytes_s=mean + half)


def _least(means_bytes_s: Sequence[float], quantile: float) -> float:
    """Return the lower end by the batches' logarithms: where each moved something, no speed is as low as nothing."""
    if min(means_bytes_s) <= 0:
        return 0.0
    logarithms = [math.log(mean) for mean in means_bytes_s]
    half = quantile * statistics.stdev(logarithms) / math.sqrt(len(logarithms))
    return math.exp(statistics.fmean(logarithms) - half)


class Bound(StrEnum):
    """What a download waits for."""

    NETWORK = "network"
    BASELINE = "instance's baseline bandwidth"
    VOLUME = "volume's write speed"


class Verdict(StrEnum):
    """What the hours mean where only so many are allowed."""

    ENOUGH = "enough"  # the whole interval is within them
    UNSURE = "unsure"  # a part of it is, or not all that can bind is known
    TOO_SLOW = "too-slow"  # not even its favourable end is


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """How long, at the mean speed and at the ends of the interval. `high` is infinite where no end can be named."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What bounds a download: the network as measured, what the instance is promised, what its volume takes.

    `baseline_bytes_s` and `volume` are None where they are not known.
    """

    network: Speed
    connections: int
    baseline_bytes_s: float | None = None
    volume: Speed | None = None

    @property
    def binds(self) -> Bound:
        """Which of them is the slowest."""
        means = {
            Bound.NETWORK: self.network.mean_bytes_s,
            Bound.BASELINE: self._baseline_bytes_s,
            Bound.VOLUME: self.volume.mean_bytes_s if self.volume else math.inf,
        }
        return min(means, key=means.__getitem__)

    @property
    def mean_bytes_s(self) -> float:
        """The speed of the slowest of them."""
        volume = self.volume.mean_bytes_s if self.volume else math.inf
        return min(self.network.mean_bytes_s, self._baseline_bytes_s, volume)

    @property
    def _baseline_bytes_s(self) -> float:
        return math.inf if self.baseline_bytes_s is None else self.baseline_bytes_s

    def hours(self, size_gb: float) -> Hours:
        """Return how long so much takes; at best with the network's credits for bursts untouched."""
        size_bytes = size_gb * _BYTES_IN_GB
        slowest = min(
            self.network.low_bytes_s, self._baseline_bytes_s, self.volume.low_bytes_s if self.volume else math.inf
        )
        least_s = self._bursting_s(size_bytes)
        if self.volume:
            least_s = max(least_s, size_bytes / self.volume.high_bytes_s)
        return Hours(
            mean=size_bytes / self.mean_bytes_s / 3600,
            low=least_s / 3600,
            high=size_bytes / slowest / 3600 if slowest > 0 else math.inf,
        )

    def _bursting_s(self, size_bytes: float) -> float:
        first_bytes = min(size_bytes, self.network.high_bytes_s * _BURST_S)
        later_bytes_s = min(self.network.high_bytes_s, self._baseline_bytes_s)
        return first_bytes / self.network.high_bytes_s + (size_bytes - first_bytes) / later_bytes_s


def judge(limits: Limits, size_gb: float, most_hours: float) -> Verdict:
    """Return whether so much comes down in the hours that are allowed.

    With a volume of unknown speed it is never enough. An unknown baseline is taken for none: not every host has one.
    """
    hours = limits.hours(size_gb)
    if hours.low > most_hours:
        return Verdict.TOO_SLOW
    return Verdict.UNSURE if hours.high > most_hours or limits.volume is None else Verdict.ENOUGH


def mbps(bytes_s: float) -> float:
    """Return a speed in megabits (10^6 bits) a second."""
    return bytes_s * 8 / _BITS_IN_MEGABIT


def figure(value: float) -> str:
    """Return megabits or hours as people write them: two digits that count, or all before the point."""
    return f"{value:.0f}" if value >= 10 else f"{max(value, 0.0001):.2g}"  # noqa: PLR2004  # two digits from there on


def span(hours: Hours) -> str:
    """Return the interval of some hours."""
    return f"{figure(hours.low)}h or more" if math.isinf(hours.high) else f"{figure(hours.low)}-{figure(hours.high)}h"


def bounds(limits: Limits) -> str:
    """Return what binds, and what each of the three came to."""
    connections = f"{limits.connections} connection{'s' if limits.connections != 1 else ''}"
    baseline = limits.baseline_bytes_s
    promised = "not known" if baseline is None else f"{figure(mbps(baseline))}Mbps"
    return (
        f"the {limits.binds} binds (network {limits.network} over {connections}, baseline {promised}, "
        f"volume {limits.volume or 'not known'})"
    )
