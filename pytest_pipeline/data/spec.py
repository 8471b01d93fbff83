"""What a record must be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_LINE_BYTES = 8 * 1024 * 1024
"""A line is held in memory, its text at up to four bytes a character: this is what keeps a process below 100 MB."""


class Kind(StrEnum):
    """What a required field must hold."""

    TEXT = "text"  # a string that is not blank
    STRING = "string"  # a string, blank or not
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"  # with one entry at least
    OBJECT = "object"  # with one key at least
    MESSAGES = (
        "messages"  # a list of one or more objects with a `role` and a `content`, each a string that is not blank
    )
    ANY = "any"  # not null


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A required field."""

    name: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordSpec:
    """What a record must be. `digests`: whether a digest of each valid record's required fields is taken."""

    fields: tuple[Field, ...] = ()
    max_line_bytes: int = MAX_LINE_BYTES
    digests: bool = False

    def __post_init__(self) -> None:
        """Refuse digests of nothing, by which all records would be equal. Raises ValueError."""
        if self.digests and not self.fields:
            raise ValueError("digests are of required fields, and none is named")
