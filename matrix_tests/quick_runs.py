"""Judging the quick run of the step that makes the data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import Blocked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.data.listing import SourceListing
    from pytest_pipeline.observers.data_readings import Dataset
    from pytest_pipeline.observers.quick_run import QuickRun
    from pytest_pipeline.settings import Data

_LEAST_HOURS = 0.05  # which one digit shows


def judge_quick_run(quick: QuickRun, evidence: Evidence) -> None:
    """Whether the step works, and how fast it is: by its own words, which are not guessed where they are missing."""
    evidence(step=quick.step, exit_status=quick.exit_status, took_s=round(quick.duration_s, 2))
    evidence(outputs=", ".join(made.uri for made in quick.outputs))
    if quick.trouble:
        pytest.fail(quick.trouble, pytrace=False)
    each_s = quick.records_each_s
    if each_s is None:
        evidence(speed="unknown")
        said = f"{quick.records:,} records in {quick.seconds:g} s" if quick.seconds is not None else "no such line"
        evidence.warn(
            f"how fast {quick.step} is cannot be told from what it printed: {said} "
            "(`speed` of the step in pipeline.steps says how such a line reads)"
        )
        return
    evidence(speed=f"{_short(each_s * 60)} records/minute{_for_everything(quick.everything, each_s)}")


def expect_sources(data: Data, listings: Mapping[str, Reading[SourceListing]]) -> None:
    """Raise Blocked where a source has nothing to read: a step that fails then may have nothing wrong with it."""
    for source in data.sources:
        listing = listings[source.name].value
        if listing.archived.count or not (listing.count or source.optional):
            raise Blocked(f"its source {source.name} has no files that can be read", by="data-sources")


def judge_volume_to_come(train: Dataset, quick: QuickRun, data: Data, evidence: Evidence) -> None:
    """Whether there will be records enough: as many of all that there are as the quick run kept of what it read."""
    if data.min_records is None:
        raise Blocked("data.min_records", by="settings")
    evidence(min=f"{data.min_records:,}")
    distinct = train.repeats.value.distinct
    if distinct >= data.min_records:
        evidence(count=f"{distinct:,}")
        return
    if not quick.records or quick.everything is None:
        raise Blocked(
            f"the quick run of {quick.step} made {distinct:,}, and how many there will be cannot be told: "
            "its output does not say how many it read, or the sources hold no JSON lines",
            by="settings",
        )
    to_come = round(distinct / quick.records * quick.everything)
    evidence(count=f"about {to_come:,}")
    if to_come < data.min_records:
        kept = f"the quick run of {quick.step} made {distinct:,} of {quick.records:,}"
        pytest.fail(f"{kept}, and the sources have about {quick.everything:,}", pytrace=False)


def _short(number: float) -> str:
    """`850`, `1.2k`, `3.4M`."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:.1f}{name}"
    return f"{number:.0f}" if number >= 1 else f"{number:.2g}"


def _for_everything(records: int | None, each_s: float) -> str:
    if records is None:
        return ""
    hours = records / each_s / 3600
    return f" ({f'about {hours:.1f}' if hours >= _LEAST_HOURS else 'less than 0.1'}h for everything)"
