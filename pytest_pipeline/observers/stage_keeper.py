"""The process between the gate and one stage of a pipeline: nothing of the stage outlives it, however the gate ends.

A program of its own, started by exec with `-I -S`: it imports nothing of ours. Orphans of the stage become its children
(prctl(2), PR_SET_CHILD_SUBREAPER), so a daemon that has left its session and its parent is still found below it; what
was started elsewhere on the stage's behalf is found by the stage's mark in its environment. Linux only.

Standard input is one line of JSON, and stays open for as long as somebody waits. The stage's output, and complaints of
this program, go to standard error; standard output is the answer, one line of JSON.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

KILL_S = 5.0
"""In which the kernel ends what was killed, unless it is stuck in a device."""

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_CANNOT_BE_RUN, _NOT_FOUND = 126, 127  # as a shell says it
_LOOK_S = 0.05  # between two looks at processes that tell nobody when they end
_INTERPRETER = re.compile(r"(python[\d.]*|(ba|da|z)?sh|perl|ruby|node)")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process: its number, and what may be shown of its command line."""

    pid: int
    command: str


class Keeper:
    """Runs one stage and ends all of it."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._wakeup = _signals_as_bytes()
        self._stage = 0
        self._status: int | None = None
        self._abandoned = False

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run the stage to its end or its deadline, end what is left of it, and say what came of it."""
        started = time.monotonic()
        self._start(request)
        self._wait(lambda: self._status is not None, until=started + request["timeout_s"])
        ended = time.monotonic()
        timed_out = self._status is None and not self._abandoned
        if not timed_out:
            # `| tee log` and the like end a moment after what they read from.
            self._wait(lambda: not self._living(), until=ended + request["settle_s"], look_s=_LOOK_S)
        killed, left = self._end_all(request["grace_s"])
        status = -signal.SIGKILL if self._status is None else self._status  # none: it is among those that are left
        return {
            "exit_status": status if status >= 0 else 128 - status,
            "duration_s": ended - started,
            "timed_out": timed_out,
            "killed": [asdict(one) for one in killed],
            "left": [asdict(one) for one in left],
        }

    def _start(self, request: dict[str, Any]) -> None:
        """Start the stage; where it cannot be run, that is its end. Without a command there is only an end to make."""
        if not request["argv"]:
            self._status = 0
            return
        try:
            stage = subprocess.Popen(  # noqa: S603  # running the user's command is what this is for
                request["argv"],
                cwd=request["cwd"],
                env=request["env"],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                start_new_session=True,
                preexec_fn=_die_with(os.getpid(), signal.SIGKILL),  # noqa: PLW1509  # there are no threads here
            )
        except OSError as error:
            sys.stderr.write(f"{error.filename or request['argv'][0]} cannot be run: {error.strerror}\n")
            self._status = _NOT_FOUND if isinstance(error, FileNotFoundError) else _CANNOT_BE_RUN
            return
        self._stage = stage.pid
        stage.returncode = 0  # it is waited for here, with all other children; Popen must not

    def _wait(self, done: Callable[[], bool], *, until: float, look_s: float = 3600.0) -> None:
        """Wait until something is so, a time has come, or nobody waits for us any more."""
        while not (self._abandoned or done()) and (left_s := until - time.monotonic()) > 0:
            self._pause(min(left_s, look_s))

    def _pause(self, patience_s: float) -> None:
        """Wait for the end of a child or of the gate, or so long. Children that have ended are reaped."""
        watched = [self._wakeup] if self._abandoned else [self._wakeup, sys.stdin.fileno()]
        for ready in select.select(watched, [], [], patience_s)[0]:
            if ready != self._wakeup or signal.SIGTERM in os.read(ready, 4096):
                self._abandoned = True
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._stage:
                    self._status = os.waitstatus_to_exitcode(ended[1])

    def _end_all(self, grace_s: float) -> tuple[list[Process], list[Process]]:
        """End all that lives of the stage; return what was ended by a signal, and what cannot be ended."""
        found: dict[int, Process] = {}
        kill_from = time.monotonic() + grace_s
        give_up = kill_from + KILL_S
        while (living := self._living()) and (now := time.monotonic()) < give_up:
            for one in living:
                if now >= kill_from:
                    _send(one, signal.SIGKILL)
                elif one.pid not in found:
                    _send(one, signal.SIGTERM)
                _send(one, signal.SIGCONT)  # who is stopped, or stops now, hears nothing
                found.setdefault(one.pid, one)  # one that is ending has no command line any more
            self._pause(_LOOK_S)
        self._pause(0)  # who ended while it was looked for is still to be reaped
        left = {one.pid for one in living}
        return [one for pid, one in found.items() if pid not in left], living

    def _living(self) -> list[Process]:
        """Return what lives of the stage: all below this process, and all that carry its mark."""
        parents = _parents()
        ours = _below(os.getpid(), parents) | {pid for pid in parents if self._marked(pid)}
        return [Process(pid=pid, command=_command(pid)) for pid in sorted(ours)]

    def _marked(self, pid: int) -> bool:
        try:
            return self._mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:  # it has ended, or is somebody else's: such are found below us only
            return False


def _parents() -> dict[int, int]:
    """Return the parent of each process that has not ended yet. Source: proc(5), /proc/pid/stat."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended
                state, parent = (entry / "stat").read_bytes().rpartition(b")")[2].split()[:2]
                if state not in b"ZX":
                    parents[int(entry.name)] = int(parent)
    return parents


def _below(root: int, parents: dict[int, int]) -> set[int]:
    below: set[int] = set()
    layer = {root}
    while layer := {pid for pid, parent in parents.items() if parent in layer} - below:
        below |= layer
    return below


def _command(pid: int) -> str:
    """Return the program, and the script that it interprets; its arguments may be secrets."""
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if not argv[0]:
            return Path(f"/proc/{pid}/comm").read_bytes().decode(errors="replace").rstrip("\n")
    except OSError:
        return ""
    program = argv[0].split(" ")[0].rpartition("/")[2]  # some write a title over their whole command line
    if _INTERPRETER.fullmatch(program.removeprefix("-")) and len(argv) > 1 and argv[1][:1] not in ("", "-"):
        return f"{program} {argv[1].rpartition('/')[2]}"
    return program


def _send(one: Process, number: int) -> None:
    """Signal a process that was seen a moment ago: a number is given out again only after all others (pid_max)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended; or it is told of as left
        os.kill(one.pid, number)


def _die_with(parent: int, number: int) -> Callable[[], None]:
    """Return what has the kernel signal the calling process when its parent ends. Source: prctl(2)."""

    def die_with() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return die_with


def _signals_as_bytes() -> int:
    """Have the end of a child, and of the gate, be something that can be waited for; return what to wait on."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    return read


def _blind() -> str:
    """Say why the processes of a stage could not all be found here; "" where they can."""
    if _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return f"orphans cannot be adopted here ({os.strerror(ctypes.get_errno())})"
    if Path("/proc/self").readlink().name != str(os.getpid()):
        return "/proc shows the processes of another namespace"
    return ""


def main() -> None:
    """Serve the process that started this one."""
    request = json.loads(sys.stdin.buffer.readline())
    keeper = Keeper(request["mark"])
    _die_with(request["gate"], signal.SIGTERM)()
    error = _blind()
    answer = {"error": error} if error else keeper.run(request)
    if os.getppid() != request["gate"]:
        shutil.rmtree(request["scratch"], ignore_errors=True)  # nobody else will
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(answer), flush=True)  # noqa: T201  # printing is how it answers


if __name__ == "__main__":
    main()
