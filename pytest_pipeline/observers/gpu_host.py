"""The GPU host as rows see it: facts of one round trip, and commands of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Finished, OutputTooLong
from pytest_pipeline.observers.effects import Effect
from pytest_pipeline.observers.host import look_at_host, write_from_host
from pytest_pipeline.observers.host_access import NoWay, SshSession, address_of, blame, session_of
from pytest_pipeline.observers.host_readings import BucketAccess as HostBucketAccess
from pytest_pipeline.observers.host_readings import HostReadings
from pytest_pipeline.observers.host_request import BucketRequest, HostRequest, S3Request, VolumeRequest
from pytest_pipeline.observers.observation import Facts, Nothing, Observation
from pytest_pipeline.observers.s3_attempt import BucketAccess
from pytest_pipeline.outcome import Blocked, Reading

if TYPE_CHECKING:
    import fabric

    from pytest_pipeline.observers.effects import Journal
    from pytest_pipeline.observers.host_access import HostAccess
    from pytest_pipeline.observers.instance_readings import InstanceReadings
    from pytest_pipeline.observers.observation import Observations
    from pytest_pipeline.settings import Settings

INSTANCES = "instances"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSeen:
    """One look at a host: the session, or why there is none, and what was read through it."""

    session: Reading[SshSession]
    no_way: NoWay | None = None
    readings: HostReadings | None = None


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
        return tuple(_told_of(access) for access in self.readings.s3_reads.value)

    @property
    def buckets_written(self) -> tuple[BucketAccess, ...]:
        """What the host can write, likewise. Reading this writes: see `observers.host`."""
        answer: Reading[tuple[HostBucketAccess, ...]] = self._observations.reading(writes_name(self.id))
        if answer.by == "ssh-access":
            self.session.value  # noqa: B018 - raises the root, with what EC2 knows of it
        return tuple(_told_of(access) for access in answer.value)

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

    def close(self) -> None:
        """Close the connection."""
        self._access.close()

    @property
    def _seen(self) -> Reading[HostSeen]:
        return self._observations.reading(facts_name(self.id))

    @property
    def _instance(self) -> Reading[InstanceReadings]:
        return instance_in(self._observations, self.id)

    def _open(self) -> Any:
        address = address_of(
            self._settings.host,
            self._instance if not self._settings.host.address else Reading.missing("", by="settings"),
        )
        try:
            return self._access.open(address.value)
        except ConnectionFailed as failure:
            blamed = blame(_no_way(failure), self._settings.host, self._instance.or_none)
            raise Blocked(blamed.reason, by=blamed.by, remedy=blamed.remedy) from None


def facts_name(instance_id: str) -> str:
    """Return the name of the observation of a host."""
    return f"host {instance_id}".rstrip()


def writes_name(instance_id: str) -> str:
    """Return the name of the observation that writes from a host."""
    return f"host-writes {instance_id}".rstrip()


def instance_in(observations: Observations, instance_id: str) -> Reading[InstanceReadings]:
    """Return what EC2 says of an instance of the settings, or why it says nothing."""
    if not instance_id:
        return Reading.missing("host.instance_ids (or --instance-id)", by="settings")
    seen = observations.reading(INSTANCES)
    return Reading.of(seen.value[instance_id]) if seen.is_known else seen.hand_on()


@dataclass(frozen=True, slots=True, kw_only=True)
class HostLook:
    """How one host is looked at: its facts in one round trip, and what it writes in a second one."""

    instance_id: str
    settings: Settings
    way: HostAccess
    journal: Journal

    def observations(self) -> tuple[Observation[Any], Observation[Any]]:
        """Return the two observations."""
        host = self.settings.host
        deadline_s = host.connect_timeout_s * 2 + host.command_timeout_s
        needs = (INSTANCES,) if self._asks_ec2 else ()
        facts: Observation[Any] = Observation(
            name=facts_name(self.instance_id),
            owner="ssh-access",
            answers=HostSeen,
            look=self._look,
            deadline_s=deadline_s,
            needs=needs,
        )
        writes: Observation[Any] = Observation(
            name=writes_name(self.instance_id),
            owner="s3-write",
            answers=tuple[HostBucketAccess, ...],
            look=self._write,
            deadline_s=deadline_s,
            needs=needs,
            effects=True,
        )
        return facts, writes

    @property
    def _asks_ec2(self) -> bool:
        host = self.settings.host
        return host.connection != "local" and not host.address and bool(self.instance_id)

    def _look(self, observations: Observations) -> HostSeen | Reading[Any]:
        address = self._address(observations)
        if not address.is_known:
            return address.hand_on()
        try:
            opened = self.way.open(address.value)
        except ConnectionFailed as failure:
            return HostSeen(session=Reading.missing(failure.message, by="ssh-access"), no_way=_no_way(failure))
        readings = look_at_host(opened, request_of(self.settings), self.settings.host.command_timeout_s)
        return HostSeen(session=Reading.of(session_of(opened)), readings=readings)

    def _write(self, observations: Observations) -> Reading[Any]:
        address, request = self._address(observations), s3_request_of(self.settings)
        if not address.is_known:
            return address.hand_on()
        if request is None:
            return Reading.of(())
        try:
            opened = self.way.open(address.value)
        except ConnectionFailed as failure:
            return Reading.missing(failure.message, by="ssh-access", remedy=failure.remedy)
        for bucket in request.buckets:  # the host cannot tell us on its way; what it says afterwards replaces this
            self.journal(_object(bucket.name, bucket.written_key))
        written = write_from_host(opened, request, self.settings.host.command_timeout_s)
        if written.is_known:
            left = {(access.bucket, access.left) for access in written.value if access.left}
            for bucket in request.buckets:
                place = (bucket.name, bucket.written_key)
                self.journal(_object(*place, removed=place not in left))
        return written

    def _address(self, observations: Observations) -> Reading[str]:
        if self._asks_ec2:
            return address_of(self.settings.host, instance_in(observations, self.instance_id))
        return address_of(self.settings.host, Reading.missing("", by="settings"))


def request_of(settings: Settings) -> HostRequest:
    """Return all that one round trip is to bring for these settings."""
    return HostRequest(
        volumes=tuple(
            VolumeRequest(path=path, reuse=tuple(disk.reuse)) for path, disk in settings.requirements.disk.items()
        ),
        s3=s3_request_of(settings),
        metadata=settings.host.kind == "ec2" and settings.world == "target",
    )


def s3_request_of(settings: Settings) -> S3Request | None:
    """Return what the host is to try in S3, None where no bucket is the host's."""
    buckets = [bucket for bucket in settings.aws.buckets if "host" in bucket.from_]
    if not buckets:
        return None
    return S3Request(
        buckets=tuple(
            BucketRequest(
                name=bucket.name,
                region=bucket.region or settings.aws.region or "",
                read=tuple(bucket.read),
                write=tuple(bucket.write),
                actions=tuple(bucket.actions),
                probe_key=bucket.probe_key or "",
                request_payer=bucket.request_payer,
                kms_key=bucket.kms_key or "",
            )
            for bucket in buckets
        ),
        endpoint_url=settings.aws.endpoint_url or "",
        region=settings.aws.region or "",
        network_credentials=settings.world == "target",
        timeout_s=settings.aws.read_timeout_s,
        attempts=settings.aws.attempts,
    )


def _told_of(access: HostBucketAccess) -> BucketAccess:
    return BucketAccess(bucket=access.bucket, identity="host", prefix=access.prefix, attempts=access.attempts)


def _object(bucket: str, key: str, *, removed: bool = False) -> Effect:
    return Effect(what="s3 object", where=f"s3://{bucket}/{key}", removed=removed)


def _no_way(failure: ConnectionFailed) -> NoWay:
    return NoWay(kind=failure.kind, message=failure.message, remedy=failure.remedy)


def _all(why: Reading[Any]) -> HostReadings:
    return Nothing(why.hand_on())  # type: ignore[return-value]  # stands in for any readings
