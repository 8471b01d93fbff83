"""What OpenSSH's words on stderr mean. Read from its source: sshconnect.c, sshconnect2.c, readconf.c of 7.6 to 9.9."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_pipeline.connections import troubles
from pytest_pipeline.connections.connection import ConnectionFailed, Trouble
from pytest_pipeline.connections.known_hosts import fingerprint, read_known_hosts

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.connections.ssh_config import Login


def last_words(said: str) -> str:
    """Return the last line that is not a debugging aid: ssh's own reason."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(("debug", "OpenSSH_"))]
    return lines[-1] if lines else "ssh said nothing"


def all_words(said: str) -> str:
    """Return all that is no debugging aid, on one line: a proxy's own reason stands before ssh's."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(("debug", "OpenSSH_"))]
    return "; ".join(lines)[:300]


def software_in(said: str) -> str:
    """Return what the server calls itself, from `ssh -v`."""
    found = re.search(r"Remote protocol version ([\d.]+), remote software version (.*)", said)
    return f"SSH-{found[1]}-{found[2].strip()}" if found else ""


def host_key_in(said: str) -> str:
    """Return the fingerprint of the key the host showed, from `ssh -v`, as ours read."""
    found = re.search(r"Server host key: (\S+) (SHA256:\S+)", said)
    if found is None:
        return ""
    kind = found[1].split("-cert-")[0]
    return f"{'ECDSA' if kind.startswith('ecdsa') else kind.removeprefix('ssh-').upper()} {found[2]}"


def failure_in(said: str, login: Login, timeout_s: float) -> ConnectionFailed | None:
    """Return the trouble that ssh speaks of, or None when its words are not known."""
    plain = "\n".join(line for line in said.splitlines() if not line.startswith("debug"))
    for pattern, sentence in _SENTENCES:
        found = re.search(pattern, plain, re.IGNORECASE)
        if found:
            return sentence(found, _Words(said, login, timeout_s))
    return None


class _Words:
    """What a sentence may need beside the words it was recognised by."""

    def __init__(self, said: str, login: Login, timeout_s: float) -> None:
        self.said = said
        self.login = login
        self.timeout_s = timeout_s
        self.where = login.address, login.port

    def changed(self) -> ConnectionFailed:
        name, shown = self.login.host_key_name, host_key_in(self.said)
        kind = shown.split(" ", maxsplit=1)[0]
        known = [key for key in read_known_hosts(self.login.known_hosts) if key.names_host(name) and not key.marker]
        known.sort(key=lambda key: not fingerprint(key.type, key.blob).startswith(f"{kind} "))
        if not known:  # a file that ~/.ssh/config names and we did not read
            return ConnectionFailed(Trouble.HOST_KEY_CHANGED, f"the host key of {name} changed: now it shows {shown}")
        old = known[0]
        return troubles.host_key_changed(name, shown, fingerprint(old.type, old.blob), old.where, old.file)

    def unknown(self) -> ConnectionFailed:
        files = [file for file in self.login.known_hosts if file == self.login.known_hosts[0] or file.exists()]
        return troubles.host_key_unknown(self.login.host_key_name, *self.where, host_key_in(self.said), files)

    def denied(self, accepts: str) -> ConnectionFailed:
        offered = re.findall(r"Offering public key: (.*?) (\S+) (SHA256:\S+)", self.said)
        named = [f"private key {path} ({kind.upper()} {digest})" for path, kind, digest in offered]
        return troubles.authentication(*self.where, self.login.user, named, accepts.split(","))


# The first that fits is meant; the order is that of how much each says.
_SENTENCES: tuple[tuple[str, Callable[[re.Match[str], _Words], ConnectionFailed]], ...] = (
    (r"HOST IDENTIFICATION HAS CHANGED", lambda _, words: words.changed()),
    (r"No \S+ host key is known for|Host key verification failed", lambda _, words: words.unknown()),
    (r"Permission denied \((.*?)\)", lambda found, words: words.denied(found[1])),
    (r"Too many authentication failures", lambda _, words: words.denied("")),
    (r"Could not resolve hostname \S+: (.*)", lambda found, words: troubles.unresolved(words.where[0], found[1])),
    (
        r"timed out during banner exchange|banner exchange: .*timeout",
        lambda _, words: troubles.silent(*words.where, words.timeout_s),
    ),
    (r"Connection timed out|Operation timed out", lambda _, words: troubles.timed_out(*words.where, words.timeout_s)),
    (r"connect to host \S+ port \d+: Connection refused", lambda _, words: troubles.refused(*words.where)),
    (
        r"connect to host \S+ port \d+: (No route to host|Network is unreachable|.*not available.*|Permission denied)",
        lambda found, words: troubles.unreachable(*words.where, found[1]),
    ),
    (r"Unable to negotiate with .*?: (.*)", lambda found, words: troubles.incompatible(*words.where, found[1])),
    (
        r"(Exceeded MaxStartups|Not allowed at this time)",
        lambda found, words: troubles.dropped_early(*words.where, found[1]),
    ),
    (
        r"banner exchange: .*invalid format|banner line contains invalid characters|Protocol major versions differ",
        lambda _, words: troubles.not_ssh(*words.where, _said_instead(words.said)),
    ),
    (
        r"kex_exchange_identification|ssh_exchange_identification",
        lambda _, words: troubles.dropped_early(*words.where),
    ),
    (r"Bad (?:configuration option|owner or permissions)[^\n]*", lambda found, _: _configuration(found[0])),
)


def _said_instead(said: str) -> str:
    found = re.search(r"(?:kex|ssh)_exchange_identification: banner line \d+: (.*)", said)
    return found[1].strip() if found else "something else"


def _configuration(why: str) -> ConnectionFailed:
    return ConnectionFailed(Trouble.CONFIGURATION, f"ssh cannot read its configuration: {why}")
