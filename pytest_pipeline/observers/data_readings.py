"""What was seen of the data that training reads."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass, field
from typing import Any

from pytest_pipeline.data.distinct import Overlap, Repeats  # noqa: TC001 - likewise
from pytest_pipeline.data.finding import Finding  # noqa: TC001 - likewise
from pytest_pipeline.data.result import FileResult  # noqa: TC001 - likewise
from pytest_pipeline.data.sampling import Estimate  # noqa: TC001 - likewise
from pytest_pipeline.outcome import Reading  # noqa: TC001 - likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """The files of one purpose, in the order that training reads them, and what came of their records.

    `findings` are by the row that they belong to. `repeats` is of those that were looked at. `made_by`
    is the step whose quick run made all of it, "" where some was there before.
    """

    files: tuple[FileResult, ...]
    invalid: Estimate
    repeats: Reading[Repeats]
    duration_s: float
    findings: Mapping[str, tuple[Finding, ...]] = field(default_factory=dict)
    made_by: str = ""

    @property
    def exact(self) -> bool:
        """Whether every record was looked at."""
        return self.invalid.exact

    @property
    def records(self) -> int:
        """How many records were looked at."""
        return sum(file.records for file in self.files)

    @property
    def valid(self) -> int:
        """How many of them are valid."""
        return sum(file.valid for file in self.files)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReadings:
    """What was seen of the data; each reading fails alone."""

    train: Reading[Dataset]
    validation: Reading[Dataset]
    columns: Reading[tuple[Finding, ...]]
    overlap: Reading[Overlap]
    stale: Reading[tuple[Finding, ...]]

    @classmethod
    def none(cls, why: Reading[Any]) -> DataReadings:
        """Return readings that are all missing for one reason."""
        return cls(train=why, validation=why, columns=why, overlap=why, stale=why)
