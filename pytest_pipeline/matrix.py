"""The vocabulary of the failure matrix: phases, areas, severities, failure modes, and the catalogue of the 36 rows."""

from __future__ import annotations

import re
import string
from dataclasses import asdict, dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Phase(IntEnum):
    """A phase of the matrix; its marker is `phaseN`."""

    INFRASTRUCTURE = 1
    ENVIRONMENT = 2
    DATA = 3
    TRAINING = 4
    MONITORING = 5
    INTEGRATION = 6

    @property
    def title(self) -> str:
        """The heading the matrix gives to the phase."""
        return _PHASE_TITLES[self]

    @property
    def marker(self) -> str:
        """The name of the pytest marker that selects the phase."""
        return f"phase{self.value}"


_PHASE_TITLES = {
    Phase.INFRASTRUCTURE: "Infrastructure & Prerequisites",
    Phase.ENVIRONMENT: "Environment & Dependencies",
    Phase.DATA: "Data Pipeline Validation",
    Phase.TRAINING: "Training Process Validation",
    Phase.MONITORING: "Monitoring & Alerting",
    Phase.INTEGRATION: "End-to-End Integration",
}


class Area(StrEnum):
    """A line of the readiness score. The points of all areas add up to 100."""

    INFRASTRUCTURE = "Infrastructure Setup"
    ENVIRONMENT = "Environment Validation"
    DATA = "Data Pipeline"
    TRAINING = "Training Process"
    MONITORING = "Monitoring System"
    ERROR_HANDLING = "Error Handling"
    CLEANUP = "Cleanup & Documentation"

    @property
    def points(self) -> int:
        """What the whole area is worth, shared equally by its rows of the matrix."""
        return _AREA_POINTS[self]

    @property
    def phase(self) -> Phase:
        """The phase whose rows the area judges."""
        return _AREA_PHASES[self]


_AREA_POINTS = {
    Area.INFRASTRUCTURE: 20,
    Area.ENVIRONMENT: 15,
    Area.DATA: 15,
    Area.TRAINING: 20,
    Area.MONITORING: 10,
    Area.ERROR_HANDLING: 10,
    Area.CLEANUP: 10,
}
_AREA_PHASES = {
    Area.INFRASTRUCTURE: Phase.INFRASTRUCTURE,
    Area.ENVIRONMENT: Phase.ENVIRONMENT,
    Area.DATA: Phase.DATA,
    Area.TRAINING: Phase.TRAINING,
    Area.MONITORING: Phase.MONITORING,
    Area.ERROR_HANDLING: Phase.INTEGRATION,
    Area.CLEANUP: Phase.INTEGRATION,
}


class Severity(StrEnum):
    """What a row that is not right does to the verdict."""

    CRITICAL = "critical"  # the deployment cannot work: BLOCKED
    MAJOR = "major"  # it would run, and somebody would regret it: ATTENTION


RESERVED_CAUSES = frozenset({"settings", "no-cases", "skip", "fixture", "fault-not-felt"})
"""What may block a row without being one, so no row may take these ids."""

