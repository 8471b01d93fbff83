"""Can what was deployed import what it needs: the row deployed-imports judges each entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from pytest_pipeline import Blocked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.context_readings import ContextReadings, MissingName
    from pytest_pipeline.settings import Requirements


def judge_entry_points(contexts: Mapping[str, ContextReadings], required: Requirements, evidence: Evidence) -> None:
    """Fail where a script, or a module deployed with it, imports what is not there, or goes on without a part of it.

    `contexts` are those of the entry points, by path. An optional package of somebody else that is not installed is
    everyday practice, and is only noted; what another row says already, it alone says.
    """
    evidence(entry_points=", ".join(contexts))
    packages = {Requirement(package).name.lower().replace("-", "_"): package for package in required.packages}
    noted: list[str] = []
    for path, context in contexts.items():
        evidence(entry_point=path)
        _end_in_a_wrong_python(context, required)
        reading = context.entry_points[path]
        if reading.by == "deployed-imports":
            pytest.fail(reading.reason, pytrace=False)
        found = reading.value
        evidence(files_read=found.files_read, imports=found.imports)
        for one in found.missing:
            top = one.name.partition(".")[0].lower()
            known = context.torch if top == "torch" else context.packages.get(packages.get(top, ""))
            if known is not None and not known.is_known:
                raise Blocked(f"{one.file}:{one.line}: {one.why}", by=known.by)
            if wrong := why_wrong(one, set(packages)):
                pytest.fail(wrong, pytrace=False)
            noted.append(f"{one.file}:{one.line} does without {one.name}")
        for problem in found.problems:
            evidence.warn(f"{path}: {problem}")
    evidence(entry_points=", ".join(contexts), optional="; ".join(noted))


def _end_in_a_wrong_python(context: ContextReadings, required: Requirements) -> None:
    """What another Python can import is not what the right one can."""
    version = context.interpreter.value.version
    if required.python is not None and not SpecifierSet(required.python).contains(Version(version).base_version):
        raise Blocked(f"it would run in Python {version}", by="python-version")


def why_wrong(one: MissingName, required: set[str]) -> str:
    """Say why an import that fails is wrong, or nothing where the script is right to do without."""
    if not one.silent:
        return f"{one.file}:{one.line}: {one.why}"
    if one.local:
        return f"{one.file}:{one.line} swallows the ImportError and goes on without {one.name}: {one.why}"
    if one.name.partition(".")[0].lower() in required:
        return f"{one.file}:{one.line} swallows the ImportError and goes on without {one.name}, which is required"
    return ""
