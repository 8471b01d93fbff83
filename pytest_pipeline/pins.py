"""What requirement files and setup scripts pin, and which of it cannot hold together. Nothing is run or installed.

pip: "Requirements File Format"; PyPA: "Dependency specifiers" and "Version specifiers".
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from pytest_pipeline.install_commands import asked_in, from_conda, installs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

_DEEPEST = 10  # files that include each other
_LISTS = frozenset({".txt", ".in", ".pip"})  # of requirements; any other file is taken for a script
_OPENS = re.compile(r"(?:^|[;&|]|\bthen\b|\belse\b|\bdo\b)\s*(?:if|case)\s.*[^:]$")
_CLOSES = re.compile(r"(?:^|[;&|])\s*(?:fi|esac)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """What one line says of one package. `marker` is when it counts (PEP 508), "" for always.

    One in a `branch` of a script is one way of several: it need not agree with the others.
    """

    name: str
    specifier: str
    file: str
    line: int
    marker: str = ""
    branch: bool = False

    @property
    def said(self) -> str:
        """Who says what."""
        return f"{self.file}:{self.line} pins {self.specifier}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What was found in files, and what was not understood there."""

    pins: tuple[Pin, ...] = ()
    unread: tuple[str, ...] = ()


def read_pins(path: Path) -> Pins:
    """Return what a file pins: requirements, a shell script or Dockerfile, or a pyproject.toml.

    Raises OSError where it, or a file that it includes, cannot be read.
    """
    found = [*_read(path, 0)]
    pins = tuple(dict.fromkeys(one for one in found if isinstance(one, Pin)))
    return Pins(pins=pins, unread=tuple(one for one in found if isinstance(one, str)))


def contradictions(pins: Sequence[Pin]) -> Iterator[tuple[Pin, Pin]]:
    """Yield each two pins of one package that no version meets."""
    for first, second in combinations(pins, 2):
        if first.name != second.name or can_both_hold(first.specifier, second.specifier):
            continue
        ways = first.file == second.file and (first.branch or second.branch)
        if not ways and not any(
            can_both_hold(one.specifier, two.specifier)
            for one in (first, *other_ways(first, pins))
            for two in (second, *other_ways(second, pins))
        ):
            yield first, second


def other_ways(pin: Pin, pins: Iterable[Pin]) -> list[Pin]:
    """Return what the other branches of a script pin of the same package."""
    if not pin.branch:
        return []
    return [one for one in pins if one.branch and one != pin and (one.name, one.file) == (pin.name, pin.file)]


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


def _read(path: Path, depth: int) -> Iterator[Pin | str]:
    if depth > _DEEPEST:
        yield f"{path.name} is included too deep"
        return
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    if path.suffix == ".toml":
        yield from _of_pyproject(path, text)
    elif path.suffix == ".py":
        yield f"{path.name}: what it requires is known only when it runs"
    elif path.suffix in _LISTS or not installs(text):
        yield from _of_environment(path, text) if path.suffix in (".yml", ".yaml") else _of_list(path, text, depth)
    else:
        yield from _of_script(path, text, depth)


def _of_list(path: Path, text: str, depth: int) -> Iterator[Pin | str]:
    for number, line in _logical_lines(text):
        words = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not words:
            continue
        include = re.match(r"(-r|-c|--requirement|--constraint)[\s=]*(\S+)", words)
        if include:
            yield from _read(path.parent / include[2], depth + 1)
        elif not words.startswith("-"):
            yield _pin(re.split(r"\s--", words)[0], path.name, number)


def _of_script(path: Path, text: str, depth: int) -> Iterator[Pin | str]:
    deep = 0
    for number, line in _logical_lines(text):
        opens = len(_OPENS.findall(line))
        branch = deep + opens > 0 or "||" in line
        deep = max(0, deep + opens - len(_CLOSES.findall(line)))
        for asked in asked_in(line) if installs(line) else ():
            if asked.kind == "file":
                yield from _included(path, asked.text, number, depth)
            elif asked.kind == "requirement":
                yield _pin(asked.text, path.name, number, branch=branch)
            else:
                yield f"{path.name}:{number}: {asked.text}"


def _included(path: Path, words: str, number: int, depth: int) -> Iterator[Pin | str]:
    included = path.parent / words.partition(" ")[2]
    if included.is_file():
        yield from _read(included, depth + 1)
    else:
        yield f"{path.name}:{number}: {words}"  # relative to a folder of the far side


def _of_environment(path: Path, text: str) -> Iterator[Pin | str]:
    """Read a conda environment, a list of packages with pip's below `- pip:`."""
    of_pip, listed = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"\S", line) and not line.startswith("- "):
            listed, of_pip = line.startswith("dependencies:"), 0
        entry = re.match(r"(\s*)-\s+(.+)$", re.sub(r"(^|\s)#.*$", "", line).rstrip())
        if not listed or entry is None:
            continue
        indent, words = len(entry[1]), entry[2].strip("'\"")
        if words == "pip:":
            of_pip = indent + 1
        else:
            yield _pin(words if of_pip and indent >= of_pip else from_conda(words), path.name, number)


def _of_pyproject(path: Path, text: str) -> Iterator[Pin | str]:
    try:
        project = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError as error:
        yield f"{path.name}: {error}"
        return
    for requirement in project.get("dependencies", ()):
        number = next((at for at, line in enumerate(text.splitlines(), 1) if requirement in line), 0)
        yield _pin(str(requirement), path.name, number)
    if project.get("optional-dependencies"):
        yield f"{path.name}: its optional-dependencies"


def _pin(words: str, file: str, line: int, *, branch: bool = False) -> Pin | str:
    try:
        requirement = Requirement(words)
    except InvalidRequirement:  # a variable of the script, a URL, a path
        return f"{file}:{line}: {words}"
    if requirement.url:
        return f"{file}:{line}: {words}"
    return Pin(
        name=canonicalize_name(requirement.name),
        specifier=str(requirement.specifier),
        file=file,
        line=line,
        marker=str(requirement.marker or ""),
        branch=branch,
    )


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines with those that go on joined, and the number of the first."""
    held, began = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        began = began or number
        if line.endswith("\\"):
            held += f"{line[:-1]} "
            continue
        yield began, held + line
        held, began = "", 0
    if held:
        yield began, held


def meaningful(pins: Iterable[Pin]) -> list[Pin]:
    """Return those pins that exclude any version."""
    return [pin for pin in pins if pin.specifier]
