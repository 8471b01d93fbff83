"""Quotas: what lfs prints, and what quotactl says where there is none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from probe_parts import part

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_lustre() -> None:
    text = "           /fsx  104857600*      0 209715200       -    1200       0  500000       -\n"
    assert part("quotas").lustre_quota(text) == {
        "bytes_limit": 209715200 * 1024,
        "bytes_used": 104857600 * 1024,
        "inodes_limit": 500000,
        "inodes_used": 1200,
    }


def test_lustre_without_limits() -> None:
    assert part("quotas").lustre_quota("/fsx 4 0 0 - 1 0 0 -") is None


def test_lustre_is_asked_for_the_connecting_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lfs = tmp_path / "lfs"
    lfs.write_text('#!/bin/sh\n[ "$*" = "quota -q -u 1000 /fsx" ] || exit 9\necho "/fsx 10 0 20 - 1 0 0 -"\n')
    lfs.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.defpath}")
    quota = part("quotas").quota({"type": "lustre", "point": "/fsx", "source": "10.0.0.1@tcp:/x"}, 1000)
    assert (quota["bytes_limit"], quota["bytes_used"]) == (20 * 1024, 10 * 1024)


def test_what_is_on_no_disk_has_no_quota() -> None:
    assert part("quotas").quota({"type": "tmpfs", "point": "/x", "source": "tmpfs"}, 1000) is None


def test_a_source_that_has_no_quota_is_no_error() -> None:
    assert part("quotas").quota({"type": "ext4", "point": "/x", "source": "/dev/null"}, os.getuid()) is None
