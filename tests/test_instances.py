"""How an instance is judged: whether EC2's checks of it pass, and whether it stays up for a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from matrix_tests.instances import judge_checks, judge_stay, running_or_blocked, threats_to
from pytest_pipeline.observers.alarms import Alarm
from pytest_pipeline.observers.instance_facts import Instance, InstanceStatus, PlannedEvent
from pytest_pipeline.observers.instance_readings import InstanceReadings
from pytest_pipeline.observers.system_readings import Notices
from pytest_pipeline.outcome import Blocked, Evidence, Reading

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
INSTANCE = Instance(
    id="i-0a",
    name="trainer",
    state="running",
    state_reason="",
    type="g5.2xlarge",
    region="us-east-1",
    az="us-east-1a",
    public_ip="203.0.113.9",
    private_ip="10.0.0.9",
    public_dns="",
    private_dns="",
    image="ami-1",
    launched="2026-11-20T08:00:00+00:00",
    key_name="trainers",
    root_device="/dev/sda1",
    security_groups=(),
)
STATUS = InstanceStatus(system_status="ok", instance_status="ok", events=())
READINGS = InstanceReadings(
    id="i-0a",
    lookup=Reading.of(INSTANCE),
    instance=Reading.of(INSTANCE),
    status=Reading.of(STATUS),
    volumes=Reading.of(()),
    ssh_rules=Reading.of(()),
    alarms=Reading.of(()),
)
IDLE = Alarm(
    name="stop when idle",
    action="stop",
    metric="CPUUtilization",
    condition="CPUUtilization < 5 for 900 s",
    state="OK",
    enabled=True,
)
NOT_ASKED: Reading[Notices] = Reading.missing("not asked", by="instance-stays-up")
QUIET = Reading.of(Notices(life_cycle="on-demand"))
DENIED: Any = Reading.missing("you may not", by="instance-status", remedy="add to the policy")
BROKEN: Any = Reading.missing("no answer in 8 s", by="instance-status")


def checked(**changed: Any) -> Evidence:
    """Return what instance-status noted. Raises pytest.fail.Exception and Blocked."""
    evidence = Evidence()
    judge_checks(replace(READINGS, **changed), evidence)
    return evidence


def impaired(**changed: Any) -> Evidence:
    """Return what instance-status noted on its way to failing."""
    evidence = Evidence()
    with pytest.raises(pytest.fail.Exception, match="impaired"):
        judge_checks(replace(READINGS, status=Reading.of(replace(STATUS, **changed))), evidence)
    return evidence


def stays(
    *, hours: float | None = None, notices: Reading[Notices] = NOT_ASKED, of: Instance = INSTANCE, **changed: Any
) -> Evidence:
    """Return what instance-stays-up noted. Raises pytest.fail.Exception and Blocked."""
    evidence = Evidence()
    readings = replace(READINGS, instance=Reading.of(of), **changed)
    ends = NOW + timedelta(hours=hours) if hours is not None else None
    judge_stay(readings, threats_to(readings, notices, ends=ends), evidence)
    return evidence


def ended(words: str, **world: Any) -> None:
    """Let instance-stays-up fail with these words."""
    with pytest.raises(pytest.fail.Exception, match=words):
        stays(**world)


def severity(**world: Any) -> bool:
    """Whether a failure of instance-stays-up is critical."""
    evidence = Evidence()
    hours = world.pop("hours", None)
    readings = replace(READINGS, instance=Reading.of(world.pop("of", INSTANCE)), **world)
    ends = NOW + timedelta(hours=hours) if hours is not None else None
    with pytest.raises(pytest.fail.Exception):
        judge_stay(readings, threats_to(readings, NOT_ASKED, ends=ends), evidence)
    return evidence.raised


def planned(code: str = "instance-retirement", *, in_hours: float | None = 24) -> Reading[InstanceStatus]:
    not_before = (NOW + timedelta(hours=in_hours)).isoformat() if in_hours is not None else ""
    event = PlannedEvent(code=code, not_before=not_before, description="degraded hardware")
    return Reading.of(replace(STATUS, events=(event,)))


# --- instance-status


def test_checks_that_pass_are_noted() -> None:
    evidence = checked(status=Reading.of(replace(STATUS, ebs_status="ok")))
    assert (evidence.noted, evidence.warnings) == ({"checks": "system ok, instance ok, attached EBS ok"}, [])


def test_a_failed_check_is_critical_and_its_fix_fits_it() -> None:
    instance = impaired(instance_status="impaired", failing_since="2026-11-01T03:04:05+00:00")
    assert instance.raised
    assert instance.command == "aws ec2 reboot-instances --region us-east-1 --instance-ids i-0a"
    for other in (impaired(system_status="impaired"), impaired(ebs_status="impaired")):
        assert other.command.startswith("aws ec2 stop-instances --region us-east-1 --instance-ids i-0a && ")


@pytest.mark.parametrize("result", ["initializing", "insufficient-data", "not-applicable", "something-new"])
def test_a_check_without_a_result_is_a_warning(result: str) -> None:
    evidence = checked(status=Reading.of(replace(STATUS, system_status=result)))
    assert evidence.warnings == [f"EC2's system status check says {result}"]


def test_a_check_that_nobody_may_read_is_a_warning_with_its_permission() -> None:
    evidence = checked(status=DENIED, denied=("ec2:DescribeInstanceStatus",))
    assert evidence.warnings == ["its checks could not be read: you may not"]
    assert (evidence.command, evidence.noted) == ("add to the policy", {"checks": "nobody may read them"})


def test_another_denial_does_not_excuse_it() -> None:
    with pytest.raises(Blocked, match="no answer"):
        checked(status=BROKEN, denied=("cloudwatch:DescribeAlarms",))


@pytest.mark.parametrize("state", ["stopped", "pending", "terminated"])
def test_what_does_not_run_is_for_its_own_row_to_say(state: str) -> None:
    with pytest.raises(Blocked) as blocked:
        running_or_blocked(replace(INSTANCE, state=state))
    assert blocked.value.by == "ec2-running"


# --- instance-stays-up


def test_an_instance_that_nobody_threatens_stays() -> None:
    for notices in (NOT_ASKED, QUIET):
        assert stays(notices=notices, hours=20).warnings == []


@pytest.mark.parametrize("code", ["instance-retirement", "instance-stop", "system-reboot", "system-maintenance"])
def test_what_aws_plans_ends_a_run_of_unknown_length(code: str) -> None:
    ended(f"AWS plans {code} not before 2026-11-25T12:00:00.00:00: degraded hardware", status=planned(code))
    assert severity(status=planned(code)) is False


def test_what_aws_plans_within_the_run_is_critical() -> None:
    assert severity(status=planned(in_hours=19), hours=20) is True
    ended("not before 2026-11-25T07", status=planned(in_hours=19), hours=20)


def test_what_aws_plans_for_after_the_run_is_a_warning() -> None:
    (warning,) = stays(status=planned(in_hours=21), hours=20).warnings
    assert warning.endswith("the run is planned to be over by 2026-11-25T08:00+00:00")


def test_what_may_happen_at_any_time_is_not_after_the_run() -> None:
    ended("AWS plans instance-stop: degraded", status=planned("instance-stop", in_hours=None), hours=20)


def test_an_alarm_on_an_idle_cpu_ends_a_run_whatever_its_state_is() -> None:
    for state in ("OK", "ALARM", "INSUFFICIENT_DATA"):
        alarm = replace(IDLE, state=state)
        words = f"alarm 'stop when idle' stops it when CPUUtilization < 5 for 900 s .now {state}"
        ended(words, alarms=Reading.of((alarm,)))
    assert severity(alarms=Reading.of((IDLE,))) is True
    assert severity(alarms=Reading.of((IDLE,)), of=replace(INSTANCE, life_cycle="spot")) is False


@pytest.mark.parametrize(
    "harmless",
    [
        replace(IDLE, enabled=False),
        replace(IDLE, action="recover", metric="StatusCheckFailed_System"),
        replace(IDLE, action="reboot", metric="StatusCheckFailed_Instance"),
        replace(IDLE, action="terminate", metric="StatusCheckFailed"),
    ],
    ids=["switched off", "recover", "reboot", "after its death"],
)
def test_an_alarm_that_a_healthy_run_cannot_meet_is_harmless(harmless: Alarm) -> None:
    assert stays(alarms=Reading.of((harmless,))).warnings == []


def test_only_an_alarm_on_the_idle_is_said_to_be_one() -> None:
    busy = replace(IDLE, condition="CPUUtilization > 99 for 900 s")
    ended(r"when CPUUtilization > 99 for 900 s .now \w+.$", alarms=Reading.of((busy,)))
    ended("a GPU that works leaves the rest of its host idle$", alarms=Reading.of((IDLE,)))


def test_an_alarm_that_sees_the_gpu_is_a_warning() -> None:
    evidence = stays(alarms=Reading.of((replace(IDLE, metric="nvidia_smi_utilization_gpu"),)))
    assert len(evidence.warnings) == 1
    assert evidence.command.endswith("--alarm-names 'stop when idle'")


def test_all_that_ends_it_is_said_at_once() -> None:
    ended("instance-retirement.*; CloudWatch alarm", status=planned(), alarms=Reading.of((IDLE,)))


def test_alarms_that_nobody_may_read_are_a_warning() -> None:
    evidence = stays(alarms=DENIED, denied=("cloudwatch:DescribeAlarms",))
    assert evidence.warnings == ["the alarms on it could not be read: you may not"]


def test_alarms_that_could_not_be_read_are_not_none() -> None:
    with pytest.raises(Blocked, match="no answer"):
        stays(alarms=BROKEN)


def test_what_aws_plans_and_nobody_may_read_is_a_warning_and_the_host_may_still_know() -> None:
    denied: dict[str, Any] = {"status": DENIED, "denied": ("ec2:DescribeInstanceStatus",)}
    assert stays(**denied).warnings == ["what AWS plans for it could not be read: you may not"]
    told = Reading.of(Notices(life_cycle="on-demand", maintenance=("system-reboot not before 25 Nov",)))
    ended("AWS plans system-reboot not before 25 Nov", notices=told, **denied)


def test_what_the_host_knows_too_is_not_said_twice() -> None:
    told = Reading.of(Notices(life_cycle="on-demand", maintenance=("system-reboot",)))
    assert stays(notices=told).warnings == []


SPOT = replace(INSTANCE, life_cycle="spot")


def test_a_spot_instance_is_a_warning_and_its_notice_a_failure() -> None:
    (warning,) = stays(of=SPOT, notices=QUIET).warnings
    assert warning == "it is a spot instance, which AWS may take back at two minutes' notice"
    (unread,) = stays(of=SPOT).warnings
    assert unread.endswith("whether it does so now could not be read: not asked")
    ended(
        "takes the spot instance back: stop at",
        of=SPOT,
        notices=Reading.of(Notices(life_cycle="spot", spot_action="stop at 12:02")),
    )


def test_a_rebalance_and_a_capacity_block_are_warnings() -> None:
    risk = Reading.of(Notices(life_cycle="spot", rebalance="2026-11-24T11:59:00Z"))
    assert "rebalance" in stays(of=SPOT, notices=risk).warnings[1]
    assert stays(of=replace(INSTANCE, life_cycle="capacity-block")).warnings == ["it ends with its Capacity Block"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Schedule", "office-hours"),
        ("auto-stop", "true"),
        ("AutoStop", "19:00"),
        ("InstanceScheduler-LastAction", "Started"),
        ("ttl", "4h"),
        ("aws:autoscaling:groupName", "trainers"),
    ],
)
def test_a_tag_of_who_may_stop_it_is_a_warning(key: str, value: str) -> None:
    (warning,) = stays(of=replace(INSTANCE, tags={"Name": "trainer", key: value})).warnings
    assert value in warning


@pytest.mark.parametrize(
    ("key", "value"), [("Schedule", "none"), ("auto-stop", "False"), ("Scheduled-By", "terraform"), ("Project", "ttl")]
)
def test_other_tags_are_not(key: str, value: str) -> None:
    assert stays(of=replace(INSTANCE, tags={key: value})).warnings == []
