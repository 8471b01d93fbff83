"""What a plain client meets of an instance that fails its checks, or will not stay up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandbox.conftest import World
    from sandbox.meets_python import Meet


def status(w: World) -> object:
    return w.client("ec2").describe_instance_status(InstanceIds=w.host["instance_ids"])["InstanceStatuses"]


def alarms(w: World) -> object:
    described = w.client("cloudwatch").describe_alarms(ActionPrefix="arn:aws:")["MetricAlarms"]
    return [(one["AlarmActions"], one["MetricName"], one["StateValue"], one["Dimensions"]) for one in described]


def instance(w: World) -> object:
    return w.client("ec2").describe_instances(InstanceIds=w.host["instance_ids"])["Reservations"][0]["Instances"]


INSTANCE_MEETS: dict[str, Meet] = {
    "ec2-impaired": (status, "'SystemStatus': {.*'impaired'"),
    "ec2-impaired-instance": (status, "'InstanceStatus': {[^}]*'ImpairedSince'"),
    "ec2-impaired-ebs": (status, "'AttachedEbsStatus': {'Status': 'impaired'}"),
    "ec2-initializing": (status, "'Status': 'initializing'"),
    "ec2-no-data": (status, "'Status': 'insufficient-data'"),
    "ec2-status-deny": (status, "UnauthorizedOperation.*ec2:DescribeInstanceStatus"),
    "stays-retirement": (status, "'Events': .*'instance-retirement'"),
    "stays-reboot-in-the-run": (status, "'Events': .*'system-reboot'"),
    "stays-reboot-later": (status, "'Events': .*'system-reboot'"),
    "stays-idle-alarm": (alarms, "automate:us-east-1:ec2:stop.*CPUUtilization.*'OK'.*'i-0a"),
    "stays-idle-alarm-old": (alarms, "AWS_EC2.InstanceId.Terminate.*NetworkOut.*'OK'.*'i-0a"),
    "stays-gpu-alarm": (alarms, "ec2:stop.*nvidia_smi_utilization_gpu"),
    "stays-alarms-deny": (alarms, "AccessDenied.*cloudwatch:DescribeAlarms"),
    "stays-scheduler": (instance, "'Key': 'Schedule', 'Value': 'office-hours'"),
    "stays-spot": (instance, "'InstanceLifecycle': 'spot'"),
}
