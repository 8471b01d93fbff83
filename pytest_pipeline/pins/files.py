"""What files pin: lists of requirements, conda environments, setup scripts, Dockerfiles, pyproject.toml.

pip: "Requirements File Format"; conda: "Creating an environment file manually"; PyPA: "Dependency specifiers".
"""

from __future__ import annotations

import codecs
import re
import tomllib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from pytest_pipeline.pins.install_commands import asked_in, from_conda, installs
from pytest_pipeline.pins.pin import Pin, Way
from pytest_pipeline.pins.projects import required_by
from pytest_pipeline.pins.shell_commands import commands_in
from pytest_pipeline.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_DEEPEST = 10  # files that include each other
_LISTS = frozenset({".txt", ".in", ".pip"})  # of requirements, whatever they mention
_SCRIPTS = frozenset({".sh", ".bash"})
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAY_PIN = re.compile(r"\d\.\d|[=<>~!@^]\s*[\"']?v?\d|\$")
_KEPT_PIN = re.compile(r"^[\s\"'-]*[A-Za-z][\w.,\[\]-]*\s*[=<>~]=?\s*\d", re.MULTILINE)
_INCLUDE = re.compile(r"(?:-r|-c|--requirement|--constraint)[\s=]*([\"']?)(.+)\1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """What was not understood in a file, without its secrets. It `may_pin` a version that nothing is compared with."""

    said: str
    may_pin: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """What was found in a file, and what was not understood there."""

    pins: tuple[Pin, ...] = ()
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Road:
    """How a file came to be read: among which others, by way of what script, how deep in files that include files."""

    listed: Sequence[Path]
    way: Way = field(default_factory=Way)
    depth: int = 0


def read_pins(path: Path, listed: Sequence[Path] = ()) -> Pins:
    """Return what a file pins. What a script installs from is looked for beside it, and among the `listed` files.

    Raises OSError where it, or a file that it includes, cannot be read.
    """
    found = dict.fromkeys(_read(path, _Road(listed=listed)))
    return Pins(
        pins=tuple(one for one in found if isinstance(one, Pin)),
        unread=tuple(one for one in found if isinstance(one, Unread)),
    )


def _unread(where: str, words: str, *, may_pin: bool = False) -> Unread:
    text = without_secrets(words)
    return Unread(said=f"{where}: {text}", may_pin=may_pin or _MAY_PIN.search(text) is not None)


def _read(path: Path, road: _Road) -> Iterator[Pin | Unread]:
    if road.depth > _DEEPEST:
        yield _unread(path.name, "it is included too deep", may_pin=True)
        return
    text = _text(path)
    if path.suffix == ".toml":
        yield from _of_project(path, text)
    elif path.suffix == ".py":
        yield _unread(path.name, "what it requires is known only when it runs", may_pin=True)
    elif path.suffix in (".yml", ".yaml") and re.search(r"^dependencies:", text, re.MULTILINE):
        yield from _of_environment(path, text, road)
    elif path.suffix not in _LISTS and (path.suffix in _SCRIPTS or _is_script(text)):
        yield from _of_script(path, text, road)
    else:
        yield from _of_list(path, text, road)


def _is_script(text: str) -> bool:
    return text.startswith("#!") or installs(re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE))


def _text(path: Path) -> str:
    """Return a file's text as pip decodes it, which PowerShell writes as UTF-16."""
    with path.open("rb") as file:
        encoding = "utf-16" if file.read(2) in _UTF16 else "utf-8-sig"
    return path.read_text(encoding=encoding, errors="replace")


def _of_list(path: Path, text: str, road: _Road) -> Iterator[Pin | Unread]:
    for number, line in _logical_lines(text):
        words = re.sub(r"(^|\s)#.*$", "", line).strip()
        if words:
            yield from _of_line(path, words, number, road)


def _of_line(path: Path, words: str, number: int, road: _Road) -> Iterator[Pin | Unread]:
    include = _INCLUDE.match(words)
    if include is None:
        if not words.startswith("-"):
            yield _pin(re.split(r"\s--", words)[0], path.name, number, road.way)
    elif "://" in include[2] or "${" in include[2]:
        yield _unread(f"{path.name}:{number}", words, may_pin=True)
    else:
        yield from _read(path.parent / include[2].strip(), replace(road, depth=road.depth + 1))


def _of_script(path: Path, text: str, road: _Road) -> Iterator[Pin | Unread]:
    if path.suffix in (".yml", ".yaml"):  # whose prose may have an apostrophe, which is no quote
        text = re.sub(r"^([^'\n]*)'([^'\n]*)$", r"\1\2", text, flags=re.MULTILINE)
    for command in commands_in(text):
        where = f"{path.name}:{command.line}"
        if _KEPT_PIN.search(command.kept) or installs(command.kept):
            yield _unread(where, "a here-document that is kept, not run", may_pin=True)
        for asked in asked_in(command):
            way = Way(script=str(path), place=asked.place, branch="/".join(command.path))
            if asked.kind == "file":
                yield from _included(path, asked.text, where, replace(road, way=way, depth=road.depth + 1))
            elif asked.kind == "requirement":
                yield _pin(asked.text, path.name, command.line, way)
            else:
                yield _unread(where, asked.text, may_pin=True)


def _included(path: Path, words: str, where: str, road: _Road) -> Iterator[Pin | Unread]:
    asked = words.partition(" ")[2]
    name = asked.rpartition("/")[2]  # the folder may be one of the far side
    known = (path.parent / asked, *(one for one in road.listed if one.name == name), path.parent / name)
    included = next((one for one in known if one.is_file()), None)
    if included is None:
        yield _unread(where, words, may_pin=True)
    else:
        yield from _read(included, road)


def _of_environment(path: Path, text: str, road: _Road) -> Iterator[Pin | Unread]:
    """Read a conda environment, a list of packages with pip's below `- pip:`."""
    of_pip, listed = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"[^\s#]", line) and not line.startswith("- "):
            listed, of_pip = line.startswith("dependencies:"), 0
        entry = re.match(r"(\s*)-\s+(.+)$", re.sub(r"(^|\s)#.*$", "", line).rstrip())
        if not listed or entry is None:
            continue
        indent, words = len(entry[1]), entry[2].strip("'\"")
        if words == "pip:":
            of_pip = indent + 1
        elif of_pip and indent >= of_pip:
            yield from _of_line(path, words, number, road)
        else:
            yield _pin(from_conda(words), path.name, number, road.way)


