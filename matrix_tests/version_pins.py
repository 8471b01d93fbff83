"""Do all that pin a package agree: the row version-pins judges files, the settings and what is installed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from packaging.markers import Marker, UndefinedEnvironmentName
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from matrix_tests.interpreters import release_of
from matrix_tests.packages import marker_environment
from pytest_pipeline.pins.files import Unread, read_pins
from pytest_pipeline.pins.pin import Pin, can_both_hold, contradictions, meaningful, other_ways
from pytest_pipeline.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.context_readings import ContextReadings, Distribution
    from pytest_pipeline.settings import Requirements


def judge_pins(
    files: Sequence[Path],
    required: Requirements,
    contexts: Mapping[str, ContextReadings],
    machine: str,
    evidence: Evidence,
) -> None:
    """Fail where two pins of a package cannot both hold, or one does not allow what is installed on the host.

    Likewise where a file was not understood at all; of what else may pin and was not, warn. `machine` is the host's
    architecture as `uname -m` has it: markers are evaluated as the host would.
    """
    pins, unread = _read_all(files)
    names = ", ".join(file.name for file in files)
    count = len({(pin.name, pin.said) for pin in pins})  # two files may lead to one
    evidence(files=names, count=count, not_judged="; ".join(one.said for one in unread))
    if may_pin := [one.said for one in unread if one.may_pin]:
        evidence.warn(f"not judged: {_first_of(may_pin)}")
    if not pins:
        pytest.fail(f"no version is pinned in {names}", pytrace=False)
    wrong: dict[str, None] = {}
    for name, context in contexts.items():
        environment = marker_environment(context.interpreter.value, machine)
        counting = [pin for pin in pins if _counts(pin, environment)]
        wrong |= dict.fromkeys(against_each_other(counting))
        wrong |= dict.fromkeys(against_settings(counting, required))
        here = [pin for pin in counting if _concerns(pin, counting, context.interpreter.value.prefix)]
        wrong |= dict.fromkeys(against_host(here, required, name, context.distributions.value))
    evidence(contradictions="; ".join(wrong))
    if wrong:
        pytest.fail(_first_of([*wrong]), pytrace=False)


def _first_of(many: Sequence[str]) -> str:
    return f"{many[0]} (and {len(many) - 1} more)" if len(many) > 1 else many[0]


def _read_all(files: Sequence[Path]) -> tuple[list[Pin], list[Unread]]:
    pins: list[Pin] = []
    unread: list[Unread] = []
    for file in files:
        try:
            found = read_pins(file, files)
        except OSError as error:
            path = without_secrets(str(error.filename or file))
            pytest.fail(f"{path} cannot be read: {error.strerror or error}", pytrace=False)
        if not found.pins:
            why = "".join(f": {one.said}" for one in found.unread[:1])
            pytest.fail(f"nothing could be read in {file.name}{why}", pytrace=False)
        pins += meaningful(found.pins)
        unread += found.unread
    return pins, unread


def against_each_other(pins: Sequence[Pin]) -> Iterator[str]:
    """Yield what two places pin that no version meets."""
    for first, second in contradictions(pins):
        yield f"{first.name}: {first.said}, {second.said}"


def against_settings(pins: Sequence[Pin], required: Requirements) -> Iterator[str]:
    """Yield what a place pins that the settings' requirements exclude."""
    asked = _asked(required)
    for pin in pins:
        ways = [one.specifier for one in (pin, *other_ways(pin, pins))]
        if pin.name in asked and not any(can_both_hold(way, asked[pin.name]) for way in ways):
            yield f"{pin.name}: {pin.said}, the settings require {asked[pin.name]}"


def against_host(
    pins: Sequence[Pin], required: Requirements, context: str, installed: Sequence[Distribution]
) -> Iterator[str]:
    """Yield what a place pins while another version is installed.

    What is not installed at all, or not as the settings require it, is said by the rows that look for it.
    """
    versions: dict[str, str] = {canonicalize_name(one.name): one.version for one in installed}
    asked = _asked(required)
    for pin in pins:
        version = versions.get(pin.name)
        if version is not None and not SpecifierSet(asked.get(pin.name, "")).contains(version, prereleases=True):
            continue
        if version is not None and not any(_allows(one, version) for one in (pin, *other_ways(pin, pins))):
            yield f"{pin.name}: {pin.said}, {version} is installed in context {context}"


def _asked(required: Requirements) -> dict[str, str]:
    """Return what the settings require, by package."""
    asked: dict[str, str] = {
        canonicalize_name(one.name): str(one.specifier) for one in map(Requirement, required.packages)
    }
    return asked if required.torch is None else {**asked, "torch": required.torch}


def _allows(pin: Pin, version: str) -> bool:
    """Whether a pin allows an installed version; PyPI's builds of PyTorch do not carry their `+cu124`."""
    allowed = SpecifierSet(pin.specifier)
    try:
        found = Version(release_of(version))
    except InvalidVersion:
        return False
    if allowed.contains(found, prereleases=True):
        return True
    unlabelled = SpecifierSet(",".join(f"{one.operator}{one.version.partition('+')[0]}" for one in allowed))
    return found.local is None and unlabelled.contains(found, prereleases=True)


def _concerns(pin: Pin, pins: Sequence[Pin], prefix: str) -> bool:
    """Whether a pin is for the environment of a prefix: any is, unless the package is pinned for just this one."""
    if pin.way.place is None or _is_of(pin.way.place, prefix):
        return True
    return not any(one.name == pin.name and _is_of(one.way.place, prefix) for one in pins)


def _is_of(place: str | None, prefix: str) -> bool:
    """Whether a script's name for an environment, a folder or conda's name, is that of a prefix."""
    folder = re.sub(r"^(?:~|\.|\$\w+|\$\{\w+\})/", "", place or "")
    return bool(folder) and f"/{prefix.strip('/')}".endswith(f"/{folder.strip('/')}")


def _counts(pin: Pin, environment: Mapping[str, str]) -> bool:
    if not pin.marker:
        return True
    try:
        return Marker(pin.marker).evaluate({**environment, "extra": ""})
    except UndefinedEnvironmentName:
        return True
