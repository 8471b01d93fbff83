"""The first step of a connection: a socket that leads to an SSH server, or why there is none."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

from pytest_pipeline.connections import troubles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_pipeline.connections.connection import ConnectionFailed

_BANNER_LIMIT_BYTES = 8192
_OVERLOADED = ("exceeded maxstartups", "not allowed at this time")
_NO_WAY = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM})

_Address = tuple[Any, ...]  # what getaddrinfo gives and connect takes


def connect_tcp(address: str, port: int, timeout_s: float) -> socket.socket:
    """Connect, trying every address of the name in turn within one deadline. Raises ConnectionFailed."""
    deadline = time.monotonic() + timeout_s
    addresses = _resolve(address, port, timeout_s)
    failure: ConnectionFailed | None = None
    for number, (family, where) in enumerate(addresses):
        left_s = max(0.05, deadline - time.monotonic()) / (len(addresses) - number)
        connecting = socket.socket(family, socket.SOCK_STREAM)
        connecting.settimeout(left_s)
        try:
            connecting.connect(where)
        except OSError as error:
            connecting.close()
            failure = _why_not(error, address, port, timeout_s)
        else:
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small packets wait 40 ms without it
            connecting.settimeout(None)
            return connecting
    raise failure or troubles.unresolved(address, "the resolver gave an empty list")


def await_banner(connected: socket.socket, address: str, port: int, timeout_s: float) -> None:
    """Wait for the server's `SSH-` line without taking it off the socket (RFC 4253, section 4.2).

    The server may send other lines before it. Raises ConnectionFailed: silent, not-ssh, or dropped (transient).
    """
    deadline = time.monotonic() + timeout_s
    seen = b""
    while not _has_banner(seen):
        left_s = deadline - time.monotonic()
        # Readable means: more than we have peeked at already, or the end.
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(seen) + 1)
        ready, _, _ = select.select([connected], [], [], max(0.0, left_s))
        try:
            now = connected.recv(_BANNER_LIMIT_BYTES, socket.MSG_PEEK) if ready else seen
        except OSError:  # a reset, which overloaded servers also send
            raise troubles.dropped_early(address, port) from None
        if now == seen or len(now) == _BANNER_LIMIT_BYTES:
            raise _no_banner(now, address, port, timeout_s, closed=bool(ready))
        seen = now
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


def _has_banner(seen: bytes) -> bool:
    return any(line.startswith(b"SSH-") for line in seen.split(b"\n"))


def _no_banner(seen: bytes, address: str, port: int, timeout_s: float, *, closed: bool) -> ConnectionFailed:
    lines = seen.decode("latin-1").splitlines()
    said = "".join(filter(str.isprintable, lines[0]))[:80] if lines else ""
    if said.lower().startswith(_OVERLOADED) or (closed and not said):
        return troubles.dropped_early(address, port, said)
    if said:
        return troubles.not_ssh(address, port, said)
    return troubles.silent(address, port, timeout_s)


def _resolve(address: str, port: int, timeout_s: float) -> Sequence[tuple[int, _Address]]:
    """Look a name up, no longer than the deadline: the system's resolver has its own, of half a minute."""
    found: list[tuple[int, _Address]] = []
    failures: list[OSError] = []

    def look() -> None:
        try:
            found.extend((entry[0], entry[4]) for entry in socket.getaddrinfo(address, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failures.append(error)
        except UnicodeError as error:
            failures.append(socket.gaierror(0, str(error)))

    thread = threading.Thread(target=look, name="pipeline-resolve", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if failures:
        raise troubles.unresolved(address, failures[0].strerror or str(failures[0]))
    if thread.is_alive():
        raise troubles.unresolved(address, f"the name servers did not answer within {timeout_s:g} s")
    return found


def _why_not(error: OSError, address: str, port: int, timeout_s: float) -> ConnectionFailed:
    if isinstance(error, TimeoutError):
        return troubles.timed_out(address, port, timeout_s)
    if isinstance(error, ConnectionRefusedError):
        return troubles.refused(address, port)
    if isinstance(error, ConnectionResetError):
        return troubles.dropped_early(address, port)
    if error.errno in _NO_WAY:
        return troubles.unreachable(address, port, error.strerror or str(error))
    return troubles.unreachable(address, port, str(error))


class ProxyCommand:
    """A ProxyCommand at work, its two ends joined to a socket that paramiko can use like any other.

    paramiko's own has no deadline for reads, and leaves a zombie behind.
    """

    def __init__(self, command: str) -> None:
        self.socket, theirs = socket.socketpair()
        try:
            self._process = subprocess.Popen(  # noqa: S603  # as ssh does, with the user's own command
                ["/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            self.socket.close()
            raise
        finally:
            theirs.close()

    def close(self) -> None:
        """End the command and all that it started."""
        self.socket.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
