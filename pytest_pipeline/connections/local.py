"""The host is this very machine: the gate runs where the training will."""

from __future__ import annotations

import contextlib
import getpass
import shutil
import socket
from typing import TYPE_CHECKING

from pytest_pipeline.connections.connection import ConnectionFailed, Finished, Opened, Trouble
from pytest_pipeline.connections.processes import HeldProcess, hold_until, run_to_end

if TYPE_CHECKING:
    from collections.abc import Iterator


class LocalConnection:
    """Runs commands with bash, here. Each has a session of its own, which its deadline ends as a whole."""

    def __init__(self) -> None:
        self._shell = shutil.which("bash") or "/bin/sh"

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command line. Raises CommandTimedOut, OutputTooLong, ConnectionFailed (no shell)."""
        with self._shell_or_failure():
            return run_to_end([self._shell, "-c", command], stdin=stdin, timeout_s=timeout_s)

    def hold(self, command: str, *, stdin: bytes, until: bytes, timeout_s: float) -> HeldProcess | Finished:
        """Start a command whose input stays open."""
        with self._shell_or_failure():
            return hold_until([self._shell, "-c", command], stdin=stdin, until=until, timeout_s=timeout_s)

    def close(self) -> None:
        """Nothing is open between commands."""

    @contextlib.contextmanager
    def _shell_or_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConnectionFailed(
                Trouble.NO_SHELL, f"{self._shell} cannot be started on this machine: {error.strerror}"
            ) from error


def open_local() -> Opened:
    """Return the connection to this machine. It cannot fail before a command is run."""
    return Opened(
        connection=LocalConnection(), address=socket.gethostname(), port=0, user=getpass.getuser(), opened_s=0.0
    )
