"""The sandbox as its parent sees it: a child process that is asked over pipes, and bounded in time."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_READY_S = 30.0
_ANSWER_S = 60.0
_STOP_S = 2.0
_NEEDED = ("moto", "asyncssh", "flask", "flask_cors")
_INSTALL = 'pip install "pytest-pipeline-readiness[sandbox]"'


class SandboxError(Exception):
    """The sandbox cannot do what it was asked. Its text is the whole message: what, why, what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One scenario's private corner: the settings to look at it with, and what of it is simulated."""

    id: str
    settings: Mapping[str, Any] = field(repr=False)
    simulated: tuple[str, ...]


class SandboxChild:
    """The sandbox's one process. Made and stopped by the controller; any of its threads may ask."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._errors: IO[bytes] | None = None
        self._turn = threading.Lock()
        self._buffer = b""
        self.aws_url = ""
        self.slack_url = ""

    @property
    def pid(self) -> int:
        """The process id of the running sandbox."""
        return self._running().pid

    def start(self, folder: Path, *, namespaces: bool = True) -> None:
        """Start the sandbox, which keeps its files below `folder`. Blocks until it is ready (about 0.2 s).

        Without `namespaces` its hosts have no mounts of their own, as on a machine that forbids them.

        Call it from the main thread: the kernel ends the sandbox when the *thread* that started it ends. Raises
        SandboxError where the extra is not installed, or the process does not come up.
        """
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError(
                "SandboxChild.start belongs to the main thread: its child dies with the thread it is from"
            )
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise SandboxError(f"the sandbox cannot start: {', '.join(missing)} is not installed; run: {_INSTALL}")
        folder.mkdir(parents=True, exist_ok=True)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the child may complain
        self._process = subprocess.Popen(  # noqa: S603  # our own module, run by our own interpreter
            [
                sys.executable,
                "-P",  # what happens to lie in the current folder is no module of ours
                "-m",
                "pytest_pipeline.sandbox.server",
                "--folder",
                str(folder),
                "--parent",
                str(os.getpid()),
                *(() if namespaces else ("--no-namespaces",)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is the controller's to answer
        )
        try:
            ready = self._read(_READY_S)
        except SandboxError:
            self.stop()
            raise
        self._folder = Path(ready["folder"])
        self.aws_url, self.slack_url = ready["aws"], ready["slack"]

    def open(self, faults: Sequence[str] = (), variant: str | None = None) -> Tenant:
        """Open a tenant with these faults in it, in an odd but healthy world if `variant` names one.

        Raises SandboxError for a fault or variant that is not known, or cannot be had on this machine.
        """
        wire = self._ask({"do": "open", "faults": list(faults), "variant": variant})
        return Tenant(id=wire["tenant"], settings=wire["settings"], simulated=tuple(wire["simulated"]))

    def felt(self, tenant: str) -> Mapping[str, int | None]:
        """Return how often each fault of a tenant was felt; None where nothing in the sandbox can tell."""
        felt: dict[str, int | None] = self._ask({"do": "felt", "tenant": tenant})["felt"]
        return felt

    def close_tenant(self, tenant: str) -> None:
        """End a tenant, with its host and files."""
        self._ask({"do": "close", "tenant": tenant})

    def stop(self) -> None:
        """End the sandbox: by closing its input, and by force where it is not gone in two seconds. May be repeated."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None  # noqa: S101  # for the type checker: they are pipes
            assert process.stdout is not None  # noqa: S101  # likewise
            with contextlib.suppress(OSError):  # a child that died has closed its end
                process.stdin.close()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)  # where it could not do so itself
            self._folder = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise SandboxError("the sandbox is not running; it was stopped, or never started")
        return self._process

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._turn:
            process = self._running()
            assert process.stdin is not None  # noqa: S101  # for the type checker: it is a pipe
            try:
                process.stdin.write(json.dumps(request).encode() + b"\n")
                process.stdin.flush()
            except OSError:
                raise SandboxError(self._obituary("is gone")) from None
            answer = self._read(_ANSWER_S)
        if "error" in answer:
            raise SandboxError(answer["error"])
        return answer

    def _read(self, patience_s: float) -> dict[str, Any]:
        """Read one line, waiting no longer than this for it."""
        stdout = self._running().stdout
        assert stdout is not None  # noqa: S101  # for the type checker: it is a pipe
        deadline = time.monotonic() + patience_s
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise SandboxError(self._obituary(f"gave no answer within {patience_s:g} s"))
                chunk = os.read(stdout.fileno(), 65536)
                if not chunk:
                    raise SandboxError(self._obituary("ended"))
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _obituary(self, what: str) -> str:
        """Say what became of the process, with the last thing that it said."""
        said = ""
        if self._errors is not None:
            self._errors.seek(0)
            lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
            said = f" ({lines[-1]})" if lines else ""
        return f"the sandbox {what}{said}; run again, and if it stays so, reinstall: {_INSTALL}"


def _environment() -> dict[str, str]:
    """Return the child's environment: nothing of the user's AWS in it, and our own modules to be found."""
    unwanted = ("AWS_", "MOTO_", "PYTHONWARNINGS")  # a warning in moto is no error of the user's
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)  # noqa: PTH109  # "" in sys.path means just this
    return {**kept, "AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": path, "PYTHONUTF8": "1"}
