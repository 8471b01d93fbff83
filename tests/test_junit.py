"""junit, as CI reads it: properties of each row, and the diagnosis as the message."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner import Runner

ROWS = """
@row("right-row")
def test_right(): pass
@row("wrong-row", diagnostic="Only {free_gb}GB free", fix="Resize EBS or cleanup")
def test_wrong(evidence):
    evidence(free_gb=12)
    assert 12 > 250
@row("blind-row")
def test_blind():
    raise Blocked("connection refused", by="ssh-access")
@row("shaky-row")
def test_shaky(evidence):
    evidence.warn("not in fstab")
@row("absent-row")
def test_absent(evidence):
    evidence.not_applicable("a single GPU")
"""


def cases(pipeline: Runner, *options: str, rows: str = ROWS) -> dict[str, ET.Element]:
    result = pipeline.run(rows, "--junit-xml=junit.xml", *options)
    assert result.report
    tree = ET.parse(pipeline.pytester.path / "junit.xml")  # noqa: S314 - pytest wrote it
    return {properties(case)["pipeline_row"]: case for case in tree.iter("testcase")}


def properties(case: ET.Element) -> dict[str, str]:
    found = [(one.get("name", ""), one.get("value", "")) for one in case.iter("property")]
    assert len(dict(found)) == len(found)  # rewritten, not appended
    return dict(found)


def test_each_row_carries_its_status(pipeline: Runner) -> None:
    statuses = {row: properties(case)["pipeline_status"] for row, case in cases(pipeline).items()}

    assert statuses == {
        "right-row": "passed",
        "wrong-row": "failed",
        "blind-row": "blocked",
        "shaky-row": "warned",
        "absent-row": "not_applicable",
    }


def test_the_message_of_a_failure_is_its_diagnosis(pipeline: Runner) -> None:
    made = cases(pipeline)
    failure, error = made["wrong-row"].find("failure"), made["blind-row"].find("error")

    assert failure is not None
    assert failure.get("message") == "Only 12GB free -> Resize EBS or cleanup"
    assert error is not None
    assert "blocked by ssh-access: connection refused" in error.get("message", "")
    assert properties(made["blind-row"]) == {
        "pipeline_row": "blind-row",
        "pipeline_status": "blocked",
        "pipeline_blocked_by": "ssh-access",
        "diagnostic": "",
        "fix": "Mend it",
    }


def test_a_rerun_is_one_case_with_the_last_word(one_process: Runner) -> None:
    rows = """
tries = []
@row("my-row")
def test_it():
    tries.append(1)
    assert len(tries) > 1
"""
    made = cases(one_process, "--reruns=1", rows=rows)

    assert properties(made["my-row"])["pipeline_status"] == "passed"


def test_subtests_tell_the_worst(pipeline: Runner) -> None:
    rows = """
@row("my-row", diagnostic="Missing package: {package}")
def test_it(subtests, evidence):
    for package in ("torch", "peft", "trl"):
        with subtests.test(package=package):
            evidence(package=package)
            assert package != "peft"
"""
    made = cases(pipeline, rows=rows)

    assert properties(made["my-row"])["diagnostic"] == "Missing package: peft"
