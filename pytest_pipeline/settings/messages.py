"""Says in one line each what is wrong with values: who gave it, what it must be, what was given, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from pytest_pipeline.settings.shape import Key, as_list, bare, dotted, field_at
from pytest_pipeline.settings.values import ContradictionError, UnshownError, VariableName, similar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

    from pytest_pipeline.settings.layers import Stack
    from pytest_pipeline.settings.tables import Table

_LONGEST = 60  # characters of a value that are repeated
_A_LIST = "must be a list"
_A_TABLE = "must be a table"
_MUST = {
    "bool_type": "must be true or false",
    "date_type": "must be a date such as 2027-01-31",
    "dict_type": _A_TABLE,
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "greater_than": "must be above {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "is_instance_of": _A_LIST,
    "less_than_equal": "must be at most {le:g}",
    "literal_error": "must be {expected}",
    "mapping_type": _A_TABLE,
    "model_type": _A_TABLE,
    "path_type": "must be a path",
    "sequence_str": _A_LIST,
    "string_too_short": "must not be empty",
    "string_type": "must be text",
    "too_short": "must not be empty",
}
"""What each of pydantic's refusals means to a user, by its type; filled with its context."""


def explain(error: ValidationError, *, table: type[Table], stack: Stack) -> Iterator[str]:
    """Yield a line for each mistake, but for those that only follow from a misspelt key."""
    for detail in error.errors(include_url=False):
        reason = detail.get("ctx", {}).get("error")
        if isinstance(reason, ContradictionError):
            if not stack.mistakes:
                key = detail["loc"] + reason.at
                yield f"{stack.source_of(key)}: {dotted(key)} {reason}"
        elif not (detail["type"] == "missing" and detail["loc"] in stack.misspelt):
            yield _line(detail, table, stack)


def _line(detail: ErrorDetails, table: type[Table], stack: Stack) -> str:
    key: Key = detail["loc"]
    if detail["type"] == "missing":
        return f"{stack.source_of(key)}: {dotted(key)} is missing; add it"
    todo = _what_to_do(detail, table, key)
    what = dotted(key)
    if key[-1] == "[key]":  # pydantic's way to say that it is the key which is wrong
        key, todo = key[:-2], "correct it"
        what = f"{dotted(key)}: each key"
    got = "" if _is_secret(detail, field_at(table, key)[1]) else f", got {told(detail['input'])}"
    return f"{stack.source_of(detail['loc'])}: {what} {_must(detail)}{got}; {todo}"


def _must(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(context["error"])
    must = _MUST.get(detail["type"], f"is refused ({detail['msg']})").format_map(context)
    if detail["type"] == "literal_error":
        meant = similar(str(detail["input"]), re.findall(r"'([^']*)'", context["expected"]))
        return f"{must} (did you mean {meant!r}?)" if meant else must
    return must


def _what_to_do(detail: ErrorDetails, table: type[Table], key: Key) -> str:
    if detail["type"] == "string_type" and isinstance(detail["input"], (bool, int, float, date)):
        return "put it in quotes"
    field, _ = field_at(table, key)
    # A key within a list or a table of the user's own has no default: what it lies in has.
    if field is None or field.is_required() or isinstance(key[-1], int):
        return "correct it"
    default = field.get_default(call_default_factory=True)
    if default != "" and isinstance(default, (bool, int, float, str)):
        return f"correct it, or remove it for the default {toml(default)}"
    return "correct or remove it"


def _is_secret(detail: ErrorDetails, annotation: Any) -> bool:
    """Whether what was given may be a secret: also where the names of secrets belong, or nobody knows what does."""
    kinds = (bare(annotation), bare(as_list(annotation)))
    misplaced = as_list(annotation) == VariableName or isinstance(detail.get("ctx", {}).get("error"), UnshownError)
    return annotation is None or SecretStr in kinds or misplaced


def told(value: object) -> str:
    """Return what a value is, in words, and the value where it is a single one."""
    match value:
        case bool():
            return toml(value)
        case int() | float():
            return f"the number {toml(value)}"
        case str():
            shown = value if len(value) <= _LONGEST else value[:_LONGEST] + "..."
            return f"the text {shown!r}"
        case date():
            return f"the date {value.isoformat()}"
        case Mapping():
            return "a table" if value else "an empty table"
        case Sequence():
            return "a list" if value else "an empty list"
    return f"a {type(value).__name__}"


def toml(value: object) -> str:
    """Return a single value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else repr(value)
