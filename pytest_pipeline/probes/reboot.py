"""Whether a mount comes back after a reboot: fstab(5), systemd.mount(5)."""

import os
import re

FIELDS = 4  # source, mount point, type, options; what follows may be left out


def reboot(mount: dict, root: str = "") -> dict:
    """Say whether a mount comes back after a reboot, by whom, and whether a missing disk would stop the boot."""
    if mount["point"] == "/":
        return back("root", "the root file system")
    for line in fstab_lines(root):
        source, point, kind, options = line
        if point.rstrip("/") != mount["point"].rstrip("/") or "noauto" in options or kind == "swap":
            continue
        device = device_of(source, root)
        now = os.path.realpath(mount["source"]) if mount["source"].startswith("/dev/") else mount["source"]
        other = device != "" and mount["source"].startswith("/dev/") and device != now
        answer = back("fstab", "%s %s" % (source, point))
        answer["nofail"] = "nofail" in options
        answer["stable_name"] = not re.match(r"/dev/(nvme|xvd|sd|vd)", source)
        answer["mounts_other"] = device if other else ""
        return answer
    unit = systemd_unit(mount["point"], root)
    if unit:
        return back("systemd", unit)
    if mount["type"] == "zfs":  # its pools are imported at boot
        return back("zfs", mount["source"])
    return {"comes_back": False, "how": "none", "detail": "", "nofail": True, "stable_name": True, "mounts_other": ""}


def back(how: str, detail: str) -> dict:
    """Return that a mount comes back."""
    return {"comes_back": True, "how": how, "detail": detail, "nofail": True, "stable_name": True, "mounts_other": ""}


def fstab_lines(root: str) -> list:
    """Return source, mount point, type and options of each line of fstab, where libmount would look for it."""
    path = os.environ.get("LIBMOUNT_FSTAB") if not root else None
    lines = []
    try:
        with open(path or root + "/etc/fstab", encoding="utf-8", errors="replace") as file:
            for line in file:
                fields = line.split()
                if len(fields) >= FIELDS and not fields[0].startswith("#"):
                    lines.append((unescape(fields[0]), unescape(fields[1]), fields[2], fields[3].split(",")))
    except FileNotFoundError:
        pass
    return lines


def device_of(source: str, root: str) -> str:
    """Return the device that a source of fstab names now, or nothing where it names none."""
    tag, _, value = source.partition("=")
    folder = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}.get(tag)
    path = os.path.join(root + "/dev/disk", folder, value.strip('"')) if folder else source
    return os.path.realpath(path) if path.startswith(root + "/dev/") and os.path.exists(path) else ""


def systemd_unit(point: str, root: str) -> str:
    """Return the enabled .mount or .automount unit for a mount point, or nothing."""
    for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"):
        try:
            names = sorted(os.listdir(root + folder))
        except OSError:
            continue
        for name in names:
            is_mount = name.endswith((".mount", ".automount")) and where(root + folder + "/" + name) == point
            if is_mount and enabled(name, root):
                return name
    return ""


def where(unit: str) -> str:
    """Return the mount point that a unit is for."""
    try:
        with open(unit, encoding="utf-8", errors="replace") as file:
            found = re.search(r"^\s*Where\s*=\s*(\S+)", file.read(65536), re.MULTILINE)
    except OSError:
        return ""
    return found.group(1).rstrip("/") or "/" if found else ""


def enabled(name: str, root: str) -> bool:
    """Whether some target wants or requires a unit."""
    folder = root + "/etc/systemd/system"
    for target in os.listdir(folder) if os.path.isdir(folder) else []:
        if target.endswith((".wants", ".requires")) and os.path.lexists(os.path.join(folder, target, name)):
            return True
    return False


def unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo and fstab."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)
