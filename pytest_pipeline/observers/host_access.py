"""The way to one host: opened once a process, whoever asks first, and what EC2 knows of why it could not be opened."""

from __future__ import annotations

import ipaddress
import shlex
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.connections.connection import ConnectionFailed, Opened, Target, Trouble
from pytest_pipeline.connections.opening import open_connection
from pytest_pipeline.outcome import Reading
from pytest_pipeline.remedy import on_host

if TYPE_CHECKING:
    from pytest_pipeline.observers.instance_readings import InstanceReadings
    from pytest_pipeline.settings import Host, Settings

ROW = "ssh-access"
_SSH_PORT = 22
_NO_ANSWER = frozenset({Trouble.TIMEOUT, Trouble.REFUSED, Trouble.UNREACHABLE, Trouble.UNRESOLVED})


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSession:
    """What was seen while the connection was opened; the connection itself stays in its process."""

    address: str
    port: int
    user: str
    opened_s: float
    retries: int = 0
    banner: str = ""
    host_key_fingerprint: str = ""
    accepted_host_key: bool = False


def to_paste(command: str, host: Host, session: SshSession | None) -> str:
    """Return the line for this machine that runs a command on the host."""
    if host.connection == "local":
        return command
    if session is None:
        return on_host(command)
    port = "" if session.port == _SSH_PORT else f"-p {session.port} "
    key = f"-i {shlex.quote(str(host.key))} " if host.key else ""
    return f"ssh {key}{port}{shlex.quote(f'{session.user}@{session.address}')} {shlex.quote(command)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWay:
    """Why there is no connection, before EC2 was asked what it knows of it."""

    kind: Trouble
    message: str
    remedy: str


class HostAccess:
    """Opens the connection to one host once, and remembers also that it could not."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._guard = threading.Lock()
        self._opened: Opened | None = None
        self._failure: ConnectionFailed | None = None

    def open(self, address: str) -> Opened:
        """Return the connection. Raises ConnectionFailed, the same one to everybody."""
        with self._guard:
            if self._failure is not None:
                raise self._failure
            if self._opened is None:
                try:
                    self._opened = self._open(address)
                except ConnectionFailed as failure:
                    self._failure = failure
                    raise
            return self._opened

    def close(self) -> None:
        """Close the connection if it is open."""
        with self._guard:
            if self._opened is not None:
                self._opened.connection.close()

    def _open(self, address: str) -> Opened:
        host = self._settings.host
        if host.connection == "local":
            return open_connection("local", None)
        if self._settings.world == "sandbox" and not _is_loopback(address):
            raise ConnectionFailed(Trouble.UNREACHABLE, f"the sandbox does not leave this machine, and {address} does")
        target = Target(
            address=address,
            port=host.port if "port" in host.model_fields_set else None,  # else ~/.ssh/config's, or 22
            user=host.user,
            key=host.key,
            known_hosts=host.known_hosts,
            ssh_config=host.ssh_config,
            host_key_alias=host.host_key_alias,
            accept_new_host_key=host.accept_new_host_key,
            connect_timeout_s=host.connect_timeout_s,
        )
        return open_connection(host.connection, target)


def session_of(opened: Opened) -> SshSession:
    """Return what was seen of a connection, without the connection."""
    return SshSession(
        address=opened.address,
        port=opened.port,
        user=opened.user,
        opened_s=round(opened.opened_s, 3),
        retries=opened.retries,
        banner=opened.banner,
        host_key_fingerprint=opened.host_key_fingerprint,
        accepted_host_key=opened.accepted_host_key,
    )


def address_of(host: Host, instance: Reading[InstanceReadings]) -> Reading[str]:
    """Return the address to connect to: the settings' own, else the one that EC2 knows of a running instance."""
    if host.connection == "local":
        return Reading.of("localhost")
    if host.address:
        return Reading.of(host.address)
    if not host.instance_ids:
        return Reading.missing("host.address or host.instance_ids (or --instance-ip, --instance-id)", by="settings")
    if not instance.is_known:
        return instance.hand_on()
    found = instance.value.instance
    if not found.is_known:
        return found.hand_on()
    if found.value.state != "running":
        return Reading.missing(f"instance {found.value.id} is {found.value.state}", by="ec2-running")
    address = found.value.public_ip or found.value.private_ip
    return Reading.of(address) if address else Reading.missing(f"instance {found.value.id} has no address", by=ROW)


def blame(no_way: NoWay, host: Host, instance: InstanceReadings | None) -> Reading[SshSession]:
    """Return why there is no connection, with what EC2 knows: a stopped instance, a missing rule, another address."""
    missing: Reading[SshSession] = Reading.missing(no_way.message, by=ROW, remedy=no_way.remedy)
    if no_way.kind not in _NO_ANSWER or instance is None:
        return missing
    found = instance.instance.or_none
    if found is None:
        return missing
    if found.state != "running":
        return Reading.missing(f"instance {found.id} is {found.state}", by="ec2-running")
    own = {found.public_ip, found.private_ip, found.public_dns, found.private_dns}
    if host.address and host.address not in own:
        now = found.public_ip or found.private_ip
        return Reading.missing(
            f"{no_way.message}; instance {found.id} is at {now} now (a stop and start changes it)",
            by="instance-identity",
            remedy=f"pytest -m phase1 --instance-id {found.id} --instance-ip {now}",
        )
    return _blame_the_firewall(no_way, host, instance)


def _blame_the_firewall(no_way: NoWay, host: Host, instance: InstanceReadings) -> Reading[SshSession]:
    found, rules = instance.instance.value, instance.ssh_rules.or_none
    if no_way.kind is not Trouble.TIMEOUT or rules is None:
        return Reading.missing(no_way.message, by=ROW, remedy=no_way.remedy)
    if not rules:
        group = next(iter(found.security_groups), "GROUP_ID")
        return Reading.missing(
            f"{no_way.message}; no rule of its security groups opens {host.port}/tcp",
            by=ROW,
            remedy=f"aws ec2 authorize-security-group-ingress --region {found.region} --group-id {group} "
            f"--protocol tcp --port {host.port} --cidr YOUR_ADDRESS/32",
        )
    if not {"0.0.0.0/0", "::/0"} & {*rules}:
        said = f"{no_way.message}; {host.port}/tcp is open to {', '.join(rules)} only: is that where you are now?"
        return Reading.missing(said, by=ROW, remedy=no_way.remedy)
    return Reading.missing(no_way.message, by=ROW, remedy=no_way.remedy)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
