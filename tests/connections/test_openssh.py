"""The user's own ssh: the same protocol, and the same troubles in the same words, read from what ssh says."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from connections.ssh_servers import Host, Keys, black_hole, free_port, listening, relay
from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Opened, Target, Trouble
from pytest_pipeline.connections.opening import open_connection
from pytest_pipeline.connections.openssh import open_openssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh program on this machine")


@pytest.fixture
def opening(keys: Keys, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open connections that end with the test, and look that nothing is left of them."""
    before = set(Path("/tmp").glob("pipeline-ssh-*"))
    with ExitStack() as stack:

        def open_it(port: int, **options: Any) -> Opened:
            key = options.pop("key", None) or keys.file("key")
            known = options.pop("known_hosts", None) or keys.known_hosts((f"[127.0.0.1]:{port}", keys.host))
            config = tmp_path / "config"
            config.touch()
            defaults = {"address": "127.0.0.1", "user": "ubuntu", "ssh_config": config, "connect_timeout_s": 3.0}
            target = Target(**{"port": port, "key": key, "known_hosts": known, **defaults, **options})
            opened = open_openssh(target)
            stack.callback(opened.connection.close)
            return opened

        yield open_it
    ours = [folder for folder in set(Path("/tmp").glob("pipeline-ssh-*")) - before if folder.owner() == Path().owner()]
    if not os.environ.get("PYTEST_XDIST_WORKER"):  # another worker's folders are its own business
        assert ours == []


def failure_of(opening: Callable[..., Opened], port: int, **options: Any) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as caught:
        opening(port, **options)
    return caught.value


