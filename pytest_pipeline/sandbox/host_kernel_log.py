"""The simulated host's kernel log: programs that answer for journalctl and dmesg, so that this machine's never do."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_JOURNAL_CLOSED = "No journal files were opened due to insufficient permissions."
_BUFFER_CLOSED = "dmesg: read kernel buffer failed: Operation not permitted"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the kernel, and how long ago it came."""

    text: str
    age_s: int = 60


BOOT = (
    Message(text="Linux version 6.8.0-1021-aws (buildd@lcy02)", age_s=3 * _DAY_S),
    Message(text="NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.144.03", age_s=3 * _DAY_S),
)
"""What every kernel says when it starts, days ago: a quiet one says nothing since."""


def kernel_log_programs(*messages: Message, journal: bool = True, buffer: bool = True) -> dict[str, str]:
    """Return journalctl and dmesg. Without `journal` or `buffer` the user may not read the one or the other."""
    said = (*BOOT, *messages)
    return {"journalctl": _journalctl(said, readable=journal), "dmesg": _dmesg(said, readable=buffer)}


def _journalctl(messages: Sequence[Message], *, readable: bool) -> str:
    if not readable:
        return f"#!/bin/sh\necho '{_JOURNAL_CLOSED}' >&2\nexit 1\n"
    recent = [one for one in messages if one.age_s < _DAY_S]
    latest = min(messages, key=lambda one: one.age_s)
    return "\n".join(
        [
            "#!/bin/sh",
            "now=$(date +%s)",
            'case "$*" in',
            f"'--no-pager -k -o json -n 1') {_entries([latest])} ;;",
            f"'--no-pager -k -o json --since=-24h') {_entries(recent)} ;;",
            '*) echo "not recorded in this simulated journalctl: $*" >&2; exit 2 ;;',
            "esac",
            "",
        ]
    )


def _entries(messages: Sequence[Message]) -> str:
    lines = []
    for one in messages:
        entry = {"_TRANSPORT": "kernel", "MESSAGE": one.text, "__REALTIME_TIMESTAMP": "@"}
        lines.append(_verbatim(json.dumps(entry)).replace('"@"', f'"$((now - {one.age_s}))000000"'))
    return _here(lines) if lines else ":"


def _dmesg(messages: Sequence[Message], *, readable: bool) -> str:
    if not readable:
        return f"#!/bin/sh\necho '{_BUFFER_CLOSED}' >&2\nexit 1\n"
    # Seconds since the boot: this machine may have been up for less time than a message is old.
    lines = [f"[$((up > {one.age_s} ? up - {one.age_s} : 0)).000000] {_verbatim(one.text)}" for one in messages]
    return f"#!/bin/sh\nup=$(cut -d. -f1 /proc/uptime)\n{_here(lines)}"


def _here(lines: Sequence[str]) -> str:
    return "\n".join(["cat <<RECORDED", *lines, "RECORDED", ""])


def _verbatim(text: str) -> str:
    """Return text for a here-document in which the shell expands."""
    return text.replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")
