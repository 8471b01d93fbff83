"""A user's quota that is used up, simulated: setting a real one takes root, and tmpfs has them from Linux 6.6 on only.

Whoever asks `quota` is answered by a script of that name; whoever asks the kernel from Python, by quotactl(2) replaced
in the host's interpreter. Writing goes on, as no file system is there to refuse it.
"""

from __future__ import annotations

import sys
from shlex import quote

_QUOTA = """#!/bin/sh
echo "Disk quotas for user $(id -un) (uid $(id -u)):"
echo "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace"
echo " /dev/mapper/training  {limit_kib}*  {limit_kib}  {limit_kib}              12       0       0"
exit 1
"""
_PYTHON = """#!/bin/sh
case "$*" in
    *-) exec {python} -I -c {program};;
    *) exec {python} "$@";;
esac
"""
# struct dqblk of <sys/quota.h>: hard and soft limit in KiB, bytes used, the same of files (used last), times, validity.
_PROGRAM = """
import ctypes, struct, sys
class Libc(ctypes.CDLL):
    def quotactl(self, command, device, user, answer):
        used = struct.pack("=8QI", {limit_kib}, {limit_kib}, {limit_kib} * 1024, 0, 0, 12, 0, 0, 63)
        ctypes.memmove(answer, used, len(used))
        return 0
ctypes.CDLL = Libc
exec(compile(sys.stdin.read(), "<stdin>", "exec"), {{"__name__": "__main__"}})
"""


def quota_programs(*, limit_kib: int) -> dict[str, str]:
    """Return programs for the host's PATH, by name, under which its user has used up a quota of so many KiB."""
    program = _PROGRAM.format(limit_kib=limit_kib)
    return {
        "quota": _QUOTA.format(limit_kib=limit_kib),
        "python3": _PYTHON.format(python=quote(sys.executable), program=quote(program)),
    }
