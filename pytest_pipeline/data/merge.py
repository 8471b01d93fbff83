"""Results of spans put together: in any order, however often each came, and never with one missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_pipeline.data.result import DEFECTS_KEPT, FileResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_pipeline.data.defect import Defect, Reason
    from pytest_pipeline.data.result import Result
    from pytest_pipeline.data.spans import DataFile, Span


class HoleError(Exception):
    """Something that was to be read was not, or was read in two ways: no sum can be trusted."""


def merge(results: Iterable[Result], spans: Iterable[Span]) -> tuple[FileResult, ...]:
    """Return what came of files, in the order of the spans that were to be read.

    Where these cover a file it is `whole`, and its defects have the lines of the file; of a file that was sampled they
    are 0. Raises HoleError where a span has no result, where two results of one differ, and where spans overlap.
    """
    found: dict[Span, Result] = {}
    for result in results:
        if found.setdefault(result.span, result) != result:
            raise HoleError(f"{_named(result.span)} was read twice, and not alike")
    wanted: dict[DataFile, list[Span]] = {}
    for span in dict.fromkeys(spans):
        wanted.setdefault(span.file, []).append(span)
    missing = [span for file in wanted.values() for span in file if span not in found]
    if missing:
        raise HoleError(
            f"{len(missing)} of {sum(map(len, wanted.values()))} spans were not read; the first: {_named(missing[0])}"
        )
    return tuple(_merged(file, [found[span] for span in sorted(of, key=_start)]) for file, of in wanted.items())


def _merged(file: DataFile, results: list[Result]) -> FileResult:
    whole = results[0].span.start == 0 and results[-1].span.end == file.size_bytes
    for one, following in pairwise(results):
        if following.span.start < one.span.end:
            raise HoleError(f"{_named(following.span)} overlaps with the span before")
        whole = whole and following.span.start == one.span.end
    reasons: Counter[Reason] = Counter()
    defects: list[Defect] = []
    lines = 0
    for result in results:
        for defect in result.defects:
            reasons[defect.reason] += 1
            if reasons[defect.reason] <= DEFECTS_KEPT:
                defects.append(replace(defect, line=lines + defect.line if whole else 0))
        lines += result.lines
    return FileResult(
        file=file,
        whole=whole,
        lines=lines,
        records=sum(result.records for result in results),
        valid=sum(result.valid for result in results),
        read_bytes=sum(result.read_bytes for result in results),
        reasons=dict(sum((Counter(result.reasons) for result in results), Counter())),
        fields=dict(sum((Counter(result.fields) for result in results), Counter())),
        defects=tuple(defects),
    )


def _start(span: Span) -> int:
    return span.start


def _named(span: Span) -> str:
    return f"{span.file.uri}, bytes {span.start:,} to {span.end:,}"
