"""Are the required packages there, and do they fit together: the row dependencies judges one of them in a context."""

from __future__ import annotations

import re
import shlex
from collections import deque
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from packaging.markers import UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix_tests.interpreters import release_of
from pytest_pipeline import Blocked, on_host
from pytest_pipeline.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.markers import Marker
    from packaging.specifiers import SpecifierSet

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.context_readings import ContextReadings, Distribution, Imported, Interpreter

_PAIRS = (  # installed together, the first imports and does not train with the second
    ("torch<2.3", "numpy>=2", "PyTorch before 2.3 is built for NumPy 1: tensors and arrays do not convert"),
    ("transformers>=4.46", "accelerate<0.26", "its Trainer needs accelerate 0.26 or later"),
    ("torch==2.5.*", "torchvision!=0.20.*", "torchvision's operators are built for another PyTorch"),
    ("torch==2.6.*", "torchvision!=0.21.*", "torchvision's operators are built for another PyTorch"),
    ("torch==2.7.*", "torchvision!=0.22.*", "torchvision's operators are built for another PyTorch"),
)
_BAD_SIGNS = (  # said by packages that import all the same
    "compiled without GPU support",
    "CUDA Setup failed",
    "undefined symbol",
    "library load error",
    "can't load C++/CUDA extensions",
)
_WITHOUT_TORCH = ("Disabling PyTorch because", "Models won't be available")
_NAME_SIGNS = re.compile(r"[-_.]+")  # alike, where names are compared (PEP 503)
_NOT_AWAITED = "host.import_timeout_s"  # named where an import was not waited for any longer
_INSTALL, _AGAIN, _NO_COMMAND = "install", "install --force-reinstall --no-deps", ""


def judge_package(
    context: ContextReadings, package: str, machine: str, evidence: Evidence, wrap: Sequence[str] = ()
) -> None:
    """Fail where a required package does not import, is another version than required, or lacks what it requires.

    `machine` is the host's architecture as `uname -m` has it; `wrap` is what leads into the context.
    """
    required = Requirement(package)
    evidence(package=without_secrets(str(required)))
    if required.marker and not _holds(required.marker, marker_environment(context.interpreter.value, machine)):
        evidence.not_applicable(f"it is not required on this host: {required.marker}")
    seen = context.packages[package]
    if seen.by == "dependencies":
        evidence.remedy(_pip(_to_import(required, seen.reason, context), required, context, wrap))
        pytest.fail(seen.reason, pytrace=False)
    imported = seen.value
    installed: dict[str, Distribution] = {canonicalize_name(one.name): one for one in context.distributions.value}
    own = installed.get(canonicalize_name(required.name))
    version = next(iter(versions_of(own, imported)), "unknown")
    evidence(version=version, file=imported.file or ("unknown" if imported.guess else "none: it installed no module"))
    environment = marker_environment(context.interpreter.value, machine)
    troubles = chain(
        _of_version(required, own, imported),
        complaints(context, required.name),
        ((why, _INSTALL) for why in unmet(required, installed, environment)),
        ((why, _NO_COMMAND) for why in clashes(required, installed)),
    )
    for why, how in troubles:
        evidence.remedy(_pip(how, required, context, wrap))
        pytest.fail(why, pytrace=False)
    if imported.guess:
        raise Blocked(
            f"requirements.packages: nothing says which module {required.name} is imported by, and {imported.guess} is "
            "none; name a module of it instead",
            by="settings",
        )


def versions_of(own: Distribution | None, imported: Imported) -> list[str]:
    """Return the versions that count: what the metadata says, and what a module says that it is not about.

    A module of the distribution itself may say less than its release (5.0.0 of 5.0.0.93), or more than a version.
    """
    told = own.version if own else ""
    elsewhere = own is None or not imported.file.startswith(f"{own.location.rstrip('/')}/")
    says = imported.version if not told or (elsewhere and _parsed(imported.version)) else ""
    return [*dict.fromkeys(filter(None, (told, says)))]


def _of_version(required: Requirement, own: Distribution | None, imported: Imported) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the version, and what makes pip mend it: it knows nothing of what hides a package."""
    versions = versions_of(own, imported)
    for version in versions:
        if wrong := _outside(version, required.specifier):
            hidden = own is not None and version != own.version
            yield f"{version} is installed, need {wrong}", _NO_COMMAND if hidden else _INSTALL
    if required.specifier and not versions:
        yield f"it does not say its version, need {required.specifier}", _INSTALL


def complaints(context: ContextReadings, name: str) -> Iterator[tuple[str, str]]:
    """Yield what any import of a context said of a package that does not work, and what makes pip mend it.

    What is imported a second time is silent: a line is about the required packages that it names, whoever said it, else
    about who said it. Raises Blocked where it is about PyTorch, which is not there.
    """
    imports: list[tuple[str, Reading[Any]]] = [("torch", context.torch)]
    imports += [(Requirement(one).name, seen) for one, seen in context.packages.items()]
    names = {canonicalize_name(Requirement(one).name) for one in context.packages}
    for speaker, seen in imports:
        for line in seen.known.warnings if seen.known is not None else ():
            without_torch = any(sign in line for sign in _WITHOUT_TORCH)
            if not without_torch and not any(sign in line for sign in _BAD_SIGNS):
                continue
            named = {one for one in names if re.search(rf"\b{re.escape(one)}\b", _NAME_SIGNS.sub("-", line.lower()))}
            if canonicalize_name(name) in (named or {canonicalize_name(speaker)}):
                if without_torch:
                    _ = context.torch.value
                yield f"it imports, and says: {line}", _NO_COMMAND if without_torch else _AGAIN


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


def _holds(marker: Marker, environment: Mapping[str, str]) -> bool:
    """Whether a marker of the settings is true on the host. One that cannot be told leaves nothing out."""
    try:
        return marker.evaluate({**environment, "extra": ""})
    except (UndefinedComparison, UndefinedEnvironmentName):
        return True


def _outside(version: str, allowed: SpecifierSet) -> str:
    """Return what is allowed where a version is not, or cannot be told; else nothing."""
    found = _parsed(version)
    return "" if found is not None and allowed.contains(found, prereleases=True) else str(allowed)


def _parsed(version: str) -> Version | None:
    try:
        return Version(release_of(version))
    except InvalidVersion:
        return None


def _to_import(required: Requirement, reason: str, context: ContextReadings) -> str:
    """Return what makes pip mend an import that failed for a reason, if anything does."""
    if _NOT_AWAITED in reason:
        return _NO_COMMAND
    installed = {canonicalize_name(one.name) for one in context.distributions.or_none or ()}
    return _AGAIN if canonicalize_name(required.name) in installed else _INSTALL


def _pip(how: str, required: Requirement, context: ContextReadings, wrap: Sequence[str]) -> str:
    """Return the command for the context, where pip can mend it."""
    if not how:
        return ""
    python = context.interpreter.or_none.executable if context.interpreter.or_none else "python3"
    words = [*wrap, python, "-m", "pip", *shlex.split(how), without_secrets(str(required))]
    return on_host(shlex.join(words))
