"""Records drawn evenly from all that were looked at, whatever spans they were looked at in, with what they teach."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from pytest_pipeline.data.learned import learned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_pipeline.data.place import Place
    from pytest_pipeline.data.records import Record
    from pytest_pipeline.data.spec import RecordSpec

DRAWN = 1_000
"""Records: a share of a half is told to 3 %, and what one of them is to 0.3 %."""

TEXT_CHARACTERS = 16 * 1024
ASKED_CHARACTERS = 4 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A record that was drawn: what the model is asked, and what it learns to write.

    Of a longer text, `text` is the first and the last 8 KiB, `asked` the first and the last 2 KiB; `characters` and
    `asked_characters` count all.
    """

    place: Place
    asked: str
    asked_characters: int
    text: str
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Those `DRAWN` of `seen` records whose lots are lowest, by lot.

    A lot is a hash of file and offset: each record has the same chance, and two spans' draws make one of both in any
    order (a bottom-k sample; Cohen and Kaplan, "Summarizing data using bottom-k sketches", 2007).
    """

    seen: int = 0
    kept: Mapping[int, Drawn] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every record that was seen was drawn."""
        return self.seen == len(self.kept)


def look(records: Iterable[Record], spec: RecordSpec, drawn: Draw | None = None) -> Draw:
    """Return a draw of records, and of those that a draw is of already: the same as of both, merged, in less time."""
    kept = dict(drawn.kept) if drawn else {}
    seen = drawn.seen if drawn else 0
    highest = [-lot for lot in kept]  # with their sign turned, so that the heap's first is the one to go
    heapq.heapify(highest)
    for record in records:
        seen += 1
        lot = _lot(record)
        if len(highest) == DRAWN:
            if lot >= -highest[0]:
                continue
            del kept[-heapq.heappop(highest)]
        heapq.heappush(highest, -lot)
        kept[lot] = _drawn(record, spec)
    return Draw(seen=seen, kept=kept)


def merge(draws: Iterable[Draw]) -> Draw:
    """Return one draw of all. Each record may have been seen in one of them only."""
    kept: dict[int, Drawn] = {}
    seen = 0
    for each in draws:
        kept |= each.kept
        seen += each.seen
        if len(kept) > DRAWN:
            kept = {lot: kept[lot] for lot in heapq.nsmallest(DRAWN, kept)}
    return Draw(seen=seen, kept=kept)


def _lot(record: Record) -> int:
    of = f"{record.offset}\0{record.file.uri}".encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(of, digest_size=8).digest(), "big")


def _drawn(record: Record, spec: RecordSpec) -> Drawn:
    lesson = learned(record.values, spec)
    return Drawn(
        place=record.place,
        asked=_ends(lesson.asked, ASKED_CHARACTERS),
        asked_characters=len(lesson.asked),
        text=_ends(lesson.text, TEXT_CHARACTERS),
        characters=len(lesson.text),
    )


def _ends(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most // 2] + text[-(most // 2) :]
