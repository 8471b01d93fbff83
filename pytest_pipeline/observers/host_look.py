"""Looking at one host: its facts in one round trip, and what it writes in a second one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pytest_pipeline.connections.connection import ConnectionFailed
from pytest_pipeline.observers.effects import Effect
from pytest_pipeline.observers.host import look_at_host, write_from_host
from pytest_pipeline.observers.host_access import NoWay, SshSession, address_of, session_of
from pytest_pipeline.observers.host_readings import HostReadings  # noqa: TC001 - pydantic reads HostSeen's annotations
from pytest_pipeline.observers.host_request import (
    BucketRequest,
    ContextRequest,
    HostRequest,
    S3Request,
    SystemRequest,
    VolumeRequest,
)
from pytest_pipeline.observers.names import INSTANCES, facts_name, writes_name
from pytest_pipeline.observers.observation import Observation
from pytest_pipeline.observers.s3_attempt import BucketAccess
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pytest_pipeline.observers.effects import Journal
    from pytest_pipeline.observers.host_access import HostAccess
    from pytest_pipeline.observers.instance_readings import InstanceReadings
    from pytest_pipeline.observers.observation import Observations
    from pytest_pipeline.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSeen:
    """One look at a host: the session, or why there is none, and what was read through it."""

    session: Reading[SshSession]
    no_way: NoWay | None = None
    readings: HostReadings | None = None


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
        deadline_s = host.connect_timeout_s * 2 + host.command_timeout_s + host.import_timeout_s
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
            answers=tuple[BucketAccess, ...],
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
            return HostSeen(session=Reading.missing(failure.message, by="ssh-access"), no_way=no_way_of(failure))
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
        written_to = [bucket for bucket in request.buckets if bucket.written_key]
        for bucket in written_to:  # the host cannot tell us on its way; what it says afterwards replaces this
            self.journal(_object(bucket.name, bucket.written_key))
        written = write_from_host(opened, request, self.settings.host.command_timeout_s)
        if written.is_known:
            left = {(access.bucket, key) for access in written.value for key in access.left}
            for bucket in written_to:
                place = (bucket.name, bucket.written_key)
                self.journal(_object(*place, removed=place not in left))
                left.discard(place)
            for bucket_name, key in sorted(left):  # an upload in parts that could not be aborted
                self.journal(Effect(what="s3 multipart upload", where=f"s3://{bucket_name}/{key}"))
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
        contexts=contexts_of(settings),
        imports_s=settings.host.import_timeout_s,
        model=settings.requirements.model.path if settings.requirements.model else "",
        system=SystemRequest(
            names=names_of(settings),
            components={one.name: one.match for one in settings.pipeline.components if one.where == "host"},
            locks=tuple(settings.pipeline.locks),
            credentials=any("host" in bucket.from_ for bucket in settings.aws.buckets),
            network_credentials=settings.world == "target",
            metadata=settings.host.kind == "ec2" and settings.world == "target",
            units=any(context.shell == "systemd" for context in settings.host.used_contexts),
        ),
        metadata=settings.host.kind == "ec2" and settings.world == "target",
    )


def contexts_of(settings: Settings) -> tuple[ContextRequest, ...]:
    """Return what is tried in each context."""
    required = settings.requirements
    return tuple(
        ContextRequest(
            name=context.name,
            shell=context.shell,
            setup=context.setup,
            python=context.python,
            wrap=tuple(context.wrap),
            environment=dict(context.environment),
            packages=tuple(required.packages),
            entry_points=tuple(path for path, name in required.entry_points.items() if name == context.name),
            precision=required.precision,
        )
        for context in settings.host.used_contexts
    )


def names_of(settings: Settings) -> tuple[str, ...]:
    """Return the names that the host must be able to resolve: those of AWS that it uses, and those of the settings."""
    aws = settings.aws
    names: list[str] = []
    if settings.world == "target" and any("host" in bucket.from_ for bucket in aws.buckets):
        regions = dict.fromkeys(bucket.region or aws.region or "us-east-1" for bucket in aws.buckets)
        given = urlsplit(aws.endpoint_url).hostname if aws.endpoint_url else None
        names += [given] if given else [f"s3.{region}.{_domain_of(region)}" for region in regions]
    return tuple(dict.fromkeys((*names, *settings.requirements.names)))


def _domain_of(region: str) -> str:
    """Return the domain of a region's partition (botocore, endpoints of the partitions)."""
    return {"cn": "amazonaws.com.cn", "eusc": "amazonaws.eu"}.get(region.partition("-")[0], "amazonaws.com")


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


def _object(bucket: str, key: str, *, removed: bool = False) -> Effect:
    return Effect(what="s3 object", where=f"s3://{bucket}/{key}", removed=removed)


def no_way_of(failure: ConnectionFailed) -> NoWay:
    """Return a failure to connect as a value that can be stored."""
    return NoWay(kind=failure.kind, message=failure.message, remedy=failure.remedy)
