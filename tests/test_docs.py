"""What README and docs say is run, and what they show is what comes."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pytest_pipeline.settings import load

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def run(*args: str, cwd: Path) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    return [line.strip() for line in ran.stdout.splitlines()]


def assert_shown(expected: str, printed: list[str]) -> None:
    """Every line shown is printed, in this order; `...` stands for anything."""
    lines = iter(printed)
    for shown in filter(None, (line.strip() for line in expected.splitlines())):
        pattern = ".*".join(re.escape(part) for part in shown.split("..."))
        assert any(re.fullmatch(pattern, line) for line in lines), f"{shown!r} is not printed there: {printed}"


def test_the_readme_shows_what_the_sandbox_prints() -> None:
    healthy, broken = blocks(ROOT / "README.md", "text")
    command = blocks(ROOT / "README.md", "console")[0].removeprefix("$ ").strip()

    assert_shown(healthy, run("--sandbox", "matrix_tests", cwd=ROOT))
    assert_shown(broken, run(*shlex.split(command)[1:], cwd=ROOT))


def test_ci_calls_the_readmes_test_command() -> None:
    sandbox, tests = (block.strip() for block in blocks(ROOT / "README.md", "sh")[:2])

    assert tests in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert sandbox == f"{tests} -e sandbox"


def test_the_readmes_settings_are_settings(tmp_path: Path) -> None:
    (tmp_path / "pipeline.toml").write_text("\n".join(blocks(ROOT / "README.md", "toml")), encoding="utf-8")
    settings = load(rootdir=tmp_path, config_file=None, command_line={}, assignments=(), environ={})

    assert [bucket.name for bucket in settings.aws.buckets] == ["policy-database", "asoba-llm-cache"]
    assert [source.name for source in settings.data.sources] == ["econ_theory"]


def test_the_walk_through_works_in_a_repository_of_ones_own(tmp_path: Path) -> None:
    page = ROOT / "docs" / "add-a-failure-mode.md"
    (row,), (shown,) = blocks(page, "python"), blocks(page, "text")
    command = shlex.split(blocks(page, "console")[0].removeprefix("$ "))
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_scratch.py").write_text(row, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    printed = run(*command[1:], cwd=tmp_path)
    assert_shown(shown, printed)
    assert "Fix: Give the training user the folder" in printed
    remedy = re.compile(r"Run: ssh -i \S+ -p \d+ ubuntu@127\.0\.0\.1 'sudo chown ubuntu /scratch'")
    assert any(map(remedy.fullmatch, printed))
    assert printed[-1] == "verdict: BLOCKED"

    green = row.replace("/scratch", "/mnt/training")
    (tmp_path / "tests" / "test_scratch.py").write_text(green, encoding="utf-8")
    printed = run(*command[1:], cwd=tmp_path)
    assert "✅ /mnt/training is writable" in printed
    assert printed[-1] == "verdict: PARTIAL"

    printed = run(*command[1:], "--inject", "ssh-refused", cwd=tmp_path)
    assert "⛔ scratch-writable: blocked by ssh-access" in printed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_this_repository_says_the_users_own_pipeline() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest-pipeline"]

    assert {bucket["name"] for bucket in table["aws"]["buckets"]} == {"policy-database", "asoba-llm-cache"}
    assert "/mnt/training" in table["requirements"]["disk"]
