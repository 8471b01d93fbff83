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


class OfferKeys:
    """The keys to offer for a login; paramiko's client calls `authenticate` with its transport."""

    def __init__(self, login: Login, offers: tuple[_Offer, ...], agent: paramiko.Agent | None) -> None:
        self._login = login
        self._offers = offers
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

    def authenticate(self, transport: paramiko.Transport) -> list[Any]:
        """Log in. Raises ConnectionFailed: authentication, silent or dropped."""
        try:
            return self._authenticate(transport)
        finally:
            _close(self._agent)

    def _authenticate(self, transport: paramiko.Transport) -> list[Any]:
        login, accepts = self._login, set[str]()
        tried: list[str] = []
        for attempt in self._attempts(transport, tried):
            try:
                still_asked = attempt()
            except paramiko.BadAuthenticationType as error:
                accepts.update(error.allowed_types)
                if "publickey" not in accepts:
                    break
            except paramiko.AuthenticationException as error:
                if "timeout" in str(error).lower():
                    raise troubles.authentication_silent(
                        login.address, login.port, login.user, transport.auth_timeout
                    ) from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                raise troubles.dropped(login.address, login.port, f"during the login: {error}") from error
            else:
                if not still_asked:
                    return []
                # The key was right, and is not enough: a password or a code would have to be typed.
                accepts.update(still_asked)
                tried[-1] += " (accepted, but not enough)"
                break
            if not transport.is_active():
                break
        raise troubles.authentication(login.address, login.port, login.user, tried, accepts)

    def _attempts(self, transport: paramiko.Transport, tried: list[str]) -> Iterator[Any]:
        """Yield one call for each key; without any, the login that needs none (and says what is accepted)."""
        if not self._offers:
            yield lambda: transport.auth_none(self._login.user)
        for offer in self._offers:
            tried.append(offer.named)
            yield lambda key=offer.key: transport.auth_publickey(self._login.user, key)


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
