"""All outcomes and what was planned -> readiness. Pure.

A row is as good as its worst case; a row that was blocked by a row that turned out right has failed; what nobody looked
at is unknown, and unknown is never fine.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from fractions import Fraction
from typing import TYPE_CHECKING

from pytest_pipeline.catalogue import CATALOGUE, MATRIX
from pytest_pipeline.matrix import RESERVED_CAUSES, Area, FailureMode, Planned, Severity
from pytest_pipeline.outcome import Outcome, Problem, Status, worst
from pytest_pipeline.readiness import AreaScore, Cause, Readiness, Row, shown
from pytest_pipeline.stage import STAGES, Stage, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RESERVED_FIXES: Mapping[str, str] = {
    "settings": "Add the missing settings to pipeline.toml or [tool.pytest-pipeline] (docs/configuration.md)",
    "no-cases": "Give the row at least one case",
    "skip": "Remove the skip or xfail; to leave a row out on purpose, waive it",
    "fixture": "Mend the fixture",
    "fault-not-felt": "Let the fault reach the pipeline",
}


def judge(
    *,
    outcomes: Iterable[Outcome],
    planned: Iterable[Planned],
    problems: Iterable[Problem] = (),
    stage: str | None = None,
    crashed: Mapping[str, str] | None = None,
    severities: Mapping[str, str] | None = None,
    fail_under: float | None = None,
    plain_tests: Iterable[str] = (),
) -> Readiness:
    """Judge a run. `crashed` maps node ids to why they have no outcome; `severities` are the user's own, by row."""
    plan = {case.nodeid: case for case in planned}
    the_stage = STAGES[stage] if stage else None
    rows = _rows(list(outcomes), plan, the_stage, crashed or {}, severities or {})
    rows, causes = _resolve_causes(rows)
    selected = {row.mode.id for row in rows}
    unselected = {case.mode.id: case.mode for case in plan.values() if case.mode.id not in selected}
    missing = {**{row: mode for row, mode in CATALOGUE.items() if row not in selected}, **unselected}
    areas = _areas(rows)
    readiness = Readiness(
        verdict=Verdict.NOTHING_JUDGED,
        stage=the_stage,
        rows=rows,
        areas=areas,
        causes=causes,
        problems=tuple(problems),
        not_judged=tuple(missing),
        not_judged_points=_not_judged_points(rows),
        plain_tests=tuple(plain_tests),
    )
    if fail_under is not None and (readiness.low is None or readiness.low < Fraction(str(fail_under))):
        readiness = replace(readiness, problems=(*readiness.problems, _score_missed(readiness, fail_under)))
    touched = {row.mode.area for row in rows}
    partial = any(mode.area in touched for mode in missing.values())
    return replace(readiness, verdict=_verdict(readiness, partial=partial))


def with_problem(readiness: Readiness, problem: Problem) -> Readiness:
    """Return the readiness with one more problem: whatever it was, it is blocked now."""
    return replace(readiness, problems=(*readiness.problems, problem), verdict=Verdict.BLOCKED)


def _rows(
    outcomes: Sequence[Outcome],
    plan: Mapping[str, Planned],
    stage: Stage | None,
    crashed: Mapping[str, str],
    severities: Mapping[str, str],
) -> tuple[Row, ...]:
    modes = {mode.id: mode for mode in CATALOGUE.values() if stage and mode.phase in stage.phases}
    modes |= {case.mode.id: case.mode for case in plan.values() if case.selected}
    by_node: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_node[outcome.nodeid].append(outcome)
    cases: dict[str, list[Outcome]] = defaultdict(list)
    nodeids: dict[str, list[str]] = defaultdict(list)
    for nodeid, case in plan.items():
        if not case.selected:
            continue
        nodeids[case.mode.id].append(nodeid)
        seen = _last_attempts(by_node.get(nodeid, []))
        cases[case.mode.id] += seen or [
            _not_run(case.mode, nodeid, crashed.get(nodeid, "no result came; the run ended before it"), case.host)
        ]
    return tuple(
        _row(
            mode, cases[row] or [_not_run(mode, "", "no test for it was collected")], nodeids[row], severities.get(row)
        )
        for row, mode in sorted(modes.items(), key=_matrix_order)
    )


