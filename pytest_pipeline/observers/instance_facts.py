"""An EC2 instance as the gate knows it, decoded from EC2's answers. Pure.

The answers are those of DescribeInstances, DescribeInstanceStatus, DescribeVolumes and DescribeSecurityGroups (Amazon
EC2 API reference); a field that must be there and is not raises KeyError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_GB_IN_GIB = 2**30 / 10**9
_SSH_PROTOCOLS = frozenset({"tcp", "6", "-1"})  # -1 is every protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What DescribeInstances says of an instance. "" stands for what it does not have, such as a public address."""

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
class InstanceStatus:
    """AWS's own checks of an instance, and what AWS plans to do to it."""

    system_status: str
    instance_status: str
    events: tuple[str, ...]


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
    return Instance(
        id=one["InstanceId"],
        name=next((tag["Value"] for tag in one.get("Tags", ()) if tag["Key"] == "Name"), ""),
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
    return {
        one["InstanceId"]: InstanceStatus(
            system_status=one["SystemStatus"]["Status"],
            instance_status=one["InstanceStatus"]["Status"],
            events=tuple(
                f"{event['Code']} not before {event['NotBefore'].isoformat()}: {event.get('Description', '')}"
                for event in one.get("Events", ())
                if not event.get("Description", "").startswith(("[Completed]", "[Canceled]"))
            ),
        )
        for one in answer["InstanceStatuses"]
    }


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
