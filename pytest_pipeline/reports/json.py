"""The report as JSON, version 1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_pipeline.run_folder import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.report import Report


class JsonReport:
    """Writes the report to a file: all of it, or nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pytest_pipeline_verdict(self, report: Report) -> None:
        """Write the file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, json.dumps(report.to_wire(), indent=2, ensure_ascii=False) + "\n")
