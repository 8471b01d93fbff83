"""The programs that every simulated host shares: this machine's, but for those that a host has of its own."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_OWN = ("python", "pypy", "pip", "conda", "mamba", "uv", "nvidia-", "nvcc", "rocm", "journalctl", "dmesg")
_making = threading.Lock()


def shared_programs(folder: Path) -> Path:
    """Return a folder of links to this machine's programs, made where it is not yet there.

    Left out are interpreters and what belongs to a GPU: what a host has of these, its plan says.
    """
    with _making:
        if not folder.exists():
            folder.mkdir()
            for place in _SYSTEM_PATH:
                for entry in os.scandir(place) if Path(place).is_dir() else ():
                    link = folder / entry.name
                    if not entry.name.startswith(_OWN) and not link.is_symlink():
                        link.symlink_to(entry.path)
    return folder
