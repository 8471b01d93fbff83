"""The protocol that every way to a host keeps, and the ways in which it fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    import fabric

OUTPUT_LIMIT_BYTES = 16 * 1024 * 1024
"""The most that a command may print: a runaway `cat` must not fill the memory of the gate."""


class Trouble(StrEnum):
    """What kept us from a host. The kind is for programs; the sentence beside it is for people."""

    REFUSED = "refused"  # nothing listens on the port
    TIMEOUT = "timeout"  # no answer at all: a firewall, a wrong address, a host that is off
    UNREACHABLE = "unreachable"  # the network says that there is no way
    UNRESOLVED = "unresolved"  # the name has no address
    SILENT = "silent"  # the port is open and says nothing
    NOT_SSH = "not-ssh"  # something else answers on the port
    INCOMPATIBLE = "incompatible"  # no algorithm in common
    AUTHENTICATION = "authentication"  # the host refused user and key
    KEY_MISSING = "key-missing"
    KEY_UNREADABLE = "key-unreadable"
    KEY_ENCRYPTED = "key-encrypted"
    KEY_PUBLIC = "key-public"
    KEY_MALFORMED = "key-malformed"
    KEY_UNSUPPORTED = "key-unsupported"  # a hardware key, or a type that is no longer accepted
    KEY_READABLE_BY_OTHERS = "key-readable-by-others"
    HOST_KEY_CHANGED = "host-key-changed"
    HOST_KEY_UNKNOWN = "host-key-unknown"
    CONFIGURATION = "configuration"  # ~/.ssh/config or known_hosts cannot be read
    PROXY = "proxy"  # the jump host or ProxyCommand failed
    DROPPED = "dropped"  # the connection was lost
    BUSY = "busy"  # the host opens no further session
    NO_SHELL = "no-shell"  # logged in, but commands are not run
    NO_CLIENT = "no-client"  # there is no `ssh` here


class ConnectionFailed(Exception):  # noqa: N818  # what happened, as in `Blocked`
    """No command reached the host, or its answer was lost.

    `message` says what and why in one sentence; `remedy` is a command to paste, or empty. `transient` says that a
    second try may succeed: an sshd with too many logins under way closes further ones before it says a word.
    """

    def __init__(self, kind: Trouble, message: str, *, remedy: str = "", transient: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy
        self.transient = transient


class CommandTimedOut(Exception):  # noqa: N818  # likewise
    """A command was still running at its deadline. What it had printed by then is kept."""

    def __init__(self, *, timeout_s: float, stdout: bytes = b"", stderr: bytes = b"") -> None:
        super().__init__(f"the command did not end within {timeout_s:g} s")
        self.timeout_s = timeout_s
        self.stdout = stdout
        self.stderr = stderr


class OutputTooLong(Exception):  # noqa: N818  # likewise
    """A command printed more than `OUTPUT_LIMIT_BYTES`, and was ended."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the command printed more than {limit_bytes} bytes and was ended")
        self.limit_bytes = limit_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A command that ended: its exit status (128 + n for signal n) and all that it printed."""

    exit_status: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Whether the command says that it succeeded."""
        return self.exit_status == 0


class Held(Protocol):
    """A command that lives for as long as somebody holds it."""

    stdout: bytes
    """What it had printed when it was ready."""

    @property
    def alive(self) -> bool:
        """Whether it is still there: what is held on the host is so for as long."""

    def close(self) -> None:
        """End its input, and with that the command. A second call does nothing."""


class Connection(Protocol):
    """An open way to a host. It may be used from several threads."""

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command line in the user's shell on the host.

        Raises ConnectionFailed when the answer was lost, CommandTimedOut at the deadline (the command is then ended on
        the host too), OutputTooLong.
        """

    def hold(self, command: str, *, stdin: bytes, until: bytes, timeout_s: float) -> Held | Finished:
        """Start a command whose input stays open, and return when it has printed `until`, or has ended before.

        It must end with its input, which ends at the latest with the gate or with the connection. Raises as `run` does,
        CommandTimedOut where it neither printed `until` in time nor ended.
        """

    def close(self) -> None:
        """End the connection. A second call does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where to connect, as whom, with what. What is None comes from ~/.ssh/config, else from ssh's own defaults.

    `ssh_config` replaces the user's and the system's file, as `ssh -F` does; `known_hosts` replaces the user's file.
    """

    address: str
    port: int | None = None
    user: str | None = None
    key: Path | None = None
    known_hosts: Path | None = None
    ssh_config: Path | None = None
    host_key_alias: str | None = None
    accept_new_host_key: bool = False
    connect_timeout_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A connection, and what was seen while it was opened.

    `address` and `port` are the ones really connected to, after ~/.ssh/config. `retries` is 1 when the first try was
    dropped. `host_key_fingerprint` reads as in `ssh-keygen -l` (`ED25519 SHA256:...`). `fabric` is there for the
    connection that is made with it, and None for the others.
    """

    connection: Connection
    address: str
    port: int
    user: str
    opened_s: float
    retries: int = 0
    banner: str = ""
    host_key_fingerprint: str = ""
    accepted_host_key: bool = False
    fabric: fabric.Connection | None = field(default=None, compare=False)
