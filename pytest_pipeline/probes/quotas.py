"""The connecting user's own limits on a file system (quotactl(2), lfs-quota(1))."""

import ctypes
import errno
import os
import shutil
import subprocess


class Dqblk(ctypes.Structure):
    """struct dqblk of <sys/quota.h>: block limits in KiB, space in bytes."""

    _fields_ = [
        (name, ctypes.c_uint64) for name in ("bhard", "bsoft", "space", "ihard", "isoft", "inodes", "btime", "itime")
    ] + [("valid", ctypes.c_uint32)]


NO_QUOTA = (errno.ESRCH, errno.ENOENT, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTBLK, errno.ENODEV, errno.EINVAL)


def quota(mount: dict, uid: int) -> object:
    """Return the user's own limits on a file system, or None where there are none."""
    if mount["type"] == "lustre" and shutil.which("lfs"):
        command = ["lfs", "quota", "-q", "-u", str(uid), mount["point"]]
        done = subprocess.run(  # noqa: S603  # a fixed command
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=5, check=True
        )
        return lustre_quota(done.stdout.decode("utf-8", "replace"))
    if not mount["source"].startswith("/dev/"):
        return None
    entry = Dqblk()
    get_own_quota = 0x800007 << 8  # QCMD(Q_GETQUOTA, USRQUOTA)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.quotactl(get_own_quota, os.fsencode(mount["source"]), uid, ctypes.byref(entry)) != 0:
        number = ctypes.get_errno()
        if number in NO_QUOTA:
            return None
        raise OSError(number, os.strerror(number))
    return limits(entry.bhard * 1024, entry.space, entry.ihard, entry.inodes)


def lustre_quota(text: str) -> object:
    """Read `lfs quota -q`: path, then KiB used, soft, hard, grace, and the same of files."""
    numbers = [token.rstrip("*") for token in text.split()[1:]]
    used, _, hard, _, files, _, files_hard = numbers[:7]
    return limits(int(hard) * 1024, int(used) * 1024, int(files_hard), int(files))


def limits(bytes_limit: int, bytes_used: int, inodes_limit: int, inodes_used: int) -> object:
    """Return a quota, None where nothing is limited (a limit of 0 is none)."""
    if not bytes_limit and not inodes_limit:
        return None
    return {
        "bytes_limit": bytes_limit,
        "bytes_used": bytes_used,
        "inodes_limit": inodes_limit,
        "inodes_used": inodes_used,
    }
