"""The network bandwidth that EC2 promises an instance for good, beyond what it may take in bursts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.aws_session import asked_of, client, make_session
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.ec2_calls import answer_or_trouble
from pytest_pipeline.observers.instance_readings import missing
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.settings import Aws

ROW = "download-speed"
_ACTION = "ec2:DescribeInstanceTypes"


def baseline_gbps(aws: Aws, instance_type: str) -> Reading[float]:
    """Return an instance type's baseline bandwidth, in 10^9 bits a second.

    It is a diagnosis: where it may not be asked for, that is missing with the statement to add, and nothing fails.
    """
    session = None

    def ask() -> Mapping[str, Any]:
        nonlocal session
        session = make_session(aws)
        answer: Mapping[str, Any] = client(session, "ec2", aws).describe_instance_types(InstanceTypes=[instance_type])
        return answer

    answer = answer_or_trouble(ask, lambda: asked_of(aws, _ACTION, session=session))
    if isinstance(answer, AwsTrouble):
        return missing(answer, by=ROW)
    baseline = baseline_in(answer, instance_type)
    if baseline is None:
        return Reading.missing(f"EC2 names no baseline bandwidth of {instance_type}", by=ROW)
    return Reading.of(baseline)


def baseline_in(answer: Mapping[str, Any], instance_type: str) -> float | None:
    """Return what an answer of DescribeInstanceTypes names for a type; None where it does not.

    Of several network cards it is the one that an instance has its first address on: traffic to S3 takes no other.
    """
    for one in answer.get("InstanceTypes", ()):
        if one.get("InstanceType") != instance_type:
            continue
        network = one.get("NetworkInfo", {})
        default = network.get("DefaultNetworkCardIndex", 0)
        for card in network.get("NetworkCards", ()):
            if card.get("NetworkCardIndex") == default and card.get("BaselineBandwidthInGbps", 0) > 0:
                return float(card["BaselineBandwidthInGbps"])
    return None
