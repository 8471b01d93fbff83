"""The way from S3 to a tenant's host: it carries so many bytes a second, whoever sends over it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 16 * 1024


class Link:
    """A way with a rate that all share who send over it."""

    def __init__(self, bytes_s: float) -> None:
        self._bytes_s = bytes_s
        self._free_at = 0.0
        self._lock = threading.Lock()

    def carry(self, body: bytes, gone: threading.Event) -> Iterator[bytes]:
        """Yield a body as it comes through; no more of it once `gone` is set."""
        for first in range(0, len(body), _CHUNK_BYTES):
            chunk = body[first : first + _CHUNK_BYTES]
            if gone.wait(self._turn_s(len(chunk))):
                return
            yield chunk

    def _turn_s(self, size_bytes: int) -> float:
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size_bytes / self._bytes_s
            return self._free_at - now
