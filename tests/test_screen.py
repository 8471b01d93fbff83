"""The terminal's last screen, whole, as somebody reads it at 2 a.m."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from test_judgement import blocked, judged, outcome

from pytest_pipeline.catalogue import CATALOGUE
from pytest_pipeline.judgement import judge
from pytest_pipeline.matrix import Planned
from pytest_pipeline.outcome import Outcome, Problem, Status, Waiver
from pytest_pipeline.report import Effect, Instance, Report, Target, recommendation
from pytest_pipeline.reports.screen import render

if TYPE_CHECKING:
    from pytest_pipeline.readiness import Readiness


def report(readiness: Readiness, **more: Any) -> Report:
    given: dict[str, Any] = {
        "run_id": "gate-1",
        "exit_status": 1,
        "selection": "-m phase1",
        "rerun": "pytest -m phase1",
        "started": 0.0,
        "duration_s": 3.2,
        "target": Target(
            account="123456789012",
            identity="arn:aws:iam::123456789012:user/ada",
            instances=(Instance(id="i-0abc", name="trainer", address="10.0.0.1"),),
        ),
    }
    return Report(readiness=readiness, **(given | more))


def lines(readiness: Readiness, *, plain: bool = False, **more: Any) -> list[str]:
    return [line.text for line in render(report(readiness, **more), plain=plain)]


def passed(row: str, summary: str) -> Outcome:
    return outcome(row, Status.PASSED, summary=summary, diagnostic="")


BROKEN = {
    "aws-credentials": passed("aws-credentials", "AWS credentials valid"),
    "s3-read": passed("s3-read", "S3 sources readable"),
    "s3-write": outcome(
        "s3-write", Status.WARNED, summary="S3 outputs writable", diagnostic="s3:PutObject was retried twice"
    ),
    "ec2-exists": passed("ec2-exists", "Instance i-0abc exists"),
    "ec2-running": outcome("ec2-running", Status.NOT_APPLICABLE, why="host.kind is 'other'", diagnostic=""),
    "ssh-access": outcome(
        "ssh-access",
        Status.FAILED,
        diagnostic="SSH failed: key.pem is readable by others",
        fix="Fix key permissions/IP",
        remedy="chmod 600 key.pem",
    ),
    "ebs-volume": blocked("ebs-volume", "ssh-access"),
    "disk-space": blocked("disk-space", "ssh-access"),
    "instance-identity": outcome(
        "instance-identity",
        Status.WAIVED,
        why="moved on Monday",
        waiver=Waiver(row="instance-identity", owner="ada", reason="moved on Monday", expires="2026-12-01"),
    ),
}

SCREEN = """
🔍 INFRASTRUCTURE CHECKS
✅ AWS credentials valid
✅ S3 sources readable
⚠️  S3 outputs writable: s3:PutObject was retried twice
✅ Instance i-0abc exists
⏭️  ec2-running: not applicable: host.kind is 'other'
❌ SSH failed: key.pem is readable by others
⛔ ebs-volume: blocked by ssh-access
⛔ disk-space: blocked by ssh-access
⏭️  instance-identity: waived by ada until 2026-12-01: moved on Monday
✅ Instance Status
✅ Instance Stays Up
✅ Host Clock
✅ Credential Lifetime
✅ Name Resolution

Infrastructure Setup 10/20 (10-15.7) - 80 points not judged

🚨 DEPLOYMENT BLOCKED: 1 critical issue
   ssh-access: SSH failed: key.pem is readable by others
   Fix: Fix key permissions/IP
   Run: chmod 600 key.pem
   Blocks: ebs-volume, disk-space
   Warning: s3-write: s3:PutObject was retried twice

