"""The alarms of CloudWatch that stop, terminate, reboot or recover an instance."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_session import asked_of, client
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.ec2_calls import answer_or_trouble
from pytest_pipeline.observers.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import boto3

    from pytest_pipeline.settings import Aws

_ACTION = "cloudwatch:DescribeAlarms"
_ON_EC2 = re.compile(r"arn:[\w-]+:(?:automate:[\w-]*:ec2:|swf:.*\bAWS_EC2\.InstanceId\.)(\w+)", re.IGNORECASE)
_WHEN = {"AlarmActions": "", "OKActions": "when it ends: ", "InsufficientDataActions": "when data are missing: "}
_SIGNS = {
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "<=",
    "GreaterThanThreshold": ">",
    "GreaterThanOrEqualToThreshold": ">=",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """What an alarm does to an instance: `action` is stop, terminate, reboot, recover or hibernate.

    `condition` is when, in words: "CPUUtilization < 5 for 900 s". `state` is OK, ALARM or INSUFFICIENT_DATA.
    """

    name: str
    action: str
    metric: str
    condition: str
    state: str
    enabled: bool


def alarms_on(
    ids: Sequence[str], aws: Aws, session: boto3.Session, *, deadline_s: float
) -> dict[str, tuple[Alarm, ...]] | AwsTrouble:
    """Return the alarms that act on these instances, by instance; one without any is not among the keys.

    CloudWatch is asked for the alarms with an action on EC2 only, of which there are two spellings, side by side: an
    account may have thousands of others.
    """

    def ask() -> dict[str, list[Mapping[str, Any]] | AwsTrouble]:
        cloudwatch = client(session, "cloudwatch", aws)
        region, partition = cloudwatch.meta.region_name, cloudwatch.meta.partition
        calls = {
            prefix: functools.partial(answer_or_trouble, functools.partial(_pages, cloudwatch, prefix), asked)
            for prefix in (f"arn:{partition}:automate:{region}:ec2:", f"arn:{partition}:swf:{region}:")
        }
        late = dict.fromkeys(calls, AwsTrouble(kind=Kind.TIMED_OUT, what=f"{_ACTION}: no answer in {deadline_s:g} s"))
        return {**late, **side_by_side(calls, deadline_s=deadline_s)}

    def asked() -> Any:
        return asked_of(aws, _ACTION, session=session)

    answers = answer_or_trouble(ask, asked)
    if isinstance(answers, AwsTrouble):
        return answers
    found: dict[str, tuple[Alarm, ...]] = {}
    for answer in answers.values():
        if isinstance(answer, AwsTrouble):
            return answer
        for instance_id, alarm in alarms_in(answer):
            if instance_id in ids:
                found[instance_id] = (*found.get(instance_id, ()), alarm)
    return found


def _pages(cloudwatch: Any, prefix: str) -> list[Mapping[str, Any]]:
    pages = cloudwatch.get_paginator("describe_alarms").paginate(ActionPrefix=prefix, AlarmTypes=["MetricAlarm"])
    return [alarm for page in pages for alarm in page["MetricAlarms"]]


def alarms_in(described: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Alarm]]:
    """Yield each alarm of an answer of DescribeAlarms with the id of the instance that it acts on.

    An action on EC2 acts on the instance that the alarm's metric is of.
    """
    for one in described:
        metrics = [one, *(query.get("MetricStat", {}).get("Metric", {}) for query in one.get("Metrics", ()))]
        dimensions = [dimension for metric in metrics for dimension in metric.get("Dimensions", ())]
        names = ", ".join(metric["MetricName"] for metric in metrics if "MetricName" in metric)
        for when, action in _actions(one):
            alarm = Alarm(
                name=one["AlarmName"],
                action=action,
                metric=names,
                condition=when + _condition(one, names),
                state=one.get("StateValue", ""),
                enabled=one.get("ActionsEnabled", True),
            )
            for instance_id in sorted({place["Value"] for place in dimensions if place["Name"] == "InstanceId"}):
                yield instance_id, alarm


def _actions(one: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, when in _WHEN.items():
        for arn in one.get(name, ()):
            on_ec2 = _ON_EC2.match(arn)
            if on_ec2:
                yield when, on_ec2[1].lower()


def _condition(one: Mapping[str, Any], metric: str) -> str:
    sign = _SIGNS.get(one.get("ComparisonOperator", ""))
    if sign is None or "Threshold" not in one:
        return f"{metric} is out of its band"
    lasting_s = one.get("Period", 0) * one.get("EvaluationPeriods", 0)
    return f"{metric} {sign} {one['Threshold']:g}" + (f" for {lasting_s} s" if lasting_s else "")
