"""The report as lines of text, written for somebody with a deployment waiting at 2 a.m. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from pytest_pipeline.catalogue import CATALOGUE
from pytest_pipeline.matrix import Area, Phase
from pytest_pipeline.outcome import Status
from pytest_pipeline.readiness import shown
from pytest_pipeline.stage import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pytest_pipeline.readiness import AreaScore, Cause, Readiness, Row
    from pytest_pipeline.report import Report, Target


@dataclass(frozen=True, slots=True)
class Line:
    """A line, and how pytest's terminal writer is to mark it."""

    text: str
    markup: Mapping[str, bool] = field(default_factory=dict)


_HEADINGS = {
    Area.INFRASTRUCTURE: "INFRASTRUCTURE CHECKS",
    Area.ENVIRONMENT: "ENVIRONMENT CHECKS",
    Area.DATA: "DATA PIPELINE VALIDATION",
    Area.TRAINING: "TRAINING VALIDATION",
    Area.MONITORING: "MONITORING VALIDATION",
    Area.ERROR_HANDLING: "ERROR HANDLING",
    Area.CLEANUP: "CLEANUP & DOCUMENTATION",
}
_SIGNS = {  # status -> (sign, sign where the terminal has no emoji)
    Status.PASSED: ("✅", "[ok]"),
    Status.WARNED: ("⚠️ ", "[warn]"),
    Status.FAILED: ("❌", "[FAIL]"),
    Status.BLOCKED: ("⛔", "[blocked]"),
    Status.NOT_RUN: ("❔", "[not run]"),
    Status.WAIVED: ("⏭️ ", "[waived]"),
    Status.NOT_APPLICABLE: ("⏭️ ", "[n/a]"),
}
_MOST_CASES = 5
_COLOURS: Mapping[Status, Mapping[str, bool]] = {
    Status.PASSED: {"green": True},
    Status.WARNED: {"yellow": True},
    Status.FAILED: {"red": True},
    Status.BLOCKED: {"red": True},
    Status.NOT_RUN: {"red": True},
}
_VERDICTS: Mapping[Verdict, tuple[str, Mapping[str, bool]]] = {
    Verdict.READY: ("✅ ", {"green": True, "bold": True}),
    Verdict.CAUTION: ("⚠️  ", {"yellow": True, "bold": True}),
    Verdict.PARTIAL: ("⚠️  ", {"yellow": True, "bold": True}),
    Verdict.ATTENTION: ("🚨 ", {"red": True, "bold": True}),
    Verdict.BLOCKED: ("🚨 ", {"red": True, "bold": True}),
    Verdict.NOTHING_JUDGED: ("🚨 ", {"red": True, "bold": True}),
}


def render(report: Report, *, plain: bool) -> Iterator[Line]:
    """Return the whole report, its last line always `verdict: WORD`. `plain`: the terminal has no emoji."""
    readiness = report.readiness
    yield Line("")
    for area, rows in groupby(readiness.rows, key=lambda row: row.mode.area):
        yield Line(_HEADINGS[area] if plain else f"🔍 {_HEADINGS[area]}", {"bold": True})
        for row in rows:
            sign = _SIGNS[row.status][plain]
            yield Line(f"{sign} {say(row)}", _COLOURS.get(row.status, {}))
        yield Line("")
    for text in _points(readiness):
        yield Line(text)
    sign, markup = _VERDICTS[readiness.verdict]
    yield Line("")
    yield Line(report.recommendation if plain else f"{sign}{report.recommendation}", markup)
    for text in (*_causes(readiness), *_warnings(readiness), *_problems(readiness)):
        yield Line(f"   {text}")
    yield Line("")
    yield Line(f"Looked at: {_target(report.target)}")
    for effect in report.effects:
        if not effect.removed:
            yield Line(f"Left behind: {effect.what} {effect.where}")
    if readiness.not_judged:
        yield Line(f"Not looked at: {_not_judged(readiness.not_judged)}")
    for test in readiness.plain_tests:
        yield Line(f"No row: {test}; decorate it with @failure_mode(...) to have it judged")
    yield Line(f"Run again: {report.rerun}")
    yield Line(f"verdict: {readiness.verdict.value}", markup)


def say(row: Row) -> str:
    """Return what a row has to say for itself, in one line."""
    case = row.worst_case
    many = f" ({sum(one.status is row.status for one in row.cases)} of {len(row.cases)} cases)"
    cases = many if len(row.cases) > 1 and row.status is not Status.PASSED else ""
    name = row.mode.id
    match row.status:
        case Status.PASSED:
            return case.summary or row.mode.category
        case Status.WARNED:
            return f"{case.summary or row.mode.category}: {case.diagnostic}{cases}"
        case Status.FAILED:
            return f"{case.diagnostic}{cases}"
        case Status.BLOCKED:
            return f"{name}: blocked by {case.blocked_by}{cases}"
        case Status.NOT_RUN:
            return f"{name}: not run: {case.why}{cases}"
        case Status.WAIVED if case.waiver:
            return f"{name}: waived by {case.waiver.owner} until {case.waiver.expires}: {case.why}"
        case _:
            return f"{name}: not applicable: {case.why}"


