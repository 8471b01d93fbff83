"""The observations of a run: what is looked at, in which order, with which deadline."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.aws_session import worst_wait_s
from pytest_pipeline.observers.buckets import read_buckets, write_buckets
from pytest_pipeline.observers.data_world import of_data
from pytest_pipeline.observers.gpu_host import GpuHost
from pytest_pipeline.observers.host_access import HostAccess
from pytest_pipeline.observers.host_look import HostLook
from pytest_pipeline.observers.identity import Identity, look_at_identity
from pytest_pipeline.observers.instances import InstancesReadings, look_at_instances
from pytest_pipeline.observers.journal import inherited_in, journal_in
from pytest_pipeline.observers.names import (
    BUCKETS_READ,
    BUCKETS_WRITTEN,
    IDENTITY,
    INSTANCES,
    RECORDS,
    SOURCES,
    facts_name,
)
from pytest_pipeline.observers.observation import Observation, Observations
from pytest_pipeline.observers.s3_attempt import BucketAccess
from pytest_pipeline.observers.s3_sweeping import sweep
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pytest_pipeline.observers.effects import Journal
    from pytest_pipeline.settings import Aws, Bucket, Settings

_IDENTITY_S = 13.0
_INSTANCES_S = 20.0
_BUCKETS_S = 25.0


class World:
    """What one process sees of the world of a run: its observations, and the ways to its hosts."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        ids = tuple(settings.host.instance_ids) or ("",)
        self._ways = {instance_id: HostAccess(settings) for instance_id in ids}
        journal = journal_in(folder, world=settings.world)
        looks = [
            HostLook(instance_id=instance_id, settings=settings, way=way, journal=journal)
            for instance_id, way in self._ways.items()
        ]
        hosts = [observation for look in looks for observation in look.observations()]
        self.observations = Observations(
            folder, [*_of_aws(settings, folder, journal), *hosts, *of_data(settings, folder)]
        )

    def host(self, instance_id: str) -> GpuHost:
        """Return the host of an instance of the settings, or the only one ("")."""
        return GpuHost(instance_id, self._settings, self.observations, self._ways[instance_id], self._folder)

    def names_for(self, fixtures: Iterable[str]) -> tuple[str, ...]:
        """Return the observations that these fixtures are about, so that they can be started before a row asks."""
        asked = {*fixtures}
        names: list[str] = []
        if "pipeline_aws" in asked:
            names += [IDENTITY, INSTANCES, BUCKETS_READ]
        if "pipeline_data" in asked:
            names += [SOURCES, RECORDS]
        if asked & {"gpu_host", "ssh_connection"}:
            names += [facts_name(instance_id) for instance_id in self._ways]
        return tuple(names)

    def close(self) -> None:
        """Close what is open."""
        for way in self._ways.values():
            way.close()


def _of_aws(settings: Settings, folder: Path, journal: Journal) -> list[Observation[Any]]:
    operators = [bucket for bucket in settings.aws.buckets if "operator" in bucket.from_]
    return [
        Observation(
            name=IDENTITY,
            owner="aws-credentials",
            answers=Identity,
            look=lambda _: _identity(settings.aws),
            deadline_s=max(_IDENTITY_S, worst_wait_s(settings.aws)),  # AWS's own words come before ours
        ),
        Observation(
            name=INSTANCES,
            owner="ec2-exists",
            answers=InstancesReadings,
            look=_known_to_aws(lambda: look_at_instances(settings.aws, settings.host)),
            deadline_s=_INSTANCES_S,
            needs=(IDENTITY,),
        ),
        Observation(
            name=BUCKETS_READ,
            owner="s3-read",
            answers=tuple[BucketAccess, ...],
            look=_known_to_aws(functools.partial(read_buckets, settings.aws, operators)),
            deadline_s=_BUCKETS_S,
            needs=(IDENTITY,),
        ),
        Observation(
            name=BUCKETS_WRITTEN,
            owner="s3-write",
            answers=tuple[BucketAccess, ...],
            look=_known_to_aws(functools.partial(_write, settings, folder, operators, journal)),
            deadline_s=_BUCKETS_S,
            needs=(IDENTITY,),
            effects=True,
        ),
    ]


def _write(settings: Settings, folder: Path, operators: Sequence[Bucket], journal: Journal) -> tuple[BucketAccess, ...]:
    """Remove what killed runs left, then write: both are effects, and start with the row that asks."""
    left = inherited_in(folder, world=settings.world)
    for effect in left:
        journal(effect)
    sweep(settings.aws, settings.aws.buckets, left, journal=journal)
    return write_buckets(settings.aws, operators, journal=journal)


def _identity(aws: Aws) -> Reading[Identity]:
    """Right credentials of a wrong account are wrong: all that is seen with them belongs to somebody else."""
    identity = look_at_identity(aws)
    if identity.is_known and aws.account not in (None, identity.value.account):
        who = identity.value
        return Reading.missing(f"account {who.account} ({who.arn}), expected {aws.account}", by="aws-credentials")
    return identity


def _known_to_aws(look: Any) -> Any:
    """Look only as somebody AWS knows: bad credentials are one cause, and are not met once for each service."""

    def looked(observations: Observations) -> Any:
        identity = observations.reading(IDENTITY)
        return look() if identity.is_known else identity.hand_on()

    return looked
