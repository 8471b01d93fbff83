"""The connection through fabric: logging in, running commands, and each way to fail, in its own words."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import asyncssh
import paramiko
import pytest

from connections.ssh_servers import Host, Keys, black_hole, free_port, listening, relay, reset
from pytest_pipeline.connections.connection import (
    OUTPUT_LIMIT_BYTES,
    CommandTimedOut,
    ConnectionFailed,
    Opened,
    OutputTooLong,
    Target,
    Trouble,
)
from pytest_pipeline.connections.ssh import open_ssh

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NO_CONFIG = "/dev/null"


@pytest.fixture
def opening(keys: Keys, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    """Open connections that end with the test."""
    with ExitStack() as stack:

        def open_it(port: int, **options: Any) -> Opened:
            key = options.pop("key", None) or keys.file("key")
            known = options.pop("known_hosts", None) or keys.known_hosts((f"[127.0.0.1]:{port}", keys.host))
            config = tmp_path / "config"
            config.touch()
            defaults = {"address": "127.0.0.1", "user": "ubuntu", "ssh_config": config, "connect_timeout_s": 3.0}
            target = Target(**{"port": port, "key": key, "known_hosts": known, **defaults, **options})
            opened = open_ssh(target)
            stack.callback(opened.connection.close)
            return opened

        yield open_it


def failure_of(opening: Callable[..., Opened], port: int, **options: Any) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as caught:
        opening(port, **options)
    return caught.value


# --- what works


def test_a_command_runs_in_the_users_shell(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    host = serve()
    opened = opening(host.port)
    finished = opened.connection.run(
        "[[ -n $BASH_VERSION ]] && cat && echo oops >&2; exit 7", stdin=b"hello", timeout_s=9
    )
    assert (finished.exit_status, finished.stdout, finished.stderr) == (7, b"hello", b"oops\n")
    assert not finished.ok


def test_what_was_seen_while_opening(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    opened = opening(host.port)
    assert (opened.address, opened.port, opened.user, opened.retries) == ("127.0.0.1", host.port, "ubuntu", 0)
    assert opened.banner.startswith("SSH-2.0-AsyncSSH_")
    assert opened.host_key_fingerprint == f"ED25519 {keys.host.get_fingerprint()}"
    assert 0 < opened.opened_s < 3


def test_fabric_is_handed_out_open_and_works_under_capture(
    serve: Callable[..., Host], opening: Callable[..., Opened]
) -> None:
    host = serve()
    opened = opening(host.port)
    assert opened.fabric is not None
    assert opened.fabric.is_connected
    assert opened.fabric.run("echo from fabric", hide=True).stdout == "from fabric\n"
    sock = opened.fabric.transport.sock
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert host.logins == 1


def test_both_streams_and_a_large_input_do_not_block_each_other(
    serve: Callable[..., Host], opening: Callable[..., Opened]
) -> None:
    opened = opening(serve().port)
    sent = os.urandom(3_000_000)
    finished = opened.connection.run("head -c 4000000 /dev/zero >&2; cat", stdin=sent, timeout_s=30)
    assert finished.stdout == sent
    assert len(finished.stderr) == 4_000_000


def test_a_command_that_ends_without_reading_its_input(
    serve: Callable[..., Host], opening: Callable[..., Opened]
) -> None:
    opened = opening(serve().port)
    finished = opened.connection.run("no-such-program", stdin=b"x" * 3_000_000, timeout_s=20)
    assert finished.exit_status == 127
    assert b"no-such-program: command not found" in finished.stderr


def test_a_command_killed_by_a_signal_is_no_lost_connection(
    serve: Callable[..., Host], opening: Callable[..., Opened]
) -> None:
    opened = opening(serve().port)
    assert opened.connection.run("kill -9 $$", timeout_s=9).exit_status == 137
    assert opened.connection.run("echo still here", timeout_s=9).stdout == b"still here\n"


def test_one_connection_serves_many_threads(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    host = serve()
    opened = opening(host.port)
    answers: dict[int, bytes] = {}

    def ask(number: int) -> None:
        answers[number] = opened.connection.run(f"echo {number}", timeout_s=30).stdout

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"{number}\n".encode() for number in range(16)}
    assert host.logins == 1


def test_without_the_program_timeout_commands_run_all_the_same(
    serve: Callable[..., Host], opening: Callable[..., Opened], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "bash"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    opened = opening(serve(environment={"PATH": str(tmp_path / "bin")}).port)
    assert opened.connection.run("echo $0", timeout_s=9).stdout == b"/bin/sh\n"


# --- deadlines


def test_a_command_is_ended_at_its_deadline_on_the_far_side_too(
    serve: Callable[..., Host], opening: Callable[..., Opened], tmp_path: Path
) -> None:
    opened = opening(serve(forgets=True).port)
    pid_file = tmp_path / "pid"
    started = time.monotonic()
    with pytest.raises(CommandTimedOut, match=r"^the command did not end within 1 s$") as caught:
        opened.connection.run(f"echo $$ > {pid_file}; echo so far; sleep 60; true", timeout_s=1)
    assert time.monotonic() - started < 4
    assert caught.value.stdout == b"so far\n"
    pid = int(pid_file.read_text())
    gone_by = time.monotonic() + 5
    while is_alive(pid) and time.monotonic() < gone_by:
        time.sleep(0.05)
    assert not is_alive(pid)
    assert opened.connection.run("echo next", timeout_s=9).stdout == b"next\n"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_deadline_holds_where_the_far_side_cannot_keep_it(
    serve: Callable[..., Host], opening: Callable[..., Opened], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    for name in ("sh", "bash", "sleep"):
        (tmp_path / "bin" / name).symlink_to(f"/bin/{name}")
    opened = opening(serve(environment={"PATH": str(tmp_path / "bin")}).port)
    started = time.monotonic()
    with pytest.raises(CommandTimedOut) as caught:
        opened.connection.run("echo so far; sleep 60", timeout_s=0.5)
    assert time.monotonic() - started < 4
    assert caught.value.stdout == b"so far\n"


def test_the_status_124_of_a_command_is_its_own(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    opened = opening(serve().port)
    assert opened.connection.run("exit 124", timeout_s=9).exit_status == 124


def test_output_is_bounded(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    opened = opening(serve().port)
    with pytest.raises(
        OutputTooLong, match=rf"^the command printed more than {OUTPUT_LIMIT_BYTES} bytes and was ended$"
    ):
        opened.connection.run("cat /dev/zero", timeout_s=30)
    assert opened.connection.run("echo next", timeout_s=9).stdout == b"next\n"


# --- the way there


def test_refused(opening: Callable[..., Opened]) -> None:
    port = free_port()
    failure = failure_of(opening, port)
    assert failure.kind is Trouble.REFUSED
    assert failure.message == f"port {port} of 127.0.0.1 refused the connection: no SSH server listens there"
    assert failure.remedy == f"nc -vz 127.0.0.1 {port}"


def test_black_hole(opening: Callable[..., Opened]) -> None:
    with black_hole() as port:
        started = time.monotonic()
        failure = failure_of(opening, port, connect_timeout_s=0.5)
        assert time.monotonic() - started < 2
    assert failure.kind is Trouble.TIMEOUT
    assert failure.message == (
        f"port {port} of 127.0.0.1 did not answer within 0.5 s: a firewall or security group drops the packets, "
        "the address is not the host's, or the host is off"
    )
    assert failure.remedy == f"nc -vz -w 5 127.0.0.1 {port}"


def test_silent(opening: Callable[..., Opened]) -> None:
    with listening(lambda _: None) as port:
        failure = failure_of(opening, port, connect_timeout_s=0.5)
    assert failure.kind is Trouble.SILENT
    assert failure.message == (
        f"port {port} of 127.0.0.1 accepted the connection and sent no more within 0.5 s, while we waited for an SSH "
        "banner: the SSH server hangs, or another program listens there"
    )


def test_silent_after_the_banner(opening: Callable[..., Opened]) -> None:
    with listening(lambda connection: connection.sendall(b"SSH-2.0-Stuck\r\n")) as port:
        failure = failure_of(opening, port, connect_timeout_s=0.5)
    assert failure.kind is Trouble.SILENT
    assert failure.message == (
        f"port {port} of 127.0.0.1 accepted the connection and sent no more within 0.5 s, while we waited for the "
        "exchange of keys: the SSH server hangs, or another program listens there"
    )


def test_not_ssh(opening: Callable[..., Opened]) -> None:
    def http(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with listening(http) as port:
        failure = failure_of(opening, port)
    assert failure.kind is Trouble.NOT_SSH
    assert failure.message == f"port {port} of 127.0.0.1 is not an SSH server: it said 'HTTP/1.1 400 Bad Request'"


def test_lines_before_the_banner_are_allowed(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    host = serve()

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"Welcome to the bastion\r\n")
        relay(connection, host.port)

    with listening(greet) as port:
        assert opening(port).retries == 0


@pytest.mark.parametrize("end", [lambda connection: connection.shutdown(socket.SHUT_RDWR), reset])
def test_dropped_before_the_banner_is_tried_once_more(
    opening: Callable[..., Opened], end: Callable[[socket.socket], None]
) -> None:
    seen = []

    def drop(connection: socket.socket) -> None:
        seen.append(connection)
        end(connection)

    with listening(drop) as port:
        failure = failure_of(opening, port)
    assert len(seen) == 2
    assert failure.kind is Trouble.DROPPED
    assert failure.message == (
        f"port {port} of 127.0.0.1 closed the connection before the SSH banner: the server is overloaded "
        "(MaxStartups), blocks this address, or is no SSH server"
    )


def test_overloaded_then_fine_is_reported_as_a_retry(
    serve: Callable[..., Host], opening: Callable[..., Opened]
) -> None:
    host = serve()
    first: list[socket.socket] = []

    def crowded(connection: socket.socket) -> None:
        if not first:
            first.append(connection)
            connection.sendall(b"Exceeded MaxStartups\r\n")
            connection.shutdown(socket.SHUT_RDWR)
        else:
            relay(connection, host.port)

    with listening(crowded) as port:
        opened = opening(port)
        assert opened.retries == 1
        assert opened.connection.run("echo fine", timeout_s=9).stdout == b"fine\n"
        opened.connection.close()


def test_a_name_without_address(opening: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    failure = failure_of(opening, 22, address="trainer.invalid")
    assert failure.kind is Trouble.UNRESOLVED
    assert failure.message == "the host name trainer.invalid has no address: Name or service not known"
    assert failure.remedy == "getent hosts trainer.invalid"


def test_name_servers_that_do_not_answer_are_not_waited_for(
    opening: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answered.wait(20) and [])
    try:
        failure = failure_of(opening, 22, address="trainer.invalid", connect_timeout_s=0.2)
    finally:
        answered.set()
    assert failure.message == (
        "the host name trainer.invalid has no address: the name servers did not answer within 0.2 s"
    )


def test_no_route(opening: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    def no_route(*_: Any) -> None:
        raise OSError(113, "No route to host")

    monkeypatch.setattr(socket.socket, "connect", no_route)
    failure = failure_of(opening, 22)
    assert failure.kind is Trouble.UNREACHABLE
    assert failure.message == "port 22 of 127.0.0.1 cannot be reached from here: No route to host"


# --- logging in


def test_a_given_key_that_is_not_there_is_not_tried(
    serve: Callable[..., Host], opening: Callable[..., Opened], tmp_path: Path
) -> None:
    host = serve()
    failure = failure_of(opening, host.port, key=tmp_path / "none")
    assert failure.kind is Trouble.KEY_MISSING
    assert failure.message == f"there is no private key at {tmp_path}/none"
    assert host.logins == 0


def test_wrong_key(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    path = keys.file("other", keys.other)
    failure = failure_of(opening, host.port, key=path)
    assert failure.kind is Trouble.AUTHENTICATION
    assert failure.message == (
        f"port {host.port} of 127.0.0.1 refused the login of user ubuntu with private key {path} "
        f"(ED25519 {keys.other.get_fingerprint()}): wrong user, or the public key is not in its authorized_keys"
    )
    assert failure.remedy == f"ssh -v -p {host.port} ubuntu@127.0.0.1 exit"


def test_wrong_user(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    failure = failure_of(opening, serve().port, user="ec2-user")
    assert failure.kind is Trouble.AUTHENTICATION
    assert " refused the login of user ec2-user with private key " in failure.message


def test_keys_are_not_what_the_host_accepts(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys, tmp_path: Path
) -> None:
    host = serve(keys_allowed=False)
    failure = failure_of(opening, host.port)
    assert failure.kind is Trouble.AUTHENTICATION
    assert failure.message == (
        f"port {host.port} of 127.0.0.1 refused the login of user ubuntu with private key {tmp_path}/key "
        f"(ED25519 {keys.mine.get_fingerprint()}); it accepts keyboard-interactive, password: "
        "wrong user, or the public key is not in its authorized_keys"
    )


def test_no_key_at_all(serve: Callable[..., Host], keys: Keys, tmp_path: Path) -> None:
    host = serve()
    (tmp_path / "config").touch()
    known = keys.known_hosts((f"[127.0.0.1]:{host.port}", keys.host))
    target = Target(
        address="127.0.0.1", port=host.port, user="ubuntu", known_hosts=known, ssh_config=tmp_path / "config"
    )
    with pytest.raises(ConnectionFailed) as caught:
        open_ssh(target)
    assert caught.value.kind is Trouble.AUTHENTICATION
    assert caught.value.message == (
        f"port {host.port} of 127.0.0.1 refused the login of user ubuntu with no key at all (none configured, no "
        "agent, no ~/.ssh/id_*); it accepts publickey: wrong user, or the public key is not in its authorized_keys"
    )


def test_a_default_key_of_the_home_folder_is_offered(serve: Callable[..., Host], keys: Keys, tmp_path: Path) -> None:
    host = serve()
    (tmp_path / ".ssh").mkdir()
    keys.file(".ssh/id_ed25519")
    known = keys.known_hosts((f"[127.0.0.1]:{host.port}", keys.host))
    (tmp_path / "config").touch()
    opened = open_ssh(
        Target(address="127.0.0.1", port=host.port, user="ubuntu", known_hosts=known, ssh_config=tmp_path / "config")
    )
    opened.connection.close()
    assert host.logins == 1


# --- host keys


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
    assert failure.remedy == f"ssh-keyscan -p {host.port} 127.0.0.1 >> {tmp_path}/known_hosts"
    assert host.commands == []


def test_changed_host_key(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys, tmp_path: Path
) -> None:
    host = serve()
    known = keys.known_hosts(("other.example", keys.host_2), (f"[127.0.0.1]:{host.port}", keys.host_2))
    failure = failure_of(opening, host.port, known_hosts=known, accept_new_host_key=True)
    assert failure.kind is Trouble.HOST_KEY_CHANGED
    assert failure.message == (
        f"the host key of [127.0.0.1]:{host.port} changed: known is ED25519 {keys.host_2.get_fingerprint()} "
        f"({tmp_path}/known_hosts:2), now it shows ED25519 {keys.host.get_fingerprint()}; the instance was relaunched, "
        "its address was reused, or somebody is in between"
    )
    assert failure.remedy == f"ssh-keygen -R '[127.0.0.1]:{host.port}' -f {tmp_path}/known_hosts"


def test_a_new_host_key_is_accepted_on_request_and_remembered(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys, tmp_path: Path
) -> None:
    host = serve()
    known = tmp_path / "new" / "known_hosts"
    assert opening(host.port, known_hosts=known, accept_new_host_key=True).accepted_host_key
    assert known.read_text() == f"[127.0.0.1]:{host.port} {keys.host.export_public_key().decode()}"
    assert not opening(host.port, known_hosts=known).accepted_host_key


def test_a_host_key_alias_is_looked_up_instead_of_the_address(
    serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys
) -> None:
    host = serve()
    known = keys.known_hosts((f"[127.0.0.1]:{host.port}", keys.host_2), ("trainer", keys.host))
    assert opening(host.port, known_hosts=known, host_key_alias="trainer").banner


def test_a_host_with_two_keys_shows_the_one_that_is_known(
    opening: Callable[..., Opened], keys: Keys, serve: Callable[..., Host]
) -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    host = serve(more_keys=(rsa,))
    assert opening(host.port).host_key_fingerprint == f"ED25519 {keys.host.get_fingerprint()}"
    known = keys.known_hosts((f"[127.0.0.1]:{host.port}", rsa))
    assert opening(host.port, known_hosts=known).host_key_fingerprint == f"RSA {rsa.get_fingerprint()}"


def test_a_revoked_host_key(serve: Callable[..., Host], opening: Callable[..., Opened], keys: Keys) -> None:
    host = serve()
    known = keys.known_hosts((f"@revoked [127.0.0.1]:{host.port}", keys.host), ("127.0.0.1", keys.host))
    failure = failure_of(opening, host.port, known_hosts=known)
    assert failure.kind is Trouble.HOST_KEY_CHANGED
    assert failure.message == (
        f"the host key of [127.0.0.1]:{host.port}, ED25519 {keys.host.get_fingerprint()}, is revoked ({known}:1)"
    )


# --- after the login


def test_cut_in_the_middle_of_a_command(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    host = serve(cut_after_bytes=10)
    opened = opening(host.port)
    with pytest.raises(ConnectionFailed) as caught:
        opened.connection.run("echo 0123456789abcdef; sleep 9", timeout_s=9)
    assert caught.value.kind is Trouble.DROPPED
    assert caught.value.message == (
        f"the connection to port {host.port} of 127.0.0.1 was lost while a command ran: echo 0123456789abcdef; sleep 9"
    )
    with pytest.raises(ConnectionFailed, match=r"was lost before a command could be run$"):
        opened.connection.run("true", timeout_s=9)


def test_a_deadline_on_a_connection_that_is_gone_is_quiet(
    serve: Callable[..., Host], opening: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = opening(serve().port)
    close = paramiko.Channel.close

    def close_and_fail(channel: Any) -> None:
        close(channel)
        raise EOFError  # as paramiko does when the connection went down meanwhile

    monkeypatch.setattr(paramiko.Channel, "close", close_and_fail)
    assert opened.connection.run("echo fine", timeout_s=9).stdout == b"fine\n"
    with pytest.raises(CommandTimedOut):
        opened.connection.run("sleep 60", timeout_s=1)
    with pytest.raises(OutputTooLong):
        opened.connection.run("cat /dev/zero", timeout_s=30)


def test_no_further_session(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    host = serve(sessions=1)
    opened = opening(host.port)
    assert opened.connection.run("true", timeout_s=9).ok
    with pytest.raises(ConnectionFailed) as caught:
        opened.connection.run("true", timeout_s=9)
    assert caught.value.kind is Trouble.BUSY
    assert caught.value.message == (
        f"port {host.port} of 127.0.0.1 opens no further session: Resource shortage (MaxSessions in its sshd_config)"
    )


def test_closing_twice_and_running_after_it(serve: Callable[..., Host], opening: Callable[..., Opened]) -> None:
    opened = opening(serve().port)
    opened.connection.close()
    opened.connection.close()
    with pytest.raises(ConnectionFailed, match=r"was lost before a command could be run$"):
        opened.connection.run("true", timeout_s=9)
