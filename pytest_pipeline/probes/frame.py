"""Runs the probes of one round trip on the host, and prints what they found as one framed JSON document.

The sender appends a call of `main` and pipes the whole to `python3 -I -`. The frame's marks are put together here, so
that neither an echoed script nor a banner can be taken for it; its text is ASCII, whatever the locale. A probe is a
source with a function `read(request, parts)`; `parts` holds all sources of the round trip as modules, this one too.
This file must parse on every Python 3, the others on 3.7.
"""

import json
import os
import select
import signal
import sys
import threading
import time
import types

OLDEST = (3, 7)


def attempt(look: object) -> dict:
    """Return {"value": what a function found}, or {"error": why it did not}."""
    try:
        return {"value": look()}
    except OSError as error:
        place = ": " + str(error.filename) if error.filename else ""
        return {"error": (error.strerror or str(error) or type(error).__name__) + place}
    except Exception as error:
        return {"error": type(error).__name__ + ": " + str(error)}


def side_by_side(jobs: dict, deadline_s: float, deadlines: dict = {}) -> dict:  # noqa: B006  # never changed
    """Attempt every job in a thread; one that hangs, as a look into a dead network mount does, is left behind.

    `deadlines` are those of single jobs, where they differ.
    """
    answers = {}

    def work(name: object) -> None:
        answers[name] = attempt(jobs[name])

    threads = [(name, threading.Thread(target=work, args=(name,))) for name in jobs]
    start = time.time()
    for _, thread in threads:
        thread.daemon = True
        thread.start()
    late = {}
    for name, thread in threads:
        allowed_s = deadlines.get(name, deadline_s)
        thread.join(max(0.0, start + allowed_s - time.time()))
        late[name] = {"error": "no answer within %g s" % allowed_s}
    return {name: dict(answers.get(name) or late[name]) for name in jobs}


def collect(request: dict, sources: dict) -> dict:
    """Run the probes that are asked for side by side."""
    frame = types.ModuleType("frame")
    frame.attempt, frame.side_by_side = attempt, side_by_side
    parts = {"frame": frame}
    for name, source in sources.items():
        parts[name] = types.ModuleType(name)
        exec(compile(source, "<probe " + name + ">", "exec"), parts[name].__dict__)  # noqa: S102  # sent for this
    asked = request["probes"]
    jobs = {name: lambda name=name: parts[name].read(asked[name], parts) for name in asked}
    return side_by_side(jobs, request["deadline_s"], request.get("deadlines", {}))


def wait_for_end(limit_s: float) -> None:
    """Wait until nobody holds the other end of our input any more: what we hold on the host is held for them."""
    end = time.time() + limit_s
    while select.select([0], [], [], max(0.0, end - time.time()))[0]:
        if not os.read(0, 4096):
            return


def end_with_children(number: int, _: object) -> None:
    """Kill all that descends from us, in whatever session, and end: whoever asks for that does not wait long."""
    parents = {int(name): parent_of(name) for name in os.listdir("/proc") if name.isdigit()}
    ours, more = {os.getpid()}, {os.getpid()}
    while more:
        more = {pid for pid in parents if parents[pid] in ours} - ours
        ours |= more
    for pid in ours - {os.getpid()}:
        attempt(lambda pid=pid: os.kill(pid, signal.SIGKILL))  # it may have ended meanwhile
    os._exit(128 + number)


def parent_of(pid: str) -> int:
    """Return the parent of a process, 0 where there is none any more."""
    try:
        with open("/proc/" + pid + "/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def main(nonce: str, request_json: str, sources_json: str, hold_s: float = 0.0) -> None:
    """Answer one round trip, then live on for `hold_s` while our input is open. Ends the process, threads included."""
    signal.signal(signal.SIGTERM, end_with_children)
    facts = {"format": 1, "python": sys.version.split()[0], "clock_start": time.time()}
    if sys.version_info >= OLDEST:
        facts.update(attempt(lambda: collect(json.loads(request_json), json.loads(sources_json))))
    facts["clock_end"] = time.time()
    begin, end = "@@" + "pipeline-facts " + nonce + "@@", "@@" + "end " + nonce + "@@"
    document = ("\n" + begin + json.dumps(facts) + end + "\n").encode("ascii")
    sent = 0
    try:
        while sent < len(document):
            sent += os.write(1, document[sent:])
        if hold_s:
            wait_for_end(hold_s)
    finally:
        os._exit(0)
