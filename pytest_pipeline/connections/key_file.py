"""What is wrong with a private key file, found before it is offered to a host.

OpenSSH refuses keys that paramiko takes: readable by others, without a final newline, with Windows line ends. The
pipeline's own scripts call OpenSSH, so such a key is a fault although we could connect with it.
"""

from __future__ import annotations

import io
import os
import shlex
import stat
import struct
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from pytest_pipeline.connections.connection import ConnectionFailed, Trouble

_PARAMIKO_KINDS = {
    RSAPrivateKey: paramiko.RSAKey,
    EllipticCurvePrivateKey: paramiko.ECDSAKey,
    Ed25519PrivateKey: paramiko.Ed25519Key,
}
_OPENSSH_BEGIN = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_OPENSSH_END = b"-----END OPENSSH PRIVATE KEY-----"
_OPENSSH_MAGIC = b"openssh-key-v1\0"  # PROTOCOL.key of OpenSSH
_PUBLIC_STARTS = (
    b"ssh-", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-", b"---- BEGIN SSH2 PUBLIC KEY", b"-----BEGIN PUBLIC KEY",
    b"-----BEGIN RSA PUBLIC KEY",
)  # fmt: skip
_LARGEST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFile:
    """A private key file that OpenSSH would take.

    `key` is None when the file is encrypted, or of a kind that only OpenSSH itself can use (hardware keys);
    `public_blob` names such a key to an agent, where the file shows it.
    """

    path: Path
    key: paramiko.PKey | None
    public_blob: bytes = b""
    is_hardware: bool = False

    @property
    def is_encrypted(self) -> bool:
        """Whether a passphrase is needed, which nobody is asked for."""
        return self.key is None and not self.is_hardware


def read_key_file(path: Path) -> KeyFile:
    """Read a private key as OpenSSH would. Raises ConnectionFailed with one of the `key-...` troubles."""
    data = _read(path)
    _refuse_public(path, data)
    _refuse_open_mode(path)
    if data.startswith(b"PuTTY-User-Key-File"):
        openssh = shlex.quote(f"{path.with_suffix('')}.pem")
        raise ConnectionFailed(
            Trouble.KEY_MALFORMED,
            f"{path} is a PuTTY key, which OpenSSH cannot read",
            remedy=f"puttygen {shlex.quote(str(path))} -O private-openssh -o {openssh}",
        )
    if data.startswith(_OPENSSH_BEGIN):
        return _openssh_key(path, data)
    if b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data or b"Proc-Type: 4,ENCRYPTED" in data:
        return KeyFile(path=path, key=None)
    return KeyFile(path=path, key=_load(path, data))


def encrypted(path: Path) -> ConnectionFailed:
    """Say that a key needs a passphrase, and how to live without being asked for it."""
    return ConnectionFailed(
        Trouble.KEY_ENCRYPTED,
        f"private key {path} is encrypted and no agent holds it; a gate asks nobody for a passphrase",
        remedy=f'eval "$(ssh-agent)" && ssh-add {shlex.quote(str(path))}',
    )


def hardware(path: Path) -> ConnectionFailed:
    """Say that only OpenSSH itself can use a key."""
    return ConnectionFailed(
        Trouble.KEY_UNSUPPORTED,
        f"private key {path} lives in a hardware token (FIDO), which only OpenSSH can use: set host.connection = "
        '"openssh"',
    )


def _read(path: Path) -> bytes:
    quoted = shlex.quote(str(path))
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConnectionFailed(
                Trouble.KEY_MALFORMED, f"{path} is not a file and so no private key", remedy=f"ls -ld {quoted}"
            )
        with path.open("rb") as file:
            return file.read(_LARGEST_BYTES)
    except FileNotFoundError:
        raise ConnectionFailed(
            Trouble.KEY_MISSING, f"there is no private key at {path}", remedy=f"ls -l {shlex.quote(str(path.parent))}"
        ) from None
    except OSError as error:
        raise ConnectionFailed(
            Trouble.KEY_UNREADABLE,
            f"private key {path} cannot be read: {error.strerror}",
            remedy=f'sudo chown "$USER" {quoted} && chmod 600 {quoted}',
        ) from error


def _refuse_public(path: Path, data: bytes) -> None:
    if not data.lstrip().startswith(_PUBLIC_STARTS):
        return
    private = path.with_suffix("") if path.suffix == ".pub" else None
    instead = f"; give the private key instead, {private}" if private else "; give the private key instead"
    raise ConnectionFailed(
        Trouble.KEY_PUBLIC,
        f"{path} is a public key{instead}",
        remedy=f"ls -l {shlex.quote(str(private or path.parent))}",
    )


