"""The lock that keeps two gates from loading one host: held for as long as this process lives.

A lock on a folder that every host has leaves nothing behind, on a full disk neither, and ends with its holder, however
that ends. Source: flock(2).
"""

import fcntl
import os

# The first that is there. /dev/shm before /tmp: systemd-tmpfiles locks the folders that it is cleaning.
FOLDERS = ("/dev/shm", "/tmp", "/")  # noqa: S108  # nothing is written there
OF_A_GATE = "pipeline-gate of "

held = []


def read(request: dict, parts: dict) -> dict:
    """Take the lock, and answer {"taken", "pid", "holder"}: else who holds it, and what that says of itself.

    `pid` is 0 where it cannot be seen, as that of another container.
    """
    folder = next(path for path in request.get("folders", FOLDERS) if os.path.isdir(path))
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        locks = parts["locks"]
        pid = next((pid for pid in locks.locked(os.fstat(opened), "/proc") if locks.lives(pid, "/proc")), 0)
        os.close(opened)
        return {"taken": False, "pid": pid, "holder": holder(pid)}
    held.append(opened)
    return {"taken": True, "pid": 0, "holder": ""}


def holder(pid: int) -> str:
    """Return whose gate a process is of, as it says itself, "" where it does not."""
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            last = file.read().rstrip(b"\0").split(b"\0")[-1].decode("utf-8", "replace")
    except OSError:
        return ""
    return last[len(OF_A_GATE) :][:100] if last.startswith(OF_A_GATE) else ""
