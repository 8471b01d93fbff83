"""Runs a program of the host: with a deadline, its output bounded, its whole process group ended when it is late."""

import contextlib
import os
import re
import signal
import subprocess
import threading
import time

CHUNK_BYTES = 65536
ERRORS_BYTES = 4096
KILLED_S = 1.0  # a process that waits for a device (state D) does not even die


class Late(OSError):  # noqa: N818  # what it was
    """A program gave no answer in time."""


class Output(threading.Thread):
    """What a program prints: the first bytes of it, or what `take` is given of it, line by line."""

    def __init__(self, pipe: object, limit_bytes: int, take: object = None) -> None:
        threading.Thread.__init__(self)
        self.daemon = True
        self.data = b""
        self.cut = False
        self.failure = ""
        self._pipe = pipe
        self._limit_bytes = limit_bytes
        self._take = take
        self.start()

    def run(self) -> None:
        """Read to the end, also what is not kept: who cannot write does not end."""
        try:
            with self._pipe:
                self._read()
        except Exception as error:
            self.failure = type(error).__name__ + ": " + str(error)

    def _read(self) -> None:
        if self._take is not None:
            for line in iter(lambda: self._pipe.readline(CHUNK_BYTES), b""):
                self._take(line)
            return
        for chunk in iter(lambda: self._pipe.read1(CHUNK_BYTES), b""):
            self.cut = self.cut or len(self.data) + len(chunk) > self._limit_bytes
            self.data += chunk[: self._limit_bytes - len(self.data)]


def run(command: list, deadline_s: float, limit_bytes: int, take: object = None) -> dict:
    """Return exit status (negative: the signal that ended it), output and errors. Raises OSError, Late."""
    end = time.monotonic() + deadline_s
    process = subprocess.Popen(  # noqa: S603  # commands of ours
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ, LC_ALL="C"),
        start_new_session=True,
    )
    out, errors = Output(process.stdout, limit_bytes, take), Output(process.stderr, ERRORS_BYTES)
    for output in (out, errors):
        output.join(max(0.0, end - time.monotonic()))
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.1, end - time.monotonic()))
    if process.returncode is None or out.is_alive() or errors.is_alive():
        end_group(process)
        for output in (out, errors):
            output.join(KILLED_S)
        raise Late("%s gave no answer within %g s" % (os.path.basename(command[0]), deadline_s))
    if out.failure:
        raise OSError("what %s printed could not be read: %s" % (os.path.basename(command[0]), out.failure))
    return {
        "status": process.returncode,
        "stdout": plain(out.data),
        "stderr": plain(errors.data),
        "cut": out.cut,
    }


def end_group(process: object) -> None:
    """Kill a program with all that it started."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_S)


def plain(data: bytes) -> str:
    """Return text that JSON does not blow up: what is not printable would take six characters a byte."""
    return re.sub("[^\t\n -~\u00a0-\ufffc]", "?", data.decode("utf-8", "replace"))
