"""Wiring only: options, markers, and which objects are registered in which process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import hookspecs
from pytest_pipeline.matrix import Phase
from pytest_pipeline.options import add_options, report_files, usage_error_in
from pytest_pipeline.session import PipelineSession, awake_by_option, may_wake, session_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xdist.workermanage import WorkerController


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the options of the group "pipeline", and remove the reports named: other plugins may yet fail to load."""
    add_options(parser)
    config: pytest.Config | None = pluginmanager.get_plugin("pytestconfig")
    if config is not None:
        _remove_reports(report_files([str(arg) for arg in config.invocation_params.args]))


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare our own hooks."""
    pluginmanager.add_hookspecs(hookspecs)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config, args: Sequence[str]) -> None:
    """Remove yesterday's reports before anything can go wrong: a READY never outlives a run that failed to start."""
    _remove_reports(report_files(args, early_config.known_args_namespace))


def _remove_reports(files: Sequence[str]) -> None:
    for file in files:
        path = Path(file)
        try:
            if path.exists() and not path.is_file():
                raise pytest.UsageError(f"no report can be written to {file}: it is no regular file; name another file")
            path.unlink(missing_ok=True)
        except OSError as error:
            raise pytest.UsageError(
                f"no report can be written to {file}: {error.strerror}; name another file"
            ) from None


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Give a stage without a path the shipped suite."""
    if config.getoption("pipeline_stage") and config.args_source is not pytest.Config.ArgsSource.ARGS:
        config.option.pyargs = True
        config.args = ["matrix_tests"]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and register what this process needs: nothing that looks, judges or prints when asleep."""
    config.addinivalue_line("markers", "failure_mode(mode): a row of the failure matrix; write @failure_mode(...)")
    for phase in Phase:
        config.addinivalue_line("markers", f"{phase.marker}: rows of phase {phase.value}, {phase.title}")
    from pytest_pipeline import fixtures  # noqa: PLC0415 - its module must be registered, not imported by name

    config.pluginmanager.register(fixtures, "pipeline-fixtures")
    from pytest_pipeline.collector import Collector  # noqa: PLC0415 - beside the other objects it is one of

    session = config.stash[session_key] = PipelineSession(config)
    config.pluginmanager.register(Collector(config, session), "pipeline-collector")
    if not may_wake(config):
        return
    from pytest_pipeline.recorder import Recorder  # noqa: PLC0415 - a listing needs none of these

    config.pluginmanager.register(Recorder(session), "pipeline-recorder")
    if session.is_controller:
        _configure_controller(config, session)


def _configure_controller(config: pytest.Config, session: PipelineSession) -> None:
    from pytest_pipeline.gate import Gate  # noqa: PLC0415 - workers need none of these
    from pytest_pipeline.reports.json import JsonReport  # noqa: PLC0415
    from pytest_pipeline.reports.terminal import TerminalReport  # noqa: PLC0415

    error = usage_error_in(config, awake=awake_by_option(config))
    if error:
        raise pytest.UsageError(error)
    config.pluginmanager.register(Gate(config, session), "pipeline-gate")
    config.pluginmanager.register(TerminalReport(config), "pipeline-terminal")
    json_file = config.getoption("pipeline_readiness_json")
    if json_file:
        config.pluginmanager.register(JsonReport(Path(json_file)), "pipeline-json")
    if awake_by_option(config):
        session.wake()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Hand a worker the run it is part of."""
    config: pytest.Config = node.config
    session = config.stash[session_key]
    node.workerinput["pipeline"] = session.to_workerinput(with_settings=awake_by_option(config))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Let pytest-html, which reads it now, name a world that is not the real one."""
    ours = session.config.stash.get(session_key, None)
    if ours is not None and (header := ours.header()) is not None:
        from pytest_pipeline.reports.html import note_world  # noqa: PLC0415 - asleep, nobody asks for it

        note_world(session.config, header)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take down what this process holds for the run."""
    session = config.stash.get(session_key, None)
    if session is not None:
        session.close()


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say at once, where it is so, that the world is not the real one."""
    session = config.stash.get(session_key, None)
    return session.header() if session is not None else None
