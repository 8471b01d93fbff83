"""What ends the sandbox with its parent, however that one died."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent dies, and leave at once if that one is dead already.

    Linux only; elsewhere the end of standard input must do. Source: prctl(2), PR_SET_PDEATHSIG: the signal follows the
    *thread* that made this process, so the parent starts it from its main thread.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
