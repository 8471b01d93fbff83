"""What cannot be had with real file systems in a test: reserved blocks, a sync that fails, a disk that forgets."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part

if TYPE_CHECKING:
    from pathlib import Path


class Os:
    """The real os, with something else in some places."""

    def __init__(self, **instead: Any) -> None:
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead[name] if name in self._instead else getattr(os, name)


def test_blocks_reserved_for_root_are_not_free() -> None:
    volumes = part("volumes")
    status = SimpleNamespace(f_blocks=100, f_bfree=20, f_bavail=15, f_frsize=4096, f_bsize=1, f_files=50, f_favail=9)
    volumes.os = Os(statvfs=lambda _: status)
    assert volumes.space("/x") == {
        "total_bytes": 409600, "available_bytes": 61440, "inodes_total": 50, "inodes_available": 9,
    }  # fmt: skip


@pytest.mark.parametrize("number", [errno.EDQUOT, errno.EIO])
def test_an_error_that_comes_with_the_sync(tmp_path: Path, number: int) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    volumes = part("volumes")
    volumes.os = Os(fsync=fail)
    assert volumes.write(str(tmp_path)) == {
        "ok": False, "step": "sync", "errno": errno.errorcode[number], "why": os.strerror(number),
    }  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", [lambda _, size, __: b"x" * size, lambda *_: b""], ids=["altered", "short"])
def test_what_is_read_back_is_compared(tmp_path: Path, read: Any) -> None:
    volumes = part("volumes")
    volumes.os = Os(pread=read)
    answer = volumes.write(str(tmp_path))
    assert (answer["ok"], answer["step"], answer["why"]) == (
        False, "read back", "what was read is not what was written"
    )  # fmt: skip


def test_lines_of_mountinfo() -> None:
    line = "36 35 98:0 /mnt1 /mnt/my\\040data rw,noatime master:1 shared:2 - ext3 /dev/root ro,errors=continue\n"
    assert part("volumes").parse_mount(line) == {
        "id": 36, "device": "98:0", "root": "/mnt1", "point": "/mnt/my data", "type": "ext3", "source": "/dev/root",
        "options": ["errors=continue", "noatime", "ro", "rw"], "read_only": True,
    }  # fmt: skip
