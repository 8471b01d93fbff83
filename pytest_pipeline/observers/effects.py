"""What an observation writes into the world; told before it is written, so that a later run can remove leftovers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A thing made outside this machine. `removed` says whether it is known to be gone again."""

    what: str  # "s3 object", "s3 multipart upload"
    where: str  # "s3://bucket/key"
    removed: bool = False


Journal = Callable[[Effect], None]
"""Notes an effect: called before the write with `removed=False`, and after the removal with `removed=True`."""
