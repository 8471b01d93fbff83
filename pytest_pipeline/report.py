"""The one value all reports are made of, and its JSON form, version 1 (docs/results.schema.json)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from pytest_pipeline.matrix import Severity
from pytest_pipeline.outcome import Status, Waiver
from pytest_pipeline.stage import Verdict, words_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from pytest_pipeline.outcome import Outcome
    from pytest_pipeline.readiness import AreaScore, Readiness, Row


_DISTRIBUTION = "pytest-pipeline-readiness"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A GPU host that was looked at."""

    id: str
    name: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was looked at, as far as it is known. `simulated` says what was not the real thing."""

    world: str = "target"
    account: str = ""
    identity: str = ""
    instances: tuple[Instance, ...] = ()
    contexts: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What the gate changed in the world, and whether it was taken back."""

    what: str
    where: str
    removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A judgement, and what a reader must know to trust and repeat it."""

    readiness: Readiness
    run_id: str
    exit_status: int
    selection: str
    rerun: str
    started: float  # seconds since the epoch
    duration_s: float
    target: Target
    settings_sha256: str = ""
    pipeline_commit: str = ""
    effects: tuple[Effect, ...] = ()

    @property
    def recommendation(self) -> str:
        """The verdict in the words of the stage, with how many issues or warnings there are."""
        return recommendation(self.readiness)

    def to_wire(self) -> dict[str, Any]:
        """Return the report as JSON builtins, version 1."""
        readiness = self.readiness
        return {
            "version": 1,
            "tool": f"{_DISTRIBUTION} {_version()}",
            "run_id": self.run_id,
            "exit_status": self.exit_status,
            "selection": self.selection,
            "started": _utc(self.started),
            "duration_s": round(self.duration_s, 2),
            "stage": readiness.stage.name if readiness.stage else None,
            "target": _target(self.target),
            "settings_sha256": self.settings_sha256,
            "pipeline_commit": self.pipeline_commit,
            "valid_until": None,
            "rerun": self.rerun,
            "effects": [{"what": e.what, "where": e.where, "removed": e.removed} for e in self.effects],
            "verdict": readiness.verdict.value,
            "recommendation": self.recommendation,
            "score": _score(readiness),
            "areas": [_area(area) for area in readiness.areas],
            "causes": [
                {
                    "row": cause.row,
                    "diagnostic": cause.diagnostic,
                    "fix": cause.fix,
                    "remedy": cause.remedy,
                    "selected": cause.selected,
                    "blocks": list(cause.blocks),
                }
                for cause in readiness.causes
            ],
            "problems": [{"kind": p.kind, "where": p.where, "what": p.what, "fix": p.fix} for p in readiness.problems],
            "not_judged": list(readiness.not_judged),
            "rows": [_row(row, self.target.world) for row in readiness.rows],
        }


def recommendation(readiness: Readiness) -> str:
    """Return the verdict in the words of the stage, with the number of what stands behind it."""
    words = words_of(readiness.verdict, readiness.stage)
    wrong = {row.mode.id for row in readiness.rows_with(Status.FAILED, Status.NOT_RUN)}
    critical = {row.mode.id for row in readiness.rows if row.severity is Severity.CRITICAL}
    blocking = {cause.row: not critical.isdisjoint(cause.blocks) for cause in readiness.causes}
    issues = len(wrong | {*blocking}) + len(readiness.problems)
    match readiness.verdict:
        case Verdict.BLOCKED:
            others = [row for row in wrong | {*blocking} if not (row in critical or blocking.get(row))]
            more = f", {_count(len(others), 'other')}" if others else ""
            return f"{words}: {_count(issues - len(others), 'critical issue')}{more}"
        case Verdict.ATTENTION:
            return f"{words}: {_count(issues, 'issue')}"
        case Verdict.CAUTION:
            return f"{words}: {_count(len(readiness.rows_with(Status.WARNED)), 'warning')}"
        case _:
            return words


def _version() -> str:
    try:
        return version(_DISTRIBUTION)
    except PackageNotFoundError:  # a source tree with `-p pytest_pipeline.plugin`
        return "(not installed)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _utc(seconds: float) -> str:
    return dt.datetime.fromtimestamp(int(seconds), dt.UTC).isoformat().replace("+00:00", "Z")


def _figure(number: Fraction) -> float:
    """Two decimals, rounded down: 100 means all."""
    return int(number * 100) / 100


def _target(target: Target) -> dict[str, Any]:
    return {
        "world": target.world,
        "account": target.account,
        "identity": target.identity,
        "instances": [{"id": i.id, "name": i.name, "address": i.address} for i in target.instances],
        "contexts": list(target.contexts),
        "simulated": list(target.simulated),
    }


def _score(readiness: Readiness) -> dict[str, float | None]:
    low, high = readiness.low, readiness.high
    return {
        "earned": _figure(readiness.earned),
        "possible": _figure(readiness.possible),
        "low": None if low is None else _figure(low),
        "high": None if high is None else _figure(high),
        "not_judged_points": _figure(readiness.not_judged_points),
    }


def _area(area: AreaScore) -> dict[str, Any]:
    return {
        "name": area.area.value,
        "phase": area.area.phase.value,
        "points": area.area.points,
        "earned": _figure(area.earned),
        "judged": _figure(area.possible),
        "left_out": area.left_out,
    }


def _row(row: Row, world: str) -> dict[str, Any]:
    said = row.worst_case
    return {
        "id": row.mode.id,
        "phase": row.mode.phase.value,
        "area": row.mode.area.value,
        "category": row.mode.category,
        "failure": row.mode.failure,
        "severity": row.severity.value,
        "origin": row.origin.value,
        "world": world,
        "status": row.status.value,
        "summary": said.summary,
        "diagnostic": said.diagnostic,
        "fix": said.fix,
        "remedy": said.remedy,
        "blocked_by": said.blocked_by or None,
        "evidence": dict(said.evidence),
        "first_seen": None,
        "why": said.why,
        "waiver": _waiver(said.waiver),
        "attempts": max(case.attempt for case in row.cases),
        "duration_s": round(sum(case.duration_s for case in row.cases), 4),
        "cases": [_case(case) for case in row.cases],
        "nodeids": list(row.nodeids),
    }


def _waiver(waiver: Waiver | None) -> Mapping[str, str] | None:
    return None if waiver is None else {"owner": waiver.owner, "reason": waiver.reason, "expires": waiver.expires}


def _case(case: Outcome) -> dict[str, Any]:
    return {
        "id": case.case,
        "host": case.host,
        "status": case.status.value,
        "summary": case.summary,
        "diagnostic": case.diagnostic,
        "fix": case.fix,
        "blocked_by": case.blocked_by or None,
        "evidence": dict(case.evidence),
        "duration_s": case.duration_s,
    }
