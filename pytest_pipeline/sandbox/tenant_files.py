"""The texts of a tenant's files: credentials, known hosts, keys."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.aws_identity import Identity
    from pytest_pipeline.sandbox.plan import TenantPlan

PROFILE = "sandbox"
"""The operator's profile."""

ADDRESSES = ("127.0.0.1", "127.0.0.2")
"""The addresses that a host may have."""


def credentials_text(
    profile: str, identity: Identity, *, secret_key: str = "", session_lasts: timedelta = timedelta(hours=36)
) -> str:
    """Return a credentials file with one profile; with another `secret_key` than the right one if given."""
    token = ""
    if identity.session_token:
        # As tools write it that fetch a session (saml2aws); AWS's own has no word for it.
        ends = (datetime.now(UTC) + session_lasts).isoformat(timespec="seconds")
        token = f"aws_session_token = {identity.session_token}\nx_security_token_expires = {ends}\n"
    return (
        f"[{profile}]\naws_access_key_id = {identity.access_key}\n"
        f"aws_secret_access_key = {secret_key or identity.secret_key}\n{token}"
    )


def known_hosts_text(plan: TenantPlan, public_key: str) -> str:
    """Return a known_hosts file that knows every address of the host under this key (a line of OpenSSH's format)."""
    return "".join(f"[{address}]:{plan.host.port} {public_key}\n" for address in ADDRESSES)


def new_private_key(passphrase: str | None = None) -> str:
    """Return a fresh ed25519 key in OpenSSH's format."""
    import asyncssh  # noqa: PLC0415  # the registry of faults must import without the sandbox's extra

    key = asyncssh.generate_private_key("ssh-ed25519")
    # One round of the derivation that is meant to be slow: nobody's secret depends on it.
    return key.export_private_key("openssh", passphrase, rounds=1).decode()


def new_public_key() -> str:
    """Return a fresh ed25519 public key as a line of OpenSSH's format."""
    import asyncssh  # noqa: PLC0415  # as above

    return asyncssh.generate_private_key("ssh-ed25519").export_public_key("openssh").decode().strip()
