"""AWS as rows see it: readings of identity, instances and buckets, each waited for when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.observers.names import BUCKETS_READ, BUCKETS_WRITTEN, IDENTITY, INSTANCES
from pytest_pipeline.observers.observation import Facts

if TYPE_CHECKING:
    from pytest_pipeline.observers.identity import Identity
    from pytest_pipeline.observers.instances import InstancesReadings
    from pytest_pipeline.observers.observation import Observations
    from pytest_pipeline.observers.s3_attempt import BucketAccess
    from pytest_pipeline.outcome import Reading


class AwsReadings:
    """Readings of AWS. What a bucket's user is told to be the host is not here, but in the host's readings."""

    def __init__(self, observations: Observations) -> None:
        self._observations = observations

    @property
    def identity(self) -> Reading[Identity]:
        """Who the operator is to AWS."""
        return self._observations.reading(IDENTITY)

    @property
    def instances(self) -> Reading[InstancesReadings]:
        """What EC2 says of the instances of the settings."""
        return self._observations.reading(INSTANCES)

    @property
    def buckets_read(self) -> Reading[tuple[BucketAccess, ...]]:
        """What the operator can read at each prefix that the pipeline reads as the operator."""
        return self._observations.reading(BUCKETS_READ)

    @property
    def buckets_written(self) -> Reading[tuple[BucketAccess, ...]]:
        """What the operator can write likewise. Reading this writes: see `observers.buckets`."""
        return self._observations.reading(BUCKETS_WRITTEN)


class PipelineAws:
    """`.facts.x` is a value, or raises Blocked; `.readings.x` is a value or the reason why there is none."""

    def __init__(self, observations: Observations) -> None:
        self.readings = AwsReadings(observations)

    @property
    def facts(self) -> Facts:
        """The readings' values."""
        return Facts(self.readings)
