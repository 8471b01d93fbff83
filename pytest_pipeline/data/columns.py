"""The columns of files and the types in them, and what `datasets` makes of them in the order that training reads.

`datasets` (measured: 5.2, its JSON loader) fixes each column's type by the first 10 MiB of the first file that is not
empty, and casts all that comes later to that. The tests hold the truth table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_pipeline.data.place import Place
    from pytest_pipeline.data.records import Record
    from pytest_pipeline.data.spans import DataFile

HEAD_BYTES = 10 * 1024 * 1024
MOST_COLUMNS = 1_000
_DEEPEST = 16
_SHOWN = 10

Path = tuple[str, ...]
"""Keys from the outermost; `[]` steps into a list, which no key of a record's own is taken for: those end in `\\0`."""

_ITEM = "[]"
_LONGEST_NUMBER = 40
_FIRST_OF_OTHERS = frozenset("-0123456789tf")  # of strings that are more than text
_INT64 = range(-(2**63), 2**63)
_INTEGER_TEXT = re.compile(r"-?\d{1,18}", re.ASCII)
_DECIMAL_TEXT = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
# What Arrow's JSON reader takes for a time: ISO 8601, to the second.
_TIME_TEXT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d(:?\d\d(:?\d\d)?)?(Z|[+-]\d\d(:?\d\d)?)?)?", re.ASCII)


class Kind(StrEnum):
    """The type of a value, as finely as loading depends on it."""

    NULL = "null"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    WHOLE = "number without a fraction"  # 2.0
    FLOAT = "number"
    TEXT = "string"
    BOOLEAN_TEXT = "string of true or false"
    INTEGER_TEXT = "string of an integer"
    DECIMAL_TEXT = "string of a number"
    TIME_TEXT = "string of a time"
    LIST = "list"
    OBJECT = "object"


_TEXTS = frozenset({Kind.TEXT, Kind.BOOLEAN_TEXT, Kind.INTEGER_TEXT, Kind.DECIMAL_TEXT, Kind.TIME_TEXT})
_NUMBERS = frozenset({Kind.INTEGER, Kind.WHOLE, Kind.FLOAT})


class Frame(StrEnum):
    """The type that a column gets for good."""

    NULL = "null"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "number"
    TEXT = "string"
    TIME = "time"
    LIST = "list"
    OBJECT = "object"
    ANY = "any"  # kept as JSON, and takes whatever comes


