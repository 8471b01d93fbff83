"""Whether the key that a host shows is the one it is known to have."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.connections import troubles
from pytest_pipeline.connections.known_hosts import append_known_host, fingerprint, read_known_hosts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_pipeline.connections.known_hosts import KnownKey
    from pytest_pipeline.connections.ssh_config import Login

_log = logging.getLogger(__name__)
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256", "ssh-rsa")  # RFC 8332: one type of key, three ways to sign


@dataclass(frozen=True, slots=True, kw_only=True)
class HostKeyCheck:
    """What is known of one host's keys, and whether a new one is to be accepted."""

    login: Login
    known: tuple[KnownKey, ...]
    accept_new: bool

    @classmethod
    def of(cls, login: Login, *, accept_new: bool) -> HostKeyCheck:
        """Read the known_hosts files for a login. Raises ConnectionFailed when one cannot be read."""
        known = tuple(key for key in read_known_hosts(login.known_hosts) if key.names_host(login.host_key_name))
        return cls(login=login, known=known, accept_new=accept_new)

    def preferred(self, offered: Iterable[str]) -> list[str]:
        """Order signature algorithms so that the host shows a key of a type we know: else it looks changed."""
        known = {key.type for key in self.known if not key.marker}
        if "ssh-rsa" in known:
            known.update(_RSA_SIGNATURES)
        return sorted(offered, key=lambda name: name not in known)

    def judge(self, key_type: str, blob: bytes) -> bool:
        """Return whether the key is new and was accepted. Raises ConnectionFailed when it is not the host's.

        A changed key fails whatever the settings say.
        """
        name, shown = self.login.host_key_name, fingerprint(key_type, blob)
        for key in self.known:
            if key.blob == blob and key.marker == "@revoked":
                raise troubles.host_key_revoked(name, shown, key.where)
        plain = [key for key in self.known if not key.marker]
        if any(key.blob == blob for key in plain):
            return False
        if plain:
            # The host no longer shows a key of a type we asked for first, or shows another of that type.
            old = next((key for key in plain if key.type == key_type), plain[0])
            raise troubles.host_key_changed(name, shown, fingerprint(old.type, old.blob), old.where, old.file)
        if not self.accept_new:
            raise troubles.host_key_unknown(
                name,
                self.login.address,
                self.login.port,
                shown,
                [file for file in self.login.known_hosts if file == self.login.known_hosts[0] or file.exists()],
                by_authority=any(key.marker == "@cert-authority" for key in self.known),
            )
        try:
            append_known_host(self.login.known_hosts[0], name, key_type, blob)
        except OSError as error:
            # It was accepted for this run; that it must be accepted again next time is no reason to fail.
            _log.warning("the new host key of %s could not be remembered: %s", name, error)
        return True
