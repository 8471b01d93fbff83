"""What a row author imports. Importing it pulls in pytest, and nothing of AWS, SSH or torch."""

from pytest_pipeline.matrix import Area, FailureMode, Phase, Severity, failure_mode
from pytest_pipeline.outcome import Blocked, Evidence, Outcome, Reading, Status
from pytest_pipeline.remedy import on_host

__all__ = [
    "Area",
    "Blocked",
    "Evidence",
    "FailureMode",
    "Outcome",
    "Phase",
    "Reading",
    "Severity",
    "Status",
    "failure_mode",
    "on_host",
]
