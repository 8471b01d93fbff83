"""How the imports of deployed scripts are judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from context_builders import context, interpreter

from matrix_tests.deployment import judge_entry_points
from pytest_pipeline import Blocked
from pytest_pipeline.observers.context_readings import EntryPoint, MissingName
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Requirements

SCRIPT = EntryPoint(path="~/train.py", files_read=3, imports=12, missing=())
GONE = MissingName(
    name="shared.beat", file="train.py", line=4, silent=False, local=True, why="there is no beat in shared"
)
WANDB = MissingName(name="wandb", file="train.py", line=9, silent=True, local=False, why="No module named 'wandb'")


def judged(*seen: Reading[EntryPoint] | EntryPoint, **changed: Any) -> Evidence:
    evidence = Evidence()
    contexts = {
        f"~/{n}.py": context(
            entry_points={f"~/{n}.py": one if isinstance(one, Reading) else Reading.of(one)}, **changed
        )
        for n, one in enumerate(seen)
    }
    judge_entry_points(contexts, Requirements(python=">=3.10", packages=["flash-attn>=2"]), evidence)
    return evidence


def test_scripts_that_import_what_they_need_are_right() -> None:
    evidence = judged(SCRIPT, SCRIPT)

    assert evidence.noted["entry_points"] == "~/0.py, ~/1.py"
    assert evidence.warnings == []


def test_an_optional_package_that_is_not_there_is_only_noted() -> None:
    evidence = judged(replace(SCRIPT, missing=(WANDB,)))

    assert (evidence.warnings, evidence.noted["optional"]) == ([], "train.py:9 does without wandb")


def test_what_is_imported_later_and_is_not_there_is_looked_at_by_somebody() -> None:
    evidence = judged(replace(SCRIPT, problems=("train.py:40 imports onnx when it is needed: no",)))

    assert evidence.warnings == ["~/0.py: train.py:40 imports onnx when it is needed: no"]


WRONG: dict[str, tuple[Any, str]] = {
    "missing": (GONE, "train.py:4: there is no beat in shared"),
    "missing, of somebody else": (replace(WANDB, silent=False), "train.py:9: No module named 'wandb'"),
    "swallowed": (
        replace(GONE, silent=True),
        "train.py:4 swallows the ImportError and goes on without shared.beat: there is no beat in shared",
    ),
    "swallowed, and required": (
        replace(WANDB, name="flash_attn.layers"),
        "train.py:9 swallows the ImportError and goes on without flash_attn.layers, which is required",
    ),
}


@pytest.mark.parametrize(("missing", "said"), WRONG.values(), ids=[*WRONG])
def test_an_import_that_fails_is_said_with_its_place(missing: MissingName, said: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(SCRIPT, replace(SCRIPT, missing=(WANDB, missing)))
    assert str(failed.value) == said


def test_a_script_that_is_not_there_is_wrong() -> None:
    with pytest.raises(pytest.fail.Exception, match="No such file"):
        judged(Reading.missing("No such file or directory: ~/train.py", by="deployed-imports"))


def test_a_script_that_could_not_be_looked_at_is_blocked_by_the_root() -> None:
    with pytest.raises(Blocked) as blocked:
        judged(SCRIPT, Reading.missing("gone", by="python-version"))
    assert blocked.value.by == "python-version"


ABSENT: Reading[Any] = Reading.missing("it does not import", by="dependencies")
SAID_ELSEWHERE: dict[str, tuple[MissingName, dict[str, Any], str]] = {
    "PyTorch": (replace(WANDB, name="torch.nn"), {"torch": Reading.missing("no torch", by="pytorch")}, "pytorch"),
    "a required package": (
        replace(WANDB, name="flash_attn", silent=False),
        {"packages": {"flash-attn>=2": ABSENT}},
        "dependencies",
    ),
    "a wrong Python": (GONE, {"interpreter": Reading.of(interpreter(version="3.8.10"))}, "python-version"),
}


@pytest.mark.parametrize(("missing", "changed", "root"), SAID_ELSEWHERE.values(), ids=[*SAID_ELSEWHERE])
def test_what_another_row_says_is_blocked_by_it(missing: MissingName, changed: dict[str, Any], root: str) -> None:
    with pytest.raises(Blocked) as blocked:
        judged(replace(SCRIPT, missing=(missing,)), **changed)
    assert blocked.value.by == root
