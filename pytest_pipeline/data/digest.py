"""What tells records apart by their required fields: XXH3 with 128 bits, the same on every machine.

It is no defence against who wants two records to look alike; all that would win him is a false alarm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.data.missing_library import MissingLibraryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

try:
    from xxhash import xxh3_128_digest as _hash
except ImportError:
    _hash = None  # type: ignore[assignment]


def digests(fields: Sequence[Iterable[bytes]]) -> bytes:
    """Return 16 bytes a record, in order. `fields` holds, for each required field, its value in each record.

    Each value is digested by itself, and then the digests together, so that what ends one value begins no other. Raises
    MissingLibraryError.
    """
    if _hash is None:
        raise MissingLibraryError("xxhash", "to tell records apart")
    each = [[*map(_hash, values)] for values in fields]
    if len(each) == 1:
        return b"".join(each[0])
    return b"".join(map(_hash, map(b"".join, zip(*each, strict=True))))
