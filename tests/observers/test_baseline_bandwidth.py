"""What EC2 promises an instance type of bandwidth: found, not named, not to be asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from observers.aws_world import EVERYTHING, plain
from pytest_pipeline.observers.baseline_bandwidth import baseline_gbps, baseline_in

if TYPE_CHECKING:
    from observers.aws_world import AwsWorld, MakeAws

DENIED = {"Effect": "Deny", "Action": "ec2:DescribeInstanceTypes", "Resource": "*"}


def card(index: int, gbps: float | None) -> dict[str, Any]:
    return {"NetworkCardIndex": index, **({} if gbps is None else {"BaselineBandwidthInGbps": gbps})}


def described(*cards: dict[str, Any], default: int = 0, name: str = "x.large") -> dict[str, Any]:
    network = {"DefaultNetworkCardIndex": default, "NetworkCards": list(cards)}
    return {"InstanceTypes": [{"InstanceType": name, "NetworkInfo": network}]}


def test_a_type_has_the_baseline_that_ec2_names(world: AwsWorld, make_aws: MakeAws) -> None:
    tenant = world.user(EVERYTHING)
    assert baseline_gbps(make_aws(tenant), "g5.xlarge").value == 2.5
    assert len(tenant.requests) == 1


def test_without_the_permission_it_is_missing_with_the_statement_to_add(world: AwsWorld, make_aws: MakeAws) -> None:
    reading = baseline_gbps(make_aws(world.user(EVERYTHING, DENIED)), "g5.xlarge")
    assert reading.or_none is None
    assert reading.by == "download-speed"
    assert reading.reason.startswith("ec2:DescribeInstanceTypes on * denied: ")
    assert '"Action": "ec2:DescribeInstanceTypes"' in reading.remedy


def test_a_type_that_ec2_does_not_know_is_missing(world: AwsWorld, make_aws: MakeAws) -> None:
    reading = baseline_gbps(make_aws(world.user(EVERYTHING)), "g5.huge")
    assert (reading.or_none, reading.by) == (None, "download-speed")
    assert "g5.huge" in reading.reason


def test_without_credentials_their_row_is_to_blame(world: AwsWorld, make_aws: MakeAws) -> None:
    assert baseline_gbps(make_aws(world.stranger()), "g5.xlarge").by == "aws-credentials"


def test_an_answer_that_is_none_of_aws(world: AwsWorld, make_aws: MakeAws) -> None:
    tenant = world.user(EVERYTHING)
    tenant.meets(plain(b"<html>hello</html>"))
    reading = baseline_gbps(make_aws(tenant), "g5.xlarge")
    assert (reading.or_none, reading.by) == (None, "download-speed")


@pytest.mark.parametrize(
    ("answer", "gbps"),
    [
        (described(card(0, 100.0), card(1, 200.0)), 100.0),
        (described(card(0, 100.0), card(1, 200.0), default=1), 200.0),
        (described(card(0, None)), None),
        (described(card(0, 0.0)), None),
        (described(card(0, 5.0), name="y.large"), None),
        ({"InstanceTypes": [{"InstanceType": "x.large"}]}, None),
        ({"InstanceTypes": []}, None),
        ({}, None),
    ],
    ids=["first card", "default card", "not named", "none", "another type", "no network", "nothing", "no answer"],
)
def test_the_card_of_the_first_address_counts(answer: dict[str, Any], gbps: float | None) -> None:
    assert baseline_in(answer, "x.large") == gbps
