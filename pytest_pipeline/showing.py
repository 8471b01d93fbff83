"""How an outcome hangs on pytest's report, and what pytest, junit and html then say of the row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.outcome import Outcome, Status, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OUTCOME = "pipeline_outcome"
"""The attribute of a report: builtins only, since anything else is lost or kills on the way between processes."""

_SIMULATED = "pipeline_simulated"
_PROPERTIES = ("pipeline_row", "pipeline_status", "pipeline_blocked_by", "diagnostic", "fix")


def outcome_of(report: pytest.TestReport) -> Outcome | None:
    """Return the outcome that hangs on a report, if it is a row's."""
    wire = getattr(report, OUTCOME, None)
    return None if wire is None else Outcome.from_wire(wire)


def show(outcome: Outcome, item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Hang the outcome on the report, and let pytest, junit and html say what it says."""
    vars(report)[OUTCOME] = outcome.to_wire()
    if outcome.status is Status.BLOCKED:
        message = f"blocked by {outcome.blocked_by}: {outcome.why}"
        _become_error(report, call, item, message)
    elif outcome.status is Status.FAILED:
        message = f"{outcome.diagnostic} -> {outcome.fix}"
        if report.failed and not _says_it_all(item, call):
            _say(report, message)
        else:
            _become_failure(report, call, item, message)


def _says_it_all(item: pytest.Item, call: pytest.CallInfo[None]) -> bool:
    """Whether the diagnosis is enough: a shipped row has judged, and its source is nothing to a reader without -v."""
    shipped = getattr(getattr(item, "module", None), "__name__", "").startswith("matrix_tests")
    judged = call.excinfo is not None and isinstance(call.excinfo.value, AssertionError)
    return shipped and judged and item.config.get_verbosity() < 1


def hide_secrets(report: pytest.TestReport, redact: Callable[[str], str]) -> None:
    """Traceback and captured output show what a host said; where that holds a secret, they become redacted text."""
    report.sections = [(name, redact(content)) for name, content in report.sections]
    if report.longrepr is not None and not isinstance(report.longrepr, tuple):
        shown = str(report.longrepr)
        hidden = redact(shown)
        if hidden != shown:
            report.longrepr = hidden


def tell_junit(item: pytest.Item, *outcomes: Outcome, simulated: Sequence[str] = ()) -> None:
    """Let junit's properties say what the worst case says, and what of the world was `simulated`.

    Junit reads them once, at the item's teardown.
    """
    status = worst(*(outcome.status for outcome in outcomes))
    said = next(outcome for outcome in outcomes if outcome.status is status)
    values = (said.row, said.status.value, said.blocked_by, said.diagnostic, said.fix)
    item.user_properties = [
        *(pair for pair in item.user_properties if pair[0] not in (*_PROPERTIES, _SIMULATED)),
        *zip(_PROPERTIES, values, strict=True),
        *([(_SIMULATED, ", ".join(simulated))] if simulated else []),
    ]


def _become_error(report: pytest.TestReport, call: pytest.CallInfo[None], item: pytest.Item, message: str) -> None:
    report.when = "setup"
    _become_failure(report, call, item, message)


def _become_failure(report: pytest.TestReport, call: pytest.CallInfo[None], item: pytest.Item, message: str) -> None:
    report.outcome = "failed"
    vars(report).pop("wasxfail", None)
    failure = pytest.fail.Exception(message, pytrace=False)
    traceback = call.excinfo.tb if call.excinfo else None
    if traceback is None:
        report.longrepr = message
    else:
        excinfo = pytest.ExceptionInfo.from_exc_info((type(failure), failure, traceback))
        report.longrepr = item.repr_failure(excinfo)


def _say(report: pytest.TestReport, message: str) -> None:
    """Let pytest's summary line and junit's message be the diagnosis; the traceback stays for whoever wants it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = message
    else:
        report.longrepr = message
