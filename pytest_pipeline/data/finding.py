"""What was found out about data beyond the form of its records, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Gravity(StrEnum):
    """How much a finding matters. What a row makes of it is the row's business."""

    UNKNOWN = "unknown"  # it could not be looked at
    CRITICAL = "critical"  # nothing good can come of training on this
    WRONG = "wrong"  # it will fail, or must not be
    DOUBTFUL = "doubtful"  # training goes on, and somebody should look
    NOTE = "note"  # worth saying, and in order


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding, in the sentence that a user reads."""

    gravity: Gravity
    sentence: str
