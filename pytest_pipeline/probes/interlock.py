"""The lock that keeps two gates from loading one host: held for as long as this process lives.

A lock on a folder that every host has leaves nothing behind, on a full disk neither, and ends with its holder, however
that ends. Source: flock(2).
"""

import fcntl
import os
import time

# The first that is there. /dev/shm before /tmp: systemd-tmpfiles locks the folders that it is cleaning.
FOLDERS = ("/dev/shm", "/tmp", "/")  # noqa: S108  # nothing is written there
OF_A_GATE = "pipeline-gate of "

held = []


def read(request: dict, parts: dict) -> dict:
    """Take the lock, and answer {"taken", "folder", "pid", "holder"}: else who holds it, and what that says of itself.

    It is waited for `wait_s`. `pid` is 0 where it cannot be seen, as that of another container.
    """
    folder, opened = first_of(request.get("folders", FOLDERS))
    end = time.monotonic() + request["wait_s"]
    while not taken(opened):
        if time.monotonic() > end:
            pid = pid_of(opened, parts["locks"])
            os.close(opened)
            return {"taken": False, "folder": folder, "pid": pid, "holder": holder(pid)}
        time.sleep(0.05)  # flock tells nobody when it is free
    held.append(opened)
    return {"taken": True, "folder": folder, "pid": 0, "holder": ""}


def first_of(folders: tuple) -> tuple:
    """Return the first folder that may be opened, and its descriptor. Raises OSError where there is none."""
    folder = next((one for one in folders if os.path.isdir(one) and os.access(one, os.R_OK)), folders[-1])
    return folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def taken(opened: int) -> bool:
    """Take the lock, if nobody has it."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def pid_of(opened: int, locks: object) -> int:
    """Return who holds the lock, 0 where that is not to be seen."""
    try:
        return next((pid for pid in locks.locked(os.fstat(opened), "/proc") if locks.lives(pid, "/proc")), 0)
    except OSError:
        return 0


def holder(pid: int) -> str:
    """Return whose gate a process is of, as it says itself, "" where it does not."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            last = file.read().rstrip(b"\0").split(b"\0")[-1].decode("utf-8", "replace")
    except OSError:
        return ""
    return last[len(OF_A_GATE) :][:100] if last.startswith(OF_A_GATE) else ""
