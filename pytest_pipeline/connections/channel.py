"""Running commands over an open SSH transport, each on a raw channel of its own with a deadline."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

import paramiko

from pytest_pipeline.connections import troubles
from pytest_pipeline.connections.connection import OUTPUT_LIMIT_BYTES, CommandTimedOut, Finished, OutputTooLong
from pytest_pipeline.connections.far_side import bounded, was_ended_there

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from pytest_pipeline.connections.connection import ConnectionFailed

_CHANNELS = 4  # sshd allows ten sessions on a connection (MaxSessions); other tools share them
_CHUNK_BYTES = 65536
_ENDING_S = 2.0  # an end of input may take to end a command


class SshConnection:
    """Commands over one SSH connection."""

    def __init__(self, transport: paramiko.Transport, *, address: str, port: int, closing: ExitStack) -> None:
        self._transport = transport
        self._address = address
        self._port = port
        self._closing = closing
        self._places = threading.Semaphore(_CHANNELS)

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command line in the user's shell. Raises CommandTimedOut, OutputTooLong, ConnectionFailed."""
        started = time.monotonic()
        if not self._places.acquire(timeout=timeout_s):
            raise CommandTimedOut(timeout_s=timeout_s)
        try:
            return self._run(command, stdin, timeout_s, started)
        finally:
            self._places.release()

    def _run(self, command: str, stdin: bytes, timeout_s: float, started: float) -> Finished:
        left_s = max(0.1, timeout_s - (time.monotonic() - started))
        channel = self._channel(left_s)
        exchange = _Exchange(channel)
        # paramiko waits for some answers without a deadline; closing the channel wakes every such wait.
        alarm = threading.Timer(left_s, exchange.time_out)
        alarm.daemon = True
        alarm.start()
        try:
            status = exchange.run(bounded(command, left_s), stdin)
        except paramiko.SSHException as error:
            if exchange.timed_out:
                raise CommandTimedOut(timeout_s=timeout_s) from error
            if self._transport.is_active():
                raise troubles.no_commands(self._address, self._port) from error
            raise self._lost(command) from error
        finally:
            alarm.cancel()
            _close(channel)
        stdout, stderr = bytes(exchange.stdout), bytes(exchange.stderr)
        if exchange.overflowed:
            raise OutputTooLong(OUTPUT_LIMIT_BYTES)
        if exchange.timed_out or was_ended_there(status, time.monotonic() - started, left_s):
            raise CommandTimedOut(timeout_s=timeout_s, stdout=stdout, stderr=stderr)
        if status < 0:
            raise self._lost(command)
        return Finished(exit_status=status, stdout=stdout, stderr=stderr)

    def hold(self, command: str, *, stdin: bytes, until: bytes, timeout_s: float) -> HeldChannel | Finished:
        """Start a command whose input stays open, on a channel beside the four of `run`."""
        channel = self._channel(timeout_s)
        exchange = _Exchange(channel)
        alarm = threading.Timer(timeout_s, exchange.time_out)
        alarm.daemon = True
        alarm.start()
        ready, status = False, -1
        try:
            ready = exchange.run_until(until, command, stdin)
            alarm.cancel()  # one that has gone off already closes the channel
            ready = ready and not exchange.timed_out
            if ready:
                return HeldChannel(channel, bytes(exchange.stdout))
            status = channel.recv_exit_status()
        except (paramiko.SSHException, OSError) as error:
            if not exchange.timed_out and self._transport.is_active():
                raise troubles.no_commands(self._address, self._port) from error
            if not exchange.timed_out:
                raise self._lost(command) from error
        finally:
            alarm.cancel()
            if not ready:
                _close(channel)
        if exchange.overflowed:
            raise OutputTooLong(OUTPUT_LIMIT_BYTES)
        stdout, stderr = bytes(exchange.stdout), bytes(exchange.stderr)
        if exchange.timed_out:
            raise CommandTimedOut(timeout_s=timeout_s, stdout=stdout, stderr=stderr)
        if status < 0:
            raise self._lost(command)
        return Finished(exit_status=status, stdout=stdout, stderr=stderr)

    def _channel(self, timeout_s: float) -> paramiko.Channel:
        try:
            return self._transport.open_session(timeout=timeout_s)
        except paramiko.ChannelException as error:
            raise troubles.busy(self._address, self._port, error.text or str(error)) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self._transport.is_active():
                raise CommandTimedOut(timeout_s=timeout_s) from error
            raise troubles.dropped(self._address, self._port, "before a command could be run") from error

    def _lost(self, command: str) -> ConnectionFailed:
        words = command if len(command) <= 60 else f"{command[:57]}..."  # noqa: PLR2004  # enough to know it by
        return troubles.dropped(self._address, self._port, f"while a command ran: {words}")

    def close(self) -> None:
        """End the connection, and what it was made through. A second call does nothing."""
        self._closing.close()