def _matrix_order(entry: tuple[str, FailureMode]) -> tuple[int, int, int]:
    row, mode = entry
    order = list(CATALOGUE)
    return mode.phase.value, list(Area).index(mode.area), order.index(row) if row in order else len(order)


def _not_run(mode: FailureMode, nodeid: str, why: str, host: str = "") -> Outcome:
    return Outcome(nodeid=nodeid, row=mode.id, status=Status.NOT_RUN, why=why, host=host, fix=mode.fix)


def _last_attempts(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The last attempt at each case counts; it is warned when an earlier one was not right."""
    last: dict[str, Outcome] = {}
    earlier: dict[str, Outcome] = {}
    for outcome in outcomes:
        before = last.get(outcome.case)
        if before is not None and before.attempt == outcome.attempt:  # two subtests of one name
            worse = worst(before.status, outcome.status)
            last[outcome.case] = before if before.status is worse else outcome
            continue
        if before is not None and before.status in (Status.FAILED, Status.BLOCKED):
            earlier[outcome.case] = before
        last[outcome.case] = outcome
    return [_warned_of(outcome, earlier.get(case)) for case, outcome in last.items()]


def _warned_of(outcome: Outcome, earlier: Outcome | None) -> Outcome:
    if earlier is None or outcome.status not in (Status.PASSED, Status.WARNED):
        return outcome
    what = f"passed at attempt {outcome.attempt}; before: {earlier.diagnostic or earlier.why}"
    return replace(outcome, status=Status.WARNED, diagnostic="; ".join(filter(None, (outcome.diagnostic, what))))


def _row(mode: FailureMode, cases: Sequence[Outcome], nodeids: Sequence[str], severity: str | None) -> Row:
    status = worst(*(case.status for case in cases))
    raised = any(case.raised and case.status is status for case in cases)
    own = Severity(severity) if severity else mode.severity
    return Row(
        mode=mode,
        status=status,
        severity=Severity.CRITICAL if raised else own,
        cases=tuple(cases),
        nodeids=tuple(nodeids),
    )


def _resolve_causes(rows: tuple[Row, ...]) -> tuple[tuple[Row, ...], tuple[Cause, ...]]:
    """Find the root of each blocked row, once all outcomes are known."""
    known = {row.mode.id: row for row in rows}
    resolved = tuple(_resolve(row, known) for row in rows)
    blocks: dict[str, list[str]] = defaultdict(list)
    reasons: dict[str, dict[str, list[str]]] = defaultdict(dict)  # cause -> why -> rows
    for row in resolved:
        if row.status is Status.BLOCKED:
            by = row.worst_case.blocked_by
            blocks[by].append(row.mode.id)
            reasons[by].setdefault(row.worst_case.why, []).append(row.mode.id)
    causes = [
        Cause(
            row=row.mode.id,
            diagnostic=row.worst_case.diagnostic,
            fix=row.worst_case.fix,
            remedy=row.worst_case.remedy,
            blocks=tuple(blocks.pop(row.mode.id, ())),
        )
        for row in resolved
        if row.status is Status.FAILED
    ]
    causes += [_absent_cause(by, blocked, reasons[by], known.get(by)) for by, blocked in blocks.items()]
    return resolved, tuple(causes)


def _resolve(row: Row, known: Mapping[str, Row]) -> Row:
    if row.status is not Status.BLOCKED:
        return row
    cases = tuple(_resolve_case(case, row, known) for case in row.cases)
    return replace(row, cases=cases, status=worst(*(case.status for case in cases)))


def _resolve_case(case: Outcome, row: Row, known: Mapping[str, Row]) -> Outcome:
    if case.status is not Status.BLOCKED:
        return case
    by, seen = case.blocked_by, {row.mode.id}
    while by not in seen and (owner := known.get(by)) and owner.status is Status.BLOCKED:
        seen.add(by)
        by = owner.worst_case.blocked_by
    owner = known.get(by)
    if by in seen or (owner and owner.status in (Status.PASSED, Status.WARNED)):
        return replace(
            case, status=Status.FAILED, diagnostic=case.why, fix=case.fix or row.mode.fix, blocked_by="", why=""
        )
    return replace(case, blocked_by=by)


def _absent_cause(by: str, blocked: Sequence[str], reasons: Mapping[str, Sequence[str]], owner: Row | None) -> Cause:
    """A cause that did not fail itself: it was not selected, waived, not run, or is no row at all."""
    if by in RESERVED_CAUSES:
        each = "; ".join(f"{why} ({', '.join(rows)})" for why, rows in reasons.items())
        count = f"{len(blocked)} row{'s' if len(blocked) > 1 else ''}"
        return Cause(row=by, diagnostic=f"{count} blocked: {each}", fix=RESERVED_FIXES[by], blocks=tuple(blocked))
    why = "; ".join(reasons)
    if owner is not None:
        state = owner.status.value.replace("_", " ")
        return Cause(row=by, diagnostic=f"{why} ({by} was {state})", fix=_untold_fix(owner.mode), blocks=tuple(blocked))
    fix = _untold_fix(CATALOGUE.get(by))
    diagnostic = f"{why} ({by} was not selected)"
    return Cause(row=by, diagnostic=diagnostic, fix=fix, selected=False, blocks=tuple(blocked))


def _untold_fix(mode: FailureMode | None) -> str:
    """Return the fix of a row that has not said it: one with a hole in it is none."""
    return mode.fix if mode is not None and "{" not in mode.fix else "Run this row, and do what it says"


def _areas(rows: Sequence[Row]) -> tuple[AreaScore, ...]:
    by_area: dict[Area, list[Row]] = defaultdict(list)
    for row in rows:
        by_area[row.mode.area].append(row)
    return tuple(_area_score(area, by_area[area]) for area in Area if area in by_area)


def _share(area: Area, rows: Sequence[Row]) -> Fraction:
    """Points of one row of the area that counts: those left out hand theirs to the others."""
    of_area = sum(mode.area is area for mode in MATRIX.values())
    counting = of_area - sum(row.status.left_out for row in rows if row.mode.id in MATRIX and row.mode.area is area)
    return Fraction(area.points, counting) if counting else Fraction()


def _area_score(area: Area, rows: Sequence[Row]) -> AreaScore:
    share = _share(area, rows)
    counted = [row for row in rows if row.mode.id in MATRIX and not row.status.left_out]
    earned = sum((_CREDIT.get(row.status, Fraction()) for row in counted), Fraction()) * share
    unknown = sum(row.status.unknown for row in counted) * share
    left_out = [row for row in rows if row.mode.id in MATRIX and row.status.left_out]
    why = "" if share else "; ".join(f"{row.mode.id}: {row.worst_case.why}" for row in left_out)
    return AreaScore(area=area, earned=earned, unknown=unknown, possible=len(counted) * share, left_out=why)


_CREDIT = {Status.PASSED: Fraction(1), Status.WARNED: Fraction(1, 2)}


def _not_judged_points(rows: Sequence[Row]) -> Fraction:
    planned = {row.mode.id for row in rows}
    return sum(
        (_share(mode.area, rows) for row, mode in MATRIX.items() if row not in planned),
        Fraction(),
    )


def _verdict(readiness: Readiness, *, partial: bool) -> Verdict:
    wrong = readiness.rows_with(Status.FAILED, Status.BLOCKED, Status.NOT_RUN)
    if readiness.problems or any(row.severity is Severity.CRITICAL for row in wrong):
        return Verdict.BLOCKED
    if wrong:
        return Verdict.ATTENTION
    if all(row.status.left_out for row in readiness.rows):
        return Verdict.NOTHING_JUDGED
    if partial:
        return Verdict.PARTIAL
    return Verdict.CAUTION if readiness.rows_with(Status.WARNED) else Verdict.READY


def _score_missed(readiness: Readiness, fail_under: float) -> Problem:
    got = "there is no score" if readiness.low is None else f"the score is {shown(readiness.low)} at least"
    return Problem(
        kind="fail-under",
        where=f"--fail-under={fail_under:g}",
        what=f"{got}, and {fail_under:g} was asked for",
        fix="Fix the causes, or judge the rows that are unknown",
    )
