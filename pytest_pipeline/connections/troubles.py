"""The sentence and the remedy of each trouble on the way to a host, worded alike for every kind of connection."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pytest_pipeline.connections.connection import ConnectionFailed, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def place(address: str, port: int) -> str:
    """Name a port of a host in a sentence."""
    return f"port {port} of {address}"


def refused(address: str, port: int) -> ConnectionFailed:
    """Nothing listens there."""
    return ConnectionFailed(
        Trouble.REFUSED,
        f"{place(address, port)} refused the connection: no SSH server listens there",
        remedy=f"nc -vz {shlex.quote(address)} {port}",
    )


def timed_out(address: str, port: int, after_s: float) -> ConnectionFailed:
    """No packet came back."""
    return ConnectionFailed(
        Trouble.TIMEOUT,
        f"{place(address, port)} did not answer within {after_s:g} s: a firewall or security group drops the packets, "
        "the address is not the host's, or the host is off",
        remedy=f"nc -vz -w 5 {shlex.quote(address)} {port}",
    )


def unreachable(address: str, port: int, why: str) -> ConnectionFailed:
    """The network says so itself."""
    return ConnectionFailed(
        Trouble.UNREACHABLE,
        f"{place(address, port)} cannot be reached from here: {why}",
        remedy=f"ip route get {shlex.quote(address)}",
    )


def unresolved(address: str, why: str) -> ConnectionFailed:
    """The name has no address."""
    return ConnectionFailed(
        Trouble.UNRESOLVED,
        f"the host name {address} has no address: {why}",
        remedy=f"getent hosts {shlex.quote(address)}",
    )


def silent(address: str, port: int, after_s: float, waiting_for: str = "an SSH banner") -> ConnectionFailed:
    """Connected, and not a word."""
    return ConnectionFailed(
        Trouble.SILENT,
        f"{place(address, port)} accepted the connection and sent no more within {after_s:g} s, while we waited for "
        f"{waiting_for}: the SSH server hangs, or another program listens there",
        remedy=f"nc -w 5 {shlex.quote(address)} {port}",
    )


def not_ssh(address: str, port: int, said: str) -> ConnectionFailed:
    """Something else listens there."""
    return ConnectionFailed(
        Trouble.NOT_SSH,
        f"{place(address, port)} is not an SSH server: it said {said!r}",
        remedy=f"nc -w 5 {shlex.quote(address)} {port}",
    )


def incompatible(address: str, port: int, why: str) -> ConnectionFailed:
    """No algorithm in common."""
    return ConnectionFailed(
        Trouble.INCOMPATIBLE,
        f"{place(address, port)} and this client agree on no algorithm: {why}",
        remedy=f"ssh -vv -p {port} {shlex.quote(address)} exit",
    )


def dropped_early(address: str, port: int, said: str = "") -> ConnectionFailed:
    """Closed before the SSH banner: what an overloaded sshd does (MaxStartups), and a full or blocking one."""
    words = f" ({said!r})" if said else ""
    return ConnectionFailed(
        Trouble.DROPPED,
        f"{place(address, port)} closed the connection before the SSH banner{words}: the server is overloaded "
        "(MaxStartups), blocks this address, or is no SSH server",
        remedy=f"nc -w 5 {shlex.quote(address)} {port}",
        transient=True,
    )


def dropped(address: str, port: int, when: str) -> ConnectionFailed:
    """Lost after the banner."""
    return ConnectionFailed(Trouble.DROPPED, f"the connection to {place(address, port)} was lost {when}")


def busy(address: str, port: int, why: str) -> ConnectionFailed:
    """Connected and logged in, and no further session is opened."""
    return ConnectionFailed(
        Trouble.BUSY,
        f"{place(address, port)} opens no further session: {why} (MaxSessions in its sshd_config)",
    )


def no_commands(address: str, port: int) -> ConnectionFailed:
    """Logged in, and the request to run a command was turned down."""
    return ConnectionFailed(
        Trouble.NO_SHELL, f"{place(address, port)} accepted the login and refuses to run commands for this user"
    )


def authentication(
    address: str, port: int, user: str, offered: Iterable[str], accepts: Iterable[str] = ()
) -> ConnectionFailed:
    """The host turned down user and keys."""
    keys = list(offered)
    tried = " and ".join(keys) if keys else "no key at all (none configured, no agent, no ~/.ssh/id_*)"
    wants = ", ".join(sorted(accepts))
    asks = f"; it accepts {wants}" if wants else ""
    return ConnectionFailed(
        Trouble.AUTHENTICATION,
        f"{place(address, port)} refused the login of user {user} with {tried}{asks}: wrong user, or the public key is "
        "not in its authorized_keys",
        remedy=f"ssh -v -p {port} {shlex.quote(f'{user}@{address}')} exit",
    )


def authentication_silent(address: str, port: int, user: str, after_s: float) -> ConnectionFailed:
    """The host never said yes or no."""
    return ConnectionFailed(
        Trouble.SILENT,
        f"{place(address, port)} did not answer the login of user {user} within {after_s:g} s",
        remedy=f"ssh -v -p {port} {shlex.quote(f'{user}@{address}')} exit",
    )


def host_key_unknown(
    name: str, address: str, port: int, shown: str, files: Iterable[Path], *, by_authority: bool = False
) -> ConnectionFailed:
    """Nobody has said yet which key this host has."""
    paths = list(files)
    places = " and ".join(map(str, paths)) or "no known_hosts file"
    why = (
        " (its certificate authority is known, which only `host.connection = openssh` can check)"
        if by_authority
        else ""
    )
    keyscan = f"ssh-keyscan -p {port} {shlex.quote(address)}"
    into = shlex.quote(str(paths[0])) if paths else "~/.ssh/known_hosts"
    return ConnectionFailed(
        Trouble.HOST_KEY_UNKNOWN,
        f"the host key of {name} is unknown{why}: it shows {shown}, and {places} has no key for it; compare the "
        "fingerprint with the host's console before trusting it",
        remedy=f"{keyscan} >> {into}",
    )


def host_key_changed(name: str, shown: str, known: str, where: str, file: Path) -> ConnectionFailed:
    """The host shows another key than the one we know: relaunched, its address reused, or not the host at all."""
    return ConnectionFailed(
        Trouble.HOST_KEY_CHANGED,
        f"the host key of {name} changed: known is {known} ({where}), now it shows {shown}; the instance was "
        "relaunched, its address was reused, or somebody is in between",
        remedy=f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(str(file))}",
    )


def host_key_revoked(name: str, shown: str, where: str) -> ConnectionFailed:
    """Somebody said that this very key must not be trusted."""
    return ConnectionFailed(Trouble.HOST_KEY_CHANGED, f"the host key of {name}, {shown}, is revoked ({where})")


def proxy(through: str, why: str) -> ConnectionFailed:
    """The way there has a part of its own, which failed."""
    return ConnectionFailed(Trouble.PROXY, f"the way through {through} failed: {why}")
