"""An EC2 instance as the gate knows it, decoded from EC2's answers. Pure.

The answers are those of DescribeInstances, DescribeInstanceStatus, DescribeVolumes and DescribeSecurityGroups (Amazon
EC2 API reference); a field that must be there and is not raises KeyError.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

_GB_IN_GIB = 2**30 / 10**9
_OVER = ("[Completed]", "[Canceled]")  # how the description of an event begins for a week after it is over
_SSH_PROTOCOLS = frozenset({"tcp", "6", "-1"})  # -1 is every protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What DescribeInstances says of an instance. "" stands for what it does not have, such as a public address.

    `life_cycle` is "" on demand, else spot, scheduled or capacity-block.
    """

    id: str
    name: str
    state: str
    state_reason: str
    type: str
    region: str
    az: str
    public_ip: str
    private_ip: str
    public_dns: str
    private_dns: str
    image: str
    launched: str  # ISO 8601
    key_name: str
    root_device: str
    security_groups: tuple[str, ...]
    life_cycle: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """An instance that is not there, which is a thing known and no failure to look.

    `found_in` is the region it was found in instead, "" if in none of `asked_in`. `note` says where nobody could look.
    """

    id: str
    region: str
    malformed: bool
    said: str
    found_in: str = ""
    asked_in: tuple[str, ...] = ()
    note: str = ""
    remedy: str = ""

    @property
    def what(self) -> str:
        """Say that it is not there, and where it is if that is known."""
        if self.malformed:
            return f"{self.id} is no instance id: it takes i- and 8 or 17 hexadecimal digits"
        found = f"; it is in {self.found_in}" if self.found_in else ""
        return f"instance {self.id} not found in {self.region}{found}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """What AWS plans to do to an instance: a reboot, its retirement. `not_before` is ISO 8601, "" where not said."""

    code: str
    not_before: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceStatus:
    """AWS's own checks of an instance, and what AWS plans to do to it.

    A check is ok, impaired, initializing, insufficient-data or not-applicable; `ebs_status` is "" where EC2 does not
    make that check. `failing_since` is ISO 8601, "" where nothing fails.
    """

    system_status: str
    instance_status: str
    events: tuple[PlannedEvent, ...]
    ebs_status: str = ""
    failing_since: str = ""

    @property
    def checks(self) -> dict[str, str]:
        """The checks that EC2 makes, by name."""
        made = {"system": self.system_status, "instance": self.instance_status, "attached EBS": self.ebs_status}
        return {name: status for name, status in made.items() if status}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedVolume:
    """An EBS volume of an instance. `state` is that of the attachment; `size_gb` is None where nobody may read it."""

    id: str
    device: str
    state: str
    size_gb: float | None
    root: bool


def instances_in(answer: Mapping[str, Any], region: str) -> dict[str, Instance]:
    """Return the instances in an answer of DescribeInstances, by id."""
    found = (_instance(one, region) for held in answer["Reservations"] for one in held["Instances"])
    return {instance.id: instance for instance in found}


def _instance(one: Mapping[str, Any], region: str) -> Instance:
    groups = [*one.get("SecurityGroups", ())]
    for interface in one.get("NetworkInterfaces", ()):
        groups += interface.get("Groups", ())
    tags = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
    return Instance(
        id=one["InstanceId"],
        name=tags.get("Name", ""),
        state=one["State"]["Name"],
        state_reason=one.get("StateReason", {}).get("Message", "") or one.get("StateTransitionReason", ""),
        type=one.get("InstanceType", ""),
        region=region,
        az=one.get("Placement", {}).get("AvailabilityZone", ""),
        public_ip=one.get("PublicIpAddress", ""),
        private_ip=one.get("PrivateIpAddress", ""),
        public_dns=one.get("PublicDnsName", ""),
        private_dns=one.get("PrivateDnsName", ""),
        image=one.get("ImageId", ""),
        launched=one["LaunchTime"].isoformat() if "LaunchTime" in one else "",
        key_name=one.get("KeyName", ""),
        root_device=one.get("RootDeviceName", ""),
        security_groups=tuple(sorted({group["GroupId"] for group in groups})),
        life_cycle=one.get("InstanceLifecycle", ""),
        tags=tags,
    )


def volumes_in(answer: Mapping[str, Any], sizes_gb: Mapping[str, float]) -> dict[str, tuple[AttachedVolume, ...]]:
    """Return the volumes of each instance in an answer of DescribeInstances, which says all but their sizes."""
    return {
        one["InstanceId"]: tuple(
            AttachedVolume(
                id=mapping["Ebs"]["VolumeId"],
                device=mapping["DeviceName"],
                state=mapping["Ebs"].get("Status", ""),
                size_gb=sizes_gb.get(mapping["Ebs"]["VolumeId"]),
                root=mapping["DeviceName"] == one.get("RootDeviceName"),
            )
            for mapping in one.get("BlockDeviceMappings", ())
            if "Ebs" in mapping
        )
        for held in answer["Reservations"]
        for one in held["Instances"]
    }


def sizes_gb_in(answer: Mapping[str, Any]) -> dict[str, float]:
    """Return the size of each volume in an answer of DescribeVolumes, in units of 10^9 bytes (EC2 counts GiB)."""
    return {volume["VolumeId"]: round(volume["Size"] * _GB_IN_GIB, 1) for volume in answer["Volumes"]}


def statuses_in(answer: Mapping[str, Any]) -> dict[str, InstanceStatus]:
    """Return AWS's checks of each instance in an answer of DescribeInstanceStatus, without events that are over."""
    return {one["InstanceId"]: _status(one) for one in answer["InstanceStatuses"]}


def _status(one: Mapping[str, Any]) -> InstanceStatus:
    ebs = one.get("AttachedEbsStatus", {})
    details = [
        detail for made in (one["SystemStatus"], one["InstanceStatus"], ebs) for detail in made.get("Details", ())
    ]
    return InstanceStatus(
        system_status=one["SystemStatus"]["Status"],
        instance_status=one["InstanceStatus"]["Status"],
        ebs_status=ebs.get("Status", ""),
        failing_since=min(
            (_iso(detail["ImpairedSince"]) for detail in details if "ImpairedSince" in detail), default=""
        ),
        events=tuple(
            PlannedEvent(
                code=event["Code"],
                not_before=_iso(event["NotBefore"]) if "NotBefore" in event else "",
                description=event.get("Description", ""),
            )
            for event in one.get("Events", ())
            if not event.get("Description", "").startswith(_OVER)
        ),
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def openings_in(answer: Mapping[str, Any], port: int) -> dict[str, tuple[str, ...]]:
    """Return who may reach a TCP port, by security group, from an answer of DescribeSecurityGroups.

    Mostly CIDRs; a rule may also let in another group (`sg-...`) or a list of prefixes (`pl-...`).
    """
    return {
        group["GroupId"]: tuple(_let_in(group.get("IpPermissions", ()), port)) for group in answer["SecurityGroups"]
    }


def _let_in(rules: Iterable[Mapping[str, Any]], port: int) -> Iterable[str]:
    for rule in rules:
        every_port = rule["IpProtocol"] == "-1"
        if rule["IpProtocol"] in _SSH_PROTOCOLS and (every_port or rule["FromPort"] <= port <= rule["ToPort"]):
            yield from (one["CidrIp"] for one in rule.get("IpRanges", ()))
            yield from (one["CidrIpv6"] for one in rule.get("Ipv6Ranges", ()))
            yield from (one["PrefixListId"] for one in rule.get("PrefixListIds", ()))
            yield from (one["GroupId"] for one in rule.get("UserIdGroupPairs", ()))
