"""Reports in, verdict and exit status out. Lives on the controller only, and judges once, after everybody else."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.diagnosis import printable
from pytest_pipeline.outcome import Problem, Status
from pytest_pipeline.session import awake_by_option
from pytest_pipeline.showing import outcome_of
from pytest_pipeline.stage import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from pytest_pipeline.matrix import Planned
    from pytest_pipeline.outcome import Outcome
    from pytest_pipeline.readiness import Readiness
    from pytest_pipeline.report import Report
    from pytest_pipeline.session import PipelineSession

_LIFTED = (Verdict.BLOCKED, Verdict.ATTENTION, Verdict.NOTHING_JUDGED)


class Gate:
    """Gathers what the run came to, and says at its end whether to deploy."""

    def __init__(self, config: pytest.Config, session: PipelineSession) -> None:
        self._config = config
        self._session = session
        self._outcomes: list[Outcome] = []
        self._failures: list[tuple[str, str, str]] = []  # node id, phase of the test, what it says
        self._problems: list[Problem] = []
        self._plain: dict[str, str] = {}  # node id -> marker of tests that look like rows and are none

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather an outcome; anything else that failed is looked at when all is known."""
        outcome = outcome_of(report)
        if outcome is not None:
            self._outcomes.append(replace(outcome, case=_subtest(report)))
        elif report.failed:
            self._failures.append((report.nodeid, str(report.when), _first_line(report)))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A collector that failed or was skipped may have hidden rows."""
        if not report.passed:
            kind = "collection" if report.failed else "skipped collection"
            where = report.nodeid or "."
            self._problems.append(Problem(kind=kind, where=where, what=_first_line(report), fix=f"Let {where} collect"))

    def pytest_internalerror(self, excrepr: object) -> None:
        """Pytest or a plugin broke: whatever was seen until then is not all there was."""
        lines = str(excrepr).strip().splitlines()
        what = lines[-1].strip() if lines else "unknown"
        self._problems.append(Problem(kind="internal error", where="pytest", what=what, fix="See the traceback above"))

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Somebody stopped the run; that pytest stops by itself after collection errors is no second problem."""
        if self._problems and issubclass(excinfo.type, pytest.Session.Interrupted):
            return
        what = f"{excinfo.typename}: {excinfo.value}".rstrip(": ")
        self._problems.append(Problem(kind="interruption", where="pytest", what=what, fix="Run it again to the end"))

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Remember plain tests that carry a phase's marker: their author may take them for rows."""
        if item.get_closest_marker("failure_mode") is None:
            marker = next((f"phase{n}" for n in range(1, 7) if item.get_closest_marker(f"phase{n}")), None)
            if marker:
                self._plain[item.nodeid] = marker

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.TestReport | pytest.CollectReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show warned and blocked rows as what they are."""
        outcome = outcome_of(report) if isinstance(report, pytest.TestReport) else None
        if outcome is None:
            return None
        match outcome.status.value:
            case "warned" if report.passed:
                return "warned", "w", ("WARNED", {"yellow": True})
            case "blocked" if report.failed:
                return "blocked", "B", ("BLOCKED", {"red": True})
        return None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Judge when all other plugins have had their say on the exit status, and write the last lines."""
        try:
            result = yield
        except BaseException as error:
            what = f"{type(error).__name__}: {error}".rstrip(": ")
            problem = Problem(kind="session end", where="pytest", what=what, fix="Mend the hook that raised it")
            self._problems.append(problem)
            if self._finish_if_awake(session) and isinstance(error, pytest.exit.Exception):
                error.returncode = max(int(error.returncode or 0), int(session.exitstatus))
            raise
        self._finish_if_awake(session)
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self) -> None:
        """The first worker has rows: this process is part of the run from now on, and takes it down in the end."""
        if self._session.run.folder.path.exists():
            self._session.begin()

    def _finish_if_awake(self, session: pytest.Session) -> bool:
        planned = self._session.run.folder.read_plan()
        known = {case.nodeid for case in planned}
        lost = [outcome for outcome in self._outcomes if outcome.nodeid not in known]
        if lost:
            what = f"rows came back that nobody planned, {lost[0].nodeid} first: the run's folder was removed"
            self._problems.append(Problem(kind="lost plan", where="pytest", what=what, fix="Run it again"))
        met = any(case.selected for case in planned) or lost or self._session.met_a_row
        if not (met or awake_by_option(self._config)):
            return False
        self._finish(session, planned)
        return True

    def _finish(self, session: pytest.Session, planned: tuple[Planned, ...]) -> None:
        # Asleep, nothing is judged, and pytest does not wait for what judging needs.
        from pytest_pipeline.judgement import with_problem  # noqa: PLC0415
        from pytest_pipeline.report import Report  # noqa: PLC0415
        from pytest_pipeline.target import commit_of, effects_of, target_of  # noqa: PLC0415

        readiness = self._judge(planned)
        if session.exitstatus == pytest.ExitCode.OK and readiness.verdict in _LIFTED:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        status = int(session.exitstatus)
        if status and readiness.verdict in (Verdict.READY, Verdict.CAUTION):
            problem = Problem(
                kind="exit status",
                where="pytest",
                what=f"pytest ends with exit status {status} although no row says why",
                fix="Look for the plugin that set it",
            )
            readiness = with_problem(readiness, problem)
        run, args = self._session.run, [self._redact(str(arg)) for arg in self._config.invocation_params.args]
        self._announce(
            session,
            Report(
                readiness=readiness,
                run_id=run.id,
                exit_status=status,
                selection=shlex.join(args),
                rerun=rerun_command(readiness, args, self._config.args),
                started=run.started,
                duration_s=time.time() - run.started,
                target=target_of(self._session),
                settings_sha256=self._session.settings_or_none.sha256 if self._session.settings_or_none else "",
                pipeline_commit=commit_of(self._session),
                effects=effects_of(self._session),
            ),
        )

    @property
    def _redact(self) -> Callable[[str], str]:
        return self._session.redact if self._session.settings_or_none else str

    def _announce(self, session: pytest.Session, report: Report) -> None:
        """Tell all reports. The terminal comes last: it never says READY where another one could not be made."""
        from pytest_pipeline.judgement import with_problem  # noqa: PLC0415 - as above

        try:
            self._config.hook.pytest_pipeline_verdict(report=report)
        except Exception as error:  # noqa: BLE001 - whatever a report breaks with, the verdict must still be heard
            what = f"{type(error).__name__}: {error}"
            problem = Problem(kind="report", where="a report", what=what, fix="Mend the report, or leave it out")
            status = int(session.exitstatus) or int(pytest.ExitCode.TESTS_FAILED)
            session.exitstatus = status
            terminal: Any = self._config.pluginmanager.get_plugin("pipeline-terminal")
            terminal.pytest_pipeline_verdict(
                replace(report, readiness=with_problem(report.readiness, problem), exit_status=status)
            )

    def _judge(self, planned: tuple[Planned, ...]) -> Readiness:
        from pytest_pipeline.judgement import judge  # noqa: PLC0415 - as above

        rows = {case.nodeid for case in planned}
        crashed = {nodeid: what for nodeid, _, what in self._failures if nodeid in rows}
        redact = self._redact
        problems = [replace(problem, what=printable(redact(problem.what))) for problem in self._problems]
        for nodeid, when, what in self._failures:
            if when == "teardown":
                problems.append(
                    Problem(
                        kind="teardown", where=nodeid, what=printable(redact(what)), fix="Mend the fixture's clean-up"
                    )
                )
            elif nodeid not in rows:
                problems.append(
                    Problem(
                        kind="test", where=nodeid, what=printable(redact(what)), fix="Mend the test, or deselect it"
                    )
                )
        settings = self._session.settings_or_none
        return judge(
            outcomes=self._outcomes,
            planned=planned,
            problems=problems,
            stage=self._config.getoption("pipeline_stage", default=None),
            crashed=crashed,
            severities=dict(settings.rows.severity) if settings else {},
            fail_under=self._config.getoption("pipeline_fail_under", default=None),
            plain_tests=[f"{nodeid} ({marker})" for nodeid, marker in self._plain.items()],
        )