# What is cast without an error; and of that, what changes on the way.
_TAKES: Mapping[Frame, frozenset[Kind]] = {
    Frame.NULL: frozenset(),
    Frame.BOOLEAN: frozenset({Kind.BOOLEAN, Kind.BOOLEAN_TEXT}) | _NUMBERS,
    Frame.INTEGER: frozenset({Kind.BOOLEAN, Kind.INTEGER, Kind.WHOLE, Kind.INTEGER_TEXT, Kind.TIME_TEXT}),
    Frame.FLOAT: frozenset({Kind.BOOLEAN, Kind.INTEGER_TEXT, Kind.DECIMAL_TEXT}) | _NUMBERS,
    Frame.TEXT: frozenset({Kind.BOOLEAN}) | _NUMBERS | _TEXTS,
    Frame.TIME: frozenset({Kind.TIME_TEXT, Kind.INTEGER, Kind.WHOLE}),
    Frame.LIST: frozenset({Kind.LIST}),
    Frame.OBJECT: frozenset({Kind.OBJECT}),
}
_KEEPS: Mapping[Frame, frozenset[Kind]] = {
    **_TAKES,
    Frame.BOOLEAN: frozenset({Kind.BOOLEAN}),
    Frame.INTEGER: frozenset({Kind.INTEGER, Kind.WHOLE}),
    Frame.FLOAT: _NUMBERS,
    Frame.TEXT: _TEXTS,
    Frame.TIME: frozenset({Kind.TIME_TEXT}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How often a kind was seen in a column, and where first."""

    count: int
    first: Place


Kinds = Mapping[Kind, Sight]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The columns of a file's head or of the rest of it. `dropped`: values of columns beyond the most that are kept."""

    records: int = 0
    columns: Mapping[Path, Kinds] = field(default_factory=dict)
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The columns of files, by the file's uri and whether it is the head of it."""

    parts: Mapping[tuple[str, bool], Part] = field(default_factory=dict)


def look(records: Iterable[Record]) -> Columns:
    """Return the columns of records."""
    tallies: dict[tuple[str, bool], _Tally] = {}
    for record in records:
        # The loader reads 10 MiB and then the line that it is in, or one line more where it is in none.
        key = record.file.uri, record.offset <= HEAD_BYTES
        if key not in tallies:
            tallies[key] = _Tally()
        tallies[key].add(record)
    return Columns(parts={key: tally.part() for key, tally in tallies.items()})


def merge(parts: Iterable[Columns]) -> Columns:
    """Return the columns of all parts; a record may have been seen in one of them only."""
    whole: dict[tuple[str, bool], Part] = {}
    for each in parts:
        for key, part in each.parts.items():
            whole[key] = _both(whole[key], part) if key in whole else part
    return Columns(parts=whole)


class _Tally:
    """The columns of one part while they are being counted."""

    def __init__(self) -> None:
        self.records = 0
        self.dropped = 0
        self.counts: dict[Path, dict[Kind, int]] = {}
        self.firsts: dict[tuple[Path, Kind], Record] = {}

    def add(self, record: Record) -> None:
        self.records += 1
        for key, value in record.values.items():
            self._value(record, (_step(key),), value, _DEEPEST)

    def _value(self, record: Record, path: Path, value: object, depth: int) -> None:
        if not self._count(record, path, kind_of(value), 1) or not depth:
            return
        if isinstance(value, dict):
            for key, entry in value.items():
                self._value(record, (*path, _step(key)), entry, depth - 1)
        elif isinstance(value, list):
            item = (*path, _ITEM)
            # Of what was tokenised there are thousands a record.
            if set(map(type, value)) == {int} and min(value) in _INT64 and max(value) in _INT64:
                self._count(record, item, Kind.INTEGER, len(value))
                return
            for entry in value:
                self._value(record, item, entry, depth - 1)

    def _count(self, record: Record, path: Path, kind: Kind, values: int) -> bool:
        """Count values of a kind, and return whether their column is one of those that are kept."""
        kinds = self.counts.get(path)
        if kinds is None:
            if len(self.counts) >= MOST_COLUMNS:
                self.dropped += values
                return False
            kinds = self.counts[path] = {}
        if kind in kinds:
            kinds[kind] += values
        else:
            kinds[kind] = values
            self.firsts[path, kind] = record
        return True

    def part(self) -> Part:
        columns = {
            path: {kind: Sight(count=count, first=self.firsts[path, kind].place) for kind, count in kinds.items()}
            for path, kinds in self.counts.items()
        }
        return Part(records=self.records, columns=columns, dropped=self.dropped)


def _step(key: str) -> str:
    return f"{_ITEM}\0" if key == _ITEM else key


def kind_of(value: object) -> Kind:
    """Return the kind of a JSON value."""
    of = type(value)
    if of is str:
        return _kind_of_text(value)  # type: ignore[arg-type]  # it is one
    if value is None:
        return Kind.NULL
    if of is bool:
        return Kind.BOOLEAN
    if of is int:
        return Kind.INTEGER if value in _INT64 else Kind.FLOAT
    if of is float:
        return Kind.WHOLE if value.is_integer() else Kind.FLOAT  # type: ignore[attr-defined]
    return Kind.LIST if of is list else Kind.OBJECT


def _kind_of_text(text: str) -> Kind:
    if len(text) > _LONGEST_NUMBER or text[:1] not in _FIRST_OF_OTHERS:
        return Kind.TEXT
    if text in {"true", "false"}:
        return Kind.BOOLEAN_TEXT
    if _INTEGER_TEXT.fullmatch(text):
        return Kind.INTEGER_TEXT
    if _DECIMAL_TEXT.fullmatch(text):
        return Kind.DECIMAL_TEXT
    return Kind.TIME_TEXT if _TIME_TEXT.fullmatch(text) else Kind.TEXT


def _both(one: Part, other: Part) -> Part:
    columns: dict[Path, Kinds] = dict(one.columns)
    dropped = one.dropped + other.dropped
    for path, kinds in other.columns.items():
        if path in columns:
            columns[path] = _kinds(columns[path], kinds)
        elif len(columns) < MOST_COLUMNS:
            columns[path] = kinds
        else:
            dropped += sum(sight.count for sight in kinds.values())
    return Part(records=one.records + other.records, columns=columns, dropped=dropped)


def _kinds(one: Kinds, other: Kinds) -> Kinds:
    both = dict(one)
    for kind, sight in other.items():
        had = both.get(kind)
        both[kind] = Sight(count=had.count + sight.count, first=min(had.first, sight.first)) if had else sight
    return both


class What(StrEnum):
    """In what a column differs from the one that the first file fixes. Declared worst first."""

    UNSEEN = "unseen"
    HEAD_UNSEEN = "head-unseen"
    EXTRA = "extra"
    NULL_FIRST = "null-first"
    CAST = "cast"
    QUOTED = "quoted"
    CONVERTED = "converted"
    MIXED = "mixed"
    MISSING = "missing"
    MANY = "many"

    @property
    def gravity(self) -> Gravity:
        """How much it matters: what `datasets` refuses to load is wrong."""
        if self in {What.UNSEEN, What.HEAD_UNSEEN}:
            return Gravity.UNKNOWN
        return Gravity.WRONG if self in {What.EXTRA, What.NULL_FIRST, What.CAST} else Gravity.DOUBTFUL


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A column that differs. `frame` is what the first file makes of it; `kinds` what there is; `files` how many."""

    what: What
    column: str = ""
    frame: Frame = Frame.NULL
    kinds: tuple[Kind, ...] = ()
    place: Place | None = None
    uri: str
    files: int = 1


def frames_of(part: Part) -> dict[Path, Frame]:
    """Return the type that each column gets of the part of a file that is read first."""
    objects = {path: kinds[Kind.OBJECT].count for path, kinds in part.columns.items() if Kind.OBJECT in kinds}
    children: dict[Path, list[Path]] = {}
    for path in part.columns:
        children.setdefault(path[:-1], []).append(path)
    frames = {}
    for path, kinds in part.columns.items():
        frame = _frame(frozenset(kinds) - {Kind.NULL})
        if frame is Frame.OBJECT:
            counts = [sum(sight.count for sight in part.columns[child].values()) for child in children.get(path, ())]
            # Objects whose keys are not always the same are kept as JSON, and so is one without keys.
            if not counts or any(count < objects[path] for count in counts):
                frame = Frame.ANY
        frames[path] = frame
    return frames


def _frame(kinds: frozenset[Kind]) -> Frame:
    if not kinds:
        return Frame.NULL
    if kinds == {Kind.TIME_TEXT}:
        return Frame.TIME
    if kinds <= _TEXTS:
        return Frame.TEXT
    if kinds == {Kind.INTEGER}:
        return Frame.INTEGER
    if kinds <= _NUMBERS:
        return Frame.FLOAT
    if len(kinds) > 1:
        return Frame.ANY
    return {Kind.BOOLEAN: Frame.BOOLEAN, Kind.LIST: Frame.LIST, Kind.OBJECT: Frame.OBJECT}[next(iter(kinds))]


def differences(columns: Columns, order: Sequence[DataFile]) -> tuple[Difference, ...]:
    """Return in what files differ from the one that is read first, worst first; `order` is the training's.

    Of that file all of the first 10 MiB must have been looked at, of the others what is to be said something of.
    """
    read = [file.uri for file in order if file.size_bytes]
    parts = {uri: tuple(columns.parts.get((uri, head), Part()) for head in (True, False)) for uri in read}
    found = [Difference(what=What.UNSEEN, uri=uri) for uri in read if not any(part.records for part in parts[uri])]
    if not read or not parts[read[0]][0].records:
        # Of a file of which nothing at all was looked at, that has been said.
        found += [Difference(what=What.HEAD_UNSEEN, uri=uri) for uri in read[:1] if parts[uri][1].records]
        return _gathered(found)
    head, rest = parts[read[0]]
    frames = frames_of(head)
    found += [*_mixed(head, frames, read[0]), *_later(rest, frames, read[0])]
    for uri in read[1:]:
        for part in parts[uri]:
            found += _later(part, frames, uri)
        found += _missing(parts[uri], frames, uri)
    for uri in read:
        if dropped := sum(part.dropped for part in parts[uri]):
            found.append(Difference(what=What.MANY, column=f"{dropped:,}", uri=uri))
    return _gathered(found)


def _mixed(part: Part, frames: Mapping[Path, Frame], uri: str) -> Iterator[Difference]:
    for path, kinds in part.columns.items():
        shown = tuple(sorted(set(kinds) - {Kind.NULL}))
        if frames[path] is Frame.ANY and len(shown) > 1:
            last = max((kinds[kind].first for kind in shown), key=lambda place: place.offset)
            yield Difference(what=What.MIXED, column=_name(path), kinds=shown, place=last, uri=uri)


def _later(part: Part, frames: Mapping[Path, Frame], uri: str) -> Iterator[Difference]:
    settled: set[Path] = set()  # what lies below these is judged with them
    for path in sorted(part.columns, key=len):
        # A list that was always empty has items of null.
        frame = frames.get(path, Frame.NULL if path[-1] == _ITEM else None)
        if path[:-1] in settled or frame is Frame.ANY:
            settled.add(path)
            continue
        kinds = {kind: sight.first for kind, sight in part.columns[path].items()}
        for what, places in _casts(frame, kinds, outermost=len(path) == 1):
            settled.add(path)
            yield Difference(
                what=what,
                column=_name(path),
                frame=frame or Frame.NULL,
                kinds=tuple(sorted(places)),
                place=min(places.values()),
                uri=uri,
            )


def _casts(
    frame: Frame | None, kinds: Mapping[Kind, Place], *, outermost: bool
) -> Iterator[tuple[What, Mapping[Kind, Place]]]:
    """Return what goes wrong when kinds are cast to the type of a column, None where there is no such column."""
    if frame is None:
        yield What.EXTRA, kinds
        return
    held: dict[Kind, Place] = {kind: place for kind, place in kinds.items() if kind is not Kind.NULL}
    takes = _TAKES[frame]
    # Where 10 MiB mix types, all of it becomes JSON text before it is cast: a list then is text too.
    if frame is Frame.TEXT and len(held) > 1:
        takes |= {Kind.LIST, Kind.OBJECT}
    elif frame is Frame.TEXT and outermost:
        takes |= {Kind.OBJECT}
    wrong: dict[Kind, Place] = {kind: place for kind, place in held.items() if kind not in takes}
    changed: dict[Kind, Place] = {kind: place for kind, place in held.items() if kind not in _KEEPS[frame]}
    if wrong:
        yield What.NULL_FIRST if frame is Frame.NULL else What.CAST, wrong
    elif changed:
        yield What.QUOTED if frame is Frame.TEXT and len(held) > len(changed) else What.CONVERTED, changed


def _missing(parts: Iterable[Part], frames: Mapping[Path, Frame], uri: str) -> Iterator[Difference]:
    had = {path for part in parts for path in part.columns}
    if not had or any(part.dropped for part in parts):
        return
    for path in frames:
        if len(path) == 1 and path not in had:
            yield Difference(what=What.MISSING, column=_name(path), uri=uri)


def _gathered(found: Iterable[Difference]) -> tuple[Difference, ...]:
    """Return each difference once, with the first file that has it and how many do."""
    firsts: dict[tuple[What, str], Difference] = {}
    files: dict[tuple[What, str], set[str]] = {}
    for each in found:
        key = each.what, "" if each.what is What.MANY else each.column
        firsts.setdefault(key, each)
        files.setdefault(key, set()).add(each.uri)
    order = list(What)
    gathered = [
        Difference(
            what=one.what,
            column=one.column,
            frame=one.frame,
            kinds=one.kinds,
            place=one.place,
            uri=one.uri,
            files=len(files[key]),
        )
        for key, one in firsts.items()
    ]
    return tuple(sorted(gathered, key=lambda one: order.index(one.what)))


def _name(path: Path) -> str:
    name = ""
    for step in path:
        if step == _ITEM:
            name += _ITEM
        else:
            key = masked(step.removesuffix("\0"))
            shown = key if len(key) <= _LONGEST_NUMBER else f"{key[:_LONGEST_NUMBER]}..."
            plain = shown if shown.isprintable() else ascii(shown)[1:-1]
            name += f".{plain}" if name else plain
    return name


def findings(
    columns: Columns, order: Sequence[DataFile], lines_before: Mapping[tuple[str, int], int] | None = None
) -> tuple[Finding, ...]:
    """Return what a user reads of the columns of files, in the order that training reads them; worst first."""
    found = differences(columns, order)
    first = next((file.uri for file in order if file.size_bytes), "")
    said = [Finding(gravity=one.what.gravity, sentence=_sentence(one, first, lines_before)) for one in found[:_SHOWN]]
    if more := found[_SHOWN:]:
        said.append(Finding(gravity=more[0].what.gravity, sentence=f"{len(more):,} more columns differ"))
    return tuple(said)


_REFUSES = "datasets refuses to load the files in this order"
_SENTENCES: Mapping[What, str] = {
    What.UNSEEN: "{at}: no record of it was looked at: nothing is known of its columns",
    What.HEAD_UNSEEN: "{at}: its first 10 MiB were not looked at, which fix the types: "
    "nothing is known of whether the files load",
    What.EXTRA: f"{{at}}: column {{column}} is not in {{first}}, which is read first: {_REFUSES}",
    What.NULL_FIRST: "{at}: column {column} holds {kinds}, and only null in the first 10 MiB of {first}, "
    f"which is read first: {_REFUSES}",
    What.CAST: "{at}: column {column} holds {kinds}, and {frame} in {first}, which is read first: " + _REFUSES,
    What.QUOTED: "{at}: column {column} holds {kinds} among strings, and datasets silently makes all of them in the "
    "same 10 MiB JSON text, strings with their quotation marks",
    What.CONVERTED: "{at}: column {column} holds {kinds}, and datasets silently makes it {frame}, as in {first}, "
    "which is read first",
    What.MIXED: "{at}: column {column} mixes {kinds}: datasets keeps it as JSON text",
    What.MISSING: "{at}: column {column} of {first} is missing: the files load only because {first} is read first",
    What.MANY: f"{{at}}: more than {MOST_COLUMNS:,} columns; {{column}} values in others were not looked at: "
    "are keys data?",
}


def _sentence(one: Difference, first: str, lines_before: Mapping[tuple[str, int], int] | None) -> str:
    at = one.place.named(lines_before) if one.place else one.uri
    kinds = " and ".join(one.kinds)
    said = _SENTENCES[one.what].format(at=at, column=one.column, kinds=kinds, frame=one.frame, first=first)
    return said if one.files == 1 else f"{said} (and in {one.files - 1:,} more files)"
