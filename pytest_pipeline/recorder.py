"""From item to outcome to report: lives wherever tests run, and knows nothing of who listens.

A row's outcome hangs on pytest's own report as builtins, so that it takes the same road with and without xdist.
"""

from __future__ import annotations

import functools
import inspect
import string
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.attempt import Attempt, Waived, attempt_key, mode_of
from pytest_pipeline.diagnosis import diagnose, fill, printable, reason_of
from pytest_pipeline.outcome import Blocked, NotApplicable, Outcome, Status, watch_for_blocks
from pytest_pipeline.remedy import meant_for_host
from pytest_pipeline.showing import hide_secrets, show, tell_junit

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from pytest_pipeline.matrix import FailureMode
    from pytest_pipeline.outcome import Scalar
    from pytest_pipeline.session import PipelineSession

_NO_CASES = "got empty parameter set"  # how pytest begins the reason of a parametrization without values


class Recorder:
    """Turns what pytest reports of a row into an outcome."""

    def __init__(self, session: PipelineSession) -> None:
        self._session = session

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Begin an attempt, and end it at once where somebody decided that the row is not to be looked at."""
        mode = mode_of(item)
        if mode is None:
            return
        before = item.stash.get(attempt_key, None)
        attempt = item.stash[attempt_key] = Attempt(number=before.number + 1 if before else 1)
        attempt.blocks = watch_for_blocks()
        why = self._session.settings.rows.not_applicable.get(mode.id)
        if why is not None:
            raise NotApplicable(why)
        attempt.waiver = self._session.waiver_of(mode.id)
        if attempt.waiver is not None:
            raise Waived(f"waived by {attempt.waiver.owner} until {attempt.waiver.expires}: {attempt.waiver.reason}")
        for expired in self._session.expired_waivers_of(mode.id):
            attempt.evidence.warn(
                f"the waiver by {expired.owner} expired on {expired.expires}; the row is judged again"
            )
        overridden = self._session.overridden_fixture(item)
        if overridden:
            raise Blocked(overridden, by="fixture")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Know a subtest's report from its test's own: it is made while the test is being called."""
        attempt = item.stash.get(attempt_key, None)
        if attempt is None:
            return (yield)
        attempt.calling = True
        try:
            return (yield)
        finally:
            attempt.calling = False

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self, pyfuncitem: pytest.Function) -> Generator[None, object, object]:
        """A row that returns something has asserted nothing; pytest itself only warns."""
        if mode_of(pyfuncitem) is None:
            return (yield)
        plain = pyfuncitem.obj
        wrap = _awaiting_nothing if inspect.iscoroutinefunction(plain) else _returning_nothing
        pyfuncitem.obj = wrap(plain)
        try:
            return (yield)
        finally:
            pyfuncitem.obj = plain

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Make the outcome, outside of what every other plugin makes of the report."""
        report = yield
        mode = mode_of(item)
        if mode is None or report.when == "teardown" or (report.when == "setup" and report.passed):
            return report
        attempt = item.stash.get(attempt_key, None) or Attempt(number=1)
        try:
            outcome = self._outcome(item, mode, attempt, report, call)
        except Exception as error:  # noqa: BLE001 - recording never raises: whatever went wrong in it is a failure
            outcome = Outcome(
                nodeid=item.nodeid,
                row=mode.id,
                status=Status.FAILED,
                attempt=attempt.number,
                diagnostic=f"{mode.id} could not be recorded: {type(error).__name__}: {reason_of(error)}",
                fix="Mend the row or the hook that broke",
            )
        outcome = _fit_to_show(outcome, self._session.redact)
        if attempt.calling:
            attempt.subtests.append(outcome)
        show(outcome, item, report, call)
        hide_secrets(report, self._session.redact)
        tell_junit(item, *attempt.subtests, outcome, simulated=self._session.simulated)
        return report

    def _outcome(
        self,
        item: pytest.Item,
        mode: FailureMode,
        attempt: Attempt,
        report: pytest.TestReport,
        call: pytest.CallInfo[None],
    ) -> Outcome:
        evidence = attempt.evidence
        error = call.excinfo.value if call.excinfo else None
        noted: Mapping[str, Scalar] = {**evidence.noted}
        status, by, why = _status(mode, attempt, report, error)
        diagnostic = fix = ""
        if status is Status.FAILED:
            diagnostic, fix = self._diagnose(item, mode, noted, error, why)
        elif status is Status.BLOCKED:
            fix = _command(mode.fix, noted) or f"Fix {by} first"  # it may not know yet what its own fix is about
        elif status is Status.WARNED:
            diagnostic, fix = why, fill(mode.fix, noted)
        return Outcome(
            nodeid=item.nodeid,
            row=mode.id,
            status=status,
            raised=evidence.raised,
            host=_host(item),
            summary=fill(mode.healthy, noted) if status in (Status.PASSED, Status.WARNED) else "",
            diagnostic=diagnostic,
            fix=fix,
            remedy=_to_paste(_remedy(error) or evidence.command or _command(mode.remedy, noted), item),
            blocked_by=by,
            why=why,
            evidence=noted,
            waiver=attempt.waiver,
            attempt=attempt.number,
            duration_s=round(call.duration, 4),
        )

    def _diagnose(
        self, item: pytest.Item, mode: FailureMode, noted: Mapping[str, Scalar], error: BaseException | None, why: str
    ) -> tuple[str, str]:
        if error is None or isinstance(error, Blocked):  # it could not look, so its sentence may not speak of the world
            named = {**noted, "error": why}
            return fill(mode.diagnostic, named) if "{error}" in mode.diagnostic else why, fill(mode.fix, named)
        answer: tuple[str, str] | None = item.ihook.pytest_pipeline_diagnose(
            failure_mode=mode, evidence=noted, error=error
        )
        return answer or diagnose(mode, noted, error)


def _fit_to_show(outcome: Outcome, redact: Callable[[str], str]) -> Outcome:
    """Take out secrets, and what would do more than be read."""

    def fit(text: str) -> str:
        return printable(redact(text))

    evidence = {name: redact(value) if isinstance(value, str) else value for name, value in outcome.evidence.items()}
    return replace(
        outcome,
        summary=fit(outcome.summary),
        diagnostic=fit(outcome.diagnostic),
        fix=fit(outcome.fix),
        remedy=fit(outcome.remedy),
        why=fit(outcome.why),
        evidence=evidence,
    )


def _status(
    mode: FailureMode, attempt: Attempt, report: pytest.TestReport, error: BaseException | None
) -> tuple[Status, str, str]:
    """Return (status, blocked by, why)."""
    blocks, warnings = attempt.take_blocks(), attempt.take_warnings()
    match error:
        case NotApplicable():
            return Status.NOT_APPLICABLE, "", error.why
        case Waived():
            return Status.WAIVED, "", attempt.waiver.reason if attempt.waiver else str(error)
        case Blocked():
            return _blocked(mode, error)
    if report.skipped:
        reason = _skip_reason(report, error)
        return Status.BLOCKED, "no-cases" if reason.startswith(_NO_CASES) else "skip", reason
    if blocks and error is not None and not isinstance(error, (AssertionError, pytest.fail.Exception)):
        return _blocked(mode, blocks[0])  # it went on without what it lacked, and broke
    if report.failed or error is not None:  # whatever another plugin has made of the report
        return _failed(report, error)
    if blocks:  # the row caught it and went on; it has not looked
        return _blocked(mode, blocks[0])
    if hasattr(report, "wasxfail"):
        warnings.append(f"expected to fail ({report.wasxfail}), and it passed: remove the xfail")
    return (Status.WARNED, "", "; ".join(warnings)) if warnings else (Status.PASSED, "", "")


def _blocked(mode: FailureMode, block: Blocked) -> tuple[Status, str, str]:
    """A row that lacks what it owns itself has failed: there is no other cause to fix first."""
    if block.by == mode.id:
        return Status.FAILED, "", block.reason
    return Status.BLOCKED, block.by, block.reason


def _failed(report: pytest.TestReport, error: BaseException | None) -> tuple[Status, str, str]:
    why = f"{type(error).__name__}: {reason_of(error)}" if error else str(report.longrepr)
    return (Status.BLOCKED, "fixture", why) if report.when == "setup" else (Status.FAILED, "", why)


def _skip_reason(report: pytest.TestReport, error: BaseException | None) -> str:
    if hasattr(report, "wasxfail"):
        reason = str(report.wasxfail).removeprefix("[NOTRUN] ").removeprefix("reason: ")
        if reason.startswith(_NO_CASES):
            return reason
        return f"marked xfail: {reason}" if reason else "marked xfail"
    return reason_of(error) if error else "skipped"


def _host(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    host = callspec.params.get("pipeline_instance", "") if callspec else ""
    return host if isinstance(host, str) else ""


def _remedy(error: BaseException | None) -> str:
    return error.remedy if isinstance(error, Blocked) else ""


def _to_paste(remedy: str, item: pytest.Item) -> str:
    """Return a command for this machine, whichever it is meant for, where the row has the connection."""
    host = getattr(item, "funcargs", {}).get("gpu_host")
    command = meant_for_host(remedy)
    return host.to_paste(command) if command and host is not None else remedy


def _command(template: str, noted: Mapping[str, Scalar]) -> str:
    """Fill what is to be done; a command with a hole in it is no command to paste."""
    names = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    return fill(template, noted) if all(name in noted for name in names) else ""


def _returning_nothing(function: Callable[..., Any]) -> Callable[..., None]:
    @functools.wraps(function)
    def judged(*args: object, **kwargs: object) -> None:
        __tracebackhide__ = True
        _must_be_none(function(*args, **kwargs))

    return judged


def _awaiting_nothing(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def judged(*args: object, **kwargs: object) -> None:
        __tracebackhide__ = True
        _must_be_none(await function(*args, **kwargs))

    return judged


def _must_be_none(returned: object) -> None:
    __tracebackhide__ = True
    if returned is not None:
        pytest.fail(
            f"the row returned {returned!r} instead of asserting it, so it could never fail; write `assert`",
            pytrace=False,
        )
