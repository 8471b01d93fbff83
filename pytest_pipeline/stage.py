"""The stages of the matrix's strategy, as data: which phases, how long they should take, and in what words they end."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_pipeline.matrix import Phase

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(StrEnum):
    """The answer of the gate, worst first."""

    BLOCKED = "BLOCKED"  # a critical row failed, was blocked or not run, or there was a problem
    ATTENTION = "ATTENTION"  # the same of a major row
    PARTIAL = "PARTIAL"  # rows of an area that was looked at were not selected
    CAUTION = "CAUTION"  # warnings
    READY = "READY"
    NOTHING_JUDGED = "NOTHING_JUDGED"  # no row was looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One of the matrix's validations: its phases, its target time, and the words of its verdicts."""

    name: str
    phases: tuple[Phase, ...]
    target_s: float
    words: Mapping[Verdict, str]


_DEPLOYMENT = {
    Verdict.READY: "DEPLOYMENT READY",
    Verdict.CAUTION: "DEPLOYMENT RISKY",
    Verdict.ATTENTION: "DEPLOYMENT NEEDS ATTENTION",
    Verdict.BLOCKED: "DEPLOYMENT BLOCKED",
    Verdict.PARTIAL: "DEPLOYMENT PARTLY JUDGED",
    Verdict.NOTHING_JUDGED: "NOTHING JUDGED",
}

STAGES: Mapping[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="preflight",
            phases=(Phase.INFRASTRUCTURE, Phase.ENVIRONMENT),
            target_s=120,
            words=_DEPLOYMENT,
        ),
        Stage(
            name="data",
            phases=(Phase.DATA,),
            target_s=600,
            words={
                Verdict.READY: "PIPELINE DATA READY",
                Verdict.CAUTION: "PIPELINE DATA RISKY",
                Verdict.ATTENTION: "PIPELINE NEEDS ATTENTION",
                Verdict.BLOCKED: "PIPELINE BLOCKED",
                Verdict.PARTIAL: "PIPELINE DATA PARTLY JUDGED",
                Verdict.NOTHING_JUDGED: "NOTHING JUDGED",
            },
        ),
        Stage(
            name="training",
            phases=(Phase.TRAINING,),
            target_s=300,
            words={
                Verdict.READY: "TRAINING READY",
                Verdict.CAUTION: "TRAINING RISKY",
                Verdict.ATTENTION: "TRAINING NEEDS ATTENTION",
                Verdict.BLOCKED: "TRAINING BLOCKED",
                Verdict.PARTIAL: "TRAINING PARTLY JUDGED",
                Verdict.NOTHING_JUDGED: "NOTHING JUDGED",
            },
        ),
        Stage(
            name="monitoring",
            phases=(Phase.MONITORING,),
            target_s=60,
            words={
                Verdict.READY: "MONITORING FULLY OPERATIONAL",
                Verdict.CAUTION: "MONITORING DEGRADED",
                Verdict.ATTENTION: "MONITORING NEEDS ATTENTION",
                Verdict.BLOCKED: "MONITORING BROKEN",
                Verdict.PARTIAL: "MONITORING PARTLY JUDGED",
                Verdict.NOTHING_JUDGED: "NOTHING JUDGED",
            },
        ),
        Stage(
            name="full",
            phases=tuple(Phase),
            target_s=1800,
            words={
                Verdict.READY: "DEPLOYMENT RECOMMENDATION: DEPLOY",
                Verdict.CAUTION: "DEPLOYMENT RECOMMENDATION: PROCEED WITH CAUTION",
                Verdict.ATTENTION: "DEPLOYMENT RECOMMENDATION: FIX BEFORE PRODUCTION USE",
                Verdict.BLOCKED: "DEPLOYMENT RECOMMENDATION: DO NOT DEPLOY",
                Verdict.PARTIAL: "DEPLOYMENT RECOMMENDATION: JUDGE THE REST FIRST",
                Verdict.NOTHING_JUDGED: "DEPLOYMENT RECOMMENDATION: NONE, NOTHING JUDGED",
            },
        ),
    )
}


def words_of(verdict: Verdict, stage: Stage | None) -> str:
    """Return how a stage, or a run without one, says its verdict."""
    return (stage.words if stage else _DEPLOYMENT)[verdict]