Looked at: target, account 123456789012, as arn:aws:iam::123456789012:user/ada, i-0abc (trainer) at 10.0.0.1
Left behind: s3 object s3://b/.pipeline-gate/write-test
Not looked at: phase 2 (Environment & Dependencies), phase 3 (Data Pipeline Validation), \
phase 4 (Training Process Validation), phase 5 (Monitoring & Alerting), phase 6 (End-to-End Integration)
Run again: pytest -m phase1
verdict: BLOCKED"""


def test_the_whole_screen() -> None:
    effects = (
        Effect(what="s3 object", where="s3://b/.pipeline-gate/write-test", removed=False),
        Effect(what="s3 multipart upload", where="s3://b/x", removed=True),
    )

    assert lines(judged(BROKEN), effects=effects) == SCREEN.split("\n")


def test_a_terminal_without_emoji_reads_the_same() -> None:
    text = "\n".join(lines(judged(BROKEN), plain=True))

    assert text.isascii()
    for word in ("[ok] AWS", "[warn] S3", "[FAIL] SSH", "[blocked] ebs", "[n/a] ec2", "[n/a] ec2-running"):
        assert word in text
    assert "\nDEPLOYMENT BLOCKED: 1 critical issue\n" in text


def test_problems_and_lost_rows_are_said() -> None:
    problem = Problem(kind="teardown", where="t.py::x", what="left a file", fix="Mend the fixture's clean-up")
    readiness = judged({"disk-space": outcome("disk-space", Status.NOT_RUN, why="", diagnostic="")}, problems=[problem])
    text = lines(readiness)

    assert "🚨 DEPLOYMENT BLOCKED: 2 critical issues" in text
    assert "   teardown (t.py::x): left a file" in text
    assert "   Fix: Mend the fixture's clean-up" in text


@pytest.mark.parametrize(
    ("stage", "status", "words"),
    [
        (None, Status.PASSED, "DEPLOYMENT READY"),
        (None, Status.WARNED, "DEPLOYMENT RISKY: 1 warning"),
        (None, Status.FAILED, "DEPLOYMENT BLOCKED: 1 critical issue"),
        ("data", Status.FAILED, "PIPELINE BLOCKED: 3 critical issues, 13 others"),
        ("training", Status.FAILED, "TRAINING BLOCKED: 6 critical issues, 1 other"),
        ("monitoring", Status.FAILED, "MONITORING BROKEN: 5 critical issues, 1 other"),
        ("full", Status.FAILED, "DEPLOYMENT RECOMMENDATION: DO NOT DEPLOY: 21 critical issues, 25 others"),
    ],
)
def test_each_stage_has_its_words(stage: str | None, status: Status, words: str) -> None:
    assert recommendation(judged({"disk-space": status}, stage=stage)) == words


def test_a_major_row_asks_for_attention() -> None:
    assert recommendation(judged({"instance-identity": Status.FAILED})) == "DEPLOYMENT NEEDS ATTENTION: 1 issue"


def test_what_is_wrong_in_other_cases_is_said_too() -> None:
    packages = ["peft", "datasets", "datasets", *(f"p{number}" for number in range(6))]
    cases = [
        outcome(
            "dependencies",
            Status.FAILED,
            nodeid=f"t.py::dependencies[{number}]",
            diagnostic=f"Missing package: {package}",
            fix=f"pip install {package}",
            remedy=f"python -m pip install {package}",
        )
        for number, package in enumerate(packages)
    ]
    planned = [Planned(nodeid=case.nodeid, mode=CATALOGUE["dependencies"]) for case in cases]
    printed = lines(judge(outcomes=cases, planned=planned))
    start = printed.index("   dependencies: Missing package: peft")

    assert printed[start + 1 : start + 6] == [
        "   Fix: pip install peft",
        "   Run: python -m pip install peft",
        "   Also: Missing package: datasets",
        "   Run: python -m pip install datasets",
        "   Also: Missing package: p0",
    ]
    assert "   Also: 2 more" in printed


def test_a_cause_that_was_not_selected_is_an_issue() -> None:
    readiness = judged({"my-row": blocked("my-row", "cuda")})

    assert recommendation(readiness) == "DEPLOYMENT BLOCKED: 1 critical issue"


def test_several_areas_have_a_score_with_its_interval() -> None:
    text = lines(replace(judged({}, stage="preflight")))

    assert "Infrastructure Setup 20/20" in text
    assert "Environment Validation 0/15 (0-15)" in text
    assert "Score 20/35 (20-35: 14 rows not judged) - 65 points not judged" in text


def test_the_sandbox_is_never_taken_for_the_target() -> None:
    target = Target(world="sandbox", simulated=("accelerator",))

    assert "Looked at: the sandbox, which says nothing about your hosts (simulated: accelerator)" in lines(
        judged({}), target=target
    )


def test_nothing_judged_is_said() -> None:
    text = lines(judge(outcomes=[], planned=[]))

    assert "🚨 NOTHING JUDGED" in text
    assert text[-1] == "verdict: NOTHING_JUDGED"
