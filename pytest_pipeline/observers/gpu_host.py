"""The GPU host as rows see it: facts of one round trip, and commands of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Finished, OutputTooLong
from pytest_pipeline.observers.host_access import address_of, blame
from pytest_pipeline.observers.host_look import instance_in, no_way_of
from pytest_pipeline.observers.names import facts_name, writes_name
from pytest_pipeline.observers.observation import Facts, Nothing
from pytest_pipeline.outcome import Blocked, Reading

if TYPE_CHECKING:
    import fabric

    from pytest_pipeline.connections.connection import Opened
    from pytest_pipeline.observers.host_access import HostAccess, SshSession
    from pytest_pipeline.observers.host_look import HostSeen
    from pytest_pipeline.observers.host_readings import HostReadings
    from pytest_pipeline.observers.instance_readings import InstanceReadings
    from pytest_pipeline.observers.observation import Observations
    from pytest_pipeline.observers.s3_attempt import BucketAccess
    from pytest_pipeline.settings import Settings


class GpuHost:
    """`.facts.x` is a value, or raises Blocked; `.readings.x` is a value or the reason why there is none."""

    def __init__(self, instance_id: str, settings: Settings, observations: Observations, access: HostAccess) -> None:
        self.id = instance_id
        self._settings = settings
        self._observations = observations
        self._access = access

    @property
    def readings(self) -> HostReadings:
        """What one round trip brought; each reading missing for the same reason where there is no connection."""
        seen = self._seen
        if not seen.is_known:
            return _all(seen)
        if seen.value.readings is None:
            return _all(self.session)
        return seen.value.readings

    @property
    def facts(self) -> Facts:
        """The readings' values."""
        return Facts(self.readings)

    @property
    def session(self) -> Reading[SshSession]:
        """The connection as it was opened; where it was not, the reason with what EC2 knows of it."""
        seen = self._seen
        if not seen.is_known:
            return seen.hand_on()
        if seen.value.no_way is None:
            return seen.value.session
        return blame(seen.value.no_way, self._settings.host, self._instance.or_none)

    @property
    def buckets_read(self) -> tuple[BucketAccess, ...]:
        """What the host can read of S3 with its own credentials. Raises Blocked."""
        return self.readings.s3_reads.value

    @property
    def buckets_written(self) -> tuple[BucketAccess, ...]:
        """What the host can write, likewise. Reading this writes: see `observers.host`."""
        answer: Reading[tuple[BucketAccess, ...]] = self._observations.reading(writes_name(self.id))
        if answer.by == "ssh-access":
            self.session.value  # noqa: B018 - raises the root, with what EC2 knows of it
        return answer.value

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float | None = None) -> Finished:
        """Run a command in the user's shell on the host.

        Raises Blocked by ssh-access, or by what is at the root of it, where the command or its answer was lost, took
        longer than `timeout_s` (default: `host.command_timeout_s`), or printed more than 16 MiB.
        """
        opened = self._open()
        try:
            return opened.connection.run(
                command, stdin=stdin, timeout_s=timeout_s or self._settings.host.command_timeout_s
            )
        except (ConnectionFailed, CommandTimedOut, OutputTooLong) as error:
            raise Blocked(str(error), by="ssh-access") from None

    def probe(self, source: str, *, timeout_s: float | None = None) -> Finished:
        """Run Python source (standard library, syntax of 3.7) with the host's `python3`. Raises Blocked."""
        return self.run("python3 -I -", stdin=source.encode(), timeout_s=timeout_s)

    def fabric_connection(self) -> fabric.Connection:
        """Return the open fabric connection. Raises Blocked where there is none."""
        opened = self._open()
        if opened.fabric is None:
            kind = self._settings.host.connection
            raise Blocked(f"ssh_connection needs host.connection = 'fabric', not {kind!r}; use gpu_host", by="settings")
        return opened.fabric

    def end_if_none(self, evidence: Any) -> None:
        """End a row about a host where there is none: `host.kind` is "none", or nothing is configured."""
        if self._settings.host.kind == "none":
            evidence.not_applicable("host.kind is 'none'")
        if not self._settings.host.configured:
            raise Blocked("host.instance_ids or host.address (--instance-id, --instance-ip)", by="settings")

    @property
    def _seen(self) -> Reading[HostSeen]:
        return self._observations.reading(facts_name(self.id))

    @property
    def _instance(self) -> Reading[InstanceReadings]:
        return instance_in(self._observations, self.id)

    def _open(self) -> Opened:
        address = address_of(
            self._settings.host,
            self._instance if not self._settings.host.address else Reading.missing("", by="settings"),
        )
        try:
            return self._access.open(address.value)
        except ConnectionFailed as failure:
            blamed = blame(no_way_of(failure), self._settings.host, self._instance.or_none)
            raise Blocked(blamed.reason, by=blamed.by, remedy=blamed.remedy) from None


def _all(why: Reading[Any]) -> HostReadings:
    return Nothing(why.hand_on())  # type: ignore[return-value]  # stands in for any readings
