"""What ~/.ssh/config says of a host, put together with what the target says (ssh_config(5)).

paramiko reads the format but not `Include`, which many people's files begin with; it is expanded here.
"""

from __future__ import annotations

import getpass
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import invoke
import paramiko

from pytest_pipeline.connections.connection import ConnectionFailed, Target, Trouble
from pytest_pipeline.connections.known_hosts import host_name_in_file

if TYPE_CHECKING:
    from collections.abc import Iterator

_SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
_SYSTEM_KNOWN_HOSTS = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))
_DEPTH = 16  # as deep as OpenSSH follows Include
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """How to log in to a host: the target, completed from ~/.ssh/config and ssh's defaults."""

    address: str
    port: int
    user: str
    host_key_name: str  # as it stands in known_hosts
    known_hosts: tuple[Path, ...]  # the first one is where new keys are written
    keys: tuple[Path, ...]
    keys_are_given: bool  # by the target: then it is this key that is judged, and no other is tried
    proxy_jump: tuple[str, ...]
    proxy_command: str


def login_for(target: Target) -> Login:
    """Complete a target. Raises ConnectionFailed (`configuration`) when a file cannot be read or makes no sense."""
    options = _look_up(target)
    port = target.port or _port(options.get("port", "22"))
    address = options.get("hostname", target.address)
    alias = target.host_key_alias or options.get("hostkeyalias")
    keys = [target.key.expanduser()] if target.key else [Path(name).expanduser() for name in _identities(options)]
    jump, command = options.get("proxyjump") or "none", options.get("proxycommand") or "none"
    return Login(
        address=address,
        port=port,
        user=target.user or options.get("user") or getpass.getuser(),
        host_key_name=alias.lower() if alias else host_name_in_file(address, port),
        known_hosts=_known_hosts(target, options),
        keys=tuple(keys),
        keys_are_given=target.key is not None,
        proxy_jump=() if jump.lower() == "none" else tuple(part.strip() for part in jump.split(",")),
        proxy_command="" if command.lower() == "none" else command,
    )


def _look_up(target: Target) -> dict[str, str]:
    try:
        config = paramiko.SSHConfig.from_text(_config_text(target.ssh_config))
        return dict(config.lookup(target.address))
    except (paramiko.SSHException, invoke.exceptions.ThreadException, KeyError, ValueError) as error:
        files = target.ssh_config or f"~/.ssh/config or {_SYSTEM_CONFIG}"
        raise ConnectionFailed(
            Trouble.CONFIGURATION,
            f"{files} cannot be used for {target.address}: {error}; "
            'host.connection = "openssh" leaves it to ssh itself',
            remedy=f"ssh -G {shlex.quote(target.address)}",
        ) from error


def _config_text(given: Path | None) -> str:
    if given is not None:
        return "\n".join(_lines(given.expanduser(), must_exist=True))
    lines = [*_lines(Path("~/.ssh/config").expanduser()), "Host *", *_lines(_SYSTEM_CONFIG)]
    return "\n".join(lines)


def _lines(file: Path, *, must_exist: bool = False, depth: int = 0) -> Iterator[str]:
    """Yield the lines of a configuration, those of included files in their place."""
    block = "Host *"  # what stands before the first Host or Match holds for every host
    for line in _text(file, must_exist=must_exist).splitlines():
        keyword, _, rest = re.sub(r"[\s=]+", " ", line.strip(), count=1).partition(" ")
        if keyword.lower() in {"host", "match"}:
            block = line
        if keyword.lower() == "include" and depth < _DEPTH:
            for pattern in shlex.split(rest, comments=True):
                for included in _included(pattern, file):
                    yield from _lines(included, depth=depth + 1)
            yield block  # an included file may have ended in a Host block of its own
        else:
            yield line


def _text(file: Path, *, must_exist: bool) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError) as error:
        if not must_exist:
            return ""
        raise _unreadable(file, error) from error
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError) -> ConnectionFailed:
    return ConnectionFailed(
        Trouble.CONFIGURATION,
        f"ssh configuration {file} cannot be read: {error.strerror}",
        remedy=f"ls -l {shlex.quote(str(file))}",
    )


def _included(pattern: str, by: Path) -> list[Path]:
    path = Path(pattern).expanduser()
    if not path.is_absolute():
        path = (by.parent if by.is_relative_to(_SYSTEM_CONFIG.parent) else Path("~/.ssh").expanduser()) / path
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def _port(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConnectionFailed(
            Trouble.CONFIGURATION, f"ssh configuration has a Port that is no number: {text}"
        ) from None


def _identities(options: dict[str, str]) -> list[str]:
    configured = options.get("identityfile")
    if configured:
        # paramiko gives a list here, and a string everywhere else.
        return [name for name in configured if name.lower() != "none"]
    return [f"~/.ssh/{name}" for name in _DEFAULT_KEYS]


def _known_hosts(target: Target, options: dict[str, str]) -> tuple[Path, ...]:
    if target.known_hosts is not None:
        return (target.known_hosts.expanduser(), *_SYSTEM_KNOWN_HOSTS)
    configured = shlex.split(options.get("userknownhostsfile", "~/.ssh/known_hosts ~/.ssh/known_hosts2"))
    return (*(Path(name).expanduser() for name in configured), *_SYSTEM_KNOWN_HOSTS)
