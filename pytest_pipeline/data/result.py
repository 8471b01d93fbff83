"""What came of reading: of one span, and of files as a whole."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - results are stored by what their annotations say
from dataclasses import dataclass, field

from pytest_pipeline.data.defect import Defect, Reason  # noqa: TC001 - likewise
from pytest_pipeline.data.spans import DataFile, Span  # noqa: TC001 - likewise

DEFECTS_KEPT = 20
"""Of each reason in each span; counts are always exact."""

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one span: the same whoever read it and how often, so that retries are harmless.

    `lines` counts all lines that start in the span, `records` those that are not blank, `valid` the records that are
    right in form and content, and `fields` the others that are right in form, by the first field that is wrong. The
    lines of `defects` count from the span's first line, which is 1. `digests` holds `DIGEST_BYTES` a valid record, in
    order, where the spec asked for them.
    """

    span: Span
    lines: int
    records: int
    valid: int
    read_bytes: int
    reasons: Mapping[Reason, int] = field(default_factory=dict)
    fields: Mapping[str, int] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()
    digests: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileResult:
    """What came of a whole file, or of the spans of it that were read (`whole` is false then)."""

    file: DataFile
    whole: bool
    lines: int
    records: int
    valid: int
    read_bytes: int
    reasons: Mapping[Reason, int] = field(default_factory=dict)
    fields: Mapping[str, int] = field(default_factory=dict)
    defects: tuple[Defect, ...] = ()  # lines count from the file's first, 1; without a whole file they are 0
