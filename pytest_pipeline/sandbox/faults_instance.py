"""Faults of an instance that runs: the rows instance-status and instance-stays-up must catch them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.aws_rule import rewrites
from pytest_pipeline.sandbox.fault import Fault, Variant
from pytest_pipeline.sandbox.plan import AlarmPlan

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

STATUS, STAYS = "instance-status", "instance-stays-up"
_ASKED = "ec2:DescribeInstanceStatus"
_SINCE = "2026-11-01T03:04:05.000Z"
_ALARMS = "cloudwatch:DescribeAlarms"


def _check(plan: TenantPlan, *, of: str, status: str) -> Tally:
    """Let one of EC2's two checks come to this."""

    def said(detail: str, came_to: str) -> bytes:
        details = f"<details><item>{detail}</item></details>"
        return f"<{of}Status>{details}<status>{came_to}</status></{of}Status>".encode()

    name = "<name>reachability</name>"
    since = f"<impairedSince>{_SINCE}</impairedSince>" if status == "impaired" else ""
    failed = "failed" if status == "impaired" else status
    return plan.rule(
        _ASKED,
        rewrites(said(f"{name}<status>passed</status>", "ok"), said(f"{since}{name}<status>{failed}</status>", status)),
    )


def _ebs(plan: TenantPlan) -> Tally:
    said = b"<attachedEbsStatus><status>impaired</status></attachedEbsStatus>"
    return plan.rule(_ASKED, rewrites(b"<systemStatus>", said + b"<systemStatus>"))


def _status_deny(plan: TenantPlan) -> Tally:
    return plan.withhold(_ASKED, of=plan.operator)


def _event(plan: TenantPlan, *, code: str, in_hours: float = 24, description: str = "") -> Tally:
    """Let AWS plan something."""
    return _events(plan, _planned(code, in_hours, description))


def _events(plan: TenantPlan, *events: str) -> Tally:
    said = f"<eventsSet>{''.join(events)}</eventsSet>".encode()
    return plan.rule(_ASKED, rewrites(b"<systemStatus>", said + b"<systemStatus>"))


def _planned(code: str, in_hours: float, description: str) -> str:
    begins = datetime.now(UTC) + timedelta(hours=in_hours)
    return (
        f"<item><code>{code}</code><description>{description}</description>"
        f"<notBefore>{begins:%Y-%m-%dT%H:%M:%S.000Z}</notBefore></item>"
    )


def _event_in_the_run(plan: TenantPlan) -> Tally:
    plan.settings["requirements"]["run_hours"] = 20
    return _event(plan, code="system-reboot", in_hours=12)


def _event_after_the_run(plan: TenantPlan) -> Tally:
    plan.settings["requirements"]["run_hours"] = 20
    return _event(plan, code="system-reboot", in_hours=72)


def _alarm(plan: TenantPlan, alarm: AlarmPlan) -> Tally:
    plan.instance.alarms.append(alarm)
    return plan.rule(_ALARMS)


def _alarms_deny(plan: TenantPlan) -> Tally:
    return plan.withhold(_ALARMS, of=plan.operator)


def _tag(plan: TenantPlan, *, key: str, value: str) -> Tally:
    plan.instance.tags[key] = value
    return plan.rule("ec2:DescribeInstances")


def _spot(plan: TenantPlan) -> Tally:
    plan.instance.life_cycle = "spot"
    return plan.rule("ec2:DescribeInstances")


def _calm_alarms(plan: TenantPlan) -> None:
    plan.instance.alarms += [
        AlarmPlan(
            name="recover",
            action="recover",
            metric="StatusCheckFailed_System",
            operator="GreaterThanThreshold",
            threshold=0,
        ),
        AlarmPlan(
            name="reboot",
            action="reboot",
            metric="StatusCheckFailed_Instance",
            operator="GreaterThanThreshold",
            threshold=0,
        ),
        AlarmPlan(name="idle, switched off", enabled=False),
        AlarmPlan(name="idle, of another", of="i-0123456789abcdef0"),
    ]


def _calm_events(plan: TenantPlan) -> None:
    _events(
        plan,
        _planned("system-reboot", -2, "[Completed] scheduled reboot"),
        _planned("instance-stop", 24, "[Canceled] The instance is running on degraded hardware"),
    )


def _calm_tags(plan: TenantPlan) -> None:
    plan.instance.tags |= {"Project": "mistral", "Schedule": "none", "auto-stop": "false", "Scheduled-By": "terraform"}


