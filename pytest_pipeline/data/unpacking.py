"""Streams of gzip (RFC 1952) and zstd (RFC 8878), unpacked piece by piece: a bomb takes time, and no memory."""

from __future__ import annotations

import importlib
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from pytest_pipeline.data.missing_library import MissingLibraryError
from pytest_pipeline.data.spans import Compression

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.data.opening import Readable

_PIECE_BYTES = 128 * 1024


class BrokenStreamError(Exception):
    """A packed file ends too early, or cannot be unpacked from here on.

    What was unpacked before is handed out, except of the last 128 KiB where these are damaged, and not only cut.
    """


class _Unpacker(Protocol):
    """One member of a gzip file, or one frame of a zstd file."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def unpacked(source: Readable, compression: Compression) -> Readable:
    """Return the unpacked bytes of a whole file. Reading raises BrokenStreamError; this raises MissingLibraryError."""
    if not compression:
        return source
    make, errors = _gzip() if compression is Compression.GZIP else _zstd()
    return _Unpacked(source, make, errors, padding=compression is Compression.GZIP)


def _gzip() -> tuple[Callable[[], _Unpacker], tuple[type[Exception], ...]]:
    """Return the same in three times the speed where isal is installed."""
    try:
        isal = importlib.import_module("isal.isal_zlib")
    except ImportError:
        return lambda: _Zlib(zlib.decompressobj(wbits=31)), (zlib.error,)
    return lambda: _Zlib(isal.decompressobj(wbits=31)), (zlib.error, isal.error)


def _zstd() -> tuple[Callable[[], _Unpacker], tuple[type[Exception], ...]]:
    for name in ("compression.zstd", "backports.zstd"):  # a part of Python since 3.14
        try:
            zstd = importlib.import_module(name)
        except ImportError:
            continue
        return zstd.ZstdDecompressor, (zstd.ZstdError, EOFError)
    raise MissingLibraryError("backports.zstd", "to read a file that is packed with zstd")


class _Zlib:
    """zlib's own object, with what it has not looked at yet kept inside, as zstd's does."""

    def __init__(self, unpacker: Any) -> None:
        self._unpacker = unpacker

    @property
    def eof(self) -> bool:
        return bool(self._unpacker.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._unpacker.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return bytes(self._unpacker.decompress(self._unpacker.unconsumed_tail + data, max_length))


class _Unpacked:
    def __init__(
        self, source: Readable, make: Callable[[], _Unpacker], errors: tuple[type[Exception], ...], *, padding: bool
    ) -> None:
        self._source = source
        self._make = make
        self._errors = errors
        self._padding = padding
        self._member: _Unpacker | None = None
        self._waiting = b""
        self._piece = bytearray(_PIECE_BYTES)
        self._whole_members = 0

    def readinto(self, view: memoryview) -> int:
        while True:
            if self._member is None and not self._next_member():
                return 0
            member = self._member
            assert member is not None  # noqa: S101  # _next_member has just made it
            data, self._waiting = self._waiting, b""
            try:
                made = member.decompress(data, len(view))
            except self._errors as error:
                raise BrokenStreamError(f"{error}") from None
            if member.eof:
                self._waiting, self._member = member.unused_data, None
                self._whole_members += 1
            if made:
                view[: len(made)] = made
                return len(made)
            if self._member is not None and not self._more():
                raise BrokenStreamError("the file ends before its packed content does")

    def close(self) -> None:
        self._source.close()

    def _next_member(self) -> bool:
        """Return whether there is one more; zeros behind the last are padding (gzip 1.14, "Advanced usage")."""
        while True:
            if self._padding and self._whole_members:
                self._waiting = self._waiting.lstrip(b"\0")
            if self._waiting:
                self._member = self._make()
                return True
            if not self._more():
                return False

    def _more(self) -> bool:
        """Read the next piece, always of the same size: where a damaged stream breaks must not depend on the source."""
        have = 0
        with memoryview(self._piece) as view:
            while have < len(view) and (got := self._source.readinto(view[have:])):
                have += got
            self._waiting += bytes(view[:have])
        return have > 0