def test_commands_share_one_login(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    opened = opening(host.port)
    for number in range(3):
        finished = opened.connection.run(f"cat; echo {number} >&2; exit {number}", stdin=b"hello", timeout_s=9)
        assert (finished.exit_status, finished.stdout, finished.stderr) == (number, b"hello", f"{number}\n".encode())
    assert host.logins == 1
    assert (opened.address, opened.port, opened.user, opened.retries) == ("127.0.0.1", host.port, "ubuntu", 0)
    assert opened.banner.startswith("SSH-2.0-AsyncSSH_")
    assert opened.host_key_fingerprint == f"ED25519 {keys.host.get_fingerprint()}"
    assert opened.fabric is None
    opened.connection.close()
    opened.connection.close()


def test_the_status_255_of_a_command_is_its_own(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    assert opening(serve().port).connection.run("exit 255", timeout_s=9).exit_status == 255


def test_a_deadline(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    opened = opening(serve().port)
    started = time.monotonic()
    with pytest.raises(CommandTimedOut) as caught:
        opened.connection.run("echo so far; sleep 60", timeout_s=1)
    assert time.monotonic() - started < 4
    assert caught.value.stdout == b"so far\n"


def test_a_lost_connection(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    host = serve(cut_after_bytes=10)
    opened = opening(host.port)
    for _ in range(2):  # the second finds no master, and must not log in again by itself
        with pytest.raises(ConnectionFailed) as caught:
            opened.connection.run("echo 0123456789abcdef", timeout_s=9)
        assert caught.value.kind is Trouble.DROPPED
        assert caught.value.message == (
            f"the connection to port {host.port} of 127.0.0.1 was lost while a command ran: echo 0123456789abcdef"
        )
    assert host.logins == 1


def test_refused(opening: Callable[..., Opened]) -> None:
    port = free_port()
    failure = failure_of(opening, port)
    assert failure.kind is Trouble.REFUSED
    assert failure.message == f"port {port} of 127.0.0.1 refused the connection: no SSH server listens there"


def test_black_hole(opening: Callable[..., Opened]) -> None:
    with black_hole() as port:
        failure = failure_of(opening, port, connect_timeout_s=1.0)
    assert failure.kind is Trouble.TIMEOUT
    assert failure.message == (
        f"port {port} of 127.0.0.1 did not answer within 1 s: a firewall or security group drops the packets, "
        "the address is not the host's, or the host is off"
    )


def test_silent(opening: Callable[..., Opened]) -> None:
    with listening(lambda _: None) as port:
        failure = failure_of(opening, port, connect_timeout_s=1.0)
    assert failure.kind is Trouble.SILENT
    assert failure.message == (
        f"port {port} of 127.0.0.1 accepted the connection and sent no more within 1 s, while we waited for an SSH "
        "banner: the SSH server hangs, or another program listens there"
    )


def test_not_ssh(opening: Callable[..., Opened]) -> None:
    def http(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n" + b"x\r\n" * 2000)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    with listening(http) as port:
        failure = failure_of(opening, port)
    assert failure.kind is Trouble.NOT_SSH
    assert failure.message == f"port {port} of 127.0.0.1 is not an SSH server: it said 'HTTP/1.1 400 Bad Request'"


def test_dropped_and_then_fine(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    host = serve()
    first: list[socket.socket] = []

    def crowded(connection: socket.socket) -> None:
        if first:
            relay(connection, host.port)
        else:
            first.append(connection)
            connection.shutdown(socket.SHUT_RDWR)

    with listening(crowded) as port:
        opened = opening(port)
        assert opened.retries == 1
        opened.connection.close()


def test_wrong_key(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    path = keys.file("other", keys.other)
    failure = failure_of(opening, host.port, key=path)
    assert failure.kind is Trouble.AUTHENTICATION
    assert failure.message == (
        f"port {host.port} of 127.0.0.1 refused the login of user ubuntu with private key {path} "
        f"(ED25519 {keys.other.get_fingerprint()}); it accepts publickey: "
        "wrong user, or the public key is not in its authorized_keys"
    )


def test_a_given_key_is_judged_although_the_agent_has_a_better_one(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not shutil.which("ssh-agent"):
        pytest.skip("no ssh-agent on this machine")
    socket_path = keys.folder / "a"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.PIPE)
    assert agent.stdout
    agent.stdout.readline()  # it says where it listens when it does
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
        subprocess.run(["ssh-add", "-q", keys.file("unlocked")], check=True)
        failure = failure_of(opening, serve().port, key=keys.file("other", keys.other))
    finally:
        agent.terminate()
        agent.communicate()
    assert failure.kind is Trouble.AUTHENTICATION


def test_key_faults_are_found_before_connecting(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    path = keys.file("open")
    path.chmod(0o644)
    assert failure_of(opening, host.port, key=path).kind is Trouble.KEY_READABLE_BY_OTHERS
    locked = keys.file("locked", passphrase="secret")  # noqa: S106  # of this test's key
    assert failure_of(opening, host.port, key=locked).kind is Trouble.KEY_ENCRYPTED
    assert host.logins == 0


def test_unknown_host_key(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys, tmp_path: Path
) -> None:
    host = serve()
    failure = failure_of(opening, host.port, known_hosts=keys.known_hosts())
    assert failure.kind is Trouble.HOST_KEY_UNKNOWN
    assert failure.message == (
        f"the host key of [127.0.0.1]:{host.port} is unknown: it shows ED25519 {keys.host.get_fingerprint()}, and "
        f"{tmp_path}/known_hosts has no key for it; compare the fingerprint with the host's console before trusting it"
    )


def test_changed_host_key(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys, tmp_path: Path
) -> None:
    host = serve()
    known = keys.known_hosts((f"[127.0.0.1]:{host.port}", keys.host_2))
    failure = failure_of(opening, host.port, known_hosts=known, accept_new_host_key=True)
    assert failure.kind is Trouble.HOST_KEY_CHANGED
    assert failure.message == (
        f"the host key of [127.0.0.1]:{host.port} changed: known is ED25519 {keys.host_2.get_fingerprint()} "
        f"({tmp_path}/known_hosts:1), now it shows ED25519 {keys.host.get_fingerprint()}; the instance was relaunched, "
        "its address was reused, or somebody is in between"
    )
    assert failure.remedy == f"ssh-keygen -R '[127.0.0.1]:{host.port}' -f {tmp_path}/known_hosts"


def test_a_new_host_key_is_accepted_on_request(
    serve: Callable[..., Host], opening: Callable[..., Opened], tmp_path: Path
) -> None:
    host = serve()
    known = tmp_path / "new_known_hosts"
    known.touch()
    assert opening(host.port, known_hosts=known, accept_new_host_key=True).accepted_host_key
    assert f"[127.0.0.1]:{host.port}" in known.read_text()


def test_a_proxy_command_that_fails(serve: Callable[..., Host], opening: Callable[..., Opened], tmp_path: Path) -> None:
    host = serve()
    (tmp_path / "proxied").write_text("ProxyCommand sh -c 'echo no session manager here >&2; exit 1'\n")
    failure = failure_of(opening, host.port, ssh_config=tmp_path / "proxied")
    assert failure.kind is Trouble.PROXY
    assert failure.message.startswith("the way through ProxyCommand \"sh -c 'echo no session manager here")
    assert failure.message.split(" failed: ", 1)[1].startswith("no session manager here; kex_exchange_identification: ")


def test_no_ssh_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ConnectionFailed) as caught:
        open_connection("openssh", Target(address="127.0.0.1"))
    assert caught.value.kind is Trouble.NO_CLIENT
    assert caught.value.message == 'host.connection is "openssh", and there is no ssh program in PATH'
