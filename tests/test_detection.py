"""The judge of the proof: what it must not let pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.detection import detect, stay_calm
from pytest_pipeline.sandbox.fault import Fault

FAULT = Fault(
    id="ssh-refused",
    row="ssh-access",
    kind="gross",
    words="refused",
    summary="nothing listens",
    inject=lambda _: None,
    also=("s3-read",),
)


def row(name: str, status: str = "passed", **more: Any) -> dict[str, Any]:
    given = {"id": name, "status": status, "blocked_by": None, "evidence": {"n": 1}}
    return given | dict.fromkeys(("summary", "diagnostic", "fix", "remedy", "why"), "") | more


def report(*rows: dict[str, Any], verdict: str = "BLOCKED") -> dict[str, Any]:
    return {"rows": list(rows), "verdict": verdict, "duration_s": 1.0}


CAUGHT = row("ssh-access", "failed", diagnostic="SSH failed: connection refused")


def test_a_fault_is_proven_when_its_own_row_says_it_in_its_own_words() -> None:
    made = report(CAUGHT, row("disk-space", "blocked", blocked_by="ssh-access"), row("aws-credentials"))

    assert detect(FAULT, made, felt=None).wrong == ()


@pytest.mark.parametrize(
    ("rows", "wrong"),
    [
        ([row("ssh-access")], ("ssh-access is passed, not failed", "ssh-access does not say 'refused'")),
        ([], ("ssh-access is missing, not failed", "ssh-access does not say 'refused'")),
        (
            [row("ssh-access", "failed", diagnostic="SSH failed: timed out")],
            ("ssh-access does not say 'refused'",),
        ),
        (
            [CAUGHT, row("disk-space", "failed", diagnostic="Only 0GB free")],
            ("disk-space is failed: Only 0GB free",),
        ),
        ([CAUGHT, row("ebs-volume", "warned", diagnostic="odd")], ("ebs-volume is warned: odd",)),
        (
            [CAUGHT, row("cuda", "blocked", blocked_by="python-version", why="no python")],
            ("cuda is blocked: no python",),
        ),
        ([CAUGHT, row("cuda", "not_run", why="lost")], ("cuda is not_run: lost",)),
        (
            [row("ssh-access", "failed", diagnostic="SSH failed: refused {error}")],
            ("ssh-access leaves {error} in its diagnostic",),
        ),
    ],
)
def test_anything_else_is_wrong(rows: list[dict[str, Any]], wrong: tuple[str, ...]) -> None:
    assert detect(FAULT, report(*rows), felt=1).wrong == wrong


def test_another_row_that_rightly_sees_it_is_no_alarm() -> None:
    assert detect(FAULT, report(CAUGHT, row("s3-read", "failed", diagnostic="x")), felt=1).wrong == ()


def test_a_fault_that_was_not_felt_proves_nothing() -> None:
    assert detect(FAULT, report(CAUGHT), felt=0).wrong == ("the fault was not felt",)


def test_a_ready_verdict_is_never_right() -> None:
    assert detect(FAULT, report(CAUGHT, verdict="READY"), felt=1).wrong == ("the verdict is READY",)


def test_a_transient_fault_is_a_warning() -> None:
    fault = replace(FAULT, expect=Status.WARNED, words="retry")
    made = report(row("ssh-access", "warned", diagnostic="needed 1 retry"), verdict="CAUTION")

    assert detect(fault, made, felt=1).wrong == ()


def test_a_healthy_world_is_calm_only_when_every_row_has_passed_and_noted_something() -> None:
    assert stay_calm("healthy", report(row("a"), row("b"), verdict="READY"), 2).wrong == ()
    assert stay_calm("healthy", report(row("a"), verdict="READY"), 2).wrong == ("1 rows of 2",)
    assert stay_calm("healthy", report(row("a", evidence={}), verdict="READY"), 1).wrong == ("a noted nothing",)
    assert stay_calm("healthy", report(row("a", "warned", diagnostic="odd"), verdict="CAUTION"), 1).wrong == (
        "a is warned: odd",
        "the verdict is CAUTION",
    )
