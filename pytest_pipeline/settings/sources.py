"""Where settings come from, and which source wins.

default < file < environment < command line < `--pipeline-set`. In the sandbox, the tenant's settings stand instead of
the file that is found and of the environment.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from pytest_pipeline.settings.layers import Layer, expanded, stack
from pytest_pipeline.settings.messages import explain
from pytest_pipeline.settings.model import Settings
from pytest_pipeline.settings.shape import NOT_YOURS, as_list, as_mapping, as_table, bare, dotted, field_at, settable
from pytest_pipeline.settings.values import SettingsError, similar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

S = TypeVar("S", bound=Settings)

PREFIX = "PYTEST_PIPELINE_"
"""Begins the name of each variable that is a setting. Plain `PIPELINE_` belongs to CI systems."""

TOOL = "pytest-pipeline"
"""The table below `[tool]` of pyproject.toml."""

_OPTIONS = {
    "host.instance_ids": "--instance-id",
    "host.address": "--instance-ip",
    "host.key": "--ssh-key",
    "data.sample_records": "--sample-size",
    "data.executor": "--data-executor",
}


def load(
    *,
    rootdir: Path,
    config_file: Path | None,
    command_line: Mapping[str, object],
    assignments: Sequence[str],
    environ: Mapping[str, str],
    tenant: Mapping[str, object] | None = None,
) -> Settings:
    """Return the settings of all sources. Raises SettingsError, which lists all that is wrong with them.

    `config_file` stands instead of the file found in `rootdir`; `command_line` maps dotted keys (`host.address`) to
    what their own option gave; `assignments` are those of `--pipeline-set`.
    """
    here, home = Path.cwd(), Path(environ.get("HOME") or Path.home())
    layers: list[Layer] = []
    if tenant is not None:
        layers.append(Layer(source="sandbox", values=tenant, folder=here, by_user=False))
    if config_file is not None:
        layers.append(read_file(Path(expanded(str(config_file), home))))
    elif tenant is None:
        layers += discovered(rootdir)
    if tenant is None:
        layers += from_environment(environ, folder=here)
    for key, value in command_line.items():
        layers.append(Layer(source=_OPTIONS.get(key, key), values=_nested(key.split("."), value), folder=here))
    layers += [from_assignment(assignment, folder=here) for assignment in assignments]
    return assemble(Settings, layers, home=home)


def assemble(table: type[S], layers: Iterable[Layer], *, home: Path) -> S:
    """Return what layers come to, later ones on top; `home` is what `~` means. Raises SettingsError."""
    laid = stack(table, layers, home=home)
    mistakes = list(laid.mistakes)
    try:
        settings = table.model_validate(laid.values)
    except ValidationError as error:
        mistakes += explain(error, table=table, stack=laid)
    if mistakes:
        raise SettingsError("\n".join(mistakes)) from None
    return settings


def discovered(rootdir: Path) -> Iterator[Layer]:
    """Yield the layer of the settings file in a folder, if there is one: pyproject.toml's table, or pipeline.toml.

    Raises SettingsError where there are both.
    """
    project, own = rootdir / "pyproject.toml", rootdir / "pipeline.toml"
    in_project = _own_table(_read(project)) if os.path.lexists(project) else None
    if in_project is not None and os.path.lexists(own):
        raise SettingsError(
            f"{project} has [tool.{TOOL}], and there is {own} beside it: nobody can tell which counts; "
            "move all settings into one of them"
        )
    if in_project is not None:
        yield _project_layer(project, in_project)
    elif os.path.lexists(own):
        yield Layer(source=str(own), values=_read(own), folder=own.parent)


def read_file(path: Path) -> Layer:
    """Return the layer of a file: all of it, or the tool's own table where it is a pyproject.toml.

    Raises SettingsError.
    """
    path = path.absolute()
    values = _read(path)
    if path.name != "pyproject.toml":
        return Layer(source=str(path), values=values, folder=path.parent)
    table = _own_table(values)
    if table is None:
        raise SettingsError(f"{path}: there is no [tool.{TOOL}] in it; add the table, or name another file")
    return _project_layer(path, table)


def _own_table(project: Mapping[str, Any]) -> Any | None:
    tool = project.get("tool")
    return tool.get(TOOL) if isinstance(tool, dict) else None


def _project_layer(path: Path, table: object) -> Layer:
    source = f"{path} [tool.{TOOL}]"
    if isinstance(table, dict):
        return Layer(source=source, values=table, folder=path.parent)
    return Layer(source=source, folder=path.parent, mistake=f"{source}: must be a table; correct it")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise SettingsError(f"{path}: cannot be read ({why}); correct the name or the permissions") from None
    try:
        # Some editors begin UTF-8 with a byte order mark.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}: not UTF-8 (at line {line}); save it as UTF-8") from None
    except ValueError as error:  # TOML's own, and Python's for a number of too many digits
        raise SettingsError(f"{path}: not TOML: {error}; correct that line") from None


def variables() -> dict[str, tuple[str, ...]]:
    """Return the names of all variables that are settings, and the key that each sets."""
    return {variable(key): key for key in settable(Settings)}


def variable(key: tuple[str, ...]) -> str:
    """Return the name of the variable that sets a key."""
    return PREFIX + "__".join(key).upper()


def from_environment(environ: Mapping[str, str], *, folder: Path) -> Iterator[Layer]:
    """Yield a layer for each variable with our prefix, tables before what lies in them."""
    known = variables()
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX):
            continue
        source = f"environment variable {name}"
        if name in known:
            yield Layer(source=source, values=_nested(known[name], _value(text, known[name])), folder=folder)
            continue
        yield Layer(source=source, folder=folder, mistake=f"{source}: {_why_unknown(name, known)}")


def _why_unknown(name: str, known: Iterable[str]) -> str:
    if name == variable((NOT_YOURS,)):
        return f"{NOT_YOURS} is not set, it follows --sandbox; unset the variable"
    own = PREFIX + name.removeprefix(PREFIX).partition("__")[0] + "__"
    start = own if any(other.startswith(own) for other in known) else PREFIX
    ends = [other.removeprefix(start) for other in known if other.startswith(start)]
    meant = similar(name.removeprefix(start), ends)  # what all names begin with makes any two similar
    hint = f" (did you mean {start}{meant}?)" if meant else ""
    names = sorted({end.partition("__")[0] for end in ends})
    return f"sets nothing{hint}; rename or unset it. Known after {start}: {', '.join(names)}"


def from_assignment(assignment: str, *, folder: Path) -> Layer:
    """Return the layer of a `KEY=VALUE`: KEY dotted as in TOML, VALUE as in TOML or else a string."""
    # A quoted part of the key may hold a '=' itself: the first one that leaves a whole key before it counts.
    for index in (place for place, character in enumerate(assignment) if character == "="):
        key = _key(assignment[:index])
        if key:
            source = f"--pipeline-set {dotted(key)}"
            return Layer(source=source, values=_nested(key, _value(assignment[index + 1 :], key)), folder=folder)
    before = assignment.partition("=")[0]
    return Layer(
        source="--pipeline-set",
        folder=folder,
        mistake=f"--pipeline-set {before!r}: not KEY=VALUE with a dotted key; write it as in "
        """--pipeline-set 'requirements.disk."/mnt/training".free_gb=100'""",
    )


def _key(text: str) -> tuple[str, ...]:
    """Return the parts of a dotted key, none if it is not one."""
    if "\n" in text:
        return ()
    try:
        value: Any = tomllib.loads(f"{text} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    parts = []
    while isinstance(value, dict):
        ((part, value),) = value.items()
        parts.append(part)
    return tuple(parts)


def _value(text: str, key: tuple[str, ...]) -> object:
    """Return the value that a text means: TOML, else JSON, else the text.

    What is to be text stays text, however much it looks like a number: an account, a version. Quotes are taken off.
    """
    text = text.strip()
    _, annotation = field_at(Settings, key)
    read = _parsed(text)
    if annotation is None or as_table(annotation) or as_mapping(annotation) or as_list(annotation):
        return read
    if bare(annotation) in (bool, int, float) or isinstance(read, (str, list, dict)):
        return read
    return text


def _parsed(text: str) -> object:
    try:
        document = tomllib.loads(f"value = {text}")
    except ValueError:  # TOML's own, and Python's for a number of too many digits
        document = {}
    # A text of several lines may parse as several keys; it is no value then.
    if document.keys() == {"value"}:
        return document["value"]
    try:
        read: object = json.loads(text)
    except ValueError:
        return text
    return read


def _nested(key: Sequence[str], value: object) -> dict[str, Any]:
    nested: Any = value
    for part in reversed(key):
        nested = {part: nested}
    result: dict[str, Any] = nested
    return result
