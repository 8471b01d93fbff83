"""What a pyproject.toml requires, of pip, uv and Poetry. Pure.

PyPA: "pyproject.toml specification", "Dependency Groups"; uv: "Settings"; Poetry: "Dependency specification".
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHANGES_NO_VERSION = frozenset({"version", "extras", "optional", "source", "markers", "allow-prereleases"})
_FLOATS = re.compile(r"(\^|~(?!=))\s*(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Required:
    """A requirement as pip writes it, and where it stands. One of a `group` is installed where that is asked for."""

    words: str
    line: int
    group: str


def required_by(text: str) -> Iterator[Required]:
    """Yield what a pyproject.toml requires. Raises tomllib.TOMLDecodeError where it is none."""
    document = tomllib.loads(text)
    for group, requirements in _groups(document):
        for words in requirements:
            yield Required(words=words, line=_line(text, re.escape(words)), group=group)
    for group, table in _groups_of_poetry(_table(document, "tool", "poetry")):
        for name, asked in table.items():
            line = _line(text, rf"^\s*[\"']?{re.escape(name)}[\"']?\s*=")
            yield Required(words=_of_poetry(name, asked), line=line, group=group)


def from_poetry(name: str, constraint: str) -> str:
    """Return what Poetry asks for as pip writes it: `2.4` is that one, `^` and `~` float below the next release.

    What pip has no words for (`||`) is no requirement afterwards.
    """
    return f"{name} {','.join(filter(None, (_specifier(part.strip()) for part in constraint.split(','))))}".strip()


def _specifier(part: str) -> str:
    floats = _FLOATS.fullmatch(part)
    if floats is None:
        return f"=={part}" if part[:1].isdigit() else part.removeprefix("*")
    try:
        version = Version(floats[2])
    except InvalidVersion:
        return part
    release = version.release
    firm = next((at for at, number in enumerate(release) if number), len(release) - 1)
    if floats[1] == "~":
        firm = min(1, len(release) - 1)
    return f">={version},<{'.'.join(map(str, (*release[:firm], release[firm] + 1)))}"


def _groups(document: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    project, uv = _table(document, "project"), _table(document, "tool", "uv")
    yield "", _texts(project.get("dependencies"))
    yield "", _texts(uv.get("constraint-dependencies"))
    yield "", _texts(uv.get("override-dependencies"))
    yield "group dev", _texts(uv.get("dev-dependencies"))
    for name, requirements in _table(document, "dependency-groups").items():
        yield f"group {name}", _texts(requirements)
    for name, requirements in _table(project, "optional-dependencies").items():
        yield f"extra {name}", _texts(requirements)


def _groups_of_poetry(poetry: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", _table(poetry, "dependencies")
    yield "group dev", _table(poetry, "dev-dependencies")
    groups = _table(poetry, "group")
    for name in groups:
        yield f"group {name}", _table(groups, name, "dependencies")


def _of_poetry(name: str, asked: object) -> str:
    if isinstance(asked, str):
        return from_poetry(name, asked)
    if not isinstance(asked, dict) or not _CHANGES_NO_VERSION.issuperset(asked):
        return f"{name} = {asked}"
    words = from_poetry(name, str(asked.get("version", "*")))
    return f"{words} ; {asked['markers']}" if "markers" in asked else words


def _table(table: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """Return a table in a table, an empty one where there is none."""
    for name in names:
        inner = table.get(name)
        table = inner if isinstance(inner, dict) else {}
    return table


def _texts(found: object) -> list[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _line(text: str, pattern: str) -> int:
    found = re.search(pattern, text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 0