class HeldChannel:
    """A command that lives for as long as its channel's input is open."""

    def __init__(self, channel: paramiko.Channel, stdout: bytes) -> None:
        self.stdout = stdout
        self._channel = channel

    @property
    def alive(self) -> bool:
        """Whether it is still there."""
        transport = self._channel.get_transport()
        return not self._channel.closed and not self._channel.exit_status_ready() and bool(transport.is_active())

    def close(self) -> None:
        """End its input, wait until it has ended too, and close the channel."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.shutdown_write()
            self._channel.status_event.wait(_ENDING_S)
        _close(self._channel)


class _Exchange:
    """One command: its three streams pumped side by side, so that a full one never stops the others."""

    def __init__(self, channel: paramiko.Channel) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.timed_out = False
        self.overflowed = False
        self._channel = channel

    def run(self, command: str, stdin: bytes) -> int:
        """Return the exit status, -1 when none came."""
        self._channel.exec_command(command)
        beside = [
            threading.Thread(target=self._send, args=(stdin,), name="pipeline-ssh-stdin", daemon=True),
            threading.Thread(
                target=self._receive, args=(self._channel.recv_stderr, self.stderr), name="pipeline-ssh-stderr",
                daemon=True,
            ),
        ]  # fmt: skip
        for thread in beside:
            thread.start()
        self._receive(self._channel.recv, self.stdout)
        status: int = self._channel.recv_exit_status()
        beside[1].join()
        _close(self._channel)  # wakes a sender whose command did not want the rest
        beside[0].join()
        return status

    def run_until(self, mark: bytes, command: str, stdin: bytes) -> bool:
        """Send a command and the beginning of its input; return whether it printed a mark before it ended."""
        self._channel.set_combine_stderr(True)
        self._channel.exec_command(command)
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # as in `_send`
            self._channel.sendall(stdin)
        self._receive(self._channel.recv, self.stdout, until=mark)
        return mark in self.stdout

    def time_out(self) -> None:
        """End the exchange from outside."""
        self.timed_out = True
        _close(self._channel)

    def _send(self, stdin: bytes) -> None:
        # A command that ends without reading its input is judged by what it said, not by the broken pipe.
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._channel.sendall(stdin)
            self._channel.shutdown_write()

    def _receive(self, receive: Callable[[int], Any], sink: bytearray, *, until: bytes | None = None) -> None:
        with contextlib.suppress(OSError):
            while data := receive(_CHUNK_BYTES):
                sink += data
                if until is not None and until in sink[-len(data) - len(until) :]:
                    return
                if len(self.stdout) + len(self.stderr) > OUTPUT_LIMIT_BYTES:
                    self.overflowed = True
                    _close(self._channel)
                    return


def _close(channel: paramiko.Channel) -> None:
    """Close a channel; where the connection is gone already, there is nobody left to tell."""
    with contextlib.suppress(EOFError, OSError, paramiko.SSHException):
        channel.close()
