"""The observations of data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_pipeline.data.listing import SourceListing
from pytest_pipeline.observers.data_readings import DataReadings
from pytest_pipeline.observers.names import IDENTITY, PDFS, RECORDS, SOURCES, quick_run_name
from pytest_pipeline.observers.observation import Observation
from pytest_pipeline.observers.pdf_look import PDFS_ROW, PdfsSeen, look_at_pdfs
from pytest_pipeline.observers.quick_run import AROUND_S, QuickRun, look_at_quick_run
from pytest_pipeline.observers.records_look import FORMAT_ROW, look_at_records
from pytest_pipeline.observers.source_look import SOURCES_ROW, look_at_sources
from pytest_pipeline.observers.step_outputs import SPEED_ROW
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.observers.observation import Observations
    from pytest_pipeline.settings import Settings, Step

_LISTING_S = 90.0
_PDFS_S = 180.0
_AROUND_S = 120.0  # beyond the budget for reading: listing, and what is looked at of a sample


def of_data(settings: Settings, folder: Path) -> list[Observation[Any]]:
    """Return the observations of data. Where some of it is in S3, only somebody AWS knows looks at it."""
    data = settings.data
    uris = [*(source.uri for source in data.sources), *data.train, *data.validation]
    in_s3 = any(uri.startswith("s3://") for uri in uris)
    needs = (IDENTITY,) if in_s3 else ()
    producer = settings.producer
    may_make = producer is not None and any(map(producer.makes, (*data.train, *data.validation)))

    def sources(observations: Observations) -> Any:
        return _unknown(observations, needs) or look_at_sources(settings)

    def records(observations: Observations) -> Any:
        why = _unknown(observations, needs)
        listed = observations.reading(SOURCES)
        sources = listed.value if listed.is_known else {"": listed.hand_on()}
        return why or look_at_records(settings, sources, folder / "digests", make=lambda: _made(observations, producer))

    def pdfs(observations: Observations) -> Any:
        return _unknown(observations, needs) or look_at_pdfs(settings)

    return [
        Observation(
            name=SOURCES,
            owner=SOURCES_ROW,
            answers=dict[str, Reading[SourceListing]],
            look=sources,
            deadline_s=_LISTING_S,
            needs=needs,
        ),
        Observation(
            name=RECORDS,
            owner=FORMAT_ROW,
            answers=DataReadings,
            look=records,
            deadline_s=data.budget_s + _AROUND_S + (_longest_s(producer) if producer else 0),
            needs=(*needs, SOURCES),
            effects=may_make,
        ),
        Observation(name=PDFS, owner=PDFS_ROW, answers=PdfsSeen, look=pdfs, deadline_s=_PDFS_S, needs=needs),
        *([_quick_run(settings, producer, folder)] if producer else []),
    ]


def _quick_run(settings: Settings, step: Step, folder: Path) -> Observation[QuickRun]:
    """Return the observation that runs a step, as somebody AWS knows."""
    needs = (IDENTITY,)

    def look(observations: Observations) -> Any:
        return _unknown(observations, needs) or look_at_quick_run(settings, step, folder)

    return Observation(
        name=quick_run_name(step.name),
        owner=SPEED_ROW,
        answers=QuickRun,
        look=look,
        deadline_s=_longest_s(step),
        needs=needs,
        effects=True,
    )


def _longest_s(step: Step) -> float:
    return step.timeout_s + step.settle_s + step.grace_s + AROUND_S


def _made(observations: Observations, step: Step | None) -> Reading[str]:
    """Return the name of the step once its quick run has made what it makes."""
    if step is None:
        raise ValueError("no step makes the data")
    seen: Reading[QuickRun] = observations.reading(quick_run_name(step.name))
    if not seen.is_known:
        return seen.hand_on()
    if seen.value.trouble:
        return Reading.missing(f"the quick run of {step.name} failed: {seen.value.trouble}", by=SPEED_ROW)
    return Reading.of(step.name)


def _unknown(observations: Observations, needs: tuple[str, ...]) -> Reading[Any] | None:
    """Return why nobody can look, or None: bad credentials are one cause, and are not met once for each source."""
    missing = [reading for name in needs if not (reading := observations.reading(name)).is_known]
    return missing[0].hand_on() if missing else None
