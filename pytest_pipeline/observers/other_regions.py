"""The search for an instance in the regions it was not looked for in, when it is not where it should be."""

from __future__ import annotations

import functools
from contextlib import closing
from typing import TYPE_CHECKING

from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_session import asked_of, client, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, AwsTrouble, classify
from pytest_pipeline.observers.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable

    import boto3

    from pytest_pipeline.settings import Aws

_MOST_REGIONS = 20
_WITHOUT_A_LIST = (  # those that every account has without opting in and that have GPU instances
    *("us-east-1", "us-east-2", "us-west-2", "us-west-1", "ca-central-1", "sa-east-1"),
    *("eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1", "eu-north-1"),
    *("ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
)


def search(aws: Aws, instance_id: str, *, missing_in: str, deadline_s: float) -> tuple[str, tuple[str, ...], str]:
    """Return the region an instance was found in or "", the regions that answered, and a note on those that did not.

    Every region is asked once, at the same time, with half the patience of the settings: this is a courtesy.
    """
    hasty = aws.model_copy(
        update={
            "attempts": 1,
            "connect_timeout_s": aws.connect_timeout_s / 2,
            "read_timeout_s": aws.read_timeout_s / 2,
        }
    )
    session = make_session(hasty)
    regions, note = _regions(session, hasty, missing_in)
    calls = {region: functools.partial(_is_in, session, hasty, region, instance_id) for region in regions}
    answers = side_by_side(calls, deadline_s=deadline_s, enough=lambda answer: answer is True)
    found_in = next((region for region, answer in answers.items() if answer is True), "")
    asked = tuple(region for region, answer in answers.items() if isinstance(answer, bool))
    silent = [region for region in regions if region not in asked]
    if silent and not found_in:
        why = next((f" ({answer.what})" for answer in answers.values() if isinstance(answer, AwsTrouble)), "")
        note = "; ".join(filter(None, (note, f"no answer from {', '.join(silent)}{why}")))
    return found_in, asked, note


def _regions(session: boto3.Session, aws: Aws, missing_in: str) -> tuple[list[str], str]:
    """Return the account's other regions, the nearest first, and a note where the account's list could not be read."""
    note = ""
    try:
        with closing(client(session, "ec2", aws)) as ec2:
            listed = [region["RegionName"] for region in ec2.describe_regions().get("Regions", ())]
    except AWS_ERRORS as error:
        note = f"ec2:DescribeRegions: {classify(error, asked_of(aws, 'ec2:DescribeRegions', session=session)).what}"
        listed = []
    return _nearest_first(listed or _WITHOUT_A_LIST, missing_in)[:_MOST_REGIONS], note


def _nearest_first(regions: Iterable[str], here: str) -> list[str]:
    """Return the regions in the same partition as `here`, without it, those on the same continent first."""
    partition = _partition(here)
    others = [region for region in regions if region != here and _partition(region) == partition]
    return sorted(others, key=lambda region: region.partition("-")[0] != here.partition("-")[0])


def _partition(region: str) -> str:
    return next((own for own in ("cn-", "us-gov-", "us-iso") if region.startswith(own)), "")


def _is_in(session: boto3.Session, aws: Aws, region: str, instance_id: str) -> bool | AwsTrouble:
    try:
        with closing(client(session, "ec2", aws, region=region)) as ec2:
            return bool(ec2.describe_instances(InstanceIds=[instance_id])["Reservations"])
    except AWS_ERRORS as error:
        trouble = classify(error, asked_of(aws, "ec2:DescribeInstances", session=session, region=region))
        return False if trouble.kind is Kind.MISSING else trouble
    except KeyError:
        return AwsTrouble(kind=Kind.WRONG_ANSWER, what="an answer without reservations")
