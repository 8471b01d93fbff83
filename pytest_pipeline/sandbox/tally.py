"""How often an injected fault was felt: a fault that nobody met proves nothing."""

from __future__ import annotations

import threading


class Tally:
    """A counter that many threads may hit."""

    __slots__ = ("_hits", "_lock")

    def __init__(self) -> None:
        self._hits = 0
        self._lock = threading.Lock()

    def hit(self) -> None:
        """Count one more time."""
        with self._lock:
            self._hits += 1

    @property
    def hits(self) -> int:
        """How often it was hit."""
        return self._hits
