"""The EC2 instances of the settings: are they there, in which state, and what do AWS and its firewall say of them."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.alarms import alarms_on
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_session import asked_of
from pytest_pipeline.observers.aws_trouble import AwsTrouble, trouble_in
from pytest_pipeline.observers.ec2_calls import Ec2, Found
from pytest_pipeline.observers.instance_facts import Absence
from pytest_pipeline.observers.instance_readings import (
    AddressMatch,
    Diagnoses,
    InstanceReadings,
    InstancesReadings,
    Seen,
    absent,
    address_in,
    address_reading,
    having,
    missing,
    present,
    unknown,
)
from pytest_pipeline.observers.other_regions import search
from pytest_pipeline.observers.side_by_side import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_pipeline.settings import Aws, Host

__all__ = ["AddressMatch", "InstanceReadings", "InstancesReadings", "look_at_instances"]

_ID = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_SEARCH_S = 4.0
_DIAGNOSES_S = 8.0
_ASKS = {
    "statuses": "ec2:DescribeInstanceStatus",
    "sizes_gb": "ec2:DescribeVolumes",
    "openings": "ec2:DescribeSecurityGroups",
    "alarms": "cloudwatch:DescribeAlarms",
    "owner": "ec2:DescribeInstances",
}


def look_at_instances(aws: Aws, host: Host, *, search_s: float = _SEARCH_S) -> InstancesReadings:
    """Return what EC2 says of `host.instance_ids` and `host.address`.

    One request for all instances, then the diagnoses side by side. Only an instance that is not found is looked for in
    the account's other regions, for at most `search_s`.
    """
    ids = list(dict.fromkeys(host.instance_ids))
    if not ids:
        return InstancesReadings(instances=())
    ec2 = Ec2.open(aws)
    if isinstance(ec2, AwsTrouble):
        return InstancesReadings(
            instances=tuple(unknown(one, ec2) for one in ids),
            address=missing(ec2) if host.address else None,
        )
    found = _describe(ec2, ids)
    absentees = sum(isinstance(answer, AwsTrouble) and answer.kind is Kind.MISSING for answer in found.values())
    looked = {one: _look_up(aws, ec2, one, found[one], search_s / max(absentees, 1)) for one in ids}
    diagnoses = _diagnose(aws, ec2, looked, host)
    return InstancesReadings(
        instances=tuple(_readings(one, seen, diagnoses) for one, seen in looked.items()),
        address=address_reading(host.address, list(looked.values()), diagnoses) if host.address else None,
    )


def _readings(instance_id: str, seen: Seen | Absence | AwsTrouble, diagnoses: Diagnoses) -> InstanceReadings:
    match seen:
        case AwsTrouble():
            return unknown(instance_id, seen)
        case Absence():
            return absent(seen)
        case Seen():
            return present(seen, diagnoses)


def _diagnose(aws: Aws, ec2: Ec2, looked: Mapping[str, Seen | Absence | AwsTrouble], host: Host) -> Diagnoses:
    """Ask, side by side, what only diagnoses: it costs a note if it may not be asked, and is not waited for long."""
    there = [seen for seen in looked.values() if isinstance(seen, Seen)]
    calls: dict[str, Callable[[], Any]] = {}
    if there:
        ids = [seen.instance.id for seen in there]
        groups = sorted({group for seen in there for group in seen.instance.security_groups})
        volumes = sorted({volume.id for seen in there for volume in seen.volumes})
        calls = {
            "statuses": functools.partial(ec2.statuses, ids),
            "sizes_gb": functools.partial(ec2.sizes_gb, volumes),
            "openings": functools.partial(ec2.openings, groups, host.port),
            "alarms": functools.partial(alarms_on, ids, aws, ec2.session, deadline_s=_DIAGNOSES_S),
        }
    address = address_in(host.address or "")
    dead = any(isinstance(seen, AwsTrouble) for seen in looked.values())
    if address and not dead and not having(host.address or "", (seen.instance for seen in there)):
        calls["owner"] = functools.partial(ec2.owner_of, address)
    late = {
        name: AwsTrouble(kind=Kind.TIMED_OUT, what=f"{_ASKS[name]}: no answer in {_DIAGNOSES_S:g} s") for name in calls
    }
    return Diagnoses(**{**late, **side_by_side(calls, deadline_s=_DIAGNOSES_S)})


def _describe(ec2: Ec2, ids: list[str]) -> dict[str, Found | AwsTrouble]:
    """Ask for all at once, and one by one where EC2 refuses all for the sake of one."""
    whole = ec2.describe(ids)
    if isinstance(whole, AwsTrouble) and whole.kind is Kind.MISSING and len(ids) > 1:
        return {one: ec2.describe([one]) for one in ids}
    return dict.fromkeys(ids, whole)


def _look_up(
    aws: Aws, ec2: Ec2, instance_id: str, found: Found | AwsTrouble, search_s: float
) -> Seen | Absence | AwsTrouble:
    if isinstance(found, Found):
        if instance_id in found.instances:
            return Seen(instance=found.instances[instance_id], volumes=found.volumes[instance_id])
        # What was asked for must come back: an answer without it is no answer.
        return trouble_in("WrongAnswer", f"no {instance_id} in it", 200, asked_of(aws, "ec2:DescribeInstances"))
    if found.kind is not Kind.MISSING:
        return found
    malformed = _ID.fullmatch(instance_id) is None or found.what.startswith("InvalidInstanceID.Malformed")
    absence = Absence(id=instance_id, region=ec2.region, malformed=malformed, said=found.what, remedy=found.remedy)
    if malformed:
        return absence
    found_in, asked_in, note = search(aws, instance_id, missing_in=ec2.region, deadline_s=search_s)
    remedy = f'set aws.region = "{found_in}"' if found_in else found.remedy
    return dataclasses.replace(absence, found_in=found_in, asked_in=asked_in, note=note, remedy=remedy)
