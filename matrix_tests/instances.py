"""Whether an instance is sound and stays so: how instance-status and instance-stays-up are judged."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline import Blocked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.instance_facts import Instance, InstanceStatus, PlannedEvent
    from pytest_pipeline.observers.instance_readings import InstanceReadings
    from pytest_pipeline.observers.system_readings import Notices

_STATUS = "ec2:DescribeInstanceStatus"
_ALARMS = "cloudwatch:DescribeAlarms"
_ENDS_A_RUN = {"stop": "stops", "terminate": "terminates", "hibernate": "hibernates", "reboot": "reboots"}
_SCHEDULER = re.compile(
    r"schedule|schedule[-_:].*|auto[-_]?(stop|shutdown|off)|instance-?scheduler.*|stop[-_]?(at|time)|office[-_]?hours|ttl",
    re.IGNORECASE,
)
_NO_SCHEDULE = frozenset({"", "none", "never", "no", "off", "false", "disabled", "always", "24x7", "running"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """Something that may end a run. One that only may, `fails` not."""

    what: str
    fails: bool = False
    critical: bool = False
    remedy: str = ""


def running_or_blocked(instance: Instance) -> None:
    """End a row about a running instance where it does not run: one cause is enough."""
    if instance.state != "running":
        raise Blocked(f"{instance.id} is {instance.state}", by="ec2-running")


def known_or_denied(what: str, reading: Reading[Any], evidence: Evidence, *, denied: bool) -> bool:
    """Whether there is a value. Warns where nobody may ask for it; raises Blocked where the asking went wrong."""
    if not reading.is_known and denied:
        evidence.warn(f"{what} could not be read: {reading.reason}")
        evidence.remedy(reading.remedy)
        return False
    _ = reading.value
    return True


def judge_checks(readings: InstanceReadings, evidence: Evidence) -> None:
    """Fail where one of EC2's own checks fails, and warn where it has not come to a result."""
    instance = readings.instance.value
    evidence(checks="nobody may read them")
    if not known_or_denied("its checks", readings.status, evidence, denied=_STATUS in readings.denied):
        return
    status: InstanceStatus = readings.status.value
    evidence(checks=", ".join(f"{name} {result}" for name, result in status.checks.items()))
    impaired = [name for name, result in status.checks.items() if result == "impaired"]
    if impaired:
        evidence.severity("critical")
        evidence.remedy(_repair(instance, impaired))
        since = f" since {status.failing_since}" if status.failing_since else ""
        pytest.fail(f"EC2's {' and '.join(impaired)} status check is impaired{since}", pytrace=False)
    for name, result in status.checks.items():
        if result != "ok":
            evidence.warn(f"EC2's {name} status check says {result}")


def _repair(instance: Instance, impaired: list[str]) -> str:
    """A failed instance check asks for a reboot; the others for other hardware, which a stop and a start gives."""
    which = f"--region {instance.region} --instance-ids {instance.id}"
    if impaired == ["instance"]:
        return f"aws ec2 reboot-instances {which}"
    return f"aws ec2 stop-instances {which} && aws ec2 wait instance-stopped {which} && aws ec2 start-instances {which}"


def judge_stay(readings: InstanceReadings, threats: list[Threat], evidence: Evidence) -> None:
    """Fail for what ends a run, warn for what may, and for what nobody may look at."""
    failing = [threat for threat in threats if threat.fails]
    for threat in threats:
        if not threat.fails:
            evidence.warn(threat.what)
        if threat.remedy:
            evidence.remedy(threat.remedy)
    if failing:
        if any(threat.critical for threat in failing):
            evidence.severity("critical")
        evidence.remedy(next((threat.remedy for threat in failing if threat.remedy), ""))
        pytest.fail("; ".join(threat.what for threat in failing), pytrace=False)
    known_or_denied("what AWS plans for it", readings.status, evidence, denied=_STATUS in readings.denied)
    known_or_denied("the alarms on it", readings.alarms, evidence, denied=_ALARMS in readings.denied)


def threats_to(readings: InstanceReadings, notices: Reading[Notices], *, ends: datetime | None) -> list[Threat]:
    """Return what may end a run that begins now; `ends` is when it will be over, where that is known."""
    instance = readings.instance.value
    return [
        *_planned(instance, readings.status.or_none, ends),
        *_alarmed(instance, readings),
        *_noticed(instance, notices, events_known=readings.status.is_known),
        *_tagged(instance),
    ]


def _planned(instance: Instance, status: InstanceStatus | None, ends: datetime | None) -> Iterator[Threat]:
    for event in status.events if status is not None else ():
        said = f": {event.description}" if event.description else ""
        when = f" not before {event.not_before}" if event.not_before else ""
        what = f"AWS plans {event.code}{when}{said}"
        if ends is not None and _later(event, ends):
            yield Threat(what=f"{what}; the run is planned to be over by {ends.isoformat(timespec='minutes')}")
        else:
            see = f"aws ec2 describe-instance-status --region {instance.region} --instance-ids {instance.id}"
            yield Threat(what=what, fails=True, critical=ends is not None, remedy=see)


def _later(event: PlannedEvent, ends: datetime) -> bool:
    return bool(event.not_before) and datetime.fromisoformat(event.not_before) > ends


def _alarmed(instance: Instance, readings: InstanceReadings) -> Iterator[Threat]:
    for alarm in readings.alarms.or_none or ():
        # An instance whose status checks fail has ended the run already; to recover it is good practice.
        if not alarm.enabled or alarm.action not in _ENDS_A_RUN or alarm.metric.startswith("StatusCheckFailed"):
            continue
        sees_gpu = "gpu" in alarm.metric.lower()
        of_the_idle = not sees_gpu and "<" in alarm.condition
        why = "; a GPU that works leaves the rest of its host idle" if of_the_idle else ""
        yield Threat(
            what=f"CloudWatch alarm {alarm.name!r} {_ENDS_A_RUN[alarm.action]} it when {alarm.condition} "
            f"(now {alarm.state}){why}",
            fails=not sees_gpu,
            critical=instance.life_cycle != "spot",
            remedy=f"aws cloudwatch disable-alarm-actions --region {instance.region} "
            f"--alarm-names {shlex.quote(alarm.name)}",
        )


def _noticed(instance: Instance, notices: Reading[Notices], *, events_known: bool) -> Iterator[Threat]:
    told = notices.or_none
    if told is not None and told.spot_action:
        yield Threat(what=f"AWS takes the spot instance back: {told.spot_action}", fails=True, critical=True)
    elif instance.life_cycle == "spot":
        unread = "" if notices.is_known else f"; whether it does so now could not be read: {notices.reason}"
        yield Threat(what=f"it is a spot instance, which AWS may take back at two minutes' notice{unread}")
    elif instance.life_cycle == "capacity-block":
        yield Threat(what="it ends with its Capacity Block")
    if told is not None and told.rebalance:
        yield Threat(what=f"AWS says that it is at risk of being taken back (rebalance): {told.rebalance}")
    if told is not None and not events_known:
        for event in told.maintenance:
            yield Threat(what=f"AWS plans {event}", fails=True)


def _tagged(instance: Instance) -> Iterator[Threat]:
    for key, value in instance.tags.items():
        if key == "aws:autoscaling:groupName":
            yield Threat(what=f"it belongs to the Auto Scaling group {value!r}, which may terminate it")
        elif _SCHEDULER.fullmatch(key) and value.strip().lower() not in _NO_SCHEDULE:
            yield Threat(what=f"its tag {key} = {value!r} looks like that of a scheduler, which may stop it")
