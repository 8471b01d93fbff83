"""Runs the probes of one round trip on the host, and prints what they found as one framed JSON document.

The sender appends a call of `main` and pipes the whole to `python3 -I -`. The frame's marks are put together here, so
that neither an echoed script nor a banner can be taken for it; its text is ASCII, whatever the locale. A probe is a
source with a function `read(request, parts)`; `parts` holds all sources of the round trip as modules, this one too.
This file must parse on every Python 3, the others on 3.7.
"""

import json
import os
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


def side_by_side(jobs: dict, deadline_s: float) -> dict:
    """Attempt every job in a thread; one that hangs, as a look into a dead network mount does, is left behind."""
    answers = {}

    def work(name: object) -> None:
        answers[name] = attempt(jobs[name])

    threads = [threading.Thread(target=work, args=(name,)) for name in jobs]
    end = time.time() + deadline_s
    for thread in threads:
        thread.daemon = True
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.time()))
    late = "no answer within %g s" % deadline_s
    return {name: dict(answers.get(name) or {"error": late}) for name in jobs}


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
    return side_by_side(jobs, request["deadline_s"])


def main(nonce: str, request_json: str, sources_json: str) -> None:
    """Answer one round trip. Ends the process, threads that hang included."""
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
    finally:
        os._exit(0)
