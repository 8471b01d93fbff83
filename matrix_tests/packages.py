"""Are the required packages there, and do they fit together: the row dependencies judges one of them in a context."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import pytest
from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.specifiers import SpecifierSet

    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.context_readings import ContextReadings, Distribution, Interpreter

_PAIRS = (  # installed together, the first imports and does not train with the second
    ("torch<2.3", "numpy>=2", "PyTorch before 2.3 is built for NumPy 1: tensors and arrays do not convert"),
    ("transformers>=4.46", "accelerate<0.26", "its Trainer needs accelerate 0.26 or later"),
    ("torch==2.5.*", "torchvision!=0.20.*", "torchvision's operators are built for another PyTorch"),
    ("torch==2.6.*", "torchvision!=0.21.*", "torchvision's operators are built for another PyTorch"),
    ("torch==2.7.*", "torchvision!=0.22.*", "torchvision's operators are built for another PyTorch"),
)
_BAD_SIGNS = ("compiled without GPU support", "CUDA Setup failed", "undefined symbol")


def judge_package(context: ContextReadings, package: str, machine: str, evidence: Evidence) -> None:
    """Fail where a required package does not import, is another version than required, or lacks what it requires.

    `machine` is the host's architecture as `uname -m` has it.
    """
    required = Requirement(package)
    evidence(package=str(required))
    seen = context.packages[package]
    if seen.by == "dependencies":
        pytest.fail(seen.reason, pytrace=False)
    imported = seen.value
    installed: dict[str, Distribution] = {canonicalize_name(one.name): one for one in context.distributions.value}
    own = installed.get(canonicalize_name(required.name))
    version = own.version if own else imported.version
    evidence(version=version or "unknown", file=imported.file)
    for found in filter(None, dict.fromkeys((version, imported.version))):
        if wrong := _outside(found, required.specifier):
            pytest.fail(f"{found} is installed, need {wrong}", pytrace=False)
    if required.specifier and not version:
        pytest.fail(f"it does not say its version, need {required.specifier}", pytrace=False)
    for sign in _BAD_SIGNS:
        if said := next((line for line in imported.warnings if sign in line), ""):
            pytest.fail(f"it imports, and says: {said}", pytrace=False)
    environment = marker_environment(context.interpreter.value, machine)
    problems = [*unmet(required, installed, environment), *clashes(required, installed)]
    if problems:
        pytest.fail(problems[0], pytrace=False)


def unmet(
    required: Requirement, installed: Mapping[str, Distribution], environment: Mapping[str, str]
) -> Iterator[str]:
    """Yield each requirement in the closure of a package that what is installed does not meet.

    Markers are evaluated as the host would. Of what lies outside the closure nothing is said: every large environment
    has standing conflicts.
    """
    todo = deque([(canonicalize_name(required.name), frozenset(required.extras))])
    done: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.popleft()
        if (name, extras) in done or name not in installed:
            continue
        done.add((name, extras))
        one = installed[name]
        if not one.requires_read:
            yield f"what {one.name} {one.version} needs was not read"
        for line in one.requires:
            needs = _applicable(line, extras, environment)
            if needs is None:
                continue
            there = installed.get(canonicalize_name(needs.name))
            if there is None:
                yield f"{one.name} {one.version} needs {needs.name}{needs.specifier}, which is not installed"
            elif wrong := _outside(there.version, needs.specifier):
                yield f"{one.name} {one.version} needs {needs.name}{wrong}, and {there.version} is installed"
            todo.append((canonicalize_name(needs.name), frozenset(needs.extras)))


def clashes(required: Requirement, installed: Mapping[str, Distribution]) -> Iterator[str]:
    """Yield the known pairs with this package that import together and do not train."""
    for first, second, why in _PAIRS:
        pair = Requirement(first), Requirement(second)
        if canonicalize_name(required.name) not in {canonicalize_name(one.name) for one in pair}:
            continue
        there = [installed.get(canonicalize_name(one.name)) for one in pair]
        if all(have and not _outside(have.version, one.specifier) for have, one in zip(there, pair, strict=True)):
            names = " and ".join(f"{have.name} {have.version}" for have in there if have)
            yield f"{names} do not go together: {why}"


def marker_environment(interpreter: Interpreter, machine: str) -> dict[str, str]:
    """Return what markers are evaluated with: the host's interpreter, not ours (PEP 508)."""
    version = Version(interpreter.version)
    return {
        "implementation_name": interpreter.implementation.lower(),
        "implementation_version": interpreter.version,
        "os_name": "posix",
        "platform_machine": machine,
        "platform_python_implementation": "PyPy" if interpreter.implementation.lower() == "pypy" else "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": interpreter.version,
        "python_version": f"{version.major}.{version.minor}",
        "sys_platform": "linux",
    }


def _applicable(line: str, extras: frozenset[str], environment: Mapping[str, str]) -> Requirement | None:
    """Return the requirement of a Requires-Dist line where it applies. A line that cannot be read asks for nothing."""
    try:
        needs = Requirement(line)
        asked: Sequence[str] = ("", *extras)
        if needs.marker is None or any(needs.marker.evaluate({**environment, "extra": extra}) for extra in asked):
            return needs
    except (InvalidRequirement, UndefinedComparison, UndefinedEnvironmentName):
        return None
    return None


def _outside(version: str, allowed: SpecifierSet) -> str:
    """Return what is allowed where a version is not, or cannot be told; else nothing."""
    try:
        found = Version(version)
    except InvalidVersion:
        return str(allowed)
    return "" if allowed.contains(found, prereleases=True) else str(allowed)
