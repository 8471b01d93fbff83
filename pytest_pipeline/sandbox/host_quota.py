"""A user's quota that is used up, simulated: setting a real one takes root, and tmpfs has them from Linux 6.6 on only.

Whoever asks `quota` is answered by a script of that name; whoever asks the kernel from Python, by quotactl(2) replaced
in the host's interpreter. Writing goes on, as no file system is there to refuse it.
"""

from __future__ import annotations

from pytest_pipeline.sandbox.python_plan import PackagePlan, at_start

_QUOTA = """#!/bin/sh
echo "Disk quotas for user $(id -un) (uid $(id -u)):"
echo "     Filesystem  blocks   quota   limit   grace   files   quota   limit   grace"
echo " /dev/mapper/training  {limit_kib}*  {limit_kib}  {limit_kib}              12       0       0"
exit 1
"""
# struct dqblk of <sys/quota.h>: hard and soft limit in KiB, bytes used, the same of files (used last), times, validity.
_QUOTACTL = """
import ctypes, struct
class Libc(ctypes.CDLL):
    def quotactl(self, command, device, user, answer):
        used = struct.pack("=8QI", {limit_kib}, {limit_kib}, {limit_kib} * 1024, 0, 0, 12, 0, 0, 63)
        ctypes.memmove(answer, used, len(used))
        return 0
ctypes.CDLL = Libc
"""


def quota_program(*, limit_kib: int) -> str:
    """Return a `quota` that says its user has used up a quota of so many KiB."""
    return _QUOTA.format(limit_kib=limit_kib)


def quota_package(*, limit_kib: int) -> PackagePlan:
    """Return what makes an interpreter get the same answer of the kernel."""
    source = _QUOTACTL.format(limit_kib=limit_kib)
    return at_start("simulated_quota", source)
