"""Lays sources of settings over each other, and remembers which one gave what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_pipeline.settings.shape import NOT_YOURS, Key, as_list, as_mapping, as_table, bare, dotted, keys
from pytest_pipeline.settings.values import similar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_pipeline.settings.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one source says."""

    source: str
    """How messages name it."""
    values: Mapping[str, Any] = field(default_factory=dict)
    folder: Path
    """What its relative paths are relative to."""
    mistake: str = ""
    """Why its values cannot even be told, in one line."""
    by_user: bool = True
    """Whether a user wrote it: only then is the world refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """All layers as one tree, without the keys that nobody knows."""

    values: dict[str, Any]
    origins: Mapping[Key, str]
    mistakes: tuple[str, ...]
    misspelt: frozenset[Key]
    """Where a value is likely to lie under a misspelt key."""

    def source_of(self, key: Key) -> str:
        """Return the source that gave what lies at a key, or else the last one that spoke of what is around it."""
        for length in range(len(key), 0, -1):
            around = key[:length]
            given = [source for place, source in self.origins.items() if place[:length] == around]
            if given:
                return given[-1]
        return "settings"


def expanded(text: str, home: Path) -> str:
    """Return a path of this machine with a leading `~` or `~user` replaced."""
    if text == "~" or text.startswith("~/"):
        return str(home / text[2:])
    return os.path.expanduser(text)  # noqa: PTH111 - Path's own raises where there is no such user


def stack(table: type[Table], layers: Iterable[Layer], *, home: Path) -> Stack:
    """Lay layers over each other, later ones on top.

    Tables are merged key by key; a list replaces a list. `home` is what `~` means.
    """
    origins: dict[Key, str] = {}
    mistakes: list[str] = []
    misspelt: set[Key] = set()
    values: dict[str, Any] = {}
    for layer in layers:
        if layer.mistake:
            mistakes.append(layer.mistake)
        reader = _Reader(layer=layer, home=home)
        values = _merged(values, reader.read(layer.values, table, ()))
        for key in reader.leaves:
            origins.pop(key, None)  # so that what was given last stands last
            origins[key] = layer.source
        mistakes += reader.mistakes
        misspelt |= reader.misspelt
    return Stack(values=values, origins=origins, mistakes=tuple(mistakes), misspelt=frozenset(misspelt))


def _merged(below: Any, above: Any) -> Any:
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


@dataclass(slots=True, kw_only=True)
class _Reader:
    """Goes through one layer beside the tables: finds unknown keys, and makes paths absolute."""

    layer: Layer
    home: Path
    leaves: list[Key] = field(default_factory=list)
    mistakes: list[str] = field(default_factory=list)
    misspelt: set[Key] = field(default_factory=set)

    def read(self, value: Any, annotation: Any, key: Key, *, in_list: bool = False) -> Any:
        table, entries, elements = as_table(annotation), as_mapping(annotation), as_list(annotation)
        if isinstance(value, Mapping) and (table or entries):
            if not value and not in_list:
                self.leaves.append(key)
            known = self._known(value, table, key) if table else dict.fromkeys(value, entries)
            return {name: self.read(value[name], known[name], (*key, name), in_list=in_list) for name in known}
        if not in_list:
            self.leaves.append(key)
        if isinstance(value, list) and elements:
            return [self.read(part, elements, (*key, n), in_list=True) for n, part in enumerate(value)]
        if isinstance(value, str) and bare(annotation) is Path:
            return str(self.layer.folder / expanded(value, self.home)) if value else value
        return value

    def _known(self, value: Mapping[str, Any], table: type[Table], key: Key) -> dict[str, Any]:
        fields = keys(table)
        if self.layer.by_user and not key:
            fields.pop(NOT_YOURS, None)
        for name in value:
            if name not in fields:
                self._refuse(name, fields, key)
        return {name: fields[name].annotation for name in value if name in fields}

    def _refuse(self, name: str, fields: Iterable[str], key: Key) -> None:
        if (*key, name) == (NOT_YOURS,):
            self.mistakes.append(f"{self.layer.source}: {NOT_YOURS} is not set, it follows --sandbox; remove it")
            return
        meant = similar(name, fields)
        if meant:
            self.misspelt.add((*key, meant))
        where = f"{dotted(key)} has no key" if key else "there is no table"
        hint = f" (did you mean {meant!r}?)" if meant else ""
        known = ", ".join(sorted(fields))
        self.mistakes.append(f"{self.layer.source}: {where} {name!r}{hint}; rename or remove it. Known: {known}")
