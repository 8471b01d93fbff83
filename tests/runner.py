"""Runs whole pytest runs on rows written in a test, and reads what they came to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

HEADER = """
import pytest
from pytest_pipeline import Blocked, failure_mode

def row(id, phase=1, **columns):
    given = dict(category="Category", failure="It is wrong", diagnostic="It is wrong", fix="Mend it")
    return failure_mode(id, phase=phase, **(given | columns))
"""


@dataclass(frozen=True)
class Result:
    """What a pytest run came to: its exit status, what it printed, and its report."""

    ret: int
    lines: list[str]
    outcomes: Mapping[str, int]
    report: Mapping[str, Any]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def verdict(self) -> str:
        return str(self.report["verdict"])

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.report["rows"]}

    @property
    def statuses(self) -> dict[str, str]:
        return {row: made["status"] for row, made in self.rows.items()}


@dataclass(frozen=True)
class Runner:
    """Runs pytest on rows written in a test; the same in one process and in several."""

    pytester: pytest.Pytester
    options: tuple[str, ...] = ()
    subprocess: bool = False  # some libraries can be loaded only once a process

    def run(self, rows: str, *options: str, **files: str) -> Result:
        """Run a file of rows; other files are given as `name=text`."""
        self.pytester.makepyfile(test_inner=HEADER + rows)
        for name, text in files.items():
            self.pytester.path.joinpath(name.replace("__", ".")).write_text(text, encoding="utf-8")
        return self.again(*options)

    def again(self, *options: str) -> Result:
        """Run what is there."""
        report = self.pytester.path / "readiness.json"
        run = self.pytester.runpytest_subprocess if self.subprocess else self.pytester.runpytest
        ran = run("-p", "no:randomly", f"--readiness-json={report}", *self.options, *options)
        return Result(
            ret=int(ran.ret),
            lines=ran.outlines + ran.errlines,
            outcomes=ran.parseoutcomes() if any(" in " in line for line in ran.outlines) else {},
            report=json.loads(report.read_text(encoding="utf-8")) if report.exists() else {},
        )
