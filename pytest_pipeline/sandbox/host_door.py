"""What a client meets at the host's SSH port: an SSH server, or one of the ways in which there is none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING

import asyncssh

from pytest_pipeline.sandbox.plan import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from pytest_pipeline.sandbox.plan import HostPlan

_BACKLOG = 64
_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def bind(address: str, port: int = 0) -> socket.socket:
    """Take a port (0: any free one) of a loopback address. Until it listens, connections to it are refused."""
    bound = socket.socket()
    bound.bind((address, port))
    return bound


class OneAccount(asyncssh.SSHServer):
    """Lets one account in with one key, and nobody else with anything."""

    def __init__(self, user: str, authorized: asyncssh.SSHAuthorizedKeys) -> None:
        self._user = user
        self._authorized = authorized

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Take note of the connection that this object is made for."""
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        """Say that everybody must show a key, and whose is known."""
        if username == self._user:
            self._connection.set_authorized_keys(self._authorized)
        return True

    def public_key_auth_supported(self) -> bool:
        """Ask strangers for a key too, as sshd does: it never says which accounts there are."""
        return True


class HostDoor:
    """Accepts connections for one host, in the event loop that `open` runs in."""

    def __init__(self, plan: HostPlan, sockets: list[socket.socket]) -> None:
        self._plan = plan
        self._sockets = sockets
        self._left_to_drop = plan.drop_first
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[socket.socket] = []

    async def open(
        self,
        serve: Callable[[asyncssh.SSHServerProcess[bytes]], Coroutine[Any, Any, None]],
        *,
        host_key: asyncssh.SSHKey,
        authorized: asyncssh.SSHKey,
    ) -> None:
        """Let clients in, as the plan says."""
        if self._plan.door is Door.CLOSED:
            return
        keys = asyncssh.import_authorized_keys(authorized.export_public_key().decode())
        options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: OneAccount(self._plan.user, keys),
            server_host_keys=[host_key],
            process_factory=serve,
            encoding=None,
            line_editor=False,
            login_timeout=30,
            keepalive_interval=0,
        )
        for bound in self._sockets:
            if self._plan.door is Door.BLACK_HOLE:
                self._fill(bound)
                continue
            bound.listen(_BACKLOG)
            bound.setblocking(False)  # noqa: FBT003  # socket's own signature
            self._spawn(self._accept(bound, options))

    def _fill(self, bound: socket.socket) -> None:
        """Fill the queue of connections that nobody accepts: the kernel then drops what comes, as a firewall does."""
        bound.listen(0)
        for _ in range(3):
            client = socket.socket()
            client.setblocking(False)  # noqa: FBT003  # socket's own signature
            client.connect_ex(bound.getsockname())
            self._held.append(client)

    async def _accept(self, bound: socket.socket, options: asyncssh.SSHServerConnectionOptions) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(bound)
            self._plan.met.hit()
            self._spawn(self._welcome(connection, options))

    async def _welcome(self, connection: socket.socket, options: asyncssh.SSHServerConnectionOptions) -> None:
        loop = asyncio.get_running_loop()
        if self._left_to_drop:
            self._left_to_drop -= 1
            connection.close()
            return
        await asyncio.sleep(self._plan.banner_delay_s)
        match self._plan.door:
            case Door.SILENT:
                self._held.append(connection)
            case Door.HTTP:
                with contextlib.suppress(OSError):
                    await loop.sock_sendall(connection, _HTTP)
                connection.close()
            case Door.RESETS:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(connection.detach())
            case _:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # A client that leaves before it is let in is the client's business.
                with contextlib.suppress(OSError, asyncssh.Error):
                    session = await asyncssh.run_server(connection, options=options)
                    try:
                        await session.wait_closed()
                    finally:
                        session.abort()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let nobody in any more, and show everybody out."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for held in (*self._held, *self._sockets):
            held.close()
