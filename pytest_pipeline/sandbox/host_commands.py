"""How the simulated host runs a command: as sshd does, with the account's own shell, and with a leash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from pytest_pipeline.sandbox.plan import HostPlan

    Prepare = Callable[[list[str]], list[str]]

_CHUNK = 65536


class Commands:
    """Runs what clients ask for. `prepare` turns a command's argv into one that runs it on the host."""

    def __init__(self, plan: HostPlan, *, prepare: Prepare, home: Path, environment: Mapping[str, str]) -> None:
        self._plan = plan
        self._prepare = prepare
        self._home = home
        self._environment = environment
        self._running: set[int] = set()

    def kill(self) -> None:
        """End every command, at once and from any thread."""
        for leader in list(self._running):
            _kill_group(leader)

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """Answer one session. An exception in here would take the whole connection down, and hide the reason."""
        self._plan.commands.hit()
        if self._plan.command_delay_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait_closed(), self._plan.command_delay_s)
                return  # the client did not wait for it
        if self._plan.motd:
            process.stdout.write(self._plan.motd.encode())
        if self._plan.refusal:
            text, status = self._plan.refusal
            process.stdout.write(text.encode())
            process.exit(status)
            return
        try:
            await self._run(process)
        except OSError as error:
            process.stderr.write(f"sandbox: {error}\n".encode())
            process.exit(127)

    async def _run(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        shell = [self._plan.shell, *(("-c", process.command) if process.command else ("-l",))]
        client, client_port, *_ = process.get_extra_info("peername")
        _, port, *_ = process.get_extra_info("sockname")
        ours, theirs = socket.socketpair()  # as sshd does: bash knows by it that it must read .bashrc
        ours.setblocking(False)  # noqa: FBT003  # socket's own signature
        child = await asyncio.create_subprocess_exec(
            *self._prepare(shell),
            stdin=theirs.fileno(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **self._environment,
                "SSH_CLIENT": f"{client} {client_port} {port}",
                "SSH_CONNECTION": f"{client} {client_port} 127.0.0.1 {port}",
            },
            cwd=self._home,
            start_new_session=True,
        )
        theirs.close()
        self._running.add(child.pid)
        feed = asyncio.ensure_future(_feed(process, ours))
        work = asyncio.ensure_future(self._outputs(process, child))
        gone = asyncio.ensure_future(process.wait_closed())
        try:
            # A client that dies does not end its command: nobody else would.
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and not work.exception():
                status = work.result()
                process.exit(status if status >= 0 else 128 - status)
        finally:
            for task in (feed, work, gone):
                task.cancel()
            ours.close()
            self._running.discard(child.pid)
            if child.returncode is None:
                _kill_group(child.pid)
                await child.wait()

    async def _outputs(self, process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> int:
        assert child.stdout is not None  # noqa: S101  # for the type checker: they are pipes
        assert child.stderr is not None  # noqa: S101  # likewise
        await asyncio.gather(
            self._pump(process, child.stdout, process.stdout), self._pump(process, child.stderr, process.stderr)
        )
        return await child.wait()

    async def _pump(
        self,
        process: asyncssh.SSHServerProcess[bytes],
        source: asyncio.StreamReader,
        sink: asyncssh.SSHWriter[bytes],
    ) -> None:
        """Copy by hand: asyncssh's own redirection lost data at 4 MiB."""
        cut, sent = self._plan.cut_output_after, 0
        while chunk := await source.read(_CHUNK):
            if cut is not None and sent + len(chunk) >= cut:
                sink.write(chunk[: cut - sent])
                await sink.drain()
                process.channel.get_connection().abort()
                raise ConnectionAbortedError
            sink.write(chunk)
            await sink.drain()
            sent += len(chunk)


async def _feed(process: asyncssh.SSHServerProcess[bytes], sink: socket.socket) -> None:
    """Hand the client's input to the command; a command that has ended reads no more."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, asyncssh.Error):
        while chunk := await process.stdin.read(_CHUNK):
            await loop.sock_sendall(sink, chunk)
        sink.shutdown(socket.SHUT_WR)


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
