"""The alarms that act on an instance: which they are, and what is known where CloudWatch does not say."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from moto.cloudwatch.models import cloudwatch_backends

from observers.aws_world import ACCOUNT, EVERYTHING, REGION, plain
from pytest_pipeline.observers.alarms import Alarm, alarms_in, alarms_on
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_session import make_session
from pytest_pipeline.observers.aws_trouble import AwsTrouble

if TYPE_CHECKING:
    from observers.aws_world import AwsWorld, MakeAws
    from pytest_pipeline.settings import Aws

STOP = "arn:aws:automate:us-east-1:ec2:stop"
OLD_STOP = "arn:aws:swf:us-east-1:123456789012:action/actions/AWS_EC2.InstanceId.Stop/1.0"
NUMBERS = itertools.count(1)
IDLE: dict[str, Any] = {
    "AlarmName": "idle",
    "ActionsEnabled": True,
    "AlarmActions": [STOP],
    "OKActions": [],
    "InsufficientDataActions": [],
    "StateValue": "OK",
    "MetricName": "CPUUtilization",
    "Namespace": "AWS/EC2",
    "Dimensions": [{"Name": "InstanceId", "Value": "i-1"}],
    "Period": 300,
    "EvaluationPeriods": 3,
    "Threshold": 5.0,
    "ComparisonOperator": "LessThanThreshold",
}


def new_id() -> str:
    """Return the id of an instance that no other test asks about."""
    return f"i-0{next(NUMBERS):016x}"


def put(instance_id: str, name: str, *actions: str, metric: str = "CPUUtilization") -> None:
    backend: Any = cloudwatch_backends[ACCOUNT][REGION]
    backend.put_metric_alarm(
        name=name,
        namespace="AWS/EC2",
        metric_name=metric,
        comparison_operator="LessThanThreshold",
        evaluation_periods=3,
        period=300,
        threshold=5.0,
        statistic="Average",
        description="",
        dimensions=[{"Name": "InstanceId", "Value": instance_id}],
        alarm_actions=list(actions),
    )


def look(aws: Aws, *ids: str) -> dict[str, tuple[Alarm, ...]] | AwsTrouble:
    return alarms_on(ids, aws, make_session(aws), deadline_s=10)


def decoded(**changed: Any) -> list[tuple[str, Alarm]]:
    return list(alarms_in([IDLE | changed]))


def test_those_of_an_instance_are_found_in_both_spellings(world: AwsWorld, make_aws: MakeAws) -> None:
    one, other = new_id(), new_id()
    put(one, f"new {one}", STOP)
    put(one, f"old {one}", OLD_STOP)
    put(one, f"mail {one}", "arn:aws:sns:us-east-1:123456789012:mail")
    put(other, f"other {other}", STOP)
    found = look(make_aws(world.user(EVERYTHING)), one)
    assert isinstance(found, dict)
    assert {instance: [alarm.name for alarm in alarms] for instance, alarms in found.items()} == {
        one: [f"new {one}", f"old {one}"]
    }


def test_an_instance_without_alarms_is_not_among_the_keys(world: AwsWorld, make_aws: MakeAws) -> None:
    assert look(make_aws(world.user(EVERYTHING)), new_id()) == {}


def test_every_page_is_read(world: AwsWorld, make_aws: MakeAws) -> None:
    one = new_id()
    put(one, f"last {one}", STOP)
    user = world.user(EVERYTHING)
    first = plain(b'{"MetricAlarms": [], "NextToken": "more"}', content_type="application/x-amz-json-1.0")
    user.meets(first, service="monitoring", where="automate", times=1)
    found = look(make_aws(user), one)
    assert isinstance(found, dict)
    assert [alarm.name for alarm in found[one]] == [f"last {one}"]
    assert len([asked for asked in user.requests if '"NextToken": "more"' in asked]) == 1


@pytest.mark.parametrize("half", ["automate", "swf"])
def test_half_an_answer_is_none(world: AwsWorld, make_aws: MakeAws, half: str) -> None:
    one = new_id()
    put(one, f"idle {one}", STOP, OLD_STOP)
    user = world.user(EVERYTHING)
    user.meets(plain(b"<html>Sign in</html>", status=200), service="monitoring", where=half)
    found = look(make_aws(user), one)
    assert isinstance(found, AwsTrouble)
    assert found.kind is Kind.WRONG_ANSWER
    assert found.what.startswith("CloudWatch gave a wrong answer")


def test_an_answer_without_alarms_in_it_is_no_answer(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(b"{}", content_type="application/x-amz-json-1.0"), service="monitoring")
    found = look(make_aws(user), new_id())
    assert isinstance(found, AwsTrouble)
    assert found.what == "CloudWatch gave a wrong answer: no 'MetricAlarms' in it"


def test_a_cloudwatch_that_cannot_be_reached_is_said_so(world: AwsWorld, make_aws: MakeAws, closed_port: int) -> None:
    found = look(make_aws(world.user(EVERYTHING), endpoint_url=f"http://127.0.0.1:{closed_port}"), new_id())
    assert isinstance(found, AwsTrouble)
    assert (found.kind, found.action) == (Kind.UNREACHABLE, "cloudwatch:DescribeAlarms")
    assert found.what.startswith("cannot reach CloudWatch")


def test_one_that_hangs_is_not_waited_for_long(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(world.hang, service="monitoring", where="swf")
    aws = make_aws(user)
    found = alarms_on([new_id()], aws, make_session(aws), deadline_s=0.5)
    assert isinstance(found, AwsTrouble)
    assert (found.kind, found.what) == (Kind.TIMED_OUT, "cloudwatch:DescribeAlarms: no answer in 0.5 s")


def test_an_alarm_in_words() -> None:
    assert decoded() == [
        (
            "i-1",
            Alarm(
                name="idle",
                action="stop",
                metric="CPUUtilization",
                condition="CPUUtilization < 5 for 900 s",
                state="OK",
                enabled=True,
            ),
        )
    ]


@pytest.mark.parametrize(
    ("arn", "action"),
    [
        ("arn:aws:automate:eu-west-1:ec2:terminate", "terminate"),
        ("arn:aws-cn:automate:cn-north-1:ec2:reboot", "reboot"),
        ("arn:aws-us-gov:automate:us-gov-west-1:ec2:recover", "recover"),
        ("arn:aws:swf:us-east-1:123456789012:action/actions/AWS_EC2.InstanceId.Terminate/1.0", "terminate"),
    ],
)
def test_what_it_does(arn: str, action: str) -> None:
    assert [alarm.action for _, alarm in decoded(AlarmActions=[arn])] == [action]


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sns:us-east-1:123456789012:ec2:stop",
        "arn:aws:lambda:us-east-1:123456789012:function:stop",
        "arn:aws:automate:us-east-1:rds:stop",
        "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:x",
    ],
)
def test_what_does_nothing_to_an_instance_is_none(arn: str) -> None:
    assert decoded(AlarmActions=[arn]) == []


def test_an_alarm_may_act_when_it_ends_and_when_data_are_missing() -> None:
    (ended,) = decoded(AlarmActions=[], OKActions=[STOP])
    (silent,) = decoded(AlarmActions=[], InsufficientDataActions=[STOP])
    assert ended[1].condition == "when it ends: CPUUtilization < 5 for 900 s"
    assert silent[1].condition == "when data are missing: CPUUtilization < 5 for 900 s"


def test_one_that_is_switched_off_is_known_to_be() -> None:
    assert [alarm.enabled for _, alarm in decoded(ActionsEnabled=False)] == [False]


def test_a_metric_may_stand_in_a_query() -> None:
    metric = {"MetricName": "GPUUtilization", "Dimensions": [{"Name": "InstanceId", "Value": "i-2"}]}
    without = {name: value for name, value in IDLE.items() if name not in ("MetricName", "Dimensions")}
    ((instance, alarm),) = alarms_in([without | {"Metrics": [{"Id": "a", "MetricStat": {"Metric": metric}}]}])
    assert (instance, alarm.metric) == ("i-2", "GPUUtilization")


def test_a_band_has_no_threshold() -> None:
    without = {name: value for name, value in IDLE.items() if name != "Threshold"}
    ((_, alarm),) = alarms_in([without | {"ComparisonOperator": "LessThanLowerThreshold"}])
    assert alarm.condition == "CPUUtilization is out of its band"


def test_one_of_no_instance_acts_on_none() -> None:
    assert decoded(Dimensions=[{"Name": "AutoScalingGroupName", "Value": "i-1"}]) == []
