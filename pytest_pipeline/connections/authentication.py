"""Offering keys to a host: those that OpenSSH would offer, in its order, and never a prompt."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import paramiko

from pytest_pipeline.connections import troubles
from pytest_pipeline.connections.connection import ConnectionFailed
from pytest_pipeline.connections.key_file import encrypted, hardware, read_key_file
from pytest_pipeline.connections.known_hosts import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_pipeline.connections.ssh_config import Login


@dataclass(frozen=True, slots=True, kw_only=True)
class _Offer:
    key: Any  # paramiko.PKey
    named: str


class HungUp(Exception):  # noqa: N818  # what the host did
    """The host hung up when a second key was offered, and has not judged it: connect again, and offer the rest.

    paramiko asks for the login service anew with every key, which OpenSSH puts up with and others do not.
    """


class OfferKeys:
    """The keys to offer for a login; paramiko's client calls `authenticate` with its transport."""

    def __init__(self, login: Login, offers: tuple[_Offer, ...], agent: paramiko.Agent | None) -> None:
        self._login = login
        self._left = list(offers)
        self._tried: list[str] = []
        self._accepts: set[str] = set()
        self._agent = agent

    @classmethod
    def for_login(cls, login: Login) -> OfferKeys:
        """Read the key files and ask the agent. Raises ConnectionFailed with a `key-...` trouble.

        A key given for the target is judged alone. Otherwise a file that cannot be used is passed over, as OpenSSH
        does, and is the failure only when there is nothing else to offer.
        """
        agent = _agent()
        held = {key.asbytes(): key for key in agent.get_keys()} if agent else {}
        offers: list[_Offer] = []
        faults: list[ConnectionFailed] = []
        for path in login.keys:
            try:
                offers.append(_offer(path, held))
            except ConnectionFailed as fault:
                if login.keys_are_given:
                    _close(agent)
                    raise
                if path.exists():
                    faults.append(fault)
        if not login.keys_are_given:
            offered = {offer.key.asbytes() for offer in offers}
            offers += [
                _Offer(key=key, named=f"the agent's key {_named(key)}")
                for blob, key in held.items()
                if blob not in offered
            ]
        if not offers and faults:
            _close(agent)
            raise faults[0]
        return cls(login, tuple(offers), agent)

    def close(self) -> None:
        """Let go of the agent."""
        _close(self._agent)

    def authenticate(self, transport: paramiko.Transport) -> list[Any]:
        """Log in. Raises ConnectionFailed (authentication, silent, dropped), and HungUp where keys are left to try."""
        login = self._login
        for refused_here, attempt in enumerate(self._attempts(transport)):
            try:
                still_asked = attempt()
            except paramiko.BadAuthenticationType as error:
                self._accepts.update(error.allowed_types)
                if "publickey" not in self._accepts:
                    break
            except (paramiko.SSHException, EOFError, OSError) as error:
                if refused_here == 1 and not transport.is_active():
                    raise HungUp from error
                self._raise_unless_refused(error, transport)
            else:
                if not still_asked:
                    return []
                # The key was right, and is not enough: a password or a code would have to be typed.
                self._accepts.update(still_asked)
                self._tried[-1] += " (accepted, but not enough)"
                break
        raise troubles.authentication(login.address, login.port, login.user, self._tried, self._accepts)

    def _attempts(self, transport: paramiko.Transport) -> Iterator[Any]:
        """Yield one call for each key that is left; without any, the login that needs none (and says what would do)."""
        if not self._left and not self._tried:
            yield lambda: transport.auth_none(self._login.user)
        while self._left:
            offer = self._left[0]
            if not self._tried or self._tried[-1] != offer.named:
                self._tried.append(offer.named)
            yield lambda key=offer.key: transport.auth_publickey(self._login.user, key)
            self._left.pop(0)  # refused: whoever is let in, or hung up on, does not come back here

    def _raise_unless_refused(self, error: Exception, transport: paramiko.Transport) -> None:
        login = self._login
        if not isinstance(error, paramiko.AuthenticationException):
            raise troubles.dropped(login.address, login.port, f"during the login: {error}") from error
        if "timeout" in str(error).lower():
            after_s = transport.auth_timeout
            raise troubles.authentication_silent(login.address, login.port, login.user, after_s) from error


def _offer(path: Path, held: dict[bytes, Any]) -> _Offer:
    file = read_key_file(path)
    if file.key is not None:
        return _Offer(key=file.key, named=f"private key {path} ({_named(file.key)})")
    blob = file.public_blob or _public_blob_beside(path)
    if blob in held:
        return _Offer(key=held[blob], named=f"the agent's copy of {path} ({_named(held[blob])})")
    raise hardware(path) if file.is_hardware else encrypted(path)


def _public_blob_beside(path: Path) -> bytes:
    """Return the public key of KEY from KEY.pub: an encrypted PEM file does not show its own."""
    with contextlib.suppress(OSError, ValueError, IndexError, paramiko.SSHException):
        return bytes(paramiko.PublicBlob.from_file(f"{path}.pub").key_blob)
    return b""


def _named(key: Any) -> str:
    return fingerprint(key.get_name(), key.asbytes())


def _agent() -> paramiko.Agent | None:
    try:
        return paramiko.Agent()
    except (paramiko.SSHException, OSError):
        return None  # an agent that does not answer holds nothing; encrypted keys then say so


def _close(agent: paramiko.Agent | None) -> None:
    if agent is not None:
        agent.close()
