"""What the required fields of a well-formed record must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.data.defect import Reason
from pytest_pipeline.data.spec import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.data.spec import Field

MESSAGE_KEYS = ("role", "content")

_TYPES: Mapping[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.STRING: (str,),
    Kind.NUMBER: (int, float),
    Kind.BOOLEAN: (bool,),
    Kind.LIST: (list,),
    Kind.OBJECT: (dict,),
    Kind.MESSAGES: (list,),
}
_NAMES = {str: "a string", int: "a number", float: "a number", bool: "a boolean", list: "a list", dict: "an object"}


def wrong_with(record: Mapping[str, object], field: Field) -> tuple[Reason, str] | None:
    """Return what is wrong with a required field of a record, and how it reads; None where nothing is."""
    if field.name not in record:
        return Reason.MISSING, f"{field.name} is missing"
    return _wrong(record[field.name], field.kind, field.name)


def _wrong(value: object, kind: Kind, name: str) -> tuple[Reason, str] | None:
    if value is None:
        return Reason.NULL, f"{name} is null"
    types = _TYPES.get(kind, (type(value),))
    if type(value) not in types:
        return Reason.WRONG_TYPE, f"{name} is {type_name(value)}, not {_NAMES[types[0]]}"
    if kind in (Kind.TEXT, Kind.LIST, Kind.OBJECT, Kind.MESSAGES) and not value:
        return Reason.EMPTY, f"{name} is empty"
    if kind is Kind.TEXT and isinstance(value, str) and value.isspace():
        return Reason.WHITESPACE, f"{name} is nothing but white space"
    if kind is Kind.MESSAGES and isinstance(value, list):
        return next(filter(None, (_wrong_message(one, f"{name}[{n}]") for n, one in enumerate(value))), None)
    return None


def _wrong_message(message: object, name: str) -> tuple[Reason, str] | None:
    if not isinstance(message, dict):
        return (Reason.NULL, f"{name} is null") if message is None else _wrong(message, Kind.OBJECT, name)
    for key in MESSAGE_KEYS:
        if key not in message:
            return Reason.MISSING, f"{name}.{key} is missing"
        if wrong := _wrong(message[key], Kind.TEXT, f"{name}.{key}"):
            return wrong
    return None


def type_name(value: object) -> str:
    """Return what a value of JSON is called: `a string`, `a number`, `null`."""
    return _NAMES.get(type(value), "null")
