"""One line, judged to the letter: the slow path, for the few lines that the fast one did not take."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from pytest_pipeline.data.content import type_name, wrong_with
from pytest_pipeline.data.defect import Reason
from pytest_pipeline.data.grammar import SPACE, Fault, Key, parsed

if TYPE_CHECKING:
    from pytest_pipeline.data.spec import RecordSpec

_BOM = b"\xef\xbb\xbf"


def is_blank(line: bytes) -> bool:
    """Whether a line holds nothing but JSON's white space."""
    return not line.strip(SPACE)


def judged(line: bytes, spec: RecordSpec) -> Fault | None:
    """Return the first thing that is wrong with a line that is not blank, given without its line end.

    First in this order: a byte order mark, UTF-8, form as it is read from left to right, half characters, a value that
    is no object, a required key that comes twice, the required fields in the order of the spec. Other keys may come
    twice: RFC 8259, section 4, leaves to the reader what becomes of them, and no required field depends on it.
    """
    if line.startswith(_BOM):
        return Fault(reason=Reason.BOM, at=0, detail="a byte order mark, which JSON must not begin with")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        return Fault(reason=Reason.BAD_UTF8, at=error.start, detail=f"the byte 0x{line[error.start]:02x} is not UTF-8")
    keys = parsed(line)
    if isinstance(keys, Fault):
        return keys
    if not line.lstrip(SPACE).startswith(b"{"):
        return Fault(reason=Reason.NOT_OBJECT, at=0, detail=f"{type_name(_value(line))}, not an object")
    if twice := _twice(keys, frozenset(field.name for field in spec.fields)):
        return Fault(reason=Reason.DUPLICATE_KEY, at=twice.at, detail=f"{twice.name} comes twice", field=twice.name)
    # One value at a time: those of a long line, and its text, would not fit into what a process may use.
    spelled = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    for field in spec.fields:
        record = {field.name: _value(spelled[field.name])} if field.name in spelled else {}
        if wrong := wrong_with(record, field):
            at = next((key.at for key in keys if key.name == field.name), 0)
            return Fault(reason=wrong[0], at=at, detail=wrong[1], field=field.name)
    return None


def _value(spelled: bytes | msgspec.Raw) -> object:
    try:
        return msgspec.json.decode(spelled)
    except msgspec.ValidationError:  # a number that is too large for it; which one it is does not matter here
        return json.loads(bytes(spelled), parse_int=float)


def _twice(keys: tuple[Key, ...], required: frozenset[str]) -> Key | None:
    seen: set[str] = set()
    for key in keys:
        if key.name in required:
            if key.name in seen:
                return key
            seen.add(key.name)
    return None
