"""The report on the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_pipeline.report import Report


class TerminalReport:
    """Writes the report where pytest writes, or on standard error where pytest has no terminal."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_pipeline_verdict(self, report: Report) -> None:
        """Write the last lines of the run."""
        from pytest_pipeline.reports.screen import render  # noqa: PLC0415 - asleep, nothing is rendered

        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        stream = sys.stderr if reporter is None else reporter._tw._file  # noqa: SLF001 - pytest has no public way
        plain = not (getattr(stream, "encoding", None) or "").lower().startswith("utf")
        for line in render(report, plain=plain):
            if reporter is None:
                sys.stderr.write(line.text + "\n")
            else:
                reporter.write_line(line.text, **line.markup)
