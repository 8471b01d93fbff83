"""How many PDF files a source has, in archives too, and what is wrong with some of them."""

from __future__ import annotations

import functools
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.data.archives import (
    BUDGET_BYTES,
    BrokenArchiveError,
    BudgetSpentError,
    members,
)
from pytest_pipeline.data.listing import NAMES_KEPT, Names
from pytest_pipeline.data.missing_library import MissingLibraryError
from pytest_pipeline.data.opening import FileChangedError, whole
from pytest_pipeline.data.pdfs import EDGE_BYTES, PdfFault, fault_of, is_pdf, table_place
from pytest_pipeline.data.unpacking import BrokenStreamError
from pytest_pipeline.observers.s3_files import S3ReadError
from pytest_pipeline.observers.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_pipeline.data.opening import Opener
    from pytest_pipeline.data.spans import DataFile

DEADLINE_S = 60.0
"""How long archives, or a sample, may be looked at."""

_AT_ONCE = 8
_LATE = "it was not looked at in time"
_UNREADABLE = (
    BrokenArchiveError,
    BudgetSpentError,
    BrokenStreamError,
    MissingLibraryError,
    FileChangedError,
    S3ReadError,
    OSError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """A file that could not be looked at, or not to its end, and why."""

    uri: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedPdfs:
    """PDF files in archives: `count` of them at least, and exactly if nothing is `unseen` and not `enough` were found.

    Archives in archives are not looked into.
    """

    count: int
    archives: int
    unseen: tuple[Unseen, ...]
    enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfSample:
    """PDF files that were opened: how many, what is wrong with which, and those that could not be looked at."""

    looked: int
    faults: Mapping[PdfFault, Names]
    unseen: tuple[Unseen, ...]


def count_in_archives(
    archives: Sequence[DataFile],
    opener: Opener,
    *,
    at_most: int,
    budget_bytes: int = BUDGET_BYTES,
    deadline_s: float = DEADLINE_S,
) -> ArchivedPdfs:
    """Count the PDF files with content in zip and tar archives, and stop at `at_most`.

    Of each archive no more than `budget_bytes` are read, unpacked. What is not looked at by the deadline is unseen.
    """
    left = deque(archives)
    found: list[int] = []
    unseen: dict[str, Unseen] = {file.uri: Unseen(uri=file.uri, why=_LATE) for file in archives}

    def work() -> None:
        while left and sum(found) < at_most:
            try:
                file = left.popleft()
            except IndexError:
                return
            count, why = _count(file, opener, at_most - sum(found), budget_bytes)
            found.append(count)
            if why:
                unseen[file.uri] = Unseen(uri=file.uri, why=why)
            else:
                del unseen[file.uri]

    side_by_side(dict.fromkeys(range(_AT_ONCE), work), deadline_s=deadline_s)
    count = min(sum(found), at_most)
    enough = count == at_most
    return ArchivedPdfs(
        count=count, archives=len(archives), unseen=() if enough else tuple(unseen.values()), enough=enough
    )


def _count(file: DataFile, opener: Opener, at_most: int, budget_bytes: int) -> tuple[int, str]:
    count = 0
    try:
        with closing(members(file, opener, budget_bytes)) as inside:
            for member in inside:
                count += is_pdf(member.name) and member.size_bytes > 0
                if count >= at_most:
                    break
    except _UNREADABLE as error:
        return count, str(error)
    return count, ""


def open_pdfs(files: Sequence[DataFile], opener: Opener, *, deadline_s: float = DEADLINE_S) -> PdfSample:
    """Open PDF files and look at both ends of each: three kilobytes a file.

    A fault that only a whole reading shows is not seen.
    """
    came = side_by_side(
        {start: functools.partial(_faults, files[start::_AT_ONCE], opener) for start in range(_AT_ONCE)},
        deadline_s=deadline_s,
    )
    seen = {uri: fault for answers in came.values() for uri, fault in answers.items()}
    faults: dict[PdfFault, list[str]] = {}
    unseen = []
    for file in files:
        fault = seen.get(file.uri, _LATE)
        if isinstance(fault, PdfFault):
            faults.setdefault(fault, []).append(file.uri)
        elif fault is not None:
            unseen.append(Unseen(uri=file.uri, why=fault))
    return PdfSample(
        looked=len(files) - len(unseen),
        faults={fault: Names(count=len(uris), first=tuple(uris[:NAMES_KEPT])) for fault, uris in faults.items()},
        unseen=tuple(unseen),
    )


def _faults(files: Sequence[DataFile], opener: Opener) -> dict[str, PdfFault | str | None]:
    return {file.uri: _fault(file, opener) for file in files}


def _fault(file: DataFile, opener: Opener) -> PdfFault | str | None:
    try:
        head = _bytes_at(file, opener, 0)
        tail = _bytes_at(file, opener, max(0, file.size_bytes - EDGE_BYTES))
        place = table_place(head, tail)
        table = None if place is None else _bytes_at(file, opener, place)
    except _UNREADABLE as error:
        return str(error)
    return fault_of(head, tail, table)


def _bytes_at(file: DataFile, opener: Opener, place: int) -> bytes:
    size_bytes = min(EDGE_BYTES, file.size_bytes - place)
    if size_bytes <= 0:
        return b""
    room = memoryview(bytearray(size_bytes))
    with closing(whole(opener.open(file, place), size_bytes)) as source:
        filled = 0
        while filled < size_bytes:
            filled += source.readinto(room[filled:])
    return bytes(room)
