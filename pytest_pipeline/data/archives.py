"""The names of the files in zip and tar archives, without unpacking or fetching more than is needed for them.

A zip's names are in its central directory (PKWARE APPNOTE 6.3.10, 4.3.12 to 4.3.16), read from its end; a tar's stand
before each file (POSIX.1-2017, pax, "ustar Interchange Format"). Nothing is extracted, and no name becomes a path.
Whoever made an archive may mean harm: what it says of lengths is held to a budget.
"""

from __future__ import annotations

import re
import struct
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_pipeline.data.opening import whole
from pytest_pipeline.data.shape import compression_of
from pytest_pipeline.data.spans import Compression
from pytest_pipeline.data.unpacking import unpacked

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pytest_pipeline.data.opening import Opener, Readable
    from pytest_pipeline.data.spans import DataFile

_ZIPS = (".zip",)
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.zst")
_NOT_LOOKED_INTO = (".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".7z", ".rar")

ARCHIVES = (*_ZIPS, *_TARS, *_NOT_LOOKED_INTO)
"""How the names of archives end. Those that are not looked into are told of: their files are not nothing."""

BUDGET_BYTES = 1_000_000_000
"""How much of one archive is read, unpacked."""

_PIECE_BYTES = 64 * 1024
_REOPEN_BYTES = 1024 * 1024  # a gap that is worth a request of its own

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64_BYTES = 20
_ENTRY = struct.Struct("<4s4B4HL2L5H2L")
_COMMENT_BYTES = 65_535

_BLOCK_BYTES = 512
_LONGEST_NAME_BYTES = 1024 * 1024
_FILES = (b"\0", b"0", b"7", b"S")
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")
_TELLING = (b"L", b"x")
_BESIDE = (b"K", b"g")  # they stand between what is told of a file and the file
_WHOLE = re.compile(rb"\d{1,20}")


class BrokenArchiveError(Exception):
    """An archive is cut off, none at all, or of a kind that is not looked into."""


class BudgetSpentError(Exception):
    """An archive is so large that its end was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in an archive, and its size unpacked as the archive says it."""

    name: str
    size_bytes: int


def is_archive(name: str) -> bool:
    """Whether a file's name says so, in any case."""
    return name.lower().endswith(ARCHIVES)


def members(file: DataFile, opener: Opener, budget_bytes: int = BUDGET_BYTES) -> Generator[Member, None, None]:
    """Hand out the files of an archive in their order, folders and links left out.

    Raises BrokenArchiveError, BudgetSpentError, BrokenStreamError, MissingLibraryError and what the opener raises, each
    after the files that could be seen.
    """
    if file.uri.lower().endswith(_NOT_LOOKED_INTO):
        raise BrokenArchiveError("archives of its kind are not looked into")
    ahead = _Ahead(file, opener, budget_bytes)
    with closing(ahead):
        yield from _of_zip(ahead, file.size_bytes) if file.uri.lower().endswith(_ZIPS) else _of_tar(ahead)


class _Ahead:
    """The bytes of a file, forwards and by jumps, up to a budget; unpacked where it is packed."""

    def __init__(self, file: DataFile, opener: Opener, budget_bytes: int) -> None:
        self._file = file
        self._opener = opener
        self._left_bytes = budget_bytes
        self._at = 0
        self._packed = False
        self._source: Readable | None = None

    def unpack(self) -> None:
        """Read what is packed as what it holds."""
        compression = compression_of(self.read(4))
        self._packed = compression is not Compression.NONE
        self.close()
        self._at = 0
        if self._packed:
            self._source = unpacked(whole(self._opener.open(self._file, 0), self._file.size_bytes), compression)

    def read(self, size_bytes: int) -> bytes:
        """Return the next bytes, fewer at the end."""
        self._left_bytes -= size_bytes
        if self._left_bytes < 0:
            raise BudgetSpentError("it is too large to be looked at to its end")
        if self._source is None:
            if self._at >= self._file.size_bytes:
                return b""
            source = self._opener.open(self._file, self._at)
            self._source = whole(source, self._file.size_bytes - self._at)
        room = memoryview(bytearray(size_bytes))
        filled = 0
        while filled < size_bytes and (got := self._source.readinto(room[filled:])):
            filled += got
        self._at += filled
        return bytes(room[:filled])

    def skip(self, size_bytes: int) -> None:
        """Pass over bytes."""
        if size_bytes >= _REOPEN_BYTES and not self._packed:
            self.jump(self._at + size_bytes)
            return
        while size_bytes > 0:
            passed = len(self.read(min(size_bytes, _PIECE_BYTES)))
            if not passed:
                raise BrokenArchiveError("it is cut off")
            size_bytes -= passed

    def jump(self, place: int) -> None:
        """Go on at a place of the file, which must not be packed."""
        if not 0 <= place <= self._file.size_bytes:
            raise BrokenArchiveError("it is cut off")
        self.close()
        self._at = place

    def close(self) -> None:
        if self._source is not None:
            self._source.close()
            self._source = None


def _of_zip(ahead: _Ahead, size_bytes: int) -> Iterator[Member]:
    start, end, told = _directory(ahead, size_bytes)
    ahead.jump(start)
    seen = 0
    while start < end:
        head = ahead.read(_ENTRY.size)
        if len(head) < _ENTRY.size or not head.startswith(b"PK\1\2"):
            raise BrokenArchiveError(f"its directory is broken after {seen:,} entries")
        fields = _ENTRY.unpack(head)
        flags, unpacked_bytes, name_bytes, beside_bytes = fields[5], fields[11], fields[12], fields[13] + fields[14]
        name = ahead.read(name_bytes)
        ahead.skip(beside_bytes)
        start += _ENTRY.size + name_bytes + beside_bytes
        seen += 1
        if not name.endswith(b"/"):
            yield Member(name=name.decode("utf-8" if flags & 0x800 else "cp437", "replace"), size_bytes=unpacked_bytes)
    if seen & 0xFFFF != told & 0xFFFF:  # old writers count no further
        raise BrokenArchiveError(f"its directory has {seen:,} entries where {told:,} are told of")


def _directory(ahead: _Ahead, size_bytes: int) -> tuple[int, int, int]:
    """Return where a zip's directory begins and ends, and how many entries it is said to have."""
    from_place = max(0, size_bytes - _END.size - _COMMENT_BYTES)
    ahead.jump(from_place)
    tail = ahead.read(size_bytes - from_place)
    found = _end_record(tail)
    *_, told, directory_bytes, _offset, _comment = _END.unpack_from(tail, found)
    end = from_place + found
    if tail[max(0, found - _LOCATOR_64_BYTES) :].startswith(b"PK\6\7"):
        end -= _LOCATOR_64_BYTES + _END_64.size
        ahead.jump(end)
        record = ahead.read(_END_64.size)
        if len(record) < _END_64.size or not record.startswith(b"PK\6\6"):
            raise BrokenArchiveError("its directory's end (zip64) is broken")
        *_, told, directory_bytes, _offset = _END_64.unpack(record)
    if directory_bytes > end:
        raise BrokenArchiveError("its directory is larger than it is itself")
    return end - directory_bytes, end, told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """One block of a tar that says what comes after it; or what stands in for parts of the next one that does."""

    kind: bytes = b""
    name: bytes = b""
    size_bytes: int = -1
    goes_on: bool = False


def _end_record(tail: bytes) -> int:
    """Return where the record at a zip's end begins: one whose comment ends as the file does."""
    places = [
        found.start() for found in re.finditer(re.escape(b"PK\5\6"), tail) if found.start() + _END.size <= len(tail)
    ]
    if not places:
        raise BrokenArchiveError("it has no directory at its end: it is cut off, or no zip")
    whole = [place for place in places if place + _END.size + _END.unpack_from(tail, place)[-1] == len(tail)]
    return whole[0] if whole else places[-1]


def _of_tar(ahead: _Ahead) -> Iterator[Member]:
    ahead.unpack()
    told = _Header()
    while (header := _header(ahead.read(_BLOCK_BYTES))) is not None:
        if header.kind in _TELLING:
            told = _told(ahead, header, told)
            continue
        size_bytes = header.size_bytes if told.size_bytes < 0 else told.size_bytes
        goes_on = header.goes_on
        while goes_on:
            goes_on = bool(ahead.read(_BLOCK_BYTES).ljust(_BLOCK_BYTES, b"\0")[504])
        if header.kind in _FILES:
            yield Member(name=(told.name or header.name).decode("utf-8", "replace"), size_bytes=size_bytes)
        if header.kind not in _WITHOUT_CONTENT:
            ahead.skip(size_bytes + -size_bytes % _BLOCK_BYTES)
        if header.kind not in _BESIDE:
            told = _Header()


def _header(block: bytes) -> _Header | None:
    """Return what a block says; None for the one of zeros, which is the end."""
    if len(block) < _BLOCK_BYTES:
        raise BrokenArchiveError("it is cut off")
    if not any(block):
        return None
    if _number(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise BrokenArchiveError("a header in it is broken, or it is no tar")
    kind = block[156:157]
    return _Header(
        kind=kind, name=_name(block), size_bytes=_number(block[124:136]), goes_on=kind == b"S" and bool(block[482])
    )


def _told(ahead: _Ahead, header: _Header, before: _Header) -> _Header:
    """Return what is told of the next file: its long name (GNU), or its name and size (pax)."""
    if header.size_bytes > _LONGEST_NAME_BYTES:
        raise BrokenArchiveError("a name in it is longer than a megabyte")
    said = ahead.read(header.size_bytes)
    ahead.skip(-header.size_bytes % _BLOCK_BYTES)
    if header.kind == b"L":
        return replace(before, name=said.rstrip(b"\0"))
    pax = _pax(said)
    size = pax.get(b"size", b"")
    return _Header(name=pax.get(b"path", before.name), size_bytes=int(size) if _WHOLE.fullmatch(size) else -1)


def _pax(said: bytes) -> dict[bytes, bytes]:
    """Return the records of a pax header, each `LENGTH KEY=VALUE` and a line break; a value may have more of these."""
    records = {}
    while said:
        length, _, _ = said.partition(b" ")
        end = int(length) if _WHOLE.fullmatch(length) else 0
        if not len(length) < end <= len(said):
            raise BrokenArchiveError("a header in it is broken, or it is no tar")
        key, _, value = said[len(length) + 1 : end - 1].partition(b"=")
        records[key] = value
        said = said[end:]
    return records


def _number(field: bytes) -> int:
    """Return a number of a tar header: octal digits, or binary where the first bit is set (GNU)."""
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise BrokenArchiveError("a header in it is broken, or it is no tar")
    return int(digits or b"0", 8)


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    folder = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return folder + b"/" + name if folder else name