def _refuse_open_mode(path: Path) -> None:
    status = path.stat()
    mode = stat.S_IMODE(status.st_mode)
    # OpenSSH's own rule (authfile.c, sshkey_perm_ok): it minds the mode of one's own files only.
    if status.st_uid == os.getuid() and mode & 0o077:
        raise ConnectionFailed(
            Trouble.KEY_READABLE_BY_OTHERS,
            f"private key {path} is readable by others (mode {mode:04o}); OpenSSH refuses it",
            remedy=f"chmod 600 {shlex.quote(str(path))}",
        )


def _openssh_key(path: Path, data: bytes) -> KeyFile:
    if b"\r" in data:
        raise ConnectionFailed(
            Trouble.KEY_MALFORMED,
            f"private key {path} has Windows line ends; OpenSSH refuses it",
            remedy=f"sed -i 's/\\r$//' {shlex.quote(str(path))}",
        )
    if data.rstrip().endswith(_OPENSSH_END) and not data.endswith(b"\n"):
        raise ConnectionFailed(
            Trouble.KEY_MALFORMED,
            f"private key {path} lacks its final line end (cut off when it was pasted?); OpenSSH refuses it",
            remedy=f"echo >> {shlex.quote(str(path))}",
        )
    try:
        cipher, public_blob = _openssh_envelope(data)
    except (ValueError, struct.error) as error:
        raise _malformed(path, "its content is damaged") from error
    if cipher != b"none":
        return KeyFile(path=path, key=None, public_blob=public_blob)
    if b"sk-ssh-" in public_blob or b"sk-ecdsa-" in public_blob:
        return KeyFile(path=path, key=None, public_blob=public_blob, is_hardware=True)
    return KeyFile(path=path, key=_load(path, data), public_blob=public_blob)


def _openssh_envelope(data: bytes) -> tuple[bytes, bytes]:
    """Return the cipher's name and the public key of an OpenSSH private key: both stand before what is encrypted."""
    body = b64decode(data.split(_OPENSSH_BEGIN, 1)[1].split(_OPENSSH_END, 1)[0], validate=False)
    if not body.startswith(_OPENSSH_MAGIC):
        raise ValueError("no openssh-key-v1")
    rest = body[len(_OPENSSH_MAGIC) :]
    cipher, rest = _string(rest)
    _kdf, rest = _string(rest)
    _kdf_options, rest = _string(rest)
    public_blob, _ = _string(rest[4:])  # after the number of keys
    return cipher, public_blob


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Split off a string of the SSH wire format (RFC 4251, section 5)."""
    (length,) = struct.unpack_from(">I", data)
    if len(data) < 4 + length:
        raise ValueError("cut short")
    return data[4 : 4 + length], data[4 + length :]


def _load(path: Path, data: bytes) -> paramiko.PKey:
    try:
        key = _parse(data)
        kind = next(ours for theirs, ours in _PARAMIKO_KINDS.items() if isinstance(key, theirs))
        # Told again in OpenSSH's own format: paramiko does not know PKCS 8 ("BEGIN PRIVATE KEY"), which OpenSSH takes.
        again = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode("ascii")
        loaded = kind.from_private_key(io.StringIO(again))
        certificate = Path(f"{path}-cert.pub")
        if certificate.exists():
            loaded.load_certificate(str(certificate))
    except (UnsupportedAlgorithm, StopIteration) as error:
        raise ConnectionFailed(
            Trouble.KEY_UNSUPPORTED,
            f"private key {path} is of a type that SSH no longer uses; use ed25519, ecdsa or rsa",
            remedy="ssh-keygen -t ed25519",
        ) from error
    except (ValueError, TypeError, OSError, paramiko.SSHException) as error:
        raise _malformed(path, "it is not in a format that OpenSSH knows, or damaged") from error
    return loaded


def _parse(data: bytes) -> Any:
    if data.startswith(_OPENSSH_BEGIN):
        return load_ssh_private_key(data, password=None)
    return load_pem_private_key(data, password=None)


def _malformed(path: Path, why: str) -> ConnectionFailed:
    return ConnectionFailed(
        Trouble.KEY_MALFORMED,
        f"{path} is no usable private key: {why}",
        remedy=f"ssh-keygen -y -f {shlex.quote(str(path))}",
    )