def _of_project(path: Path, text: str) -> Iterator[Pin | Unread]:
    try:
        for one in required_by(text):
            way = Way(script=str(path), branch=one.group) if one.group else Way()
            yield _pin(one.words, path.name, one.line, way)
    except tomllib.TOMLDecodeError as error:
        yield _unread(path.name, str(error), may_pin=True)


def _pin(words: str, file: str, line: int, way: Way) -> Pin | Unread:
    requirement = _requirement(words)
    if requirement is None:  # a variable of the script, a URL, a path
        return _unread(f"{file}:{line}", words)
    return Pin(
        name=canonicalize_name(requirement.name),
        specifier=str(requirement.specifier),
        file=file,
        line=line,
        marker=str(requirement.marker or ""),
        way=way,
    )


def _requirement(words: str) -> Requirement | None:
    """Return what words require, which a wheel's name says too; None where they do not tell."""
    try:
        found = Requirement(words)
    except InvalidRequirement:
        url, marker = words, None
    else:
        if not found.url:
            return found
        url, marker = found.url, found.marker
    try:
        name, version, _, _ = parse_wheel_filename(unquote(re.split(r"[?#\s]", url)[0].rpartition("/")[2]))
    except InvalidWheelFilename:
        return None
    return Requirement(f"{name}=={version} ; {marker}" if marker else f"{name}=={version}")


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
