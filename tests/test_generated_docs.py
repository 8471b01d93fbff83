"""The pages that follow from code follow from it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from pytest_pipeline.catalogue import CATALOGUE, MATRIX
from pytest_pipeline.settings.sources import variables

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs/generate.py"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def check() -> jsonschema.Draft202012Validator:
    """Checks settings as an editor would."""
    schema = json.loads((ROOT / "docs/pipeline.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_no_page_is_stale(generate: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    status = generate.main(["--check"])

    assert (status, capsys.readouterr().err) == (0, "")


def test_a_stale_page_is_named_and_then_written(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main([], tmp_path) == 0
    page = tmp_path / "matrix.md"
    page.write_text("old")

    assert generate.main(["--check"], tmp_path) == 1
    assert capsys.readouterr().err == f"{page} is stale; run python docs/generate.py\n"
    assert page.read_text() == "old"

    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0


def test_another_argument_is_refused_and_nothing_is_written() -> None:
    run = subprocess.run(
        [sys.executable, SCRIPT, "--chekc"], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stderr) == (2, "usage: python docs/generate.py [--check]\n")


def test_the_page_about_settings_names_each_variable(generate: ModuleType) -> None:
    page = generate.configuration()

    assert [name for name in variables() if f"`{name}`" not in page] == []


def test_the_page_about_settings_says_what_each_key_means(generate: ModuleType) -> None:
    keys = [line for line in generate.configuration().splitlines() if line.startswith("| `")]

    assert [line for line in keys if line.endswith("|  |")] == []
    assert not [line for line in keys if line.count(" | ") != 4]
    assert "| `free_gb` | number | required |" in "\n".join(keys)


def test_the_page_about_the_matrix_has_each_row_once(generate: ModuleType) -> None:
    rows = [line.split("`")[1] for line in generate.matrix().splitlines() if line.startswith("| `")]

    assert sorted(rows) == sorted(CATALOGUE)
    assert [row for row in rows if row in MATRIX] == list(MATRIX)


def test_the_schema_knows_this_repositorys_own_table(check: jsonschema.Draft202012Validator) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert list(check.iter_errors(project["tool"]["pytest-pipeline"])) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"hots": {}},
        {"world": "sandbox"},
        {"host": {"usre": "x"}},
        {"host": {"port": "22"}},
        {"host": {"connection": "telnet"}},
        {"aws": {"region": None}},
        {"aws": {"buckets": [{"name": "x", "from_": ["host"]}]}},
        {"requirements": {"disk": {"/mnt": {}}}},
    ],
)
def test_the_schema_refuses_what_is_refused(check: jsonschema.Draft202012Validator, wrong: dict[str, Any]) -> None:
    assert list(check.iter_errors(wrong)) != []


def test_the_schema_knows_from_by_the_name_that_users_write(check: jsonschema.Draft202012Validator) -> None:
    assert list(check.iter_errors({"aws": {"buckets": [{"name": "x", "from": ["host"], "read": [""]}]}})) == []
