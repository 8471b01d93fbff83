"""The volumes behind paths: what is mounted there, what is free, whether it can be written.

Nothing is left behind: the file of the write test is unlinked before it is written.
Sources: proc(5) (mountinfo, fdinfo), statvfs(3).
"""

import errno
import os
import re
import stat
import time

WRITE_BYTES = 1024 * 1024
WALK_ENTRIES = 200000


def read(request: dict, parts: dict) -> dict:
    """Answer {"volumes": [{"path", "reuse"}], "write_test", "deadline_s"}. Each path is looked at by itself."""
    deadline_s = request["deadline_s"]
    jobs = {}
    for number, wanted in enumerate(request["volumes"]):
        jobs[(number, "")] = lambda wanted=wanted: volume(wanted, parts, write_test=request["write_test"])
        for path in wanted["reuse"]:
            jobs[(number, path)] = lambda path=path: size_of(path, deadline_s * 0.8)
    found = parts["frame"].side_by_side(jobs, deadline_s)
    answers = {}
    for number, wanted in enumerate(request["volumes"]):
        answers[wanted["path"]] = found[(number, "")]
        answers[wanted["path"]]["reuse"] = {path: found[(number, path)] for path in wanted["reuse"]}
    return answers


def volume(wanted: dict, parts: dict, *, write_test: bool) -> dict:
    """Look at what is behind one path. An absent path is judged by its nearest parent that exists."""
    path = os.path.join(os.path.expanduser("~"), os.path.expanduser(wanted["path"]))
    real = os.path.realpath(path)
    status = status_of(real)
    folder = real
    while status_of(folder) is None or not stat.S_ISDIR(status_of(folder).st_mode):
        folder = os.path.dirname(folder)
    mount = mount_of(folder)
    attempt = parts["frame"].attempt
    uid = os.getuid()
    return {
        "real": real,
        "exists": status is not None,
        "judged": folder,
        "is_mount": status is not None and mount["point"] == real,
        "mount": mount,
        "same_device_as_root": os.stat(folder).st_dev == os.stat("/").st_dev,
        "space": attempt(lambda: space(folder)),
        "quota": attempt(lambda: parts["quotas"].quota(mount, uid)),
        "write": attempt(lambda: write(folder)) if write_test else {"error": "not tried: nothing may be written"},
        "device": os.stat(folder).st_dev,
        "disks": attempt(lambda: parts["disks"].devices(mount, os.stat(folder).st_dev)),
        "reboot": attempt(lambda: parts["reboot"].reboot(mount)),
    }


def status_of(path: str) -> object:
    """Return the status of a path, None where nothing is. Raises OSError where that cannot be known."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def mount_of(folder: str, proc: str = "/proc") -> dict:
    """Return the mount that a folder lies on, by the kernel's own word rather than by comparing names."""
    with open(proc + "/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        mounts = [parse_mount(line) for line in file]
    # Looking *through* the folder starts an automount; O_PATH needs no permission to read it.
    opened = os.open(folder + "/.", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with open("%s/self/fdinfo/%d" % (proc, opened), encoding="ascii") as file:
            number = re.search(r"^mnt_id:\s*(\d+)", file.read(), re.MULTILINE)
    finally:
        os.close(opened)
    if number is not None:
        for mount in mounts:
            if mount["id"] == int(number.group(1)):
                return mount
    inside = [mount for mount in mounts if (folder + "/").startswith(mount["point"].rstrip("/") + "/")]
    return max(enumerate(inside), key=lambda entry: (len(entry[1]["point"]), entry[0]))[1]


def parse_mount(line: str) -> dict:
    """Read a line of mountinfo (proc(5))."""
    left, right = line.rstrip("\n").split(" - ", 1)
    number, _, device, root, point, options = left.split(" ")[:6]
    kind, source, super_options = right.split(" ", 2)
    return {
        "id": int(number),
        "device": device,
        "root": unescape(root),
        "point": unescape(point),
        "type": kind,
        "source": unescape(source),
        "options": sorted(set(options.split(",")) | set(super_options.strip().split(","))),
        "read_only": "ro" in options.split(",") or "ro" in super_options.strip().split(","),
    }


def unescape(text: str) -> str:
    """Undo the octal escapes of mountinfo and fstab."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), text)


def space(folder: str) -> dict:
    """Return what an ordinary user may still fill: never the blocks reserved for root."""
    size = os.statvfs(folder)
    unit = size.f_frsize or size.f_bsize
    return {
        "total_bytes": size.f_blocks * unit,
        "available_bytes": size.f_bavail * unit,
        "inodes_total": size.f_files,
        "inodes_available": size.f_favail,
    }


def write(folder: str) -> dict:
    """Write, sync and read back a file of 1 MiB, and say how far that went."""
    name = os.path.join(folder, ".pipeline-gate-%d-%s" % (os.getpid(), os.urandom(6).hex()))
    data = os.urandom(4096) * (WRITE_BYTES // 4096)
    step = "create"
    try:
        opened = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.unlink(name)  # at once: a probe that is killed leaves nothing
            step = "write"
            left = memoryview(data)
            while left:
                left = left[os.write(opened, left) :]
            step = "sync"
            os.fsync(opened)
            step = "read back"
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)  # from the disk, not from memory
            got = b""
            while len(got) < len(data):
                more = os.pread(opened, len(data) - len(got), len(got))
                if not more:
                    break
                got += more
            if got != data:
                return {"ok": False, "step": step, "errno": "", "why": "what was read is not what was written"}
        finally:
            os.close(opened)
    except OSError as error:
        name_of = errno.errorcode.get(error.errno, "")
        return {"ok": False, "step": step, "errno": name_of, "why": error.strerror or str(error)}
    return {"ok": True, "step": "", "errno": "", "why": ""}


def size_of(path: str, deadline_s: float) -> dict:
    """Return what a file or folder takes on its disk, links counted once and none followed."""
    top = os.path.realpath(os.path.join(os.path.expanduser("~"), os.path.expanduser(path)))
    status = status_of(top)
    if status is None:
        return {"exists": False, "bytes": 0, "allocated_bytes": 0, "complete": True, "device": 0}
    total = [0, 0]
    seen = set()
    end = time.monotonic() + deadline_s
    complete = True
    waiting = [(top, status)]
    while waiting:
        if len(seen) >= WALK_ENTRIES or time.monotonic() > end:
            complete = False
            break
        place, status = waiting.pop()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(place) as entries:
                waiting.extend((entry.path, entry.stat(follow_symlinks=False)) for entry in entries)
        elif stat.S_ISREG(status.st_mode):
            total[0] += status.st_size
            total[1] += status.st_blocks * 512
    device = os.stat(top).st_dev
    return {"exists": True, "bytes": total[0], "allocated_bytes": total[1], "complete": complete, "device": device}
