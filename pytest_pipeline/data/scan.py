"""Files of records looked at as a whole: all of them, or as many as there is leave and time for."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

from pytest_pipeline.data.executors import here
from pytest_pipeline.data.merge import merge
from pytest_pipeline.data.place import lines_before
from pytest_pipeline.data.running import Unread, run
from pytest_pipeline.data.sampling import bytes_for, choose, estimate
from pytest_pipeline.data.validate import validate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_pipeline.data.distinct import Digests
    from pytest_pipeline.data.executors import OpenPool
    from pytest_pipeline.data.opening import Opener
    from pytest_pipeline.data.result import FileResult, Result
    from pytest_pipeline.data.sampling import Estimate
    from pytest_pipeline.data.spans import DataFile, Span
    from pytest_pipeline.data.spec import RecordSpec


class NoRecordError(Exception):
    """Files were read to their ends, and there is no record in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """How much may be read: so many bytes, so many seconds, and about so many records (None: all)."""

    most_bytes: int
    most_s: float
    records: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What came of files: each of them, the share of invalid records among all, and what it took.

    `lines_before` says how many lines stand before a span, by file and start, where that is known.
    """

    files: tuple[FileResult, ...]
    invalid: Estimate
    lines_before: Mapping[tuple[str, int], int]
    duration_s: float

    @property
    def exact(self) -> bool:
        """Whether every record was looked at."""
        return self.invalid.exact

    @property
    def records(self) -> int:
        """How many records were looked at."""
        return sum(file.records for file in self.files)

    @property
    def valid(self) -> int:
        """How many of them are valid."""
        return sum(file.valid for file in self.files)


def scan(
    files: Sequence[DataFile],
    spec: RecordSpec,
    opener: Opener,
    leave: Leave,
    *,
    digests: Digests | None = None,
    open_pool: OpenPool = here,
) -> Scan:
    """Look at the records of files, and add the digests of valid ones where they are wanted.

    Raises NoRecordError, UnknownShareError where time ran out before enough was seen to tell anything of the rest, and
    what `validate` and the pool raise.
    """
    started = time.monotonic()
    work = partial(validate, spec=spec, opener=opener)
    pilot: dict[Span, Result] = {}
    most_bytes = leave.most_bytes
    if leave.records is not None:
        spans = choose(files, budget_bytes=0, seed=leave.seed).spans
        pilot = {one.span: one for one in _read(run(spans, work, open_pool=open_pool, deadline_s=leave.most_s))}
        most_bytes = min(most_bytes, bytes_for(leave.records, pilot.values()))
    sample = choose(files, budget_bytes=most_bytes, seed=leave.seed)
    left = [span for span in sample.spans if span not in pilot]
    left_s = leave.most_s - (time.monotonic() - started)
    results = []
    for result in chain(
        (pilot[span] for span in sample.spans if span in pilot),
        _read(run(left, work, open_pool=open_pool, deadline_s=max(0.0, left_s))),
    ):
        if digests is not None:
            digests.add(result)
        results.append(replace(result, digests=b""))
    if sample.exact and len(results) == len(sample.spans) and not any(result.records for result in results):
        more = f" and {len(files) - 1:,} more files" if len(files) > 1 else ""
        raise NoRecordError(f"there is no record in {files[0].uri}{more}" if files else "there is no file")
    order = {file: number for number, file in enumerate(files)}  # results come in no order
    read = sorted((result.span for result in results), key=lambda span: (order[span.file], span.start))
    return Scan(
        files=merge(results, read),
        invalid=estimate(sample, results),
        lines_before=lines_before(results),
        duration_s=time.monotonic() - started,
    )


def _read(came: Iterator[Result | Unread]) -> Iterator[Result]:
    return (one for one in came if not isinstance(one, Unread))
