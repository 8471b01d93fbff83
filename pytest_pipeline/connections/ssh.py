"""ssh through fabric and paramiko, without their surprises.

Left to themselves they accept any host key, mind no mode of a key file, report a lost connection as exit status -1,
wait for ever for a command to be accepted, and fail under pytest's capture. So: the way to the host, the keys and the
host key are ours, and commands run on raw channels. `fabric.Connection` is handed to row authors, open and checked.
"""

from __future__ import annotations

import logging
import re
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import fabric
import paramiko

from pytest_pipeline.connections import troubles
from pytest_pipeline.connections.authentication import HungUp, OfferKeys
from pytest_pipeline.connections.channel import SshConnection
from pytest_pipeline.connections.connection import ConnectionFailed, Opened, Target, Trouble
from pytest_pipeline.connections.host_keys import HostKeyCheck
from pytest_pipeline.connections.known_hosts import fingerprint
from pytest_pipeline.connections.route import ProxyCommand, await_banner, connect_tcp
from pytest_pipeline.connections.ssh_config import Login, login_for

if TYPE_CHECKING:
    import socket

_RETRY_PAUSE_S = 0.3  # sshd frees a place as soon as one of the logins under way is done
_JUMPS = 4
_KEEPALIVE_S = 15

# paramiko logs whole tracebacks of what we say in a sentence; without a handler of its own they go to stderr.
_LOG_CHANNEL = "pytest_pipeline.paramiko"
logging.getLogger(_LOG_CHANNEL).addHandler(logging.NullHandler())


def open_ssh(target: Target) -> Opened:
    """Connect and log in. Raises ConnectionFailed.

    A connection that is dropped before the banner is tried once more: an overloaded sshd does this (MaxStartups).
    """
    started = time.monotonic()
    try:
        opened = _open(target)
    except ConnectionFailed as failure:
        if not failure.transient:
            raise
        time.sleep(_RETRY_PAUSE_S)
        opened = replace(_open(target), retries=1)
    return replace(opened, opened_s=time.monotonic() - started)


def _open(target: Target, *, through: tuple[str, ...] = (), depth: int = 0) -> Opened:
    """Open one connection, through the jump hosts given or else those of ~/.ssh/config."""
    login = login_for(target)
    if through:
        login = replace(login, proxy_jump=through)
    policy = _HostKeyPolicy(HostKeyCheck.of(login, accept_new=target.accept_new_host_key))
    keys = OfferKeys.for_login(login)
    try:
        while True:
            try:
                return _connect(login, target, keys, policy, depth)
            except HungUp:
                continue  # the keys that were refused are not offered again
    finally:
        keys.close()


def _connect(login: Login, target: Target, keys: OfferKeys, policy: _HostKeyPolicy, depth: int) -> Opened:
    """Connect, and log in with the keys that are left."""
    with ExitStack() as on_failure:
        way = _way_to(login, target, on_failure, depth)
        host = _fabric_connection(login)
        on_failure.callback(host.client.close)
        host.client.set_log_channel(_LOG_CHANNEL)
        host.client.set_missing_host_key_policy(policy)
        _log_in(host, login, way, keys=keys, policy=policy, timeout_s=target.connect_timeout_s)
        transport = host.transport = host.client.get_transport()
        transport.set_keepalive(_KEEPALIVE_S)
        shown = transport.get_remote_server_key()
        connection = SshConnection(transport, address=login.address, port=login.port, closing=on_failure.pop_all())
    return Opened(
        connection=connection,
        address=login.address,
        port=login.port,
        user=login.user,
        opened_s=0.0,
        banner=transport.remote_version,
        host_key_fingerprint=fingerprint(shown.get_name(), shown.asbytes()),
        accepted_host_key=policy.accepted,
        fabric=host,
    )


def _way_to(login: Login, target: Target, closing: ExitStack, depth: int) -> Any:
    """Return a socket, or a channel through another host, that leads to the SSH server."""
    timeout_s = target.connect_timeout_s
    if login.proxy_command:
        proxy = ProxyCommand(login.proxy_command)
        closing.callback(proxy.close)
        try:
            await_banner(proxy.socket, login.address, login.port, timeout_s)
        except ConnectionFailed as failure:
            raise troubles.proxy(f"ProxyCommand {login.proxy_command!r}", failure.message) from failure
        return proxy.socket
    if login.proxy_jump:
        return _through(login, target, closing, depth)
    connected = connect_tcp(login.address, login.port, timeout_s)
    closing.callback(connected.close)
    await_banner(connected, login.address, login.port, timeout_s)
    return connected


