"""JSON to the letter (RFC 8259), told line by line: where the first fault is, and what it is.

It keeps its own stack, so that no depth of nesting is a failure of ours, and it goes over bytes, so that where it stops
is an offset in the file. Slow beside a library; it sees only what a library did not take.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NoReturn

from pytest_pipeline.data.defect import Reason

MAX_DEPTH = 512
"""Objects and arrays within each other. Python's own reader ends near 1,000, orjson at 1,024, and trainers before."""

SPACE = b" \t\r\n"

_space = re.compile(rb"[ \t\r\n]*+")
# A piece of a string: a bound on its escapes keeps what `re` remembers of them small. Not a possessive group, which
# Python 3.11.0 to 3.11.4 match wrongly (gh-106052).
_characters = re.compile(rb'[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+){0,1000}')
_escape_cut = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_number = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?")
_number_cut = re.compile(rb"-?\Z|-?(?:0|[1-9][0-9]*+)(?:\.|(?:\.[0-9]++)?[eE][+-]?)\Z")
_literals = (b"true", b"false", b"null")
_nan = re.compile(rb"NaN|-?Infinity")
_surrogate = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_newline_spelled = re.compile(rb"(?:\\r)?\\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a line: `at` is the byte of the line where it shows, `field` the required field, if any."""

    reason: Reason
    at: int
    detail: str
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key of the outermost object, and the byte of the line that it begins at."""

    name: str
    at: int


class _FaultError(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


def parsed(line: bytes) -> Fault | tuple[Key, ...]:
    """Return the keys of the line's object in order, none where it is another value; or the first fault.

    The line is not blank, and valid UTF-8. A truncated line is one that more characters could make valid. Two records
    on a line are told by what follows the first value.
    """
    reader = _Reader(line)
    try:
        reader.read()
    except _FaultError as error:
        return error.fault
    for found in _surrogate.finditer(line) if b"\\u" in line else ():
        if found[1]:
            spelled = found[1].decode()
            return Fault(reason=Reason.LONE_SURROGATE, at=found.start(), detail=f"{spelled} is half a character")
    return tuple(reader.keys)


class _Reader:
    def __init__(self, line: bytes) -> None:
        self._line = line
        self._closers: list[bytes] = []
        self.keys: list[Key] = []

    def read(self) -> None:
        """Read the whole line. Raises _FaultError."""
        at: int | None = self._skip(0)
        end = 0
        while at is not None:
            end = self._value(at)
            if end < 0:  # a container with content: its first value is next
                at = -end
                continue
            end, at = self._after(end)
        self._nothing_but_space(end)

    def _value(self, at: int) -> int:
        """Return where a value ends; or, negative, where the first value inside it begins."""
        first = self._line[at : at + 1]
        if first == b'"':
            return self._string(at)
        if first in (b"{", b"["):
            return self._open(at, first)
        if found := _number.match(self._line, at):
            if _number_cut.match(self._line, at):
                self._cut()
            end = found.end()
            if self._line[end : end + 1] in (b".", b"e", b"E"):
                self._fault(Reason.MALFORMED, end, f"{_shown(self._line[end : end + 2])} in a number, without digits")
            return end
        return self._word(at)

    def _open(self, at: int, first: bytes) -> int:
        if len(self._closers) == MAX_DEPTH:
            self._fault(Reason.TOO_DEEP, at, f"more than {MAX_DEPTH} objects and arrays within each other")
        closer = b"}" if first == b"{" else b"]"
        inside = self._skip(at + 1)
        if self._line[inside : inside + 1] == closer:
            return inside + 1
        self._closers.append(closer)
        return -(self._key(inside) if closer == b"}" else inside)

    def _after(self, at: int) -> tuple[int, int | None]:
        """Return, behind a value, where the outermost value ends so far, and where the next begins, if one does."""
        while self._closers:
            at = self._skip(at)
            byte = self._line[at : at + 1]
            if byte == self._closers[-1]:
                self._closers.pop()
                at += 1
            elif byte == b",":
                following = self._skip(at + 1)
                if self._line[following : following + 1] == self._closers[-1]:
                    self._fault(Reason.TRAILING_COMMA, at, f"a comma before {self._closers[-1].decode()}")
                return at, self._key(following) if self._closers[-1] == b"}" else following
            else:
                self._unexpected(at, f"a comma or {self._closers[-1].decode()}")
        return at, None

    def _key(self, at: int) -> int:
        """Return where the value of the key at this byte begins."""
        if self._line[at : at + 1] != b'"':
            self._unexpected(at, "a key in double quotes")
        end = self._string(at)
        if len(self._closers) == 1:
            raw = self._line[at:end]
            name = json.loads(raw) if b"\\" in raw else raw[1:-1].decode()
            self.keys.append(Key(name=name, at=at))
        colon = self._skip(end)
        if self._line[colon : colon + 1] != b":":
            self._unexpected(colon, "a colon")
        return self._skip(colon + 1)

    def _string(self, at: int) -> int:
        start, end = at, at + 1
        while end != start:
            start, end = end, self._end_of_characters(end)
        if self._line[end : end + 1] == b'"':
            return end + 1
        if end < len(self._line) and not _escape_cut.match(self._line, end):
            if self._line[end] < 0x20:  # noqa: PLR2004  # RFC 8259, section 7: U+0000 to U+001F
                self._control(end)
            self._fault(Reason.MALFORMED, end, f"{_shown(self._line[end : end + 2])} is no escape of JSON")
        return self._cut()

    def _end_of_characters(self, at: int) -> int:
        found = _characters.match(self._line, at)
        return found.end() if found else at

    def _word(self, at: int) -> int:
        rest = self._line[at : at + 9]
        for word in _literals:
            if rest.startswith(word):
                return at + len(word)
            if word.startswith(rest) and at + len(rest) == len(self._line):
                self._cut()
        if found := _nan.match(rest):
            self._fault(Reason.NAN, at, f"{found[0].decode()}, which JSON does not have")
        if _number_cut.match(self._line, at):
            self._cut()
        return self._unexpected(at, "a value")

    def _nothing_but_space(self, end: int) -> None:
        at = self._skip(end)
        rest = self._line[at:]
        if not rest:
            return
        if _newline_spelled.match(rest):
            self._fault(Reason.LITERAL_NEWLINE, at, "a line end spelled out as \\n behind the record")
        if rest.startswith(b","):
            if not rest[1:].strip(SPACE):
                self._fault(Reason.TRAILING_COMMA, at, "a comma behind the record")
            rest = rest[1:].lstrip(SPACE)
        if rest.startswith(b"{"):
            self._fault(Reason.CONCATENATED, len(self._line) - len(rest), "another record on the same line")
        self._fault(Reason.TRAILING_GARBAGE, at, f"{_shown(self._line[at : at + 4])} behind the record")

    def _unexpected(self, at: int, expected: str) -> NoReturn:
        byte = self._line[at : at + 1]
        if not byte:
            self._cut()
        if byte == b"'":
            self._fault(Reason.SINGLE_QUOTES, at, f"single quotes, where {expected} was expected")
        if byte < b" " and byte not in SPACE:
            self._control(at)
        self._fault(Reason.MALFORMED, at, f"{_shown(self._line[at : at + 4])} where {expected} was expected")

    def _control(self, at: int) -> NoReturn:
        self._fault(Reason.CONTROL_CHARACTER, at, f"the control character 0x{self._line[at]:02x}, not escaped")

    def _cut(self) -> NoReturn:
        self._fault(Reason.TRUNCATED, len(self._line), "the line ends in the middle of a record")

    def _fault(self, reason: Reason, at: int, detail: str) -> NoReturn:
        raise _FaultError(Fault(reason=reason, at=at, detail=detail))

    def _skip(self, at: int) -> int:
        found = _space.match(self._line, at)
        return found.end() if found else at


def _shown(piece: bytes) -> str:
    return ascii(piece.decode("utf-8", "replace"))
