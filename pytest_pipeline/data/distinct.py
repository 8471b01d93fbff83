"""How many records are distinct, which occur again, and which are in both of two sets, told from their digests.

Exact for any number of records in bounded memory: beyond a bound the digests lie in a scratch folder, cut into parts by
their first byte, and each part is counted on its own. Equal digests count as equal records: by chance two of 10^9
records share 16 bytes once in 10^20 times.
"""

from __future__ import annotations

import heapq
import struct
from collections import Counter
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pytest_pipeline.data.result import DIGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from pytest_pipeline.data.result import Result
    from pytest_pipeline.data.spans import Span

MEMORY_BYTES = 16_000_000
"""Of digests, beyond which they are written down."""

MOST_SHOWN = 10
PLACES_SHOWN = 3

_DISTINCT_AT_ONCE = 150_000  # a set of them takes about 20 MB
_CHUNK_BYTES = 16_384 * DIGEST_BYTES
_DIGEST = struct.Struct(f"{DIGEST_BYTES}s")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPlace:
    """The `record`-th valid record, from 1, of those that start in the span of a file at `start`."""

    uri: str
    start: int
    record: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A record that occurs `count` times, and its first places by file and offset."""

    count: int
    places: tuple[RecordPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """How many records there are, how many distinct ones, how many of those occur again, and the most frequent."""

    records: int
    distinct: int
    repeated: int
    most: tuple[Repeated, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A record of one set that is in the other too: how often it is in the one, and its first places in each."""

    count: int
    places: tuple[RecordPlace, ...]
    elsewhere: tuple[RecordPlace, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How many of the `records` of one set are in the other too, and the most frequent of them."""

    records: int
    shared: int
    most: tuple[Shared, ...]


class Digests:
    """The digests of results, added in any order; a context manager that leaves nothing in the scratch folder."""

    def __init__(self, scratch: Path, memory_bytes: int = MEMORY_BYTES) -> None:
        self._folder = TemporaryDirectory(dir=scratch, prefix="digests-")
        self._memory_bytes = memory_bytes
        self._parts = _Parts(Path(self._folder.name), byte=0)
        self._kept: dict[Span, bytes] = {}
        self._written: dict[Span, tuple[int, int]] = {}  # (start, end) in the file
        self._written_bytes = 0
        self.records = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()

    def add(self, result: Result) -> None:
        """Add the digests of a span; those of one that was added before are the same, and change nothing.

        Raises ValueError where there is not one for each valid record: then nobody asked for them.
        """
        if len(result.digests) != result.valid * DIGEST_BYTES:
            raise ValueError(
                f"{result.span.file.uri} at {result.span.start}: {len(result.digests)} bytes of digests"
                f" for {result.valid} valid records; the spec must ask for digests"
            )
        if result.span in self._kept or result.span in self._written:
            return
        self.records += result.valid
        self._kept[result.span] = result.digests
        self._parts.add(result.digests)
        if self._parts.kept_bytes > self._memory_bytes // 2:  # they are kept twice: by place, and by value
            self._write()

    def repeats(self) -> Repeats:
        """Count the distinct records, and those that occur more than once."""
        distinct = repeated = 0
        most: list[tuple[int, bytes]] = []
        for values, (part,) in _walk((self._parts.part(number),) for number in range(256)):
            distinct += len(values)
            if len(values) < part.records:
                counts = [(-1 - count, digest) for digest, count in Counter(_again(part, values)).items()]
                repeated += len(counts)
                most = heapq.nsmallest(MOST_SHOWN, [*most, *counts])
        places = self.places([digest for _, digest in most])
        return Repeats(
            records=self.records,
            distinct=distinct,
            repeated=repeated,
            most=tuple(Repeated(count=-count, places=places[digest]) for count, digest in most),
        )

    def places(self, digests: Iterable[bytes]) -> dict[bytes, tuple[RecordPlace, ...]]:
        """Return the first places of records, by file and offset, `PLACES_SHOWN` at most."""
        found: dict[bytes, list[RecordPlace]] = {digest: [] for digest in digests}
        wanted = set(found)
        for span in sorted({**self._kept, **self._written}, key=lambda span: (span.file.uri, span.start)):
            if not wanted:
                break
            for record, (digest,) in enumerate(_DIGEST.iter_unpack(self._of(span)), 1):
                if digest in wanted:
                    found[digest].append(RecordPlace(uri=span.file.uri, start=span.start, record=record))
                    if len(found[digest]) == PLACES_SHOWN:
                        wanted.discard(digest)
        return {digest: tuple(places) for digest, places in found.items()}

    def parts(self, number: int) -> _Part:
        """Return the digests whose first byte is the number."""
        return self._parts.part(number)

    def _of(self, span: Span) -> bytes:
        if span in self._kept:
            return self._kept[span]
        start, end = self._written[span]
        with self._by_place.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    @property
    def _by_place(self) -> Path:
        return Path(self._folder.name) / "by-place"

    def _write(self) -> None:
        self._parts.write()
        with self._by_place.open("ab") as file:
            for span, digests in self._kept.items():
                file.write(digests)
                self._written[span] = (self._written_bytes, self._written_bytes + len(digests))
                self._written_bytes += len(digests)
        self._kept.clear()


def overlap(validation: Digests, train: Digests) -> Overlap:
    """Count the records of one set that are in the other too: a model was trained on what it is judged by."""
    shared = 0
    most: list[tuple[int, bytes]] = []
    for values, (_, part) in _walk((train.parts(number), validation.parts(number)) for number in range(256)):
        counts = Counter(filter(values.__contains__, part.digests()))
        shared += counts.total()
        most = heapq.nsmallest(MOST_SHOWN, [*most, *((-count, digest) for digest, count in counts.items())])
    digests = [digest for _, digest in most]
    places, elsewhere = validation.places(digests), train.places(digests)
    return Overlap(
        records=validation.records,
        shared=shared,
        most=tuple(Shared(count=-count, places=places[digest], elsewhere=elsewhere[digest]) for count, digest in most),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Digests with the same first bytes: some in a file, where there is one, and some in memory."""

    path: Path
    kept: bytes | bytearray
    byte: int  # the one that they were told apart by

    @property
    def records(self) -> int:
        written_bytes = self.path.stat().st_size if self.path.exists() else 0
        return (written_bytes + len(self.kept)) // DIGEST_BYTES

    def chunks(self) -> Iterator[bytes]:
        if self.path.exists():
            with self.path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        for start in range(0, len(self.kept), _CHUNK_BYTES):
            yield bytes(self.kept[start : start + _CHUNK_BYTES])

    def digests(self) -> Iterator[bytes]:
        return chain.from_iterable(map(_digests, self.chunks()))


class _Parts:
    """Digests told apart by one of their bytes."""

    def __init__(self, folder: Path, byte: int) -> None:
        self._folder = folder
        self._byte = byte
        self._kept = [bytearray() for _ in range(256)]
        self.kept_bytes = 0

    def add(self, digests: bytes) -> None:
        kept, byte = self._kept, self._byte
        for (digest,) in _DIGEST.iter_unpack(digests):  # the one loop over all records: 0.1 us each
            kept[digest[byte]] += digest
        self.kept_bytes += len(digests)

    def write(self) -> None:
        for number, kept in enumerate(self._kept):
            if kept:
                with self.part(number).path.open("ab") as file:
                    file.write(kept)
        self._kept = [bytearray() for _ in range(256)]
        self.kept_bytes = 0

    def part(self, number: int) -> _Part:
        return _Part(path=self._folder / f"{number:02x}", kept=self._kept[number], byte=self._byte)


def _walk(parts: Iterable[tuple[_Part, ...]]) -> Iterator[tuple[set[bytes], tuple[_Part, ...]]]:
    """Hand out the distinct digests of the first of each parts, cut finer where they are too many for the memory."""
    for alike in parts:
        values = _distinct(alike[0])
        if values is not None:
            yield values, alike
            continue
        with TemporaryDirectory(dir=alike[0].path.parent) as folder:
            finer = [_finer(part, Path(folder) / str(number)) for number, part in enumerate(alike)]
            yield from _walk(tuple(parts.part(number) for parts in finer) for number in range(256))


def _distinct(part: _Part) -> set[bytes] | None:
    """The distinct digests of a part, or None where they are too many."""
    values: set[bytes] = set()
    for chunk in part.chunks():
        values.update(_digests(chunk))
        if len(values) > _DISTINCT_AT_ONCE:
            return None
    return values


def _again(part: _Part, values: set[bytes]) -> Iterator[bytes]:
    """The digests of a part but for the first time that each of its values is met; this empties the values."""
    for digest in part.digests():
        if digest in values:
            values.remove(digest)
        else:
            yield digest


def _finer(part: _Part, folder: Path) -> _Parts:
    folder.mkdir()
    finer = _Parts(folder, byte=part.byte + 1)
    for chunk in part.chunks():
        finer.add(chunk)
        if finer.kept_bytes > MEMORY_BYTES // 4:
            finer.write()
    finer.write()
    return finer


def _digests(chunk: bytes) -> tuple[bytes, ...]:
    return struct.unpack(f"{DIGEST_BYTES}s" * (len(chunk) // DIGEST_BYTES), chunk)