def _points(readiness: Readiness) -> Iterator[str]:
    unjudged = f"{shown(readiness.not_judged_points)} points not judged"
    rest = f" - {unjudged}" if readiness.not_judged_points else ""
    scored = [area for area in readiness.areas if area.possible]
    for area in readiness.areas:
        if area.left_out:
            yield f"{area.area.value} left out: {area.left_out}"
        elif area.possible:
            yield f"{area.area.value} {_of(area)}{rest if len(scored) == 1 else ''}"
    if len(scored) > 1:
        yield f"Score {shown(readiness.earned)}/{shown(readiness.possible)}{_interval(readiness)}{rest}"
    elif not scored:
        yield unjudged


def _of(area: AreaScore) -> str:
    span = f" ({shown(area.earned)}-{shown(area.earned + area.unknown)})" if area.unknown else ""
    return f"{shown(area.earned)}/{shown(area.possible)}{span}"


def _interval(readiness: Readiness) -> str:
    unknown = len(readiness.rows_with(Status.BLOCKED, Status.NOT_RUN))
    if not readiness.unknown:
        return ""
    low, high = shown(readiness.earned), shown(readiness.earned + readiness.unknown)
    return f" ({low}-{high}: {unknown} row{'s' if unknown > 1 else ''} not judged)"


def _causes(readiness: Readiness) -> Iterator[str]:
    rows = {row.mode.id: row for row in readiness.rows}
    for cause in readiness.causes:
        yield f"{cause.row}: {cause.diagnostic}"
        yield f"Fix: {cause.fix}"
        if cause.remedy:
            yield f"Run: {cause.remedy}"
        if cause.row in rows:
            yield from _further_cases(rows[cause.row], cause)
        if cause.blocks:
            yield f"Blocks: {', '.join(cause.blocks)}"
    for row in readiness.rows_with(Status.NOT_RUN):
        yield f"{row.mode.id}: not run: {row.worst_case.why}"
    if not readiness.rows:
        yield "No row was selected"
        yield "Fix: Select rows; the shipped ones are --pyargs matrix_tests (so far --stage preflight and --stage data)"


def _further_cases(row: Row, cause: Cause) -> Iterator[str]:
    """Say what else is wrong in other cases of the row, each thing once: nobody mends one package a run."""
    failed = {case.diagnostic: case for case in row.cases if case.status is Status.FAILED}
    others = [case for case in failed.values() if case.diagnostic != cause.diagnostic]
    for case in others[:_MOST_CASES]:
        yield f"Also: {case.diagnostic}"
        if case.remedy and case.remedy != cause.remedy:
            yield f"Run: {case.remedy}"
    if len(others) > _MOST_CASES:
        yield f"Also: {len(others) - _MOST_CASES} more"


def _warnings(readiness: Readiness) -> Iterator[str]:
    for row in readiness.rows_with(Status.WARNED):
        yield f"Warning: {row.mode.id}: {row.worst_case.diagnostic}"
        if row.worst_case.remedy:
            yield f"Run: {row.worst_case.remedy}"


def _problems(readiness: Readiness) -> Iterator[str]:
    for problem in readiness.problems:
        yield f"{problem.kind} ({problem.where}): {problem.what}"
        yield f"Fix: {problem.fix}"


def _target(target: Target) -> str:
    simulated = f" (simulated: {', '.join(target.simulated)})" if target.simulated else ""
    world = "the sandbox, which says nothing about your hosts" if target.world == "sandbox" else target.world
    parts = [f"{world}{simulated}"]
    parts += [f"account {target.account}"] if target.account else []
    parts += [f"as {target.identity}"] if target.identity else []
    for instance in target.instances:
        name = f" ({instance.name})" if instance.name else ""
        parts.append(f"{instance.id}{name}{f' at {instance.address}' if instance.address else ''}")
    return ", ".join(parts)


def _not_judged(ids: tuple[str, ...]) -> str:
    whole = [phase for phase in Phase if all(row in ids for row, mode in CATALOGUE.items() if mode.phase is phase)]
    single = [row for row in ids if row not in CATALOGUE or CATALOGUE[row].phase not in whole]
    phases = [f"phase {phase.value} ({phase.title})" for phase in whole]
    return ", ".join([*single, *phases])
