"""What a judgement comes to: rows, areas, causes, and the readiness of them all. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_pipeline.catalogue import Origin, origin_of

if TYPE_CHECKING:
    from pytest_pipeline.matrix import Area, FailureMode, Severity
    from pytest_pipeline.outcome import Outcome, Problem, Status
    from pytest_pipeline.stage import Stage, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What became of one row: its worst case, and all its cases."""

    mode: FailureMode
    status: Status
    severity: Severity
    cases: tuple[Outcome, ...]
    nodeids: tuple[str, ...]

    @property
    def worst_case(self) -> Outcome:
        """The case that speaks for the row."""
        return next(case for case in self.cases if case.status is self.status)

    @property
    def origin(self) -> Origin:
        """Whether it is one of the 36, shipped beside them, or a user's own."""
        return origin_of(self.mode.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """What to fix first: a row that failed, or what kept rows from looking."""

    row: str
    diagnostic: str
    fix: str
    remedy: str = ""
    selected: bool = True
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaScore:
    """The points of one area. `left_out` says why an area has none."""

    area: Area
    earned: Fraction
    unknown: Fraction
    possible: Fraction
    left_out: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Everything a report needs to know of the judgement."""

    verdict: Verdict
    stage: Stage | None
    rows: tuple[Row, ...]
    areas: tuple[AreaScore, ...]
    causes: tuple[Cause, ...]
    problems: tuple[Problem, ...]
    not_judged: tuple[str, ...]
    not_judged_points: Fraction
    plain_tests: tuple[str, ...] = ()

    @property
    def earned(self) -> Fraction:
        """Points of rows that are right, half of those that are warned."""
        return sum((area.earned for area in self.areas), Fraction())

    @property
    def unknown(self) -> Fraction:
        """Points of planned rows that nobody could look at."""
        return sum((area.unknown for area in self.areas), Fraction())

    @property
    def possible(self) -> Fraction:
        """Points of the planned rows of the matrix."""
        return sum((area.possible for area in self.areas), Fraction())

    @property
    def low(self) -> Fraction | None:
        """The score in percent of what was possible, unknown rows counted as wrong; None when nothing was possible."""
        return 100 * self.earned / self.possible if self.possible else None

    @property
    def high(self) -> Fraction | None:
        """The score in percent of what was possible, unknown rows counted as right; None when nothing was possible."""
        return 100 * (self.earned + self.unknown) / self.possible if self.possible else None

    def rows_with(self, *statuses: Status) -> tuple[Row, ...]:
        """Return the rows with one of the statuses."""
        return tuple(row for row in self.rows if row.status in statuses)


def shown(number: Fraction) -> str:
    """Return a figure for people, rounded down to a tenth: 100 means all."""
    tenths = number * 10 // 1
    return f"{tenths // 10}" if tenths % 10 == 0 else f"{tenths // 10}.{tenths % 10}"
