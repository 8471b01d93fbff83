"""Which key a host is known to have (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").

Read by ourselves since paramiko's reader knows neither patterns nor `@revoked`, and would take the first key type it
finds for the only one.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pytest_pipeline.connections.connection import ConnectionFailed, Trouble

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_HASHED = "|1|"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """One line of a known_hosts file."""

    marker: str  # "", "@revoked" or "@cert-authority"
    names: str
    type: str
    blob: bytes
    file: Path
    line: int

    @property
    def where(self) -> str:
        """The file and line, as a compiler names them."""
        return f"{self.file}:{self.line}"

    def names_host(self, name: str) -> bool:
        """Whether the line speaks of a host: by name, pattern, `!` exclusion or hash."""
        if self.names.startswith(_HASHED):
            return _hash_matches(self.names, name)
        patterns = self.names.lower().split(",")
        if any(fnmatchcase(name, _pattern(pattern[1:])) for pattern in patterns if pattern.startswith("!")):
            return False
        return any(fnmatchcase(name, _pattern(pattern)) for pattern in patterns if not pattern.startswith("!"))


def host_name_in_file(address: str, port: int) -> str:
    """Return the name under which known_hosts has a host: `address`, or `[address]:port` off the usual port."""
    return address.lower() if port == 22 else f"[{address.lower()}]:{port}"  # noqa: PLR2004  # ssh's well-known port


def fingerprint(key_type: str, blob: bytes) -> str:
    """Return a fingerprint as `ssh-keygen -l` prints it: `ED25519 SHA256:...`."""
    digest = b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{_short(key_type)} SHA256:{digest}"


def read_known_hosts(files: Iterable[Path]) -> tuple[KnownKey, ...]:
    """Read known_hosts files, in order. Files that do not exist are skipped, lines that make no sense too.

    Raises ConnectionFailed when a file is there and cannot be read: an unknown host would be a wrong conclusion.
    """
    keys: list[KnownKey] = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise ConnectionFailed(
                Trouble.CONFIGURATION, f"{file} cannot be read: {error.strerror}", remedy=f"ls -l {file}"
            ) from error
        keys += [key for number, line in enumerate(text.splitlines(), 1) if (key := _parse(line, file, number))]
    return tuple(keys)


def append_known_host(file: Path, name: str, key_type: str, blob: bytes) -> None:
    """Remember a host's key, as OpenSSH does for `StrictHostKeyChecking accept-new`. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file.open("a+b") as stream:
        stream.seek(0)
        text = stream.read()
        if text and not text.endswith(b"\n"):
            stream.write(b"\n")
        stream.write(f"{name} {key_type} {b64encode(blob).decode()}\n".encode())
    if not text:
        file.chmod(0o600)


def _parse(line: str, file: Path, number: int) -> KnownKey | None:
    fields = line.split()
    if not fields or fields[0].startswith("#"):
        return None
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if len(fields) < 3:  # noqa: PLR2004  # names, type, key
        return None
    names, key_type, encoded = fields[:3]
    try:
        blob = b64decode(encoded, validate=True)
    except ValueError:
        return None
    return KnownKey(marker=marker, names=names, type=key_type, blob=blob, file=file, line=number)


def _pattern(pattern: str) -> str:
    # Only * and ? are special to OpenSSH; fnmatch would take the brackets of [host]:port for a set.
    return pattern.replace("[", "[[]")


def _hash_matches(names: str, name: str) -> bool:
    try:
        salt, digest = (b64decode(part) for part in names.removeprefix(_HASHED).split("|"))
    except ValueError:
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), digest)


def _short(key_type: str) -> str:
    if key_type.startswith("ecdsa-"):
        return "ECDSA"
    return key_type.removeprefix("ssh-").upper()
