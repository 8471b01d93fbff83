"""Files that training reads and that are older than what they were made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pytest_pipeline.data.finding import Finding, Gravity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SKEW_S = 300.0
"""What clocks may differ by: a local file's time is of another clock than an object's."""

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A file and when it was last written (S3's LastModified, a file's mtime), in seconds since 1970, or None."""

    uri: str
    modified_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """The made files that are older than the newest source, oldest first, and those whose time is not known."""

    made: int
    sources: int
    newest: Dated | None = None
    stale: tuple[Dated, ...] = ()
    newer_sources: int = 0
    undated: tuple[str, ...] = ()


def staleness(made: Sequence[Dated], sources: Iterable[Dated], skew_s: float = SKEW_S) -> Staleness:
    """Compare files with their sources. `newer_sources` are written after the oldest file that is stale."""
    told = list(sources)
    times = sorted(((one.modified_s, one) for one in told if one.modified_s is not None), key=lambda pair: pair[0])
    undated = tuple(one.uri for one in (*made, *told) if one.modified_s is None)
    newest = times[-1][1] if times else None
    limit = times[-1][0] - skew_s if times else float("-inf")
    old = sorted(((at, one) for one in made if (at := one.modified_s) is not None and at < limit), key=lambda it: it[0])
    return Staleness(
        made=len(made),
        sources=len(told),
        newest=newest,
        stale=tuple(one for _, one in old),
        newer_sources=sum(1 for at, _ in times if old and at > old[0][0] + skew_s),
        undated=undated,
    )


def findings(of: Staleness) -> tuple[Finding, ...]:
    """Return what a user reads of files that are older than their sources."""
    said = []
    if of.stale and of.newest:
        oldest, age_s = of.stale[0], (of.newest.modified_s or 0.0) - (of.stale[0].modified_s or 0.0)
        others = f" (and {len(of.stale) - 1:,} more of {of.made:,} files)" if len(of.stale) > 1 else ""
        sources = f"{of.newer_sources:,} of {of.sources:,} sources were written after it, the last {of.newest.uri}"
        sentence = (
            f"{oldest.uri} of {_time(oldest)} is older than its sources{others}: "
            f"{sources}, {_duration(age_s)} later; make it again, or say that these are not its sources"
        )
        said.append(Finding(gravity=Gravity.DOUBTFUL, sentence=sentence))
    if not of.made or not of.sources:
        what = "file" if not of.made else "source"
        said.append(
            Finding(gravity=Gravity.UNKNOWN, sentence=f"no {what} to compare: nothing is known of what is stale")
        )
    elif of.undated:
        more = f" and {len(of.undated) - 1:,} more" if len(of.undated) > 1 else ""
        sentence = f"when {of.undated[0]}{more} was written is not known, nor whether it is stale"
        said.append(Finding(gravity=Gravity.UNKNOWN, sentence=sentence))
    return tuple(said)


def _time(of: Dated) -> str:
    try:
        return datetime.fromtimestamp(of.modified_s or 0.0, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "a time that is none"


def _duration(seconds: float) -> str:
    for unit_s, unit in ((_DAY_S, "days"), (_HOUR_S, "hours"), (_MINUTE_S, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {unit}"
    return f"{seconds:.0f} seconds"
