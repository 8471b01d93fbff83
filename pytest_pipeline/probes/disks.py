"""The disks under a mount, as sysfs shows them.

AWS: "Amazon EBS volumes and NVMe": the volume's id is the disk's serial number.
"""

import os
import re
import stat


def devices(mount: dict, st_dev: int, sys: str = "/sys", dev: str = "/dev") -> list:
    """Return the disks under a mount: through partitions, LVM and RAID down to those that have a serial number."""
    number = "%d:%d" % (os.major(st_dev), os.minor(st_dev))
    if mount["source"].startswith(dev + "/"):
        try:
            status = os.stat(mount["source"])
            if stat.S_ISBLK(status.st_mode):  # btrfs gives its files a device number that no disk has
                number = "%d:%d" % (os.major(status.st_rdev), os.minor(status.st_rdev))
        except OSError:
            pass
    block = os.path.join(sys, "dev", "block", number)
    if not os.path.exists(block):
        return []
    return [disk(leaf, layers, dev) for leaf, layers in leaves(os.path.realpath(block), [])]


def leaves(block: str, layers: list) -> list:
    """Follow a block device of sysfs to the disks it is made of, noting what lies between."""
    if os.path.exists(os.path.join(block, "partition")):
        return leaves(os.path.dirname(block), layers)
    if os.path.isdir(os.path.join(block, "md")):
        layers = [*layers, "raid: " + (text_in(block, "md/level") or "md")]
    elif os.path.isdir(os.path.join(block, "dm")):
        kind = (text_in(block, "dm/uuid") or "dm").split("-")[0].lower()
        layers = [*layers, "%s: %s" % (kind, text_in(block, "dm/name"))]
    below = os.path.join(block, "slaves")
    names = sorted(os.listdir(below)) if os.path.isdir(below) else []
    if not names:
        return [(block, layers)]
    found = []
    for name in names:
        found += leaves(os.path.realpath(os.path.join(below, name)), layers)
    return found


def disk(block: str, layers: list, dev: str) -> dict:
    """Return what a disk says of itself. EBS puts the volume id there as its serial number, without the hyphen."""
    name = os.path.basename(block)
    model = text_in(block, "device/model")
    serial = text_in(block, "device/serial") or text_in(block, "serial") or serial_by_id(name, dev)
    return {"name": name, "model": model, "serial": serial, "layers": layers}


def serial_by_id(name: str, dev: str) -> str:
    """Return an EBS volume's id from udev's links, for kernels that do not show the serial number."""
    folder = os.path.join(dev, "disk", "by-id")
    for link in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if os.path.basename(os.path.realpath(os.path.join(folder, link))) == name:
            found = re.search(r"vol[0-9a-f]{8,17}", link)
            if found:
                return found.group(0)
    return ""


def text_in(folder: str, name: str) -> str:
    """Return the content of a small file of sysfs, or nothing."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read(256).strip()
    except OSError:
        return ""
