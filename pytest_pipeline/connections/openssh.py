"""The user's own ssh: for hardware keys, certificates, `Match exec`, Systems Manager and all else that only it can.

One master connection (ControlMaster) carries the commands, so that logging in happens once.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.connections import troubles
from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Finished, Opened, Target, Trouble
from pytest_pipeline.connections.far_side import bounded, was_ended_there
from pytest_pipeline.connections.key_file import encrypted, read_key_file
from pytest_pipeline.connections.openssh_words import all_words, failure_in, host_key_in, last_words, software_in
from pytest_pipeline.connections.processes import HeldProcess, hold_until, run_to_end
from pytest_pipeline.connections.ssh_config import Login, login_for

if TYPE_CHECKING:
    from collections.abc import Sequence

_RETRY_PAUSE_S = 0.3
_PERSIST_S = 30  # how long the master outlives a gate that was killed
_SSH_FAILED = 255  # ssh's own exit status for its own troubles


class OpensshConnection:
    """Commands through a master connection of the user's ssh."""

    def __init__(self, base: Sequence[str], destination: str, login: Login, folder: Path) -> None:
        self._base = base
        self._destination = destination
        self._login = login
        self._folder = folder

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float) -> Finished:
        """Run a command line in the user's shell. Raises CommandTimedOut, OutputTooLong, ConnectionFailed."""
        started = time.monotonic()
        finished = run_to_end([*self._client, bounded(command, timeout_s)], stdin=stdin, timeout_s=timeout_s)
        if was_ended_there(finished.exit_status, time.monotonic() - started, timeout_s):
            raise CommandTimedOut(timeout_s=timeout_s, stdout=finished.stdout, stderr=finished.stderr)
        return self._reached(finished, command)

    def hold(self, command: str, *, stdin: bytes, until: bytes, timeout_s: float) -> HeldProcess | Finished:
        """Start a command whose input stays open: the client's own ends with the gate, and tells the far side."""
        held = hold_until([*self._client, command], stdin=stdin, until=until, timeout_s=timeout_s)
        return self._reached(replace(held, stderr=held.stdout), command) if isinstance(held, Finished) else held

    @property
    def _client(self) -> list[str]:
        # A master that is gone would be replaced by a new login, unasked and unchecked.
        return [*self._base, "-o", "ControlMaster=no", "-o", "ProxyCommand=false", "-T", self._destination]

    def _reached(self, finished: Finished, command: str) -> Finished:
        """Return what a command said on the host. Raises ConnectionFailed where it was ssh that spoke."""
        if finished.exit_status == _SSH_FAILED and not self._is_alive():
            raise troubles.dropped(self._login.address, self._login.port, f"while a command ran: {command[:60]}")
        refused = re.search(rb"mux_client_request_session: (?:session request failed: )?([^\r\n]*)", finished.stderr)
        if finished.exit_status == _SSH_FAILED and refused:
            raise troubles.busy(self._login.address, self._login.port, refused[1].decode("latin-1"))
        return finished

    def close(self) -> None:
        """End the master connection. A second call does nothing."""
        if self._folder.exists():
            _control([*self._base, "-O", "exit", self._destination])
            shutil.rmtree(self._folder, ignore_errors=True)

    def _is_alive(self) -> bool:
        return _control([*self._base, "-O", "check", self._destination])


def open_openssh(target: Target) -> Opened:
    """Connect and log in with `ssh`. Raises ConnectionFailed, with the same troubles as the connection by fabric."""
    started = time.monotonic()
    program = shutil.which("ssh")
    if program is None:
        raise ConnectionFailed(
            Trouble.NO_CLIENT,
            'host.connection is "openssh", and there is no ssh program in PATH',
            remedy="command -v ssh",
        )
    login = login_for(target)
    _check_given_key(target)
    try:
        opened = _open(program, target, login)
    except ConnectionFailed as failure:
        if not failure.transient:
            raise
        time.sleep(_RETRY_PAUSE_S)
        opened = replace(_open(program, target, login), retries=1)
    return replace(opened, opened_s=time.monotonic() - started)


def _check_given_key(target: Target) -> None:
    """Find what is wrong with a key before ssh says less about it; hardware keys and agents are ssh's business."""
    if target.key is None:
        return
    file = read_key_file(target.key.expanduser())
    if file.is_encrypted and not _agent_has_keys():
        raise encrypted(target.key)


def _agent_has_keys() -> bool:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(["ssh-add", "-l"], capture_output=True, timeout=3, check=False).returncode == 0  # noqa: S607  # from the user's PATH, as ssh itself
    return False


def _open(program: str, target: Target, login: Login) -> Opened:
    # Short, and ours alone: the path of a socket may have 104 characters, and ssh appends 17 of its own while binding.
    folder = Path(tempfile.mkdtemp(prefix="pipeline-ssh-", dir="/tmp"))  # its mode is 0700
    base = [program, *_options(target), "-o", f"ControlPath={folder}/m"]
    destination = f"{target.user}@{target.address}" if target.user else target.address
    try:
        said = _start_master([*base, "-v", "-M", "-f", "-N", "-T", destination], folder, login, target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return Opened(
        connection=OpensshConnection(base, destination, login, folder),
        address=login.address,
        port=login.port,
        user=login.user,
        opened_s=0.0,
        banner=software_in(said),
        host_key_fingerprint=host_key_in(said),
        accepted_host_key="Permanently added" in said,
    )


def _options(target: Target) -> list[str]:
    strict = "accept-new" if target.accept_new_host_key else "yes"
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(max(1, round(target.connect_timeout_s))),
        "ConnectionAttempts": "1",
        "ControlPersist": str(_PERSIST_S),
        "StrictHostKeyChecking": strict,
        "UpdateHostKeys": "no",
        "LogLevel": "INFO",
        "RequestTTY": "no",
        "RemoteCommand": "none",
        "ClearAllForwardings": "yes",
    }
    if target.host_key_alias:
        options["HostKeyAlias"] = target.host_key_alias
    if target.known_hosts:
        options["UserKnownHostsFile"] = str(target.known_hosts)
    if target.key:
        options["IdentitiesOnly"] = "yes"
    argv = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    argv += ["-i", str(target.key)] if target.key else []
    argv += ["-p", str(target.port)] if target.port else []
    return ["-F", str(target.ssh_config), *argv] if target.ssh_config else argv


def _start_master(argv: Sequence[str], folder: Path, login: Login, target: Target) -> str:
    """Log in; ssh then goes into the background by itself. Returns what it said."""
    timeout_s = target.connect_timeout_s
    said = folder / "said"
    # A file and no pipe: the master in the background keeps its end open, and we would wait for it.
    with said.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603  # the user's ssh, with options of ours
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
        try:
            # Name, banner, keys, login: each step may take ssh its own ConnectTimeout.
            status = process.wait(3 * timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
    words = said.read_text(encoding="utf-8", errors="replace")
    if status == 0:
        return words
    failure = failure_in(words, login, timeout_s)
    through = re.search(r"Executing proxy command: exec (.*)", words)
    if through and (failure is None or failure.transient):
        raise troubles.proxy(f"ProxyCommand {through[1]!r}", all_words(words))
    if failure is not None:
        raise failure
    if status is None:
        raise troubles.silent(login.address, login.port, 3 * timeout_s, waiting_for="the login")
    raise ConnectionFailed(Trouble.CONFIGURATION, f"ssh to {login.address} failed: {last_words(words)}")


def _control(argv: Sequence[str]) -> bool:
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(argv, capture_output=True, timeout=5, check=False).returncode == 0  # noqa: S603  # the user's ssh
    return False
