"""Lets an interpreter say that it is an older one, whatever of it is asked: it still parses and runs as what it is."""

from __future__ import annotations

import sys
from collections import namedtuple
from pathlib import Path

_SHOWN = Path(__file__).with_suffix(".txt").read_text(encoding="ascii")

VersionInfo = namedtuple("VersionInfo", "major minor micro releaselevel serial")  # noqa: PYI024  # as sys.version_info

_major, _minor, _micro = map(int, _SHOWN.split("."))
sys.version = f"{_SHOWN} {sys.version.partition(' ')[2]}"
sys.version_info = VersionInfo(_major, _minor, _micro, "final", 0)  # type: ignore[assignment]
sys.hexversion = _major << 24 | _minor << 16 | _micro << 8 | 0xF0