_ROW_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_TEMPLATES = ("failure", "diagnostic", "fix", "remedy", "healthy")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureMode:
    """One row of the matrix: what can go wrong, how to say so, and what to do about it.

    `failure`, `diagnostic`, `fix`, `remedy` and `healthy` are templates: `{name}` is filled with what the row noted
    as evidence, `{error}` with the first line of what it raised. Raises ValueError where a column is malformed.
    """

    id: str
    phase: Phase
    area: Area
    category: str
    failure: str
    diagnostic: str
    fix: str
    remedy: str = ""
    healthy: str = ""
    severity: Severity = Severity.CRITICAL
    effects: tuple[str, ...] = ()
    budget_s: float | None = None

    def __post_init__(self) -> None:
        if not _ROW_ID.fullmatch(self.id):
            raise ValueError(
                f"failure mode {self.id!r}: an id is lower-case words joined by '-', such as 'disk-space'; rename it"
            )
        if self.id in RESERVED_CAUSES:
            raise ValueError(f"failure mode {self.id!r}: the id is taken by the cause {self.id!r}; choose another")
        if self.area.phase is not self.phase:
            raise ValueError(
                f"failure mode {self.id!r}: area {self.area.value!r} belongs to phase {self.area.phase.value}, "
                f"not to phase {self.phase.value}; give the phase or the area that you mean"
            )
        for column in ("category", "failure", "diagnostic", "fix"):
            if not getattr(self, column).strip():
                raise ValueError(f"failure mode {self.id!r}: {column} is empty; say it in a sentence")
        if self.budget_s is not None and self.budget_s <= 0:
            raise ValueError(f"failure mode {self.id!r}: budget_s must be above 0, got {self.budget_s}")
        for column in _TEMPLATES:
            _check_template(self.id, column, getattr(self, column))

    def to_wire(self) -> dict[str, Any]:
        """Return the row as JSON builtins."""
        return {**asdict(self), "phase": self.phase.value, "area": self.area.value, "severity": self.severity.value}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Read what `to_wire` wrote."""
        return cls(
            **{
                **wire,
                "phase": Phase(wire["phase"]),
                "area": Area(wire["area"]),
                "severity": Severity(wire["severity"]),
                "effects": tuple(wire["effects"]),
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One case of a row that pytest collected, and whether it was selected to run."""

    nodeid: str
    mode: FailureMode
    host: str = ""
    selected: bool = True


def _check_template(row: str, column: str, template: str) -> None:
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ValueError(
            f"failure mode {row!r}: {column} {template!r} is no template ({error}); write a literal brace twice"
        ) from None
    for _, name, format_spec, conversion in parsed:
        if name is not None and (not name.isidentifier() or format_spec or conversion):
            raise ValueError(
                f"failure mode {row!r}: {column} {template!r} has a placeholder that is not a bare name; "
                "write '{free_gb}' and note a value that is ready to print"
            )


def failure_mode(
    row: str,
    /,
    *,
    phase: int,
    category: str,
    failure: str,
    diagnostic: str,
    fix: str,
    area: str | None = None,
    severity: str = "critical",
    remedy: str = "",
    healthy: str = "",
    effects: Iterable[str] = (),
    budget_s: float | None = None,
) -> pytest.MarkDecorator:
    """Make a test a row of the matrix.

    Use it as a decorator, or as the mark of a `pytest.param`. Tests and parameters with the same row are its cases:
    a row is as good as its worst case. `area` is the phase's own unless the phase has several (phase 6).

    Raises ValueError, which pytest shows as a collection error, where a column is malformed.
    """
    try:
        known_phase = Phase(phase)
    except ValueError:
        raise ValueError(f"failure mode {row!r}: phase is 1 to 6, got {phase!r}") from None
    mode = FailureMode(
        id=row,
        phase=known_phase,
        area=_area(row, known_phase, area),
        category=category,
        failure=failure,
        diagnostic=diagnostic,
        fix=fix,
        remedy=remedy,
        healthy=healthy,
        severity=_severity(row, severity),
        effects=tuple(effects),
        budget_s=budget_s,
    )
    return pytest.mark.failure_mode(mode)


def _area(row: str, phase: Phase, name: str | None) -> Area:
    of_phase = [area for area in Area if area.phase is phase]
    if name is None and len(of_phase) == 1:
        return of_phase[0]
    try:
        return Area(name or "")
    except ValueError:
        choice = " or ".join(repr(area.value) for area in of_phase)
        given = "no area" if name is None else f"area {name!r}"
        raise ValueError(f"failure mode {row!r}: {given} given; phase {phase.value} has {choice}") from None


def _severity(row: str, name: str) -> Severity:
    try:
        return Severity(name)
    except ValueError:
        raise ValueError(f"failure mode {row!r}: severity is 'critical' or 'major', got {name!r}") from None
