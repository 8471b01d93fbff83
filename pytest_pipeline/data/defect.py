"""What can be wrong with a line, and how it reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a line is no valid record, or should be looked at although it is one."""

    # Form
    TRUNCATED = "truncated"
    MALFORMED = "malformed"
    BAD_UTF8 = "bad-utf8"
    BOM = "bom"
    UTF16 = "utf-16"
    CONCATENATED = "concatenated"  # two records on one line
    LITERAL_NEWLINE = "literal-newline"  # `\\n` spelt out between two records
    TRAILING_GARBAGE = "trailing-garbage"
    TRAILING_COMMA = "trailing-comma"
    SINGLE_QUOTES = "single-quotes"  # Python's repr
    CONTROL_CHARACTER = "control-character"
    ARRAY = "array"  # the file is one JSON array
    PRETTY_PRINTED = "pretty-printed"  # a record over several lines
    NAN = "nan"  # NaN or Infinity, which JSON does not have
    DUPLICATE_KEY = "duplicate-key"
    LONE_SURROGATE = "lone-surrogate"
    TOO_LONG = "too-long"
    TOO_DEEP = "too-deep"
    NOT_OBJECT = "not-object"
    BROKEN_STREAM = "broken-stream"  # a packed file that cannot be unpacked to its end
    # Content
    MISSING = "missing"
    NULL = "null"
    EMPTY = "empty"
    WHITESPACE = "whitespace"
    WRONG_TYPE = "wrong-type"
    # Notes: the record is valid, or there is none
    CRLF = "crlf"
    BLANK = "blank"

    @property
    def is_content(self) -> bool:
        """Whether the record is right in form and a required field is not."""
        return self in _CONTENT

    @property
    def is_note(self) -> bool:
        """Whether nothing is wrong with a record."""
        return self in _NOTES


_CONTENT = frozenset({Reason.MISSING, Reason.NULL, Reason.EMPTY, Reason.WHITESPACE, Reason.WRONG_TYPE})
_NOTES = frozenset({Reason.CRLF, Reason.BLANK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One finding: where, why, and a short excerpt in which secrets are masked.

    `offset` is of the line's first byte, in the unpacked stream; `field` the required field it is about, if any.
    """

    line: int
    offset: int
    reason: Reason
    detail: str = ""
    field: str = ""
    excerpt: str = ""
