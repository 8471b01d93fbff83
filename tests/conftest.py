"""Fixtures of our own tests: a runner of whole pytest runs, and a cache folder of their own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    def run(self, rows: str, *options: str, **files: str) -> Result:
        """Run a file of rows; other files are given as `name=text`."""
        self.pytester.makepyfile(test_inner=HEADER + rows)
        for name, text in files.items():
            self.pytester.path.joinpath(name.replace("__", ".")).write_text(text, encoding="utf-8")
        return self.again(*options)

    def again(self, *options: str) -> Result:
        """Run what is there."""
        report = self.pytester.path / "readiness.json"
        ran = self.pytester.runpytest("-p", "no:randomly", f"--readiness-json={report}", *self.options, *options)
        return Result(
            ret=int(ran.ret),
            lines=ran.outlines + ran.errlines,
            outcomes=ran.parseoutcomes() if any(" in " in line for line in ran.outlines) else {},
            report=json.loads(report.read_text(encoding="utf-8")) if report.exists() else {},
        )


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or leaves anything in the user's cache, home or account."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def one_process(pytester: pytest.Pytester) -> Runner:
    """Runs pytest in one process."""
    return Runner(pytester)


@pytest.fixture(params=[(), ("-n2",), ("-p", "no:xdist")], ids=["serial", "xdist", "without-xdist"])
def pipeline(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Runner:
    """Runs pytest in one process, in several, and with xdist switched off: what it says must be the same."""
    return Runner(pytester, request.param)


@pytest.fixture
def cache() -> Path:
    """The cache folder of this test."""
    import os  # noqa: PLC0415

    return Path(os.environ["XDG_CACHE_HOME"])