INSTANCE_FAULTS = (
    Fault(
        id="ec2-impaired",
        row=STATUS,
        kind="gross",
        words="system status check is impaired since 2026-11-01",
        summary="the hardware under the instance fails",
        inject=partial(_check, of="system", status="impaired"),
    ),
    Fault(
        id="ec2-impaired-instance",
        row=STATUS,
        kind="subtle",
        words="EC2's instance status check is impaired",
        summary="the system is sound, and the instance does not answer",
        inject=partial(_check, of="instance", status="impaired"),
    ),
    Fault(
        id="ec2-impaired-ebs",
        row=STATUS,
        kind="subtle",
        words="attached EBS status check is impaired",
        summary="both old checks are right, and the volumes cannot be reached",
        inject=_ebs,
    ),
    Fault(
        id="ec2-initializing",
        row=STATUS,
        kind="subtle",
        words="instance status check says initializing",
        summary="the instance has just booted: nobody knows yet",
        inject=partial(_check, of="instance", status="initializing"),
        expect=Status.WARNED,
    ),
    Fault(
        id="ec2-no-data",
        row=STATUS,
        kind="subtle",
        words="system status check says insufficient-data",
        summary="EC2 has no result of its check",
        inject=partial(_check, of="system", status="insufficient-data"),
        expect=Status.WARNED,
    ),
    Fault(
        id="ec2-status-deny",
        row=STATUS,
        kind="subtle",
        words="its checks could not be read: ec2:DescribeInstanceStatus",
        summary="the operator may not read the status checks",
        inject=_status_deny,
        expect=Status.WARNED,
        also=(STAYS,),
    ),
    Fault(
        id="stays-retirement",
        row=STAYS,
        kind="gross",
        words="instance-retirement",
        summary="AWS retires the instance within the run",
        inject=partial(_event, code="instance-retirement", in_hours=1, description="degraded hardware"),
    ),
    Fault(
        id="stays-reboot-in-the-run",
        row=STAYS,
        kind="subtle",
        words="system-reboot",
        summary="AWS reboots the host in 12 hours, and the run takes 20",
        inject=_event_in_the_run,
    ),
    Fault(
        id="stays-reboot-later",
        row=STAYS,
        kind="subtle",
        words="planned to be over by",
        summary="AWS reboots the host in three days, and the run takes 20 hours",
        inject=_event_after_the_run,
        expect=Status.WARNED,
    ),
    Fault(
        id="stays-idle-alarm",
        row=STAYS,
        kind="subtle",
        words="stops it when CPUUtilization < 5",
        summary="an alarm in state OK stops the instance when its CPU is idle",
        inject=partial(_alarm, alarm=AlarmPlan(name="stop when idle")),
    ),
    Fault(
        id="stays-idle-alarm-old",
        row=STAYS,
        kind="subtle",
        words="terminates it when NetworkOut < 1000",
        summary="an alarm with an action in the old spelling terminates the instance when its network is idle",
        inject=partial(
            _alarm,
            alarm=AlarmPlan(name="idle", action="terminate", metric="NetworkOut", threshold=1000, old_spelling=True),
        ),
    ),
    Fault(
        id="stays-gpu-alarm",
        row=STAYS,
        kind="subtle",
        words="stops it when nvidia_smi_utilization_gpu < 5",
        summary="an alarm stops the instance when its GPU is idle, as while data are prepared",
        inject=partial(
            _alarm, alarm=AlarmPlan(name="idle GPU", metric="nvidia_smi_utilization_gpu", namespace="CWAgent")
        ),
        expect=Status.WARNED,
    ),
    Fault(
        id="stays-alarms-deny",
        row=STAYS,
        kind="subtle",
        words=_ALARMS,
        summary="the operator may not read alarms",
        inject=_alarms_deny,
        expect=Status.WARNED,
    ),
    Fault(
        id="stays-scheduler",
        row=STAYS,
        kind="subtle",
        words="office-hours",
        summary="a scheduler stops the instance in the evening",
        inject=partial(_tag, key="Schedule", value="office-hours"),
        expect=Status.WARNED,
    ),
    Fault(
        id="stays-spot",
        row=STAYS,
        kind="gross",
        words="spot instance",
        summary="AWS may take the instance back at any time",
        inject=_spot,
        expect=Status.WARNED,
    ),
)
"""In the order in which the rows ask."""

INSTANCE_VARIANTS = (
    Variant(
        id="careful-alarms",
        summary="alarms that recover an impaired instance, and idle-stop alarms that are off or another's",
        inject=_calm_alarms,
    ),
    Variant(id="events-over", summary="events that AWS has completed or cancelled", inject=_calm_events),
    Variant(id="tagged-instance", summary="tags, and of a scheduler that leaves it alone", inject=_calm_tags),
)
