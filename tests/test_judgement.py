"""From outcomes to verdict: worst case, causes, points, intervals. No pytest run is needed for any of it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.catalogue import CATALOGUE, MATRIX
from pytest_pipeline.judgement import judge, with_problem
from pytest_pipeline.matrix import FailureMode, Planned, Severity, failure_mode
from pytest_pipeline.outcome import Outcome, Problem, Status
from pytest_pipeline.readiness import Cause, Readiness, shown
from pytest_pipeline.stage import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

PHASE_1 = [row for row, mode in CATALOGUE.items() if mode.phase == 1]
PASSED = Status.PASSED


def own(row: str = "my-row", **columns: Any) -> FailureMode:
    given: dict[str, Any] = {"phase": 1, "category": "c", "failure": "f", "diagnostic": "d", "fix": "own fix"}
    mode: FailureMode = failure_mode(row, **(given | columns)).args[0]
    return mode


def outcome(row: str, status: Status, **more: Any) -> Outcome:
    given: dict[str, Any] = {"nodeid": f"t.py::{row}", "diagnostic": f"{row} is wrong", "fix": f"mend {row}"}
    return Outcome(row=row, status=status, **(given | more))


def judged(statuses: Mapping[str, Status | Outcome], **more: Any) -> Readiness:
    """Judge phase 1, all rows passed but for those given."""
    given = {row: statuses.get(row, PASSED) for row in [*PHASE_1, *statuses]}
    outcomes = [made if isinstance(made, Outcome) else outcome(row, made) for row, made in given.items()]
    planned = [Planned(nodeid=f"t.py::{row}", mode=CATALOGUE.get(row) or own(row)) for row in given]
    inputs: dict[str, Any] = {"outcomes": outcomes, "planned": planned}
    return judge(**(inputs | more))


def blocked(row: str, by: str, why: str = "no route to host") -> Outcome:
    return outcome(row, Status.BLOCKED, blocked_by=by, why=why, diagnostic="")


def status_of(readiness: Readiness, row: str) -> Status:
    return next(one.status for one in readiness.rows if one.mode.id == row)


def test_all_rows_right_is_ready_with_all_points() -> None:
    readiness = judged({})

    assert readiness.verdict is Verdict.READY
    assert (readiness.earned, readiness.possible, readiness.low) == (20, 20, 100)
    assert readiness.not_judged_points == 80
    assert readiness.not_judged == tuple(row for row in CATALOGUE if row not in PHASE_1)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (Status.FAILED, Verdict.BLOCKED),
        (Status.BLOCKED, Verdict.BLOCKED),
        (Status.NOT_RUN, Verdict.BLOCKED),
        (Status.WARNED, Verdict.CAUTION),
        (Status.WAIVED, Verdict.READY),
        (Status.NOT_APPLICABLE, Verdict.READY),
    ],
)
def test_one_critical_row_decides_the_verdict(status: Status, verdict: Verdict) -> None:
    assert judged({"disk-space": outcome("disk-space", status, blocked_by="skip")}).verdict is verdict


@pytest.mark.parametrize("status", [Status.FAILED, Status.BLOCKED, Status.NOT_RUN])
def test_a_major_row_that_is_not_right_asks_for_attention(status: Status) -> None:
    made = outcome("instance-identity", status, blocked_by="skip")

    assert judged({"instance-identity": made}).verdict is Verdict.ATTENTION


def test_what_was_seen_can_raise_a_row_to_critical() -> None:
    readiness = judged({"instance-identity": outcome("instance-identity", Status.FAILED, raised=True)})

    assert readiness.verdict is Verdict.BLOCKED


def test_settings_can_lower_a_row_to_major() -> None:
    readiness = judged({"disk-space": Status.FAILED}, severities={"disk-space": "major"})

    assert readiness.verdict is Verdict.ATTENTION
    assert next(row.severity for row in readiness.rows if row.mode.id == "disk-space") is Severity.MAJOR


def test_what_was_seen_outweighs_the_settings() -> None:
    made = outcome("disk-space", Status.FAILED, raised=True)

    assert judged({"disk-space": made}, severities={"disk-space": "major"}).verdict is Verdict.BLOCKED


def test_a_problem_outside_the_rows_blocks() -> None:
    problem = Problem(kind="teardown", where="t.py::x", what="left a file", fix="remove it")

    assert judged({}, problems=[problem]).verdict is Verdict.BLOCKED
    assert with_problem(judged({}), problem).verdict is Verdict.BLOCKED


@pytest.mark.parametrize("status", [Status.WAIVED, Status.NOT_APPLICABLE])
def test_nothing_is_judged_when_every_row_is_left_out(status: Status) -> None:
    readiness = judged({row: outcome(row, status, why="no GPU here") for row in PHASE_1})

    assert (readiness.verdict, readiness.low, readiness.possible) == (Verdict.NOTHING_JUDGED, None, 0)
    assert readiness.areas[0].left_out.startswith("aws-credentials: no GPU here; s3-read: no GPU here")


def test_nothing_planned_is_nothing_judged() -> None:
    assert judge(outcomes=[], planned=[]).verdict is Verdict.NOTHING_JUDGED


def test_points_of_rows_left_out_are_shared_among_the_others() -> None:
    readiness = judged({"ec2-exists": Status.NOT_APPLICABLE, "ec2-running": Status.WAIVED, "disk-space": Status.FAILED})

    assert (readiness.earned, readiness.possible) == (Fraction(20 * 5, 6), 20)


def test_a_warning_earns_half() -> None:
    assert judged({"disk-space": Status.WARNED}).earned == Fraction(20 * 15, 16)


def test_unknown_rows_make_an_interval() -> None:
    readiness = judged({"disk-space": blocked("disk-space", "settings"), "ebs-volume": Status.FAILED})

    assert (readiness.low, readiness.high) == (75, Fraction(175, 2))


def test_rows_beyond_the_36_carry_no_points_and_decide_all_the_same() -> None:
    readiness = judged({"my-row": Status.FAILED})

    assert (readiness.earned, readiness.verdict) == (20, Verdict.BLOCKED)


def test_a_row_of_a_touched_area_that_was_not_selected_makes_the_verdict_partial() -> None:
    planned = [Planned(nodeid="t.py::disk-space", mode=MATRIX["disk-space"])]
    readiness = judge(outcomes=[outcome("disk-space", PASSED)], planned=planned)

    assert readiness.verdict is Verdict.PARTIAL
    assert (readiness.earned, readiness.possible, readiness.not_judged_points) == (
        Fraction(5, 2),
        Fraction(5, 2),
        Fraction(195, 2),
    )


def test_an_own_row_that_was_deselected_makes_the_verdict_partial() -> None:
    planned = [Planned(nodeid=f"t.py::{row}", mode=CATALOGUE[row]) for row in PHASE_1]
    planned.append(Planned(nodeid="t.py::my-row", mode=own(), selected=False))
    readiness = judge(outcomes=[outcome(row, PASSED) for row in PHASE_1], planned=planned)

    assert readiness.verdict is Verdict.PARTIAL
    assert "my-row" in readiness.not_judged


def test_a_stage_plans_every_row_of_the_catalogue_collected_or_not() -> None:
    readiness = judged({}, stage="preflight")

    assert readiness.verdict is Verdict.BLOCKED
    assert (status_of(readiness, "cuda"), readiness.possible) == (Status.NOT_RUN, 35)
    assert next(row.worst_case.why for row in readiness.rows if row.mode.id == "cuda") == "no test for it was collected"


def test_a_planned_case_without_an_outcome_is_not_run_and_says_why() -> None:
    planned = [Planned(nodeid="t.py::disk-space", mode=MATRIX["disk-space"])]
    readiness = judge(outcomes=[], planned=planned, crashed={"t.py::disk-space": "worker 'gw0' crashed"})

    assert (readiness.rows[0].status, readiness.rows[0].worst_case.why) == (Status.NOT_RUN, "worker 'gw0' crashed")


def test_a_row_is_its_worst_case() -> None:
    planned = [Planned(nodeid=f"t.py::disk[{case}]", mode=MATRIX["disk-space"]) for case in "ab"]
    outcomes = [
        outcome("disk-space", PASSED, nodeid="t.py::disk[a]"),
        outcome("disk-space", Status.FAILED, nodeid="t.py::disk[b]"),
    ]
    readiness = judge(outcomes=outcomes, planned=planned)

    assert readiness.rows[0].status is Status.FAILED
    assert [case.status for case in readiness.rows[0].cases] == [PASSED, Status.FAILED]


def test_statuses_are_ordered_worst_first() -> None:
    assert [status.value for status in Status] == [
        "failed", "blocked", "not_run", "warned", "passed", "waived", "not_applicable",
    ]  # fmt: skip


def test_the_last_attempt_counts_and_an_earlier_failure_is_a_warning() -> None:
    planned = [Planned(nodeid="t.py::disk-space", mode=MATRIX["disk-space"])]
    first = outcome("disk-space", Status.FAILED, attempt=1, diagnostic="Only 12GB free, need 250GB")
    readiness = judge(outcomes=[first, outcome("disk-space", PASSED, attempt=2, diagnostic="")], planned=planned)

    assert readiness.rows[0].status is Status.WARNED
    assert readiness.rows[0].worst_case.diagnostic == "passed at attempt 2; before: Only 12GB free, need 250GB"


def test_an_attempt_that_fails_last_has_failed() -> None:
    planned = [Planned(nodeid="t.py::disk-space", mode=MATRIX["disk-space"])]
    outcomes = [outcome("disk-space", PASSED, attempt=1), outcome("disk-space", Status.FAILED, attempt=2)]

    assert judge(outcomes=outcomes, planned=planned).rows[0].status is Status.FAILED


def test_one_dead_host_is_one_cause() -> None:
    readiness = judged(
        {
            "ssh-access": outcome("ssh-access", Status.FAILED, remedy="chmod 600 key.pem"),
            "ebs-volume": blocked("ebs-volume", "ssh-access"),
            "disk-space": blocked("disk-space", "ssh-access"),
        }
    )

    assert readiness.causes == (
        Cause(
            row="ssh-access",
            diagnostic="ssh-access is wrong",
            fix="mend ssh-access",
            remedy="chmod 600 key.pem",
            blocks=("ebs-volume", "disk-space"),
        ),
    )


def test_a_chain_of_blocks_names_the_root() -> None:
    readiness = judged(
        {
            "ec2-running": Status.FAILED,
            "ssh-access": blocked("ssh-access", "ec2-running"),
            "disk-space": blocked("disk-space", "ssh-access"),
        }
    )

    assert readiness.causes[0].blocks == ("ssh-access", "disk-space")


@pytest.mark.parametrize("right", [Status.PASSED, Status.WARNED])
def test_a_row_blocked_by_one_that_is_right_has_failed_itself(right: Status) -> None:
    readiness = judged({"ssh-access": right, "disk-space": blocked("disk-space", "ssh-access", "lost the connection")})

    assert status_of(readiness, "disk-space") is Status.FAILED
    assert readiness.causes[0].diagnostic == "lost the connection"


def test_rows_that_blame_each_other_have_failed() -> None:
    readiness = judged(
        {"ebs-volume": blocked("ebs-volume", "disk-space"), "disk-space": blocked("disk-space", "ebs-volume")}
    )

    assert {status_of(readiness, row) for row in ("ebs-volume", "disk-space")} == {Status.FAILED}


def test_a_cause_that_was_not_selected_is_listed_with_its_fix() -> None:
    planned = [Planned(nodeid="t.py::disk-space", mode=MATRIX["disk-space"])]
    readiness = judge(outcomes=[blocked("disk-space", "ssh-access")], planned=planned)

    assert readiness.causes == (
        Cause(
            row="ssh-access",
            diagnostic="no route to host (ssh-access was not selected)",
            fix="Fix key permissions/IP",
            selected=False,
            blocks=("disk-space",),
        ),
    )


def test_a_fix_with_a_hole_in_it_is_none() -> None:
    planned = [Planned(nodeid="t.py::disk-space", mode=MATRIX["disk-space"])]
    (cause,) = judge(outcomes=[blocked("disk-space", "dependencies")], planned=planned).causes

    assert cause.fix == "Run this row, and do what it says"


@pytest.mark.parametrize(
    ("status", "state"),
    [(Status.WAIVED, "waived"), (Status.NOT_RUN, "not run"), (Status.NOT_APPLICABLE, "not applicable")],
)
def test_a_cause_that_was_left_out_is_listed_with_its_fix(status: Status, state: str) -> None:
    readiness = judged({"ssh-access": status, "disk-space": blocked("disk-space", "ssh-access")})

    assert readiness.causes == (
        Cause(
            row="ssh-access",
            diagnostic=f"no route to host (ssh-access was {state})",
            fix="Fix key permissions/IP",
            blocks=("disk-space",),
        ),
    )


def test_missing_settings_are_one_cause() -> None:
    readiness = judged(
        {
            "s3-read": blocked("s3-read", "settings", "aws.buckets"),
            "disk-space": blocked("disk-space", "settings", "requirements.disk"),
        }
    )

    assert readiness.causes == (
        Cause(
            row="settings",
            diagnostic="2 rows blocked: aws.buckets (s3-read); requirements.disk (disk-space)",
            fix="Add the missing settings to pipeline.toml or [tool.pytest-pipeline] (docs/configuration.md)",
            blocks=("s3-read", "disk-space"),
        ),
    )


def test_fail_under_compares_the_low_end() -> None:
    made = {"disk-space": blocked("disk-space", "settings")}

    assert judged(made, fail_under=87.5).problems == ()
    assert judged(made, fail_under=87.6).problems == (
        Problem(
            kind="fail-under",
            where="--fail-under=87.6",
            what="the score is 87.5 at least, and 87.6 was asked for",
            fix="Fix the causes, or judge the rows that are unknown",
        ),
    )


def test_fail_under_without_a_score_is_missed() -> None:
    assert judge(outcomes=[], planned=[], fail_under=0).problems[0].what == "there is no score, and 0 was asked for"


def test_figures_are_rounded_down_so_that_100_means_all() -> None:
    assert [shown(Fraction(n)) for n in ("99.99", "100", "87.5", "0.04")] == ["99.9", "100", "87.5", "0"]


def test_a_fault_added_never_raises_the_low_end() -> None:
    for row in PHASE_1:
        for status in (Status.WARNED, Status.BLOCKED, Status.NOT_RUN, Status.FAILED):
            worse = judged({row: outcome(row, status, blocked_by="skip")})
            assert worse.low is not None
            assert worse.low <= 100
            assert (worse.low == 100) == (row not in MATRIX)


def test_the_order_of_outcomes_does_not_matter() -> None:
    made = [outcome(row, PASSED) for row in PHASE_1[:-1]] + [outcome(PHASE_1[-1], Status.FAILED)]
    planned = [Planned(nodeid=f"t.py::{row}", mode=CATALOGUE[row]) for row in PHASE_1]

    assert judge(outcomes=made, planned=planned) == judge(outcomes=made[::-1], planned=planned)
