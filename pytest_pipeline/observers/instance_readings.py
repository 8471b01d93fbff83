"""What is known of the EC2 instances of the settings, as readings for the rows. Pure."""

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_pipeline.observers.alarms import Alarm
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.instance_facts import Absence, AttachedVolume, Instance, InstanceStatus
from pytest_pipeline.outcome import Reading

ROW = "ec2-exists"
STATUS_ROW = "instance-status"
STAYS_ROW = "instance-stays-up"
CREDENTIALS_ROW = "aws-credentials"
_EC2_NAME = re.compile(r"(?:ec2|ip)-(\d+-\d+-\d+-\d+)\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceReadings:
    """What is known of one instance. Each reading is missing alone.

    `lookup` is for the row that asks whether it exists: an absence is a value. `instance` is for every other row: an
    absence is missing, by `ec2-exists`. `status`, `alarms` (CloudWatch's that act on it) and `ssh_rules` (who may reach
    the SSH port: CIDRs, groups, prefix lists) are diagnoses: a permission that only they need costs a note; `denied`
    names the actions. `trouble` is why nothing is known, with its remedy.
    """

    id: str
    lookup: Reading[Instance | Absence]
    instance: Reading[Instance]
    status: Reading[InstanceStatus]
    volumes: Reading[tuple[AttachedVolume, ...]]
    ssh_rules: Reading[tuple[str, ...]]
    alarms: Reading[tuple[Alarm, ...]]
    notes: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    trouble: AwsTrouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressMatch:
    """Whom the address in the settings belongs to.

    `instance` is the requested instance that has it, or "". `owner` is the instance of the account that has it, "" if
    none. `comparable` is False for a name of the user's own, of which EC2 knows nothing.
    """

    given: str
    comparable: bool
    instance: str
    owner: Reading[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstancesReadings:
    """What is known of all requested instances, in the order of the settings, and of the address if one is set."""

    instances: tuple[InstanceReadings, ...]
    address: Reading[AddressMatch] | None = None

    def __getitem__(self, instance_id: str) -> InstanceReadings:
        """Return what is known of one instance. Raises KeyError for one that was not requested."""
        for one in self.instances:
            if one.id == instance_id:
                return one
        raise KeyError(instance_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An instance that is there, and its volumes without their sizes."""

    instance: Instance
    volumes: tuple[AttachedVolume, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnoses:
    """The answers to the calls that only diagnose, for all instances; any may be a trouble instead."""

    statuses: Mapping[str, InstanceStatus] | AwsTrouble = field(default_factory=dict)
    sizes_gb: Mapping[str, float] | AwsTrouble = field(default_factory=dict)
    openings: Mapping[str, tuple[str, ...]] | AwsTrouble = field(default_factory=dict)
    alarms: Mapping[str, tuple[Alarm, ...]] | AwsTrouble = field(default_factory=dict)
    owner: str | AwsTrouble = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be asked, and what to do about it."""
        return tuple(map(str, self._troubles))

    @property
    def denied(self) -> tuple[str, ...]:
        """The actions that may not be asked for."""
        return tuple(trouble.action for trouble in self._troubles if trouble.kind is Kind.DENIED)

    @property
    def _troubles(self) -> list[AwsTrouble]:
        answers = (self.statuses, self.sizes_gb, self.openings, self.alarms, self.owner)
        return [answer for answer in answers if isinstance(answer, AwsTrouble)]


def present(seen: Seen, diagnoses: Diagnoses) -> InstanceReadings:
    """Return the readings of an instance that is there."""
    instance = seen.instance
    sizes_gb = {} if isinstance(diagnoses.sizes_gb, AwsTrouble) else diagnoses.sizes_gb
    volumes = tuple(dataclasses.replace(volume, size_gb=sizes_gb.get(volume.id)) for volume in seen.volumes)
    return InstanceReadings(
        id=instance.id,
        lookup=Reading.of(instance),
        instance=Reading.of(instance),
        status=_status(instance.id, diagnoses),
        volumes=Reading.of(volumes),
        ssh_rules=_ssh_rules(instance.security_groups, diagnoses),
        alarms=_alarms(instance.id, diagnoses),
        notes=diagnoses.notes,
        denied=diagnoses.denied,
    )


def _status(instance_id: str, diagnoses: Diagnoses) -> Reading[InstanceStatus]:
    if isinstance(diagnoses.statuses, AwsTrouble):
        return missing(diagnoses.statuses, by=STATUS_ROW)
    if instance_id not in diagnoses.statuses:
        return Reading.missing(f"EC2 answered ec2:DescribeInstanceStatus without {instance_id}", by=STATUS_ROW)
    return Reading.of(diagnoses.statuses[instance_id])


def _alarms(instance_id: str, diagnoses: Diagnoses) -> Reading[tuple[Alarm, ...]]:
    if isinstance(diagnoses.alarms, AwsTrouble):
        return missing(diagnoses.alarms, by=STAYS_ROW)
    return Reading.of(diagnoses.alarms.get(instance_id, ()))


def _ssh_rules(groups: tuple[str, ...], diagnoses: Diagnoses) -> Reading[tuple[str, ...]]:
    if isinstance(diagnoses.openings, AwsTrouble):
        return missing(diagnoses.openings)
    unseen = [group for group in groups if group not in diagnoses.openings]
    if unseen:
        return Reading.missing(f"EC2 answered ec2:DescribeSecurityGroups without {', '.join(unseen)}", by=ROW)
    return Reading.of(tuple(sorted({one for group in groups for one in diagnoses.openings[group]})))


def absent(absence: Absence) -> InstanceReadings:
    """Return the readings of an instance that is known not to be there."""
    gone: Reading[Any] = Reading.missing(absence.what, by=ROW, remedy=absence.remedy)
    return InstanceReadings(
        id=absence.id,
        lookup=Reading.of(absence),
        instance=gone,
        status=gone,
        volumes=gone,
        ssh_rules=gone,
        alarms=gone,
        notes=(absence.note,) if absence.note else (),
    )


def unknown(instance_id: str, trouble: AwsTrouble) -> InstanceReadings:
    """Return the readings of an instance of which nothing could be learned."""
    return InstanceReadings(
        id=instance_id,
        lookup=missing(trouble),
        instance=missing(trouble),
        status=missing(trouble),
        volumes=missing(trouble),
        ssh_rules=missing(trouble),
        alarms=missing(trouble),
        trouble=trouble,
    )


def missing(trouble: AwsTrouble, *, by: str = ROW) -> Reading[Any]:
    """Return the reading that a trouble leaves: owned by the credentials' row only if it is a matter of credentials."""
    return Reading.missing(trouble.what, by=CREDENTIALS_ROW if trouble.is_credentials else by, remedy=trouble.remedy)


def address_in(given: str) -> str:
    """Return the IP address that was given, also as EC2 writes it in its names, or "" for a name of the user's own."""
    in_name = _EC2_NAME.match(given)
    try:
        return str(ipaddress.ip_address(in_name[1].replace("-", ".") if in_name else given))
    except ValueError:
        return ""


def having(address: str, instances: Iterable[Instance]) -> str:
    """Return the id of the instance that has the address or name, "" if none."""
    wanted = {address.lower(), address_in(address)} - {""}
    for instance in instances:
        if wanted & {instance.public_ip, instance.private_ip, instance.public_dns, instance.private_dns}:
            return instance.id
    return ""


def address_reading(
    given: str, looked: Iterable[Seen | Absence | AwsTrouble], diagnoses: Diagnoses
) -> Reading[AddressMatch]:
    """Return whom the address in the settings belongs to."""
    looked = list(looked)
    holder = having(given, (seen.instance for seen in looked if isinstance(seen, Seen)))
    trouble = next((seen for seen in looked if isinstance(seen, AwsTrouble)), None)
    if not holder and trouble is not None:
        return missing(trouble)
    owner: Reading[str] = Reading.of(holder or str(diagnoses.owner))
    if isinstance(diagnoses.owner, AwsTrouble):
        owner = missing(diagnoses.owner)
    comparable = bool(holder or address_in(given))
    return Reading.of(AddressMatch(given=given, comparable=comparable, instance=holder, owner=owner))
