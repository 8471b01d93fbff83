"""A lock in the run's folder, between the processes and threads of one run."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextlib.contextmanager
def run_lock(file: Path) -> Generator[bool]:
    """Try to take a lock, and say whether it was to be had. It is never waited for, and never inherited."""
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
            fcntl.flock(lock, fcntl.LOCK_UN)  # a row may leave a forked child, which has a copy of the descriptor
    finally:
        os.close(lock)
