"""Imports only go down the floors of docs/architecture.md, and each floor knows only what it may know."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pytest_pipeline

PACKAGE = Path(pytest_pipeline.__file__).parent

FLOORS = (  # the highest first; a name is a module or a package of pytest_pipeline
    {"plugin", "sandbox.__main__"},
    {
        "attempt", "recorder", "showing", "gate", "reports", "fixtures", "collector", "session", "target", "options",
        "sandbox.prove", "sandbox.detection",
    },
    {"observers", "sandbox"},
    {"connections"},
    {"data"},
    {
        "report", "judgement", "readiness", "stage", "settings", "templates", "run_folder", "diagnosis", "pins",
        "urls",
    },
    {"matrix", "catalogue", "outcome", "remedy", "hookspecs"},
)  # fmt: skip
MAY_IMPORT = {  # who may know the world outside
    "boto3": {"observers", "sandbox", "fixtures"},
    "botocore": {"observers", "sandbox"},
    "requests": {"observers"},
    "obstore": {"observers"},
    "msgspec": {"data"},
    "asyncssh": {"sandbox"},
    "moto": {"sandbox"},
    "werkzeug": {"sandbox"},
    "fabric": {"connections", "fixtures", "observers"},
    "paramiko": {"connections"},
    "pydantic": {"settings", "observers"},
    "pytest": {
        "matrix", "outcome", "hookspecs", "diagnosis", "attempt", "recorder", "showing", "gate", "collector", "session",
        "options", "plugin", "fixtures", "reports", "sandbox.prove",
    },
}  # fmt: skip
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "manager", "misc", "tools"}

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "probes" not in path.parts)


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__") or "__init__"


def floor_of(module: str) -> int:
    for number, names in enumerate(FLOORS):
        if module in names:
            return number
    for number, names in enumerate(FLOORS):
        if module.partition(".")[0] in names:
            return number
    raise AssertionError(f"{module} stands on no floor; say in FLOORS and docs/architecture.md where it belongs")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def inside(name: str) -> str | None:
    """The module of ours that an imported name is, or None where it is a name in a module, or somebody else's."""
    if not name.startswith("pytest_pipeline."):
        return None
    module = name.removeprefix("pytest_pipeline.")
    path = PACKAGE.joinpath(*module.split("."))
    return module if path.with_suffix(".py").exists() or path.is_dir() else None


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_only_go_down(path: Path) -> None:
    module = dotted(path)
    if module == "__init__":
        return
    up = {
        name
        for name in map(inside, imports(path))
        if name and floor_of(name) < floor_of(module) and f"{module}->{name}" not in TYPES_ONLY
    }

    assert up == set()


TYPES_ONLY = {
    "hookspecs->report",  # a specification names the value it hands out
}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_only_its_floor_knows_a_library(path: Path) -> None:
    module = dotted(path)
    known = {name.partition(".")[0] for name in imports(path)}
    wrong = {
        library
        for library, allowed in MAY_IMPORT.items()
        if library in known and module not in allowed and module.partition(".")[0] not in allowed
    }

    assert wrong - ({"pytest"} if module == "__init__" else set()) == set()


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_nothing_below_the_pytest_floor_mentions_xdist(path: Path) -> None:
    if floor_of(dotted(path)) > 1 if dotted(path) != "__init__" else False:
        assert "xdist" not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=dotted)
def test_a_file_is_named_for_what_it_holds(path: Path) -> None:
    assert not FORBIDDEN_NAMES & set(dotted(path).split("."))


def test_recorder_and_gate_meet_only_in_the_outcome() -> None:
    assert "pytest_pipeline.gate" not in imports(PACKAGE / "recorder.py")
    assert imports(PACKAGE / "gate.py") & {"pytest_pipeline.recorder.Recorder"} == set()


def test_probes_are_imported_by_nobody_and_import_nothing_of_ours() -> None:
    for path in MODULES:
        assert not any(name.startswith("pytest_pipeline.probes") for name in imports(path))
    for path in (PACKAGE / "probes").glob("*.py"):
        assert not any(name.startswith("pytest_pipeline") for name in imports(path))
