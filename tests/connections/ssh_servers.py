"""Real servers on loopback for the tests of connections: SSH with real bash behind it, and listeners that are not SSH.

Everything here is closed by the `with` it was opened in, and nothing is faked on the client's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import asyncssh

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path
    from typing import Any


@dataclass(kw_only=True)
class Host:
    """What an SSH server is to do. The attributes at the end are what it saw."""

    host_key: asyncssh.SSHKey
    authorized: asyncssh.SSHKey | None
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": os.defpath, "SHELL": "/bin/bash"})
    password_too: bool = False  # after the key, a password is asked for
    keys_allowed: bool = True
    says_first: bytes = b""  # on stdout, before the command's own output
    instead: tuple[bytes, int] | None = None  # what the forced command says, and its exit status
    refuses_commands: bool = False
    cut_after_bytes: int | None = None
    sessions: int | None = None
    more_keys: tuple[asyncssh.SSHKey, ...] = ()
    forgets: bool = False  # as sshd does: a client that leaves does not end its command
    port: int = 0
    logins: int = 0
    commands: list[str] = field(default_factory=list)
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    sessions_running: set[asyncio.Task[None]] = field(default_factory=set)


class _Server(asyncssh.SSHServer):
    def __init__(self, host: Host) -> None:
        self._host = host

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._host.logins += 1
        self._host.connections.append(conn)
        self._open = 0

    def begin_auth(self, username: str) -> bool:
        return username != "open"

    def public_key_auth_supported(self) -> bool:
        return self._host.keys_allowed

    def password_auth_supported(self) -> bool:
        return not self._host.keys_allowed

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        authorized = self._host.authorized
        return username == "ubuntu" and authorized is not None and key.public_data == authorized.public_data

    def connection_requested(self, dest_host: str, *_: Any) -> bool:
        return dest_host == "127.0.0.1"

    def session_requested(self) -> Any:
        if self._host.sessions is not None:
            self._open += 1
            if self._open > self._host.sessions:
                raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, "no more sessions")
        return asyncssh.SSHServerProcess(self._process, None, sftp_version=3, allow_scp=False)

    async def _process(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        task = asyncio.current_task()
        assert task
        self._host.sessions_running.add(task)
        await _serve(self._host, process)
        self._host.sessions_running.remove(task)


async def _serve(host: Host, process: asyncssh.SSHServerProcess[bytes]) -> None:
    command = process.command or ""
    host.commands.append(command)
    process.stdout.write(host.says_first)
    if host.instead is not None:
        said, status = host.instead
        process.stdout.write(said)
        process.exit(status)
        return
    child = await asyncio.create_subprocess_exec(
        "/bin/bash", "-c", command, stdin=-1, stdout=-1, stderr=-1, env=host.environment, cwd="/",
        start_new_session=True,
    )  # fmt: skip
    assert child.stdin
    assert child.stdout
    assert child.stderr
    feed = asyncio.ensure_future(_feed(process, child.stdin))
    work = asyncio.ensure_future(_drain(host, process, child))
    gone = asyncio.ensure_future(process.wait_closed())
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work.done() and not work.exception():
            status = work.result()
            if status < 0:
                process.exit_with_signal(signal.Signals(-status).name.removeprefix("SIG"))
            else:
                process.exit(status)
    finally:
        for task in (feed, work, gone):
            task.cancel()
        await asyncio.gather(feed, work, gone, return_exceptions=True)
        if child.returncode is None and not host.forgets:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child._transport.close()  # type: ignore[attr-defined]  # what `timeout` started has a group of its own
        await child.wait()


async def _feed(process: asyncssh.SSHServerProcess[bytes], sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, asyncssh.Error):
        while chunk := await process.stdin.read(65536):
            sink.write(chunk)
            await sink.drain()
        sink.close()


async def _drain(host: Host, process: asyncssh.SSHServerProcess[bytes], child: asyncio.subprocess.Process) -> int:
    sent = 0

    async def copy(source: asyncio.StreamReader, sink: asyncssh.SSHWriter[bytes]) -> None:
        nonlocal sent
        while chunk := await source.read(65536):
            if host.cut_after_bytes is not None and sent + len(chunk) >= host.cut_after_bytes:
                process.channel.get_connection().abort()
                raise ConnectionAbortedError
            sent += len(chunk)
            sink.write(chunk)
            await sink.drain()

    assert child.stdout
    assert child.stderr
    await asyncio.gather(copy(child.stdout, process.stdout), copy(child.stderr, process.stderr))
    return await child.wait()


@contextlib.contextmanager
def _loop() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test-ssh-server", daemon=True)
    thread.start()
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(20)
    finally:
        asyncio.run_coroutine_threadsafe(_finish(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _finish() -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def serving(host: Host) -> Iterator[Host]:
    """Run an SSH server in a thread until the end of the block."""

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            lambda: _Server(host), "127.0.0.1", 0, server_host_keys=[host.host_key, *host.more_keys], encoding=None,
            line_editor=False, login_timeout=30, reuse_address=True,
        )  # fmt: skip

    async def close(acceptor: asyncssh.SSHAcceptor) -> None:
        acceptor.close()
        await acceptor.wait_closed()
        for connection in host.connections:
            connection.abort()
            await connection.wait_closed()
        await asyncio.gather(*host.sessions_running, return_exceptions=True)

    with _loop() as run:
        acceptor = run(listen())
        host.port = acceptor.get_port()
        try:
            yield host
        finally:
            run(close(acceptor))


@contextlib.contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Answer each connection with a function, in a thread of its own, until the end of the block. Yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    accepted: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            accepted.append(connection)
            thread = threading.Thread(target=answer, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        listener.close()
        for connection in accepted:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for connection in accepted:
            connection.close()


@contextlib.contextmanager
def black_hole() -> Iterator[int]:
    """A port whose queue is full: the kernel drops what comes, as a firewall does. Yields the port."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)  # noqa: FBT003  # socket's own signature
            client.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def reset(connection: socket.socket) -> None:
    """Answer with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def relay(connection: socket.socket, port: int) -> None:
    """Pass everything on to another port, both ways."""
    with socket.create_connection(("127.0.0.1", port)) as onwards:
        back = threading.Thread(target=_copy, args=(onwards, connection), daemon=True)
        back.start()
        _copy(connection, onwards)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Key files of a test: those of a person, and of hosts."""

    folder: Path
    mine: asyncssh.SSHKey
    other: asyncssh.SSHKey
    host: asyncssh.SSHKey
    host_2: asyncssh.SSHKey

    def file(self, name: str, key: asyncssh.SSHKey | None = None, *, passphrase: str | None = None) -> Path:
        """Write a private key, in the format and mode that OpenSSH wants."""
        path = self.folder / name
        path.write_bytes((key or self.mine).export_private_key("openssh", passphrase))
        path.chmod(0o600)
        return path

    def known_hosts(self, *entries: tuple[str, asyncssh.SSHKey]) -> Path:
        """Write a known_hosts file."""
        path = self.folder / "known_hosts"
        path.write_text("".join(f"{name} {key.export_public_key().decode()}" for name, key in entries))
        return path


def make_keys(folder: Path) -> Keys:
    """Make the keys of a test."""
    one, two, three, four = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(4))
    return Keys(folder=folder, mine=one, other=two, host=three, host_2=four)