def _through(login: Login, target: Target, closing: ExitStack, depth: int) -> Any:
    """Log in to the last jump host (itself reached through those before it) and ask it for a channel onwards."""
    *before, last = login.proxy_jump
    if depth >= _JUMPS:
        raise troubles.proxy(f"jump host {last}", f"more than {_JUMPS} jump hosts in a row, or a circle of them")
    jump_target = replace(
        _jump_target(last), known_hosts=target.known_hosts, ssh_config=target.ssh_config,
        accept_new_host_key=target.accept_new_host_key, connect_timeout_s=target.connect_timeout_s,
    )  # fmt: skip
    try:
        jump = _open(jump_target, through=tuple(before), depth=depth + 1)
    except ConnectionFailed as failure:
        raise ConnectionFailed(
            Trouble.PROXY,
            f"the way through jump host {last} failed: {failure.message}",
            remedy=failure.remedy,
            transient=failure.transient,
        ) from failure
    closing.callback(jump.connection.close)
    assert jump.fabric is not None  # noqa: S101  # made with fabric, a few lines up
    try:
        return jump.fabric.transport.open_channel(
            "direct-tcpip", (login.address, login.port), ("127.0.0.1", 0), timeout=target.connect_timeout_s
        )
    except paramiko.SSHException as error:
        onwards = troubles.place(login.address, login.port)
        raise troubles.proxy(f"jump host {last}", f"it cannot reach {onwards}: {error}") from error


def _jump_target(spec: str) -> Target:
    """Read `[user@]host[:port]`, an IPv6 address in brackets."""
    matched = re.fullmatch(r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?P<host>\[[^\]]+\]|[^:]+)(?::(?P<port>\d+))?", spec)
    if matched is None:
        raise ConnectionFailed(Trouble.CONFIGURATION, f"ProxyJump {spec!r} is not [user@]host[:port]")
    port = matched["port"]
    return Target(address=matched["host"].strip("[]"), user=matched["user"], port=int(port) if port else None)


def _fabric_connection(login: Login) -> fabric.Connection:
    config = fabric.Config(
        ssh_config=paramiko.SSHConfig(),  # read already
        overrides={"run": {"in_stream": False}},  # pytest's capture has no stdin to forward
    )
    return fabric.Connection(login.address, user=login.user, port=login.port, config=config)


def _log_in(
    host: fabric.Connection, login: Login, way: Any, *, keys: OfferKeys, policy: _HostKeyPolicy, timeout_s: float
) -> None:
    address, port = login.address, login.port
    try:
        host.client.connect(
            address,
            port,
            login.user,
            sock=way,
            timeout=timeout_s,
            banner_timeout=timeout_s,
            auth_timeout=timeout_s,
            channel_timeout=timeout_s,
            transport_factory=policy.transport,
            auth_strategy=keys,
        )
    except paramiko.ssh_exception.IncompatiblePeer as error:
        raise troubles.incompatible(address, port, str(error)) from error
    except (paramiko.SSHException, OSError, EOFError) as error:
        raise _kex_failure(error, login, timeout_s) from error


def _kex_failure(error: Exception, login: Login, timeout_s: float) -> ConnectionFailed:
    address, port = login.address, login.port
    text = str(error)
    if "protocol banner" in text:  # only behind a jump host; elsewhere the banner was seen
        return troubles.dropped_early(address, port)
    if "No existing session" in text or "timeout" in text.lower():
        return troubles.silent(address, port, timeout_s, waiting_for="the exchange of keys")
    return troubles.dropped(address, port, f"while keys were exchanged: {text or type(error).__name__}")


class _HostKeyPolicy(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko ships no types
    """Has the host's key judged by us. The client is given no known keys, so that it always asks."""

    def __init__(self, check: HostKeyCheck) -> None:
        self._check = check
        self._accepted = b""

    @property
    def accepted(self) -> bool:
        """Whether a new host key was accepted."""
        return bool(self._accepted)

    def transport(self, sock: socket.socket, **options: Any) -> paramiko.Transport:
        """Make the client's transport, asking first for the types of host key that are known."""
        transport = paramiko.Transport(sock, **options)
        security = transport.get_security_options()
        security.key_types = self._check.preferred(security.key_types)
        return transport

    def missing_host_key(self, _client: Any, _hostname: str, key: paramiko.PKey) -> None:
        blob = key.asbytes()
        if blob != self._accepted and self._check.judge(key.get_name(), blob):
            self._accepted = blob
