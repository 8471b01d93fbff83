"""One stage of the user's pipeline, run on this machine in a scratch copy of its folder, and all of it ended."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers import stage_keeper
from pytest_pipeline.observers.stage_environment import STAGE, AwsAccess, stage_environment
from pytest_pipeline.observers.stage_log import StageLog
from pytest_pipeline.observers.untrusted import printable
from pytest_pipeline.settings.redaction import SHORTEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from pytest_pipeline.observers.scratch import Scratch

_CHUNK_BYTES = 65536
_PIPE_BYTES = 2**20  # that a pipe holds at most (pipe(7))
_KEEPER_S = 10.0  # beyond all deadlines that the keeper has itself


class StageUnknownError(Exception):
    """What came of a stage cannot be told. Its text is the whole message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage as the settings have it, its templates filled: a command line for bash, or an argument vector.

    A process that is still there `settle_s` after the stage's own has ended, or at the deadline, is asked to end
    (SIGTERM), and killed `grace_s` later.
    """

    name: str
    command: str | Sequence[str]
    timeout_s: float
    environment: Mapping[str, str] = field(default_factory=dict)
    settle_s: float = 1.0
    grace_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftProcess:
    """A process that had to be ended, or could not be: its number, its program, and the script that it interprets."""

    pid: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRun:
    """What came of a stage.

    `exit_status` is a shell's: 128 and the number of a signal, 127 and 126 for what is not there or cannot be run; at a
    deadline it says how the stage was ended. `duration_s` lasts to the end of the stage's own process. The log is kept
    without secrets: its beginning, its end, and how much lay between. `killed` were alive when the stage was over, and
    are gone; `left` could not be ended (another user's, or stuck in a device).
    """

    exit_status: int
    duration_s: float
    timed_out: bool
    log_head: str
    log_tail: str
    dropped_bytes: int
    killed: tuple[LeftProcess, ...] = ()
    left: tuple[LeftProcess, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the stage did what it should, in time."""
        return self.exit_status == 0 and not self.timed_out


def run_stage(
    stage: Stage,
    *,
    scratch: Scratch,
    access: AwsAccess,
    run_id: str,
    log: Path,
    redact: Callable[[str], str],
    operators: Mapping[str, str],
) -> StageRun:
    """Run a stage to its end or its deadline, and end all that it has started.

    `operators` is the environment of whoever runs the gate, `log` the file for its output (bounded, and made anew).
    Whatever ends this call, also the death of this process, ends the stage: another process sees to it. Raises
    StageUnknownError where that one cannot do so, or was killed; what is found of the stage is ended then too.
    """
    if not sys.platform.startswith("linux"):
        raise StageUnknownError(f"stage {stage.name} was not run: what it starts can be found and ended on Linux only")
    token = uuid.uuid4().hex
    with _refusing_proxy() as proxy, log.open("wb", buffering=0) as file:
        environment = stage_environment(
            operators,
            access=access,
            run_id=run_id,
            stage_token=token,
            temporary=scratch.temporary,
            refusing_proxy=proxy,
            own=stage.environment,
        )

        def without_secrets(text: str) -> str:
            for secret in (access.secret_key, access.session_token):
                text = text.replace(secret, "***") if len(secret) >= SHORTEST else text
            return redact(text)

        printed = StageLog(file, without_secrets)
        request = {
            "gate": os.getpid(),
            "mark": f"{STAGE}={token}",
            "argv": _argv(stage.command),
            "cwd": str(scratch.workdir),
            "env": environment,
            "scratch": str(scratch.root),
            "timeout_s": stage.timeout_s,
            "settle_s": stage.settle_s,
            "grace_s": stage.grace_s,
        }
        try:
            answer = _keep(request, printed.write)
            if not answer:
                _keep({**request, "argv": [], "settle_s": 0.0}, printed.write)
                raise StageUnknownError(f"what ran stage {stage.name} was killed (out of memory?); the stage was ended")
        finally:
            printed.close()
    if "error" in answer:
        raise StageUnknownError(f"stage {stage.name} was not run: {answer['error']}")
    return StageRun(
        exit_status=answer["exit_status"],
        duration_s=answer["duration_s"],
        timed_out=answer["timed_out"],
        log_head=printed.head,
        log_tail=printed.tail,
        dropped_bytes=printed.dropped_bytes,
        killed=_shown(answer["killed"], without_secrets),
        left=_shown(answer["left"], without_secrets),
    )


def _argv(command: str | Sequence[str]) -> list[str]:
    return [shutil.which("bash") or "/bin/sh", "-c", command] if isinstance(command, str) else list(command)


def _shown(processes: Sequence[Mapping[str, Any]], redact: Callable[[str], str]) -> tuple[LeftProcess, ...]:
    return tuple(LeftProcess(pid=one["pid"], command=printable(redact(one["command"]))) for one in processes)


@contextlib.contextmanager
def _refusing_proxy() -> Iterator[str]:
    """Give a proxy that refuses all: a port that is taken, and that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def _keep(request: Mapping[str, Any], take: Callable[[bytes], None]) -> dict[str, Any]:
    """Have the keeper run a stage, and hand on what the stage prints; return its answer, {} where it has none."""
    patience_s = request["settle_s"] + request["grace_s"] + stage_keeper.KILL_S + _KEEPER_S
    keeper = subprocess.Popen(  # noqa: S603  # our own program, run by our own interpreter
        [sys.executable, "-I", "-S", stage_keeper.__file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # The stage may read its keeper's: no credentials in it, and no mark of a stage.
        env={name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ},
        start_new_session=True,  # Ctrl-C is the gate's to answer
    )
    assert keeper.stdin is not None  # noqa: S101  # for the type checker: they are pipes
    assert keeper.stdout is not None  # noqa: S101  # likewise
    assert keeper.stderr is not None  # noqa: S101  # likewise
    answer = bytearray()
    deadline = time.monotonic() + request["timeout_s"] + patience_s
    try:
        with contextlib.suppress(BrokenPipeError):  # it has no answer then
            keeper.stdin.write(json.dumps(request).encode() + b"\n")
            keeper.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(keeper.stdout, selectors.EVENT_READ, answer.extend)
            selector.register(keeper.stderr, selectors.EVENT_READ, take)
            while keeper.stdout in selector.get_map() and (left_s := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left_s):
                    data = os.read(key.fd, _CHUNK_BYTES)
                    key.data(data)
                    if not data:
                        selector.unregister(key.fileobj)
    finally:
        with contextlib.suppress(BrokenPipeError):
            keeper.stdin.close()  # it ends the stage, if that has not ended
        try:
            keeper.wait(patience_s)
        except subprocess.TimeoutExpired:
            keeper.kill()
            keeper.wait()
        _drain(keeper.stderr.fileno(), take)
        keeper.stdout.close()
        keeper.stderr.close()
    return json.loads(answer) if answer.endswith(b"\n") else {}


def _drain(output: int, take: Callable[[bytes], None]) -> None:
    """Take what is in a pipe already; who cannot be ended may hold its other end open."""
    os.set_blocking(output, False)
    with contextlib.suppress(BlockingIOError):
        for _ in range(_PIPE_BYTES // _CHUNK_BYTES):
            take(os.read(output, _CHUNK_BYTES))
