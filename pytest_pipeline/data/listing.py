"""What lies in a source, told apart: files, folder markers, empty objects, archived ones, and what filters left out.

A million keys cost counts and a few names; all files are kept only where they are to be read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_pipeline.data.filters import Filters, judging
from pytest_pipeline.data.spans import DataFile

if TYPE_CHECKING:
    from pytest_pipeline.data.filters import Judgement

NAMES_KEPT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """What to list: `s3://bucket/prefix/`, `s3://bucket/key`, a folder or a file.

    Of what the filters choose only names with one of the `suffixes`, in any case, are looked for, if there are any.
    `at_most` files are looked for (None: all), and `keep` of them are handed back (None: all; each takes half a KB).
    """

    uri: str
    filters: Filters = field(default_factory=Filters)
    suffixes: tuple[str, ...] = ()
    at_most: int | None = None
    keep: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key of a source. `key` is relative to it; `archived` names the tier that it cannot be read from.

    `modified_s` is the time of its last change (seconds since 1970); `is_file` is false for what has no content to
    read: a link to nowhere, a pipe, a device.
    """

    key: str
    uri: str
    size_bytes: int
    version: str = ""
    modified_s: float = 0.0
    archived: str = ""
    is_file: bool = True

    @property
    def file(self) -> DataFile:
        """The file to be read."""
        return DataFile(uri=self.uri, size_bytes=self.size_bytes, version=self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """How many there are, and the first few."""

    count: int = 0
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtBack:
    """Files that an exclude names and that a later include took in all the same."""

    exclude: str
    include: str
    keys: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceListing:
    """What lies in a source.

    `count` and `size_bytes` are of the files that the filters choose, that have content and that can be read; `kept`
    those of them that were asked for, and `newest` the one that changed last. `empty` have no byte, `archived` lie in a
    tier that must be restored first (named as `KEY (TIER)`), `no_files` are no regular files, `others` end in none of
    the suffixes. `unmatched` are the patterns that matched no key: unknown, and so none, unless the listing is
    `complete`, which it is not where it stopped at enough files or at a deadline.
    """

    uri: str
    kept: tuple[Entry, ...]
    count: int
    size_bytes: int
    folder_markers: int
    empty: Names
    archived: Names
    excluded: Names
    no_files: Names
    others: int
    unmatched: tuple[str, ...]
    brought_back: tuple[BroughtBack, ...]
    newest: Entry | None
    complete: bool

    @property
    def files(self) -> tuple[DataFile, ...]:
        """The files that were asked for, to be read."""
        return tuple(entry.file for entry in self.kept)


@dataclass(slots=True)
class _Few:
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.first) < NAMES_KEPT:
            self.first.append(name)

    def value(self) -> Names:
        return Names(count=self.count, first=tuple(self.first))


class Tally:
    """Takes the keys of a source one by one, and says when there are enough."""

    def __init__(self, want: Want) -> None:
        self._want = want
        self._suffixes = tuple(suffix.lower() for suffix in want.suffixes)
        self._judge = judging(want.filters)
        self._kept: list[Entry] = []
        self._count = 0
        self._size_bytes = 0
        self._markers = 0
        self._others = 0
        self._newest: Entry | None = None
        self._empty, self._archived, self._excluded, self._no_files = _Few(), _Few(), _Few(), _Few()
        self._matched: set[int] = set()
        self._back: dict[tuple[str, str], _Few] = {}

    @property
    def enough(self) -> bool:
        """Whether as many files were seen as were asked for."""
        return self._want.at_most is not None and self._count >= self._want.at_most

    def add(self, entry: Entry) -> bool:
        """Take a key. Return whether it is a file of the source: chosen, with content, and readable."""
        if entry.key.endswith("/") or not entry.key:
            self._markers += 1
            return False
        judgement = self._judge(entry.key)
        self._matched.update(judgement.matched)
        if judgement.chosen and self._suffixes and not entry.key.lower().endswith(self._suffixes):
            self._others += 1
            return False
        apart = self._apart(entry, judgement)
        if apart is not None:
            apart.add(f"{entry.key} ({entry.archived})" if apart is self._archived else entry.key)
            return False
        if judgement.brought_back:
            self._back.setdefault(judgement.brought_back, _Few()).add(entry.key)
        self._count += 1
        self._size_bytes += entry.size_bytes
        if self._newest is None or entry.modified_s > self._newest.modified_s:
            self._newest = entry
        if self._want.keep is None or len(self._kept) < self._want.keep:
            self._kept.append(entry)
        return True

    def _apart(self, entry: Entry, judgement: Judgement) -> _Few | None:
        if not judgement.chosen:
            return self._excluded
        if not entry.is_file:
            return self._no_files
        if not entry.size_bytes:
            return self._empty
        return self._archived if entry.archived else None

    def listing(self, *, complete: bool) -> SourceListing:
        """Return what was seen. `complete`: all keys were."""
        rules = self._want.filters.rules
        unmatched = [rule for number, rule in enumerate(rules) if number not in self._matched] if complete else []
        return SourceListing(
            uri=self._want.uri,
            kept=tuple(self._kept),
            count=self._count,
            size_bytes=self._size_bytes,
            folder_markers=self._markers,
            empty=self._empty.value(),
            archived=self._archived.value(),
            excluded=self._excluded.value(),
            no_files=self._no_files.value(),
            others=self._others,
            unmatched=tuple(unmatched),
            brought_back=tuple(
                BroughtBack(exclude=exclude, include=include, keys=keys.value())
                for (exclude, include), keys in self._back.items()
            ),
            newest=self._newest,
            complete=complete,
        )
