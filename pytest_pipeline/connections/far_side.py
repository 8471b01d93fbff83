"""How a command is wrapped so that the far side ends it too: a client that gives up does not end it by itself."""

from __future__ import annotations

import math
import shlex

# `timeout` is asked whether it knows -k: an old busybox has one that does not. The outer shell stays, so that a command
# killed by a signal is reported as 128 + n: paramiko hears of an exit *signal* as of a lost connection.
_WRAPPER = (
    "shell=${{SHELL:-/bin/sh}}; if timeout -k 1 9 true </dev/null >/dev/null 2>&1; "
    'then timeout -k 1 {seconds} "$shell" -c "$0"; else "$shell" -c "$0"; fi; exit $?'
)
_ENDED = frozenset({124, 137})  # `timeout` ended the command: by SIGTERM, by SIGKILL


def bounded(command: str, timeout_s: float) -> str:
    """Return a command line that runs `command` in the user's own shell, ended there after `timeout_s`."""
    wrapper = _WRAPPER.format(seconds=_whole(timeout_s))
    return f"exec sh -c {shlex.quote(wrapper)} {shlex.quote(command)}"


def was_ended_there(exit_status: int, took_s: float, timeout_s: float) -> bool:
    """Whether the far side's `timeout` ended the command, rather than the command having such a status of its own."""
    return exit_status in _ENDED and took_s >= _whole(timeout_s)


def _whole(timeout_s: float) -> int:
    return max(1, math.ceil(timeout_s))
