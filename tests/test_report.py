"""The JSON form, version 1: it keeps to its published schema whatever happened, and says the same as the judgement."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from test_judgement import blocked, judged, outcome
from test_screen import BROKEN, report

from pytest_pipeline.outcome import Problem, Status
from pytest_pipeline.report import Effect, Target

if TYPE_CHECKING:
    from pytest_pipeline.readiness import Readiness

SCHEMA: dict[str, Any] = json.loads((Path(__file__).parents[1] / "docs" / "results.schema.json").read_text("utf-8"))

JUDGEMENTS = {
    "ready": judged({}),
    "broken": judged(BROKEN),
    "staged": judged({}, stage="full"),
    "nothing": judged(dict.fromkeys(BROKEN, Status.WAIVED)),
    "settings": judged({"s3-read": blocked("s3-read", "settings", "aws.buckets")}),
    "problem": judged({}, problems=[Problem(kind="test", where="t", what="w", fix="f")]),
    "own": judged({"my-row": outcome("my-row", Status.FAILED, evidence={"gb": 1.5, "n": None, "ok": True, "s": "x"})}),
}


@pytest.mark.parametrize("readiness", JUDGEMENTS.values(), ids=JUDGEMENTS.keys())
def test_every_report_keeps_to_the_schema(readiness: Readiness) -> None:
    wire = report(
        readiness,
        target=Target(world="sandbox", simulated=("accelerator",)),
        effects=(Effect(what="s3 object", where="s3://b/k", removed=True),),
    ).to_wire()

    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(json.loads(json.dumps(wire)), SCHEMA)


def test_the_schema_refuses_what_is_not_in_it() -> None:
    wire = report(judged({})).to_wire()

    for change in ({"version": 2}, {"verdict": "MAYBE"}, {"extra": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wire | change, SCHEMA)


def test_figures_are_rounded_down() -> None:
    wire = report(judged({"disk-space": Status.WARNED, "ec2-exists": Status.NOT_APPLICABLE})).to_wire()

    assert wire["score"] == {
        "earned": 18.57,
        "possible": 20.0,
        "low": 92.85,
        "high": 92.85,
        "not_judged_points": 80.0,
    }


def test_a_cause_carries_what_a_reader_needs() -> None:
    wire = report(judged(BROKEN)).to_wire()

    assert wire["causes"] == [
        {
            "row": "ssh-access",
            "diagnostic": "SSH failed: key.pem is readable by others",
            "fix": "Fix key permissions/IP",
            "remedy": "chmod 600 key.pem",
            "selected": True,
            "blocks": ["ebs-volume", "disk-space"],
        }
    ]
    assert (wire["started"], wire["tool"]) == ("1970-01-01T00:00:00Z", "pytest-pipeline-readiness 0.1.0")
