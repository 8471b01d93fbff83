"""What the kernel's log says of GPUs and of memory: the last 24 hours of this boot, as far as the user may read it.

Of an earlier boot nothing is asked: an instance that was stopped and started has other hardware.
Sources: journalctl(1), dmesg(1), NVIDIA "XID Errors", Linux mm/oom_kill.c.
"""

import json
import re
import time

WINDOW_H = 24
LINE_CHARACTERS = 400
# From the start of a message on: what is inside of it may be the name of anybody's process.
XID = re.compile(r"NVRM: Xid \(([^)]{0,40})\): (\d{1,5})\b")
SXID = re.compile(r"nvidia-nvswitch\d+: SXid \(([^)]{0,40})\): (\d{1,6})\b")
KILLED = re.compile(r"(?:Memory cgroup out of memory|Out of memory(?: \([^)]{0,60}\))?): Kill(?:ed)? process (\d+)")
PATTERNS = (("xid", XID, 200), ("sxid", SXID, 200), ("oom", KILLED, 20))  # and how many of each are sent
MATTERS = re.compile(rb'Xid|process|"MESSAGE" ?: ?\[')  # the last: a message that is not all printable
STAMPED = re.compile(r"(?:<\d+>)?\[ *(\d+\.\d+)\](?:\[ *[TC]\d+\])? ")


class Lines:
    """The lines that matter, each kind of them once: the latest, and how often it came.

    A storm of harmless ones so never drives out the one that is not.
    """

    def __init__(self) -> None:
        self._found = {kind: {} for kind, _, _ in PATTERNS}

    def add(self, text: str, age_s: object) -> None:
        """Take a message if it matters."""
        for kind, pattern, limit in PATTERNS:
            match = pattern.match(text)
            if match:
                alike = self._found[kind]
                count = alike.pop(match.groups(), {"count": 0})["count"] + 1
                alike[match.groups()] = {"kind": kind, "text": text[:LINE_CHARACTERS], "age_s": age_s, "count": count}
                if len(alike) > limit:
                    alike.pop(next(iter(alike)))
                return

    def listed(self) -> list:
        """Return them, the oldest of each kind first."""
        return [line for alike in self._found.values() for line in alike.values()]


def read(request: dict, parts: dict) -> dict:
    """Answer {"deadline_s"}: from the journal, or where that is not readable from the kernel's own buffer."""
    program = parts["program"]
    share_s = request["deadline_s"] * 0.4
    found = parts["frame"].attempt(lambda: journal(program, share_s))
    if "value" in found:
        return {"value": {"source": "journalctl", "lines": found["value"].listed()}}
    other = parts["frame"].attempt(lambda: buffer(program, share_s))
    if "value" in other:
        return {"value": {"source": "dmesg", "lines": other["value"].listed()}}
    return {"error": "%s; %s" % (found["error"], other["error"])}


def journal(program: object, deadline_s: float) -> Lines:
    """Read the journal. It is silent, with status 0, where it may not be read: a boot without a message is none."""
    end = time.monotonic() + deadline_s
    command = ["journalctl", "--no-pager", "-k", "-o", "json"]
    first = program.run([*command, "-n", "1"], deadline_s, 65536)
    if first["status"] != 0 or not first["stdout"].startswith("{"):
        raise OSError("journalctl: " + (last_line(first) or "it has no message of the kernel"))
    lines = Lines()
    now = time.time()

    def take(line: bytes) -> None:
        if MATTERS.search(line):
            lines.add(*entry(line, now))

    done = program.run([*command, "--since=-%dh" % WINDOW_H], max(0.1, end - time.monotonic()), 0, take)
    # Some versions end with 1 where there is no entry, and say nothing else.
    if done["status"] not in (0, 1) or (done["status"] == 1 and done["stderr"]):
        raise OSError("journalctl: " + (last_line(done) or "it ended with %d" % done["status"]))
    return lines


def entry(line: bytes, now: float) -> tuple:
    """Return the text and the age of an entry of the journal."""
    try:
        fields = json.loads(line.decode("utf-8", "replace"))
        text = fields["MESSAGE"]
        if isinstance(text, list):
            text = bytes(text).decode("utf-8", "replace")
        return str(text), max(0.0, now - int(fields["__REALTIME_TIMESTAMP"]) / 1e6)
    except (ValueError, KeyError, TypeError):
        return "", None


def buffer(program: object, deadline_s: float) -> Lines:
    """Read the kernel's own buffer, whose times are seconds since the boot."""
    lines = Lines()
    seen = []
    now = time.monotonic()

    def take(line: bytes) -> None:
        seen[:] = [True]
        if MATTERS.search(line):
            text = line.decode("utf-8", "replace").rstrip("\n")
            stamp = STAMPED.match(text)
            lines.add(text[stamp.end() :] if stamp else text, max(0.0, now - float(stamp.group(1))) if stamp else None)

    done = program.run(["dmesg"], deadline_s, 0, take)
    if done["status"] != 0 or not seen:
        raise OSError(last_line(done) or "dmesg said nothing, and ended with %d" % done["status"])
    return lines


def last_line(done: dict) -> str:
    """Return the last line of a program's errors."""
    return done["stderr"].strip().split("\n")[-1]
