"""What a row comes to: statuses, readings, evidence, and the outcome that crosses processes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar, cast

import pytest

from pytest_pipeline.matrix import Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")
Scalar = str | int | float | bool | None


class Status(StrEnum):
    """What became of a row. Declared worst first: a row is as good as its worst case."""

    FAILED = "failed"  # looked, and it is wrong
    BLOCKED = "blocked"  # could not look; says which cause to fix first
    NOT_RUN = "not_run"  # planned, and no outcome came
    WARNED = "warned"  # deployable, and somebody should look
    PASSED = "passed"  # looked, and it is right
    WAIVED = "waived"  # a named person chose not to look, and said why
    NOT_APPLICABLE = "not_applicable"  # positive knowledge that the row has no object here

    @property
    def unknown(self) -> bool:
        """Whether nothing is known of what the row would have looked at."""
        return self in (Status.BLOCKED, Status.NOT_RUN)

    @property
    def left_out(self) -> bool:
        """Whether the row is out of the score, its points shared among the area's others."""
        return self in (Status.WAIVED, Status.NOT_APPLICABLE)


def worst(*statuses: Status) -> Status:
    """Return the worst of one or more statuses."""
    order = list(Status)
    return min(statuses, key=order.index)


_blocks_made: list[Blocked] = []


def watch_for_blocks() -> list[Blocked]:
    """Return the list that every `Blocked` made from now on is added to, in whatever thread of the process.

    A row that catches a `Blocked` has not looked; this is how its recorder knows. One row runs at a time.
    """
    _blocks_made.clear()
    return _blocks_made


class Blocked(pytest.fail.Exception):  # type: ignore[misc,name-defined]  # pytest types it as a class variable
    """A row could not look, because of `by`: the id of the row at the root of it, or one of the reserved causes.

    It derives from pytest's own failure so that neither a row's `except Exception` swallows it nor pytest's cache of
    session fixtures loses it.
    """

    def __init__(self, reason: str, *, by: str, remedy: str = "") -> None:
        super().__init__(reason, pytrace=False)
        self.reason = reason
        self.by = by
        self.remedy = remedy
        _blocks_made.append(self)


class NotApplicable(pytest.skip.Exception):  # type: ignore[misc,name-defined]  # pytest types it as a class variable
    """A row has no object here, and that is known for sure."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """A value that was looked for in the world, or the reason why there is none and the row that owns that reason.

    Make one with `Reading.of(value)` or `Reading.missing(reason, by=row)`.
    """

    known: T | None = None
    reason: str = ""
    by: str = ""
    remedy: str = ""

    @classmethod
    def of(cls, value: T) -> Self:
        """Return the reading of a value that was seen."""
        return cls(known=value)

    @classmethod
    def missing(cls, reason: str, *, by: str, remedy: str = "") -> Self:
        """Return the reading of a value that could not be seen, because of the row `by`; `remedy` is a command."""
        return cls(reason=reason, by=by, remedy=remedy)

    @property
    def is_known(self) -> bool:
        """Whether there is a value."""
        return not self.by

    @property
    def value(self) -> T:
        """The value. Raises Blocked by the owner of the reason where there is none."""
        if self.by:
            raise Blocked(self.reason, by=self.by, remedy=self.remedy)
        return cast("T", self.known)

    def hand_on(self) -> Reading[Any]:
        """Return what is missing here as the reason why something else is missing too; the owner stays the root."""
        return Reading.missing(self.reason, by=self.by, remedy=self.remedy)

    @property
    def or_none(self) -> T | None:
        """The value, or None: the one explicit way to look at what may be missing."""
        return self.known


def _scalar(value: object) -> Scalar:
    """Return a JSON scalar of an exact type: a subclass (of an enum, of numpy) does not cross processes."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    text = str.__str__(value) if isinstance(value, str) else str(value)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Evidence:
    """What a row notes while it judges. It fills the templates of the row's diagnostic."""

    def __init__(self) -> None:
        self.noted: dict[str, Scalar] = {}
        self.warnings: list[str] = []
        self.command = ""
        self.raised = False

    def __call__(self, **noted: Scalar) -> None:
        """Note values by name. A later value of the same name replaces the earlier one."""
        for name, value in noted.items():
            self.noted[name] = _scalar(value)

    def warn(self, what: str) -> None:
        """Say what somebody should look at although the row is right."""
        self.warnings.append(what)

    def remedy(self, command: str) -> None:
        """Give the command to paste for what was seen, instead of the row's own."""
        self.command = command

    def severity(self, severity: str) -> None:
        """Raise the row's severity for what was seen; it is never lowered."""
        self.raised = self.raised or Severity(severity) is Severity.CRITICAL

    def not_applicable(self, why: str) -> NoReturn:
        """End the row: it is known that it has no object here. Never for what could not be read."""
        raise NotApplicable(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiver:
    """A named person's decision not to look at a row, until a date (UTC, included)."""

    row: str
    owner: str
    reason: str
    expires: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt at one case of a row came to: the only thing that crosses processes.

    `raised`: what was seen makes the row critical, whatever its own severity.
    """

    nodeid: str
    row: str
    status: Status
    raised: bool = False
    case: str = ""
    host: str = ""
    summary: str = ""
    diagnostic: str = ""
    fix: str = ""
    remedy: str = ""
    blocked_by: str = ""
    why: str = ""
    evidence: Mapping[str, Scalar] = field(default_factory=dict)
    waiver: Waiver | None = None
    attempt: int = 1
    duration_s: float = 0.0

    def to_wire(self) -> dict[str, Any]:
        """Return the outcome as JSON builtins: nothing else crosses processes."""
        return {**asdict(self), "status": self.status.value}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Read what `to_wire` wrote."""
        waiver = wire["waiver"]
        return cls(
            **{
                **wire,
                "status": Status(wire["status"]),
                "waiver": Waiver(**waiver) if waiver else None,
            }
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What went wrong outside the rows: a collector, a plain test, a teardown, an interruption."""

    kind: str
    where: str
    what: str
    fix: str
