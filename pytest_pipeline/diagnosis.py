"""Filling a row's templates from what it noted. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.matrix import FailureMode
    from pytest_pipeline.outcome import Scalar


_LONGEST = 2000  # characters of a sentence; the evidence has all of it


def printable(text: str) -> str:
    """Return a text fit for one line of a terminal: a host's answer may hold anything, and clears no screen."""
    clipped = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in clipped)


def fill(template: str, noted: Mapping[str, Scalar]) -> str:
    """Fill a template's bare names; a name without a value stays as `{name}`, which the proof counts as a defect."""
    return template.format_map(_Named(noted))


class _Named(dict[str, "Scalar"]):
    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def diagnose(mode: FailureMode, noted: Mapping[str, Scalar], error: BaseException) -> tuple[str, str]:
    """Return the row's own diagnostic and fix.

    A reason that the row gave with its assertion follows the sentence, unless the sentence has a place for it. An error
    that is no judgement (a KeyError, say) does not let the sentence speak: the row broke, and saw nothing.
    """
    reason = reason_of(error)
    named = {"error": reason or type(error).__name__, **noted}
    names_error = "{error}" in mode.diagnostic
    if not names_error and not isinstance(error, (AssertionError, pytest.fail.Exception)):
        return (
            f"{mode.id} broke before it could judge: {type(error).__name__}: {reason}",
            "Mend the row, and run it again",
        )
    sentence = fill(mode.diagnostic, named)
    if reason and not names_error and not _rendered(error):
        sentence = f"{sentence}: {reason}"
    return sentence, fill(mode.fix, named)


def reason_of(error: BaseException) -> str:
    """Return the first line of what an error says."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else ""


def _rendered(error: BaseException) -> bool:
    """Whether the reason is pytest's rendering of a bare assertion, and not written by the row's author."""
    return isinstance(error, AssertionError) and reason_of(error).startswith("assert ")
