"""The calls to EC2 that the gate makes. Each returns what it was asked for, or the trouble, with its action and ARN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from pytest_pipeline.observers.aws_session import asked_of, client, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, AwsTrouble, classify, trouble_in
from pytest_pipeline.observers.instance_facts import (
    AttachedVolume,
    Instance,
    InstanceStatus,
    instances_in,
    openings_in,
    sizes_gb_in,
    statuses_in,
    volumes_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import boto3

    from pytest_pipeline.observers.aws_remedy import Asked
    from pytest_pipeline.settings import Aws

V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The instances that DescribeInstances returned and, from the same answer, their volumes without sizes."""

    instances: dict[str, Instance]
    volumes: dict[str, tuple[AttachedVolume, ...]]


class Ec2:
    """EC2 in one region. Its methods may be called from several threads."""

    def __init__(self, aws: Aws, session: boto3.Session) -> None:
        self._aws = aws
        self.session = session
        self._client = client(session, "ec2", aws)
        self.region: str = self._client.meta.region_name

    @classmethod
    def open(cls, aws: Aws) -> Ec2 | AwsTrouble:
        """Return EC2 in the region of the settings. Sends nothing to it, but may have to get credentials."""
        session = None
        try:
            session = make_session(aws)
            return cls(aws, session)
        except AWS_ERRORS as error:
            return classify(error, asked_of(aws, "ec2:DescribeInstances", session=session))

    def describe(self, ids: Sequence[str]) -> Found | AwsTrouble:
        """Return the instances. One that is not there is a trouble for all of them, as EC2 has it."""

        def ask() -> Found:
            answer = self._client.describe_instances(InstanceIds=list(ids))
            return Found(instances=instances_in(answer, self.region), volumes=volumes_in(answer, {}))

        return self._try("ec2:DescribeInstances", ask)

    def statuses(self, ids: Sequence[str]) -> dict[str, InstanceStatus] | AwsTrouble:
        """Return AWS's checks of the instances, running or not."""
        return self._try(
            "ec2:DescribeInstanceStatus",
            lambda: statuses_in(self._client.describe_instance_status(InstanceIds=list(ids), IncludeAllInstances=True)),
        )

    def sizes_gb(self, volume_ids: Sequence[str]) -> dict[str, float] | AwsTrouble:
        """Return the sizes of the volumes."""
        if not volume_ids:
            return {}
        return self._try(
            "ec2:DescribeVolumes", lambda: sizes_gb_in(self._client.describe_volumes(VolumeIds=list(volume_ids)))
        )

    def openings(self, group_ids: Sequence[str], port: int) -> dict[str, tuple[str, ...]] | AwsTrouble:
        """Return who may reach a TCP port according to each security group."""
        if not group_ids:
            return {}
        return self._try(
            "ec2:DescribeSecurityGroups",
            lambda: openings_in(self._client.describe_security_groups(GroupIds=list(group_ids)), port),
        )

    def owner_of(self, address: str) -> str | AwsTrouble:
        """Return the id of the instance that has an IP address now, public or private, "" where none has it."""

        def ask() -> str:
            for name in ("ip-address", "private-ip-address"):
                answer = self._client.describe_instances(Filters=[{"Name": name, "Values": [address]}])
                owner = next(iter(instances_in(answer, self.region)), "")
                if owner:
                    return owner
            return ""

        return self._try("ec2:DescribeInstances", ask)

    def _try(self, action: str, call: Callable[[], V]) -> V | AwsTrouble:
        return answer_or_trouble(call, lambda: asked_of(self._aws, action, session=self.session, region=self.region))


def answer_or_trouble(call: Callable[[], V], asked: Callable[[], Asked]) -> V | AwsTrouble:
    """Make a call to AWS, and return what it returned or what is the matter; `asked` is what was asked for."""
    try:
        return call()
    except AWS_ERRORS as error:
        return classify(error, asked())
    except KeyError as field:
        return trouble_in("WrongAnswer", f"no {field} in it", 200, asked())
