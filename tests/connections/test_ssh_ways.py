"""The ways to a host that ~/.ssh/config can describe, and keys that an agent holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from connections.ssh_servers import Host, Keys, free_port
from pytest_pipeline.connections.connection import ConnectionFailed, Opened, Target, Trouble
from pytest_pipeline.connections.ssh import open_ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Copies between its stdin and a port, as nc does: not every machine has nc.
RELAY = """
import socket, sys, threading, os
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while (d := s.recv(65536)):
        os.write(1, d)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while (d := os.read(0, 65536)):
    s.sendall(d)
"""


@pytest.fixture
def opening(keys: Keys) -> Iterator[Callable[..., Opened]]:
    """Open a connection to the host that a configuration calls `gpu`."""
    with ExitStack() as stack:

        def open_it(config: str, *hosts: Host, **options: Any) -> Opened:
            path = keys.folder / "config"
            path.write_text(config)
            known = keys.known_hosts(*((f"[127.0.0.1]:{host.port}", host.host_key) for host in hosts))
            opened = open_ssh(
                Target(
                    **{"address": "gpu", "known_hosts": known, "ssh_config": path, "connect_timeout_s": 3.0, **options}
                )
            )
            stack.callback(opened.connection.close)
            return opened

        yield open_it


def gpu(host: Host, *lines: str) -> str:
    return "\n  ".join(["Host gpu", "HostName 127.0.0.1", f"Port {host.port}", "User ubuntu", *lines]) + "\n"


def test_a_host_by_its_name_in_the_configuration(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    opened = opening(gpu(host, f"IdentityFile {keys.file('key')}"), host)
    assert (opened.address, opened.port, opened.user) == ("127.0.0.1", host.port, "ubuntu")


def test_a_configured_key_that_is_unusable_is_the_failure_when_there_is_no_other(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    bad = keys.file("bad")
    bad.chmod(0o644)
    with pytest.raises(ConnectionFailed) as caught:
        opening(gpu(host, f"IdentityFile {bad}", "IdentityFile ~/none"), host)
    assert caught.value.kind is Trouble.KEY_READABLE_BY_OTHERS
    assert opening(gpu(host, f"IdentityFile {bad}", f"IdentityFile {keys.file('key')}"), host).user == "ubuntu"


def test_the_second_of_two_keys_is_the_right_one(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    config = gpu(host, f"IdentityFile {keys.file('other', keys.other)}", f"IdentityFile {keys.file('key')}")
    assert opening(config, host).user == "ubuntu"
    assert host.logins == 2  # this server hangs up on the second key, which is then offered first


def test_a_new_host_key_is_accepted_once_however_often_is_connected(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    config = gpu(host, f"IdentityFile {keys.file('other', keys.other)}", f"IdentityFile {keys.file('key')}")
    assert opening(config, accept_new_host_key=True).accepted_host_key
    assert (keys.folder / "known_hosts").read_text().count("\n") == 1


def test_every_key_that_was_refused_is_named(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    first, second = keys.file("first", keys.other), keys.file("second", keys.host_2)
    with pytest.raises(ConnectionFailed) as caught:
        opening(gpu(host, f"IdentityFile {first}", f"IdentityFile {second}"), host)
    assert caught.value.kind is Trouble.AUTHENTICATION
    assert (
        f"private key {first} (ED25519 {keys.other.get_fingerprint()}) and "
        f"private key {second} (ED25519 {keys.host_2.get_fingerprint()})"
    ) in caught.value.message


def test_proxy_command(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    relay = keys.folder / "relay.py"
    relay.write_text(RELAY)
    command = f"{sys.executable} {relay} {host.port}"
    opened = opening(gpu(host, f"IdentityFile {keys.file('key')}", f"ProxyCommand {command}"), host)
    assert opened.connection.run("echo through", timeout_s=9).stdout == b"through\n"
    opened.connection.close()


def test_a_proxy_command_that_fails(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    with pytest.raises(ConnectionFailed) as caught:
        opening(gpu(host, f"IdentityFile {keys.file('key')}", "ProxyCommand false"), host)
    assert caught.value.kind is Trouble.PROXY
    assert caught.value.message == (
        f"the way through ProxyCommand 'false' failed: port {host.port} of 127.0.0.1 closed the connection before the "
        "SSH banner: the server is overloaded (MaxStartups), blocks this address, or is no SSH server"
    )


def test_jump_hosts(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    first, second, host = serve(host_key=keys.host_2), serve(host_key=keys.other), serve()
    key = f"IdentityFile {keys.file('key')}"
    jumps = f"ubuntu@127.0.0.1:{first.port},ubuntu@127.0.0.1:{second.port}"
    config = gpu(host, f"ProxyJump {jumps}") + f"Host *\n  {key}\n"
    opened = opening(config, first, second, host)
    assert opened.connection.run("echo through", timeout_s=9).stdout == b"through\n"
    assert (first.logins, second.logins, host.logins) == (1, 1, 1)


def test_the_host_key_of_a_jump_host_is_checked(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    jump, host = serve(host_key=keys.host_2), serve()
    config = gpu(host, f"ProxyJump ubuntu@127.0.0.1:{jump.port}", f"IdentityFile {keys.file('key')}")
    with pytest.raises(ConnectionFailed) as caught:
        opening(config, host)
    assert caught.value.kind is Trouble.PROXY
    assert caught.value.message.startswith(
        f"the way through jump host ubuntu@127.0.0.1:{jump.port} failed: "
        f"the host key of [127.0.0.1]:{jump.port} is unknown"
    )
    assert caught.value.remedy == f"ssh-keyscan -p {jump.port} 127.0.0.1 >> {keys.folder}/known_hosts"
    assert host.logins == 0


def test_a_host_that_the_jump_host_does_not_reach(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    jump = serve(host_key=keys.host_2)
    gone = Host(host_key=keys.host, authorized=None, port=free_port())
    key = f"IdentityFile {keys.file('key')}"
    with pytest.raises(ConnectionFailed) as caught:
        opening(gpu(gone, f"ProxyJump ubuntu@127.0.0.1:{jump.port}") + f"Host *\n {key}\n", jump)
    assert caught.value.kind is Trouble.PROXY
    assert caught.value.message.startswith(
        f"the way through jump host ubuntu@127.0.0.1:{jump.port} failed: "
        f"it cannot reach port {gone.port} of 127.0.0.1: "
    )


def test_jump_hosts_in_a_circle(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    with pytest.raises(ConnectionFailed) as caught:
        opening(f"Host *\n  ProxyJump gpu\n  IdentityFile {keys.file('key')}\n", host)
    assert caught.value.kind is Trouble.PROXY
    assert caught.value.message.endswith("more than 4 jump hosts in a row, or a circle of them")


@pytest.fixture
def agent(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run an agent that holds the key, unlocked."""
    if not shutil.which("ssh-agent"):
        pytest.skip("no ssh-agent on this machine")
    socket_path = keys.folder / "a"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()  # it says where it listens when it does
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
    subprocess.run(["ssh-add", "-q", keys.file("unlocked")], check=True, env=os.environ)
    yield
    process.terminate()
    process.communicate()


@pytest.mark.usefixtures("agent")
def test_an_agent_holds_an_encrypted_key(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    locked = keys.file("locked", passphrase="secret")  # noqa: S106  # of this test's key
    assert opening(gpu(host), host, key=locked).user == "ubuntu"
    assert opening(gpu(host), host).user == "ubuntu"


@pytest.mark.usefixtures("agent")
def test_a_given_key_is_judged_although_the_agent_has_a_better_one(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    with pytest.raises(ConnectionFailed) as caught:
        opening(gpu(host), host, key=keys.file("other", keys.other))
    assert caught.value.kind is Trouble.AUTHENTICATION


def test_an_encrypted_key_without_agent(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    locked = keys.file("locked", passphrase="secret")  # noqa: S106  # of this test's key
    with pytest.raises(ConnectionFailed) as caught:
        opening(gpu(host), host, key=locked)
    assert caught.value.kind is Trouble.KEY_ENCRYPTED
    assert host.logins == 0
