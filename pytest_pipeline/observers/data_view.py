"""The data as rows see it: readings of sources, records and PDF files, each waited for when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.observers.data_readings import DataReadings
from pytest_pipeline.observers.names import PDFS, RECORDS, SOURCES, quick_run_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.data.listing import SourceListing
    from pytest_pipeline.observers.observation import Observations
    from pytest_pipeline.observers.pdf_look import PdfsSeen
    from pytest_pipeline.observers.quick_run import QuickRun
    from pytest_pipeline.outcome import Reading


class PipelineData:
    """Each is a reading, or holds readings: a value, or the reason why there is none."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations

    @property
    def sources(self) -> Reading[Mapping[str, Reading[SourceListing]]]:
        """What lies in each source of the settings, by its name."""
        return self._observations.reading(SOURCES)

    @property
    def records(self) -> DataReadings:
        """What was seen of the records that training reads."""
        seen: Reading[DataReadings] = self._observations.reading(RECORDS)
        return seen.value if seen.is_known else DataReadings.none(seen)

    @property
    def pdfs(self) -> Reading[PdfsSeen]:
        """How many PDF files there are, and what is wrong with some of them."""
        return self._observations.reading(PDFS)

    def quick_run(self, step: str) -> Reading[QuickRun]:
        """What came of the quick run of the step that makes the data.

        The records are looked at first: what lies where the step writes is no longer the same afterwards.
        """
        self._observations.reading(RECORDS)
        return self._observations.reading(quick_run_name(step))
