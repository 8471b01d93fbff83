"""The lock files of a pipeline: is there one, does anybody hold it, and who made it. Source: proc(5), flock(2)."""

import errno
import fcntl
import os
import re
import stat
import time

FIRST_PIDS = "pid:[4026531836]"  # the pid namespace that a machine starts with (PROC_PID_INIT_INO of Linux)
NO_DEVICE = 0  # the major number of btrfs, overlay and others, which /proc/locks may call by another minor one
CLOCK_S = 5.0  # a file's time is of the clock, which may have been set since
FIELDS = 5  # kind, mode, access, process, file


def look(path: str, proc: str = "/proc") -> dict:
    """Return what there is to know of one lock file.

    `held` is whether a lock is held on it. `maker` is the process that a file names which is a lock by being there, 0
    where it names none; `made` is whether it looks like one: an empty file is more likely there to be locked.
    """
    real = os.path.realpath(os.path.join(os.path.expanduser("~"), os.path.expanduser(path)))
    try:
        status = os.stat(real)
    except (FileNotFoundError, NotADirectoryError):
        return {"exists": False}
    holders = locked(status, proc)
    listed = complete(proc) and os.major(status.st_dev) != NO_DEVICE
    maker = named(real) if stat.S_ISREG(status.st_mode) else 0
    return {
        "exists": True,
        "held": bool(holders) or (not listed and refused(real)),
        "holder": next((pid for pid in holders if lives(pid, proc)), 0),
        "age_s": max(0.0, time.time() - status.st_mtime),
        "made": stat.S_ISDIR(status.st_mode) or status.st_size > 0,
        "maker": maker,
        "maker_lives": lives(maker, proc) and age_s(maker, proc) >= time.time() - status.st_mtime - CLOCK_S,
    }


def locked(status: object, proc: str) -> list:
    """Return the processes that locked a file, as the kernel lists them. A lock may outlive who asked for it."""
    pids = []
    with open(proc + "/locks", encoding="ascii") as file:
        for line in file:
            words = line.split()[1:]
            if len(words) < FIELDS or words[0] == "->":  # who waits for it holds nothing
                continue
            major, minor, inode = words[4].split(":")
            if (os.makedev(int(major, 16), int(minor, 16)), int(inode)) == (status.st_dev, status.st_ino):
                pids.append(int(words[3]))
    return pids


def complete(proc: str) -> bool:
    """Whether /proc/locks lists all: elsewhere it leaves out locks of processes outside, and of those that are gone."""
    return os.readlink(proc + "/self/ns/pid") == FIRST_PIDS


def refused(path: str) -> bool:
    """Whether a shared lock is refused; where it is not, it is let go at once. Raises OSError for who may not try."""
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return True
    finally:
        os.close(opened)
    return False


def named(path: str) -> int:
    """Return the process that a file names in its first line, 0 for none."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return 0
    try:
        found = re.match(rb"\s*(?:pid[ =:]*)?(\d{1,8})\s*$", os.read(opened, 64).split(b"\n")[0], re.IGNORECASE)
    finally:
        os.close(opened)
    return int(found.group(1)) if found else 0


def age_s(pid: int, proc: str) -> float:
    """Return how long ago a process was started: one that is younger than the file has its number by chance."""
    try:
        with open("%s/%d/stat" % (proc, pid), "rb") as file:
            started_ticks = int(file.read().rpartition(b")")[2].split()[19])
        with open(proc + "/uptime", encoding="ascii") as file:
            return float(file.read().split()[0]) - started_ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return 0.0


def lives(pid: int, proc: str) -> bool:
    """Whether there is such a process, and it is no zombie."""
    if pid <= 0:
        return False
    try:
        with open("%s/%d/stat" % (proc, pid), "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (OSError, IndexError):
        return False
