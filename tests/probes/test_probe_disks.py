"""Disks under a mount, read from trees made like sysfs: EBS, instance store, Xen, LVM, RAID, partitions."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part

if TYPE_CHECKING:
    from pathlib import Path

NO_DEVICE = {"source": "none", "type": "tmpfs"}


class Sysfs:
    """Block devices as /sys shows them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "dev/block").mkdir(parents=True)
        (root / "udev/disk/by-id").mkdir(parents=True)

    def add(self, path: str, number: str, *, below: tuple[str, ...] = (), **files: str) -> str:
        """Make a device; `files` are named with __ for /."""
        folder = self.root / "devices" / path
        folder.mkdir(parents=True, exist_ok=True)
        (self.root / "dev/block" / number).symlink_to(folder)
        for name, text in files.items():
            file = folder / name.replace("__", "/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + "\n")
        if below:
            (folder / "slaves").mkdir()
        for other in below:
            (folder / "slaves" / other.rpartition("/")[2]).symlink_to(self.root / "devices" / other)
        return path

    def disks(self, major: int, minor: int, mount: dict[str, str] = NO_DEVICE) -> Any:
        device = os.makedev(major, minor)
        return part("disks").devices(mount, device, sys=str(self.root), dev=str(self.root / "udev"))


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def ebs(sysfs: Sysfs, name: str, number: str, serial: str) -> str:
    return sysfs.add(name, number, device__model="Amazon Elastic Block Store", device__serial=serial)


def test_ebs(sysfs: Sysfs) -> None:
    ebs(sysfs, "nvme1n1", "259:1", "vol0a1b2c3d4e5f67890")
    assert sysfs.disks(259, 1) == [
        {"name": "nvme1n1", "model": "Amazon Elastic Block Store", "serial": "vol0a1b2c3d4e5f67890", "layers": []}
    ]


def test_a_partition_leads_to_its_disk(sysfs: Sysfs) -> None:
    ebs(sysfs, "nvme1n1", "259:1", "vol0a1b2c3d4e5f67890")
    sysfs.add("nvme1n1/nvme1n1p1", "259:2", partition="1")
    assert [disk["name"] for disk in sysfs.disks(259, 2)] == ["nvme1n1"]


def test_lvm_over_raid_over_two_disks(sysfs: Sysfs) -> None:
    ebs(sysfs, "nvme1n1", "259:1", "vol0aaaaaaaa")
    ebs(sysfs, "nvme2n1", "259:2", "vol0bbbbbbbb")
    sysfs.add("md0", "9:0", below=("nvme1n1", "nvme2n1"), md__level="raid0")
    sysfs.add("dm-0", "253:0", below=("md0",), dm__name="vg-training", dm__uuid="LVM-abc")
    layers = ["lvm: vg-training", "raid: raid0"]
    assert [(disk["name"], disk["serial"], disk["layers"]) for disk in sysfs.disks(253, 0)] == [
        ("nvme1n1", "vol0aaaaaaaa", layers),
        ("nvme2n1", "vol0bbbbbbbb", layers),
    ]


def test_a_xen_disk_says_nothing_of_itself(sysfs: Sysfs) -> None:
    sysfs.add("xvdf", "202:80")
    assert sysfs.disks(202, 80) == [{"name": "xvdf", "model": "", "serial": "", "layers": []}]


def test_the_serial_number_from_udevs_links(sysfs: Sysfs) -> None:
    sysfs.add("nvme1n1", "259:1", device__model="Amazon Elastic Block Store")
    (sysfs.root / "udev/nvme1n1").touch()
    (sysfs.root / "udev/disk/by-id/nvme-Amazon_Elastic_Block_Store_vol0a1b2c3d4e5f67890").symlink_to("../../nvme1n1")
    assert sysfs.disks(259, 1)[0]["serial"] == "vol0a1b2c3d4e5f67890"


def test_what_is_on_no_disk(sysfs: Sysfs) -> None:
    assert sysfs.disks(0, 47) == []


def test_a_source_that_is_no_block_device_does_not_mislead(sysfs: Sysfs) -> None:
    ebs(sysfs, "nvme1n1", "259:1", "vol0aaaaaaaa")
    (sysfs.root / "udev/plain").touch()
    mount = {"source": str(sysfs.root / "udev/plain"), "type": "ext4"}
    assert [disk["name"] for disk in sysfs.disks(259, 1, mount)] == ["nvme1n1"]
