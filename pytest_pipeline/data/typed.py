r"""The fast path: a block of lines decoded in one call, to the required fields and nothing more.

A block is taken only where it is certain that every line of it is a valid record; of any other nothing is said. What
msgspec does not look at is made up for here:

- It does not care for lines. But `}`, a line end and `{` can only stand next to each other between two records, so as
  many of them as there are records less one, and as many line ends, put each record on a line of its own.
- It checks neither UTF-8 nor depth in what it skips. So nothing is skipped: columns that are not required are decoded
  where they are scalars, else kept as they are spelled and looked at together, and a column that is not known refuses
  the block. Columns are learned from lines that were found valid by the slow path.
- It takes the last of two equal keys. But `"text"` with its quotes is a key or a whole string, never a part of one,
  where quotes are escaped. So it occurs once for each value that was decoded, and in what was kept as it is spelled, or
  as such a string; any other occurrence refuses the block. A key spelled with escapes (`\u0074ext`) could make up for
  one, and refuses it too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from pytest_pipeline.data.content import MESSAGE_KEYS
from pytest_pipeline.data.counting import contains, count
from pytest_pipeline.data.grammar import MAX_DEPTH, SPACE
from pytest_pipeline.data.spec import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_pipeline.data.spec import Field, RecordSpec

_MOST_COLUMNS = 64
_DEEPEST_KEPT = MAX_DEPTH - 3  # a record, its messages, and a message are around it
_NAME = re.compile(r"[A-Za-z0-9_. -]+")
_NAME_SPELLED = re.compile(rb"\\u00(?:2[0dDeE]|3[0-9]|4[1-9a-fA-F]|5[0-9aAfF]|6[1-9a-fA-F]|7[0-9aA])")
_LINE_END, _OPEN, _CLOSE = b"\n{}"
_encode = msgspec.json.Encoder().encode
_ABSENT = msgspec.Raw(b"")
_SCALAR = str | int | float | bool | None
_STRINGS = frozenset({Kind.TEXT, Kind.STRING})
_SPELLED: Mapping[Kind, Callable[[bytes], bool]] = {  # how a well-formed value of a kind begins, or reads
    Kind.NUMBER: lambda value: value[0] in b"-0123456789",
    Kind.BOOLEAN: lambda value: value in (b"true", b"false"),
    Kind.LIST: lambda value: value[:1] == b"[" and bool(value[1:-1].strip(SPACE)),
    Kind.OBJECT: lambda value: value[:1] == b"{" and bool(value[1:-1].strip(SPACE)),
    Kind.ANY: lambda value: value != b"null",
}


@dataclass(frozen=True, slots=True)
class _Column:
    """A column that is not required: whether it holds objects or lists, and whether every record has it."""

    nested: bool
    everywhere: bool


_Columns = dict[str, _Column]


class _Others:
    """The values of columns that are not required, of records or of messages."""

    def __init__(self, columns: _Columns) -> None:
        places = {attrgetter(f"o{number}"): column for number, column in enumerate(columns.values())}
        self._number = len(columns)
        self._nested = [get for get, column in places.items() if column.nested]
        self._scalar = [get for get, column in places.items() if not column.nested]
        self._not_everywhere = [get for get, column in places.items() if not column.everywhere]

    def decoded(self, records: list[Any]) -> int:
        """Return how many values there are."""
        absent = sum(1 for get in self._not_everywhere for value in map(get, records) if value is _ABSENT)
        return len(records) * self._number - absent

    def kept(self, records: list[Any]) -> list[Any]:
        """Return the values that are kept as they are spelled."""
        return [value for get in self._nested for value in map(get, records)]

    def strings(self, records: list[Any], names: frozenset[str]) -> int:
        """Return how many values are one of some strings."""
        return sum(1 for get in self._scalar for value in map(get, records) if type(value) is str and value in names)


class Typed:
    """Decodes lines to the required fields. It learns columns as it goes; what it takes does not depend on them."""

    def __init__(self, spec: RecordSpec) -> None:
        self._fields = {f"r{number}": field for number, field in enumerate(spec.fields)}
        self._usable = all(_NAME.fullmatch(field.name) for field in spec.fields)
        self._columns: _Columns | None = None
        self._message_columns: _Columns | None = None
        self._texts = [attrgetter(name) for name in self._named(Kind.TEXT)]
        self._messages = [attrgetter(name) for name in self._named(Kind.MESSAGES)]
        self._spelled = [
            (attrgetter(name), _SPELLED[field.kind]) for name, field in self._fields.items() if field.kind in _SPELLED
        ]
        self._values = [(attrgetter(name), _bytes_of(field.kind)) for name, field in self._fields.items()]
        self._compile()

    def _named(self, kind: Kind) -> list[str]:
        return [name for name, field in self._fields.items() if field.kind is kind]

    def _compile(self) -> None:
        columns, message_columns = self._columns or {}, self._message_columns or {}
        self._decode = msgspec.json.Decoder(self._record(strict=True)).decode_lines
        self._others, self._message_others = _Others(columns), _Others(message_columns)
        self._names = frozenset({field.name for field in self._fields.values()} | {*columns} | {*message_columns})
        self._keys = [f'"{name}"'.encode() for name in sorted(self._names)]

    def _record(self, *, strict: bool) -> type[msgspec.Struct]:
        def type_of(field: Field) -> Any:
            if field.kind is Kind.MESSAGES:
                keys = [(key, str) for key in MESSAGE_KEYS]
                return list[_struct("Message", keys, {}, self._message_columns or {}, strict=strict)]  # type: ignore[misc]
            return str if field.kind in _STRINGS else msgspec.Raw

        fields = [(name, type_of(field)) for name, field in self._fields.items()]
        renamed = {name: field.name for name, field in self._fields.items()}
        return _struct("Record", fields, renamed, self._columns or {}, strict=strict)

    def taken(self, block: memoryview) -> list[Any] | None:
        """Return the records of a block of lines, one a line and all valid; None where that is not certain."""
        if not self._usable:
            return None
        try:
            records = self._decode(block)
            return records if self._on_lines(block, len(records)) and self._hold(block, records) else None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None

    def _on_lines(self, block: memoryview, records: int) -> bool:
        ended = block[-1] == _LINE_END
        return (
            records > 0
            and block[0] == _OPEN
            and block[-1 - ended] == _CLOSE
            and count(block, b"\n") == records - 1 + ended
            and count(block, b"}\n{") == records - 1
        )

    def _hold(self, block: memoryview, records: list[Any]) -> bool:
        """Whether the values of records are what they must be, and nothing hides beside them."""
        if not all(all(map(str.strip, map(get, records))) for get in self._texts):
            return False
        kept = self._others.kept(records)
        decoded = len(records) * len(self._fields) + self._others.decoded(records)
        if self._messages:
            conversations = [conversation for get in self._messages for conversation in map(get, records)]
            messages = [*chain.from_iterable(conversations)]
            texts = (text for one in messages for text in (one.role, one.content))
            if not all(conversations) or not all(map(str.strip, texts)):
                return False
            kept += self._message_others.kept(messages)
            decoded += self._message_others.decoded(messages) + len(messages) * len(self._names & {*MESSAGE_KEYS})
        else:
            messages = []
        for get, is_right in self._spelled:
            values = [*map(get, records)]
            if not all(map(is_right, map(bytes, values))):
                return False
            kept += values
        rest = b"".join(kept)
        if not rest.isascii():
            rest.decode()
        if _is_deep(rest, kept) or (contains(block, b"\\u00") and _NAME_SPELLED.search(block)):
            return False
        beyond = sum(count(block, key) - count(rest, key) for key in self._keys) - decoded
        return not beyond or beyond == (
            self._others.strings(records, self._names) + self._message_others.strings(messages, self._names)
        )

    def learn(self, line: bytes) -> None:
        """Take notice of the columns of a line that was found valid."""
        record = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        columns = _learned(self._columns, record, {field.name for field in self._fields.values()})
        message_columns = self._message_columns
        for field in self._fields.values():
            if field.kind is Kind.MESSAGES:
                for message in msgspec.json.decode(record[field.name], type=list[dict[str, msgspec.Raw]]):
                    message_columns = _learned(message_columns, message, {*MESSAGE_KEYS})
        if max(len(columns), len(message_columns or ())) > _MOST_COLUMNS:
            return
        if (columns, message_columns) != (self._columns, self._message_columns):
            self._columns, self._message_columns = columns, message_columns
            self._compile()

    def one(self, line: bytes) -> Any:
        """Return the record of a line that was found valid."""
        return msgspec.json.decode(line, type=self._record(strict=False))

    def contents(self, records: list[Any]) -> list[Iterator[bytes]]:
        """Return the values of each required field, in the order of the spec: text as UTF-8, others as spelled."""
        return [map(to_bytes, map(get, records)) for get, to_bytes in self._values]


def _bytes_of(kind: Kind) -> Callable[[Any], bytes]:
    if kind is Kind.MESSAGES:
        return lambda messages: _encode([(one.role, one.content) for one in messages])
    return str.encode if kind in _STRINGS else bytes


def _struct(
    name: str, fields: list[tuple[str, Any]], renamed: Mapping[str, str], columns: _Columns, *, strict: bool
) -> type[msgspec.Struct]:
    others: list[Any] = []
    for number, column in enumerate(columns.values()):
        known = (f"o{number}", msgspec.Raw if column.nested else _SCALAR)
        others.append(known if strict and column.everywhere else (*known, _ABSENT))
    others.sort(key=len)  # those without a default come first
    named = {f"o{number}": column for number, column in enumerate(columns)}
    return msgspec.defstruct(
        name, [*fields, *others], rename={**renamed, **named}, forbid_unknown_fields=strict, gc=False
    )


def _learned(columns: _Columns | None, record: Mapping[str, Any], required: set[str]) -> _Columns:
    found = {name: bytes(raw)[:1] in b"{[" for name, raw in record.items() if name not in required}
    learned = dict(columns or {})
    for name in [*learned, *found]:
        if not _NAME.fullmatch(name):
            continue
        before = learned.get(name)
        learned[name] = _Column(
            nested=found.get(name, False) or bool(before and before.nested),
            everywhere=name in found and (before.everywhere if before else columns is None),
        )
    return learned


def _is_deep(rest: bytes, kept: list[Any]) -> bool:
    """Whether anything that was kept may be nested too deep: as many brackets open in it as would take."""
    if _brackets(rest) <= _DEEPEST_KEPT:
        return False
    return any(_brackets(raw) > _DEEPEST_KEPT for raw in map(bytes, kept) if len(raw) > _DEEPEST_KEPT)


def _brackets(piece: bytes) -> int:
    return piece.count(b"[") + piece.count(b"{")
