"""Whether a mount comes back: fstab in its many spellings, and systemd's own units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part

if TYPE_CHECKING:
    from pathlib import Path

POINT = "/mnt/training"


class Etc:
    """A host's configuration under another root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("etc/systemd/system", "usr/lib/systemd/system", "dev/disk/by-uuid", "dev/disk/by-label"):
            (root / folder).mkdir(parents=True)
        (root / "dev/nvme1n1").touch()
        (root / "dev/nvme2n1").touch()

    def ask(self, point: str = POINT, source: str = "/dev/nvme1n1", kind: str = "xfs") -> dict[str, Any]:
        answer = part("reboot").reboot({"point": point, "source": source, "type": kind}, root=str(self.root))
        assert isinstance(answer, dict)
        return answer

    def fstab(self, *lines: str) -> None:
        (self.root / "etc/fstab").write_text("\n".join(["# a comment", "", *lines, ""]))


@pytest.fixture
def etc(tmp_path: Path) -> Etc:
    return Etc(tmp_path)


def test_the_root_file_system(etc: Etc) -> None:
    assert etc.ask("/")["how"] == "root"


def test_no_fstab_at_all(etc: Etc) -> None:
    assert etc.ask() == {
        "comes_back": False, "how": "none", "detail": "", "nofail": True, "stable_name": True, "mounts_other": "",
    }  # fmt: skip


def test_by_uuid_with_nofail(etc: Etc) -> None:
    etc.fstab(f"UUID=1234-abcd {POINT} xfs defaults,nofail 0 2")
    assert etc.ask() == {
        "comes_back": True, "how": "fstab", "detail": f"UUID=1234-abcd {POINT}", "nofail": True, "stable_name": True,
        "mounts_other": "",
    }  # fmt: skip


def test_nofail_missing(etc: Etc) -> None:
    etc.fstab(f"LABEL=training {POINT}/ xfs defaults 0 2")
    assert etc.ask()["comes_back"]
    assert not etc.ask()["nofail"]


def test_a_device_name_that_may_change(etc: Etc) -> None:
    etc.fstab(f"/dev/nvme1n1 {POINT} xfs defaults,nofail 0 2")
    assert etc.ask()["comes_back"]
    assert not etc.ask()["stable_name"]


def test_another_disk_would_be_mounted(etc: Etc) -> None:
    (etc.root / "dev/disk/by-uuid/1234-abcd").symlink_to("../../nvme2n1")
    etc.fstab(f"UUID=1234-abcd {POINT} xfs defaults,nofail 0 2")
    assert etc.ask()["mounts_other"] == str(etc.root / "dev/nvme2n1")


def test_noauto_swap_and_other_lines_do_not_count(etc: Etc) -> None:
    etc.fstab(
        f"UUID=1 {POINT} xfs noauto 0 2", "UUID=2 /mnt/other xfs defaults 0 2", f"UUID=3 {POINT} swap sw 0 0", "x"
    )
    assert etc.ask()["how"] == "none"


def test_spaces_in_a_mount_point(etc: Etc) -> None:
    etc.fstab(r"UUID=1 /mnt/my\040data xfs nofail 0 2")
    assert etc.ask("/mnt/my data")["comes_back"]


def test_efs_in_fstab(etc: Etc) -> None:
    etc.fstab(f"fs-0123.efs.us-east-1.amazonaws.com:/ {POINT} efs _netdev,tls 0 0")
    answer = etc.ask(source="127.0.0.1:/", kind="nfs4")
    assert (answer["comes_back"], answer["nofail"], answer["mounts_other"]) == (True, False, "")


def test_libmount_is_told_of_another_fstab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fstab").write_text(f"tmpfs {POINT} tmpfs nofail 0 0\n")
    monkeypatch.setenv("LIBMOUNT_FSTAB", str(tmp_path / "fstab"))
    assert part("reboot").reboot({"point": POINT, "source": "tmpfs", "type": "tmpfs"})["how"] == "fstab"


@pytest.mark.parametrize("kind", ["mount", "automount"])
@pytest.mark.parametrize("folder", ["etc/systemd/system", "usr/lib/systemd/system"])
def test_a_systemd_unit_counts_once_it_is_enabled(etc: Etc, kind: str, folder: str) -> None:
    name = f"mnt-training.{kind}"
    (etc.root / folder / name).write_text(f"[Unit]\n[Mount]\nWhat=/dev/x\nWhere = {POINT}\n")
    assert etc.ask()["how"] == "none"
    wants = etc.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / name).symlink_to(f"/{folder}/{name}")
    assert (etc.ask()["how"], etc.ask()["detail"]) == ("systemd", name)
    assert etc.ask("/mnt/other")["how"] == "none"


def test_zfs_brings_its_pools_back(etc: Etc) -> None:
    assert etc.ask(source="tank/training", kind="zfs")["how"] == "zfs"
