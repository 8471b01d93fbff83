"""Typed values out of what a host says. Whoever is on the other side may be broken, or mean harm.

Numbers have bounds, texts lose what would act on a terminal (control characters, escape sequences, direction marks),
and whatever has the wrong type is `Unreadable`: an answer that makes no sense is no answer.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_TEXT_LIMIT = 500
_ITEMS_LIMIT = 10_000
_LARGEST_WHOLE = 2**64
_ESCAPE_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


class Unreadable(ValueError):  # noqa: N818  # what the value is
    """A value of the host is not what it should be."""


def document(data: bytes, limit_bytes: int) -> dict[str, Any]:
    """Read a JSON object. Raises Unreadable."""
    if len(data) > limit_bytes:
        raise Unreadable(f"it has {len(data)} bytes, more than {limit_bytes}")
    try:
        return mapping(json.loads(data, parse_constant=_no_constant), "the document")
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON: {printable(error)}") from error


def _no_constant(name: str) -> NoReturn:
    raise Unreadable(f"{name} is no number")


def printable(value: object, limit: int = _TEXT_LIMIT) -> str:
    """Return a text that may be printed anywhere, on one line and not too long."""
    text = _ESCAPE_SEQUENCE.sub("", str(value)[: 4 * limit])
    text = " ".join("".join(map(_visible, text)).split())
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cc":
        return " " if character in "\t\n\r" else "?"
    return "?" if category in {"Cf", "Cs", "Co", "Cn"} else character


def mapping(value: object, what: str) -> dict[str, Any]:
    """Return an object of JSON."""
    if not isinstance(value, dict) or len(value) > _ITEMS_LIMIT:
        raise Unreadable(f"{what} is no object")
    return value


def items(value: object, what: str) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list) or len(value) > _ITEMS_LIMIT:
        raise Unreadable(f"{what} is no list")
    return value


def text(of: dict[str, Any], name: str) -> str:
    """Return a text of an object, made printable."""
    value = of.get(name)
    if not isinstance(value, str):
        raise Unreadable(f"{name} is no text")
    return printable(value)


def whole(of: dict[str, Any], name: str) -> int:
    """Return a whole number of an object, from 0 to 2**64."""
    value = of.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST_WHOLE:
        raise Unreadable(f"{name} is no whole number")
    return value


def number(of: dict[str, Any], name: str) -> float:
    """Return a finite number of an object."""
    value = of.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > _LARGEST_WHOLE:
        raise Unreadable(f"{name} is no number")
    if not math.isfinite(value):
        raise Unreadable(f"{name} is not finite")
    return float(value)


def flag(of: dict[str, Any], name: str) -> bool:
    """Return a truth value of an object."""
    value = of.get(name)
    if not isinstance(value, bool):
        raise Unreadable(f"{name} is neither true nor false")
    return value


def _neither() -> NoReturn:
    raise Unreadable("it has neither value nor error")


def reading(answer: object, what: str, *, by: str, read: Callable[[Any], T]) -> Reading[T]:
    """Return the reading of {"value": ...} or {"error": "..."}; `by` owns the reason where there is no value."""
    try:
        of = mapping(answer, what)
        if "error" in of:
            return Reading.missing(f"{what}: {text(of, 'error')}", by=by)
        return Reading.of(read(of["value"]) if "value" in of else _neither())
    except Unreadable as error:
        return Reading.missing(f"the host's answer for {what} makes no sense: {error}", by=by)
