"""Reads the tables' own annotations: which keys a table has, and what lies at a dotted key.

The environment's names, the messages and docs/configuration.md are all made from this, so that none can drift.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pytest_pipeline.settings.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

Key = tuple[str | int, ...]
"""Where a setting lies: names of tables and keys, numbers of list entries."""

NOT_YOURS = "world"
"""The one key that no user may set."""


def dotted(key: Key) -> str:
    """Return a key as TOML writes it, list entries numbered from 0: `requirements.disk."/mnt/training".free_gb`."""
    parts = [
        f"[{part}]"
        if isinstance(part, int)
        else "." + (part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part))
        for part in key
    ]
    return "".join(parts).removeprefix(".")


def bare(annotation: Any) -> Any:
    """Return an annotation without its constraints, and without None."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            annotation = next(part for part in get_args(annotation) if part is not type(None))
        else:
            return annotation


def as_table(annotation: Any) -> type[Table] | None:
    """Return the table that an annotation means, if it means one."""
    annotation = bare(annotation)
    return annotation if isinstance(annotation, type) and issubclass(annotation, Table) else None


def as_mapping(annotation: Any) -> Any | None:
    """Return the annotation of the values, if it means a table with keys of the user's choice."""
    annotation = bare(annotation)
    return get_args(annotation)[1] if get_origin(annotation) is Mapping else None


def as_list(annotation: Any) -> Any | None:
    """Return the annotation of the entries, if it means a list."""
    annotation = bare(annotation)
    return get_args(annotation)[0] if get_origin(annotation) is Sequence else None


def keys(table: type[Table]) -> dict[str, FieldInfo]:
    """Return the fields of a table by the names that users write."""
    return {field.serialization_alias or name: field for name, field in table.model_fields.items()}


def _walk(table: type[Table], key: Key) -> Iterator[tuple[FieldInfo | None, Any]]:
    """Yield the declared field and the annotation of each part of a key, as far as the tables know it."""
    field: FieldInfo | None = None
    annotation: Any = table
    for part in key:
        inside = as_table(annotation)
        if inside is None:
            annotation = as_mapping(annotation) or as_list(annotation)
        else:
            field = keys(inside).get(str(part))
            annotation = field.annotation if field else None
        if annotation is None:
            return
        yield field, annotation


def field_at(table: type[Table], key: Key) -> tuple[FieldInfo | None, Any | None]:
    """Return the field that a key, or the list or table it lies in, is declared as, and the key's own annotation.

    Both are None where the tables know no such key.
    """
    known = list(_walk(table, key))
    return known[-1] if len(known) == len(key) and known else (None, None)


def settable(table: type[Table], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the keys that one variable can set: all but those within lists and within tables with keys of your own."""
    for name, field in keys(table).items():
        if (*prefix, name) == (NOT_YOURS,):
            continue
        yield (*prefix, name)
        inside = as_table(field.annotation)
        if inside is not None:
            yield from settable(inside, (*prefix, name))
