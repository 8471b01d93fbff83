"""Listing a folder of this machine as a prefix of S3 is listed."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.data.listing import Entry, SourceListing, Tally
from pytest_pipeline.data.opening import version_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.data.listing import Want

DEADLINE_S = 60.0
"""How long a folder may be looked at. What was seen by then is told, as incomplete."""

_Folder = tuple[int, int]  # device and inode


def list_local(want: Want, *, deadline_s: float = DEADLINE_S) -> SourceListing:
    """Return what lies in a folder, or what a file is.

    Hidden files count like others, and links are followed, but not into a folder that lies around them. A link to
    nowhere, a pipe, a socket and a device are no files. Raises OSError for what the system refuses: a folder that is
    not there, and one below it that may not be read, for its files would be missing without a word.
    """
    ends = time.monotonic() + deadline_s
    tally = Tally(want)
    top = Path(want.uri).absolute()
    seen = top.stat()
    if not stat.S_ISDIR(seen.st_mode):
        tally.add(_entry(top.name, str(top), seen))
        return tally.listing(complete=True)
    for entry in _below(str(top), seen):
        tally.add(entry)
        if tally.enough or time.monotonic() > ends:
            return tally.listing(complete=False)
    return tally.listing(complete=True)


def _below(top: str, seen: os.stat_result) -> Iterator[Entry]:
    """Go through a folder: by name, the files of each folder before the folders in it."""
    folders: list[tuple[str, str, tuple[_Folder, ...]]] = [(top, "", (_identity(seen),))]
    while folders:
        folder, prefix, around = folders.pop()
        with os.scandir(folder) as scan:
            children = sorted(scan, key=lambda child: child.name)
        within: list[tuple[str, str, tuple[_Folder, ...]]] = []
        for child in children:
            found = _stat(child)
            if found is None:
                continue
            if not stat.S_ISDIR(found.st_mode):
                yield _entry(prefix + child.name, child.path, found)
            elif _identity(found) not in around:
                within.append((child.path, f"{prefix}{child.name}/", (*around, _identity(found))))
        folders += reversed(within)


def _stat(child: os.DirEntry[str]) -> os.stat_result | None:
    """Look at what a name leads to; at the link itself where it leads nowhere. None where the name is gone by now."""
    try:
        return child.stat()
    except OSError:
        try:
            return child.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None


def _identity(seen: os.stat_result) -> _Folder:
    return seen.st_dev, seen.st_ino


def _entry(key: str, path: str, seen: os.stat_result) -> Entry:
    return Entry(
        key=key,
        uri=path,
        size_bytes=seen.st_size,
        version=version_of(seen),
        modified_s=seen.st_mtime,
        is_file=stat.S_ISREG(seen.st_mode),
    )