def rerun_command(readiness: Readiness, args: Sequence[str], paths: Sequence[str]) -> str:
    """Return the command that runs only the rows again that were not right, or the same command when all are asked.

    Some rows are no stage: its verdict needs all of them, and would stay BLOCKED. `paths` is what pytest collected.
    """
    wrong = [row for row in readiness.rows_with(Status.FAILED, Status.BLOCKED, Status.NOT_RUN) if row.nodeids]
    narrower = 0 < len(wrong) < len([row for row in readiness.rows if row.nodeids])
    only = ["-k", " or ".join(row.mode.id for row in wrong)] if narrower else []
    kept = _without_stage(args, paths) if narrower else args
    return shlex.join(["pytest", *kept, *only])


def _without_stage(args: Sequence[str], paths: Sequence[str]) -> Sequence[str]:
    """Return the arguments without their stage; what it has collected is named."""
    option = "--stage"
    kept = [
        word
        for before, word in zip(("", *args), args, strict=False)
        if option not in (before, word) and not word.startswith(f"{option}=")
    ]
    suite = ["--pyargs", "matrix_tests"]
    return [*kept, *suite] if len(kept) < len(args) and [*paths] == suite[1:] and suite[1] not in args else kept


def _subtest(report: pytest.TestReport) -> str:
    context = getattr(report, "context", None)
    if context is None:
        return ""
    # Values are quoted by pytest, and once more on their way from a worker.
    quotes = "\"'"
    named = ", ".join(f"{name}={value.strip(quotes)}" for name, value in context.kwargs.items())
    return " ".join(filter(None, (context.msg, named))) or "subtest"


def _first_line(report: pytest.TestReport | pytest.CollectReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else _text(report.longrepr)
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return (lines[-1] if crash is None else lines[0]).strip() if lines else "no reason given"


def _text(longrepr: object) -> str:
    """A skip's is (path, line, reason)."""
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr or "")
