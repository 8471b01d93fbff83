"""What pins a package, and which pins cannot hold together. Pure.

PyPA: "Version specifiers".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a pin comes to count: by what script, in which branch of it ("" for always), for which environment.

    The environment is a folder, conda's name for one, "" for whichever is the usual one where the script runs, None
    for every one.
    """

    script: str = ""
    branch: str = ""
    place: str | None = None

    def is_apart_from(self, other: Way) -> bool:
        """Whether pins of both need not agree: they are for two environments, or in two branches of a script."""
        same = self.script == other.script
        vague = {None} if same else {None, ""}
        elsewhere = self.place != other.place and vague.isdisjoint((self.place, other.place))
        return elsewhere or (same and self.branch != other.branch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What one line says of one package. `marker` is when it counts (PEP 508), "" for always."""

    name: str
    specifier: str
    file: str
    line: int
    marker: str = ""
    way: Way = Way()

    @property
    def said(self) -> str:
        """Who says what."""
        return f"{self.file}:{self.line} pins {self.specifier}"


def contradictions(pins: Sequence[Pin]) -> Iterator[tuple[Pin, Pin]]:
    """Yield each two pins of one package that no version meets, whichever way the scripts go."""
    for first, second in combinations(pins, 2):
        if first.name != second.name or first.way.is_apart_from(second.way):
            continue
        ways = product((first, *other_ways(first, pins)), (second, *other_ways(second, pins)))
        if not any(
            can_both_hold(one.specifier, two.specifier) for one, two in ways if not one.way.is_apart_from(two.way)
        ):
            yield first, second


def other_ways(pin: Pin, pins: Iterable[Pin]) -> list[Pin]:
    """Return what scripts pin of the same package for other environments, and instead of a pin in a branch."""
    return [
        one
        for one in pins
        if one.name == pin.name
        and one.way.is_apart_from(pin.way)
        and (pin.way.branch or one.way.place != pin.way.place)
    ]


def can_both_hold(first: str, second: str) -> bool:
    """Whether a version meets both specifiers.

    Tried are the versions that they name, and their neighbours: where a common one exists, one of these is among them.
    """
    both = SpecifierSet(first) & SpecifierSet(second)
    return any(both.contains(version, prereleases=True) for version in _candidates(both))


def _candidates(specifiers: SpecifierSet) -> Iterator[Version]:
    yield Version("0")
    for one in specifiers:
        try:
            named = Version(one.version.removesuffix(".*"))
        except InvalidVersion:  # of `===`, which takes any text
            continue
        release = named.release
        yield named
        yield Version(named.base_version)
        yield Version(".".join(map(str, (*release, 1))))
        for index, part in enumerate(release):
            yield Version(".".join(map(str, (*release[:index], part + 1))))
            if part:
                yield Version(".".join(map(str, (*release[:index], part - 1, 999))))


def meaningful(pins: Iterable[Pin]) -> list[Pin]:
    """Return those pins that exclude any version."""
    return [pin for pin in pins if pin.specifier]
