"""What lies on a simulated host's volume: files with their bytes, folders, links."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A file; up to `size` nothing was ever written behind its data. With `link` it is a symbolic link instead."""

    data: bytes = b""
    size: int = 0
    mode: int = 0o644
    link: str = ""


def lay_out(content: Mapping[str, Content], place: Path) -> None:
    """Make what is on a volume below a folder. A name that ends with `/` is a folder's."""
    for name, what in content.items():
        path = place / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if what.link:
            path.symlink_to(what.link)
        elif not name.endswith("/"):
            path.write_bytes(what.data)
            if what.size > len(what.data):
                os.truncate(path, what.size)
            path.chmod(what.mode)


def inodes_of(content: Mapping[str, Content]) -> int:
    """Return how many inodes it takes, its folders included."""
    parts = [tuple(part for part in name.split("/") if part) for name in content]
    return len({one[:length] for one in parts for length in range(1, len(one) + 1)})
