"""EC2 as a row sees it: what is there, what is not, and what nobody may look at."""

from __future__ import annotations

import ipaddress
import itertools
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from moto.ec2.models import ec2_backends
from pydantic import TypeAdapter

from observers.aws_world import ACCOUNT, EVERYTHING, REGION, AwsWorld, Tenant, error, in_time_of, plain
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.instance_facts import Absence, Instance, openings_in
from pytest_pipeline.observers.instance_readings import InstancesReadings
from pytest_pipeline.observers.instances import look_at_instances
from pytest_pipeline.outcome import Blocked
from pytest_pipeline.settings import Host

if TYPE_CHECKING:
    from observers.aws_world import MakeAws
    from pytest_pipeline.settings import Aws

NOWHERE = "i-0123456789abcdef0"
DENIED = "is not authorized to perform: ec2:"
ADDRESSES = map(str, map(ipaddress.IPv4Address("198.18.0.1").__add__, itertools.count()))  # RFC 2544: nobody's


def launch(world: AwsWorld, region: str = REGION, **more: Any) -> str:
    asked = {
        "ImageId": "ami-12c6146b",
        "MinCount": 1,
        "MaxCount": 1,
        "InstanceType": "g5.xlarge",
        "KeyName": "trainers",
    }
    ec2 = world.client("ec2", region)
    made = str(ec2.run_instances(**(asked | more))["Instances"][0]["InstanceId"])
    backend: Any = ec2_backends[ACCOUNT][region]
    for interface in backend.get_instance(made).nics.values():
        # moto draws from 65,025 addresses, and now and then gives the same one to two instances: AWS never does.
        interface.public_ip = next(ADDRESSES)
    return made


def look(aws: Aws, *ids: str, **host: Any) -> InstancesReadings:
    return look_at_instances(aws, Host(instance_ids=ids, **host))


def allowing(world: AwsWorld, *actions: str) -> Tenant:
    named = [action if ":" in action else f"ec2:{action}" for action in actions]
    return world.user({"Effect": "Allow", "Action": named, "Resource": "*"})


def test_what_is_known_of_a_running_instance(world: AwsWorld, make_aws: MakeAws) -> None:
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "trainer"}]}]
    one = launch(world, TagSpecifications=tags)
    seen = look(make_aws(world.admin), one)[one]
    instance = seen.instance.value
    assert seen.lookup.value == instance
    raw = world.client("ec2").describe_instances(InstanceIds=[one])["Reservations"][0]["Instances"][0]
    assert (instance.id, instance.name, instance.state, instance.type) == (one, "trainer", "running", "g5.xlarge")
    assert (instance.region, instance.az) == (REGION, raw["Placement"]["AvailabilityZone"])
    assert (instance.public_ip, instance.private_ip) == (raw["PublicIpAddress"], raw["PrivateIpAddress"])
    assert (instance.public_dns, instance.private_dns) == (raw["PublicDnsName"], raw["PrivateDnsName"])
    assert (instance.image, instance.key_name) == ("ami-12c6146b", "trainers")
    assert instance.launched == raw["LaunchTime"].isoformat()
    (volume,) = seen.volumes.value
    assert (volume.device, volume.state, volume.root) == (raw["RootDeviceName"], "attached", True)
    assert volume.size_gb == 8.6  # EC2's 8 GiB, in the unit of everything else here
    assert (instance.life_cycle, instance.tags) == ("", {"Name": "trainer"})
    status = seen.status.value
    assert (status.checks, status.events, status.failing_since) == ({"system": "ok", "instance": "ok"}, (), "")
    assert (seen.alarms.value, seen.notes, seen.denied, seen.trouble) == ((), (), (), None)


def test_a_second_volume_is_not_the_root(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world)
    ec2 = world.client("ec2")
    made = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=500)["VolumeId"]
    ec2.attach_volume(InstanceId=one, VolumeId=made, Device="/dev/sdf")
    volumes = {volume.id: volume for volume in look(make_aws(world.admin), one)[one].volumes.value}
    assert len(volumes) == 2
    assert (volumes[made].device, volumes[made].root, volumes[made].size_gb) == ("/dev/sdf", False, 536.9)
    ec2.detach_volume(InstanceId=one, VolumeId=made)
    assert made not in {volume.id for volume in look(make_aws(world.admin), one)[one].volumes.value}


@pytest.mark.parametrize("state", ["pending", "stopping", "stopped", "shutting-down", "terminated"])
def test_every_state_is_a_value(world: AwsWorld, make_aws: MakeAws, state: str) -> None:
    one = launch(world)
    backend: Any = ec2_backends[ACCOUNT][REGION]
    backend.get_instance(one)._state.name = state  # moto hurries through the states between
    assert look(make_aws(world.admin), one)[one].instance.value.state == state


def test_why_it_stopped(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world)
    world.client("ec2").stop_instances(InstanceIds=[one])
    instance = look(make_aws(world.admin), one)[one].instance.value
    assert (instance.state, instance.public_ip) == ("stopped", "")
    assert "User initiated" in instance.state_reason


def test_several_are_asked_for_at_once(world: AwsWorld, make_aws: MakeAws) -> None:
    ids = [launch(world) for _ in range(3)]
    user = world.user(EVERYTHING)
    readings = look(make_aws(user), *ids)
    assert [seen.instance.value.id for seen in readings.instances] == ids
    assert len([asked for asked in user.requests if "Action=DescribeInstances&" in asked]) == 1
    assert len(user.requests) == 6, "one call for each diagnosis and two of alarms, however many instances there are"


def test_an_instance_that_is_not_there_is_a_value_for_its_row_and_a_cause_for_others(
    world: AwsWorld, make_aws: MakeAws
) -> None:
    aws = make_aws(world.admin)
    seen = look(aws, NOWHERE)[NOWHERE]
    absence = seen.lookup.value
    assert isinstance(absence, Absence)
    assert (absence.malformed, absence.found_in, absence.region) == (False, "", REGION)
    assert absence.said == f"InvalidInstanceID.NotFound: The instance ID '{NOWHERE}' does not exist"
    assert absence.what == f"instance {NOWHERE} not found in {REGION}"
    assert absence.remedy == (
        f"AWS_SHARED_CREDENTIALS_FILE={aws.credentials_file} aws ec2 describe-instances --region {REGION} "
        "--output text --query 'Reservations[].Instances[].[InstanceId,State.Name]' --profile default"
    )
    for reading in (seen.instance, seen.status, seen.volumes, seen.ssh_rules):
        with pytest.raises(Blocked) as blocked:
            _ = reading.value
        assert (blocked.value.by, blocked.value.reason) == ("ec2-exists", absence.what)


def test_it_is_found_in_another_region(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world, "us-west-2")
    seen = look(make_aws(world.admin), one)[one]
    absence = seen.lookup.value
    assert isinstance(absence, Absence)
    assert absence.found_in == "us-west-2"
    assert absence.what == f"instance {one} not found in {REGION}; it is in us-west-2"
    assert absence.remedy == 'set aws.region = "us-west-2"'
    assert seen.instance.remedy == absence.remedy


def test_other_regions_that_may_not_be_listed_cost_a_note(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world, "eu-west-1")
    user = allowing(world, "DescribeInstances")
    seen = look(make_aws(user), one)[one].lookup.value
    assert isinstance(seen, Absence)
    assert seen.found_in == "eu-west-1"
    assert seen.note.startswith("ec2:DescribeRegions: ec2:DescribeRegions on * denied: AccessDenied: User: ")


def test_other_regions_that_do_not_answer_are_named(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    denied = error(403, "UnauthorizedOperation", "You may not.")
    user.meets(denied, where="Action=DescribeInstances", elsewhere_than=f"/{REGION}/")
    listed = "".join(f"<item><regionName>{name}</regionName></item>" for name in (REGION, "eu-west-1", "cn-north-1"))
    user.meets(
        plain(f"<A><regionInfo>{listed}</regionInfo></A>".encode(), content_type="text/xml"), where="DescribeRegions"
    )
    seen = look(make_aws(user), NOWHERE)[NOWHERE].lookup.value
    assert isinstance(seen, Absence)
    assert (seen.found_in, seen.asked_in) == ("", ())
    assert seen.note == (
        "no answer from eu-west-1 (ec2:DescribeInstances on * denied: UnauthorizedOperation: You may not.)"
    )


def test_other_regions_are_not_waited_for_long(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(world.hang, where="Action=DescribeInstances", elsewhere_than=f"/{REGION}/")
    began = time.monotonic()
    readings = look_at_instances(make_aws(user), Host(instance_ids=[NOWHERE]), search_s=0.3)
    assert time.monotonic() - began < 5, "a region may be silent for 10 s here"
    seen = readings[NOWHERE].lookup.value
    assert isinstance(seen, Absence)
    assert seen.found_in == ""
    assert "no answer from us-east-2" in seen.note


def test_regions_are_not_asked_when_it_is_there(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world)
    user = world.user(EVERYTHING)
    look(make_aws(user), one)
    assert not [asked for asked in user.requests if "DescribeRegions" in asked]


@pytest.mark.parametrize("written", ["i-x", "i-0123456789ABCDEF0", "0123456789abcdef0", "i-0123456789abcdef01"])
def test_a_malformed_id_is_said_to_be_one(world: AwsWorld, make_aws: MakeAws, written: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(400, "InvalidInstanceID.Malformed", f'Invalid id: "{written}"'), where="Action=DescribeInstances")
    seen = look(make_aws(user), written)[written].lookup.value
    assert isinstance(seen, Absence)
    assert seen.malformed
    assert seen.what == f"{written} is no instance id: it takes i- and 8 or 17 hexadecimal digits"
    assert seen.said == f'InvalidInstanceID.Malformed: Invalid id: "{written}"'
    assert not [asked for asked in user.requests if "DescribeRegions" in asked]


def test_one_that_is_missing_takes_nothing_from_the_others(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world)
    readings = look(make_aws(world.admin), one, NOWHERE, "i-x")
    assert readings[one].instance.value.state == "running"
    assert readings[one].volumes.value
    assert isinstance(readings[NOWHERE].lookup.value, Absence)
    assert readings["i-x"].lookup.value.malformed  # type: ignore[union-attr]  # it is an Absence, or this is red
    with pytest.raises(KeyError):
        readings["i-0"]


# --- What cannot be known


def owner(aws: Aws, instance_id: str = NOWHERE) -> tuple[str, str, str]:
    seen = look(aws, instance_id)[instance_id]
    assert seen.trouble is not None
    assert {reading.by for reading in (seen.instance, seen.status, seen.volumes, seen.ssh_rules)} == {seen.lookup.by}
    assert seen.lookup.reason == seen.trouble.what
    return seen.lookup.by, seen.lookup.reason, seen.lookup.remedy


def test_a_denial_is_no_absence(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    one = launch(world)
    assert owner(make_aws(user), one) == (
        "ec2-exists",
        f"ec2:DescribeInstances on * denied: AccessDenied: User: {user.arn} {DENIED}DescribeInstances",
        f'add to the policy of {user.arn}: {{"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}}',
    )


def test_a_denial_in_ec2s_own_words(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(403, "UnauthorizedOperation", "You are not authorized to perform this operation."))
    assert owner(make_aws(user))[:2] == (
        "ec2-exists",
        "ec2:DescribeInstances on * denied: UnauthorizedOperation: You are not authorized to perform this operation.",
    )


def test_bad_credentials_belong_to_their_own_row(world: AwsWorld, make_aws: MakeAws) -> None:
    stranger = world.stranger()
    by, reason, remedy = owner(make_aws(stranger))
    assert (by, reason) == (
        "aws-credentials",
        "AuthFailure: AWS was not able to validate the provided access credentials (access key "
        f"****{stranger.key[-4:]} of profile default)",
    )
    assert remedy.endswith("aws configure --profile default")


def test_so_does_a_clock_that_is_off(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(in_time_of(3600)(lambda *_: []))
    by, reason, _ = owner(make_aws(user))
    assert by == "aws-credentials"
    assert reason.startswith("clock off by 3")
    assert reason.endswith(
        " s (this machine is behind): AuthFailure: AWS was not able to validate the provided access credentials"
    )


def test_so_does_a_profile_that_is_not_there(world: AwsWorld, make_aws: MakeAws) -> None:
    by, reason, _ = owner(make_aws(world.admin, profile="nobody"))
    assert by == "aws-credentials"
    assert reason.startswith("The config profile (nobody) could not be found")


def test_an_ec2_that_cannot_be_reached_is_no_matter_of_credentials(
    world: AwsWorld, make_aws: MakeAws, closed_port: int
) -> None:
    by, reason, _ = owner(make_aws(world.admin, endpoint_url=f"http://127.0.0.1:{closed_port}"))
    assert by == "ec2-exists"
    assert reason == f'cannot reach EC2: Could not connect to the endpoint URL: "http://127.0.0.1:{closed_port}/"'


def test_nor_is_a_region_left_out(world: AwsWorld, make_aws: MakeAws) -> None:
    assert owner(make_aws(world.admin, region=None)) == (
        "ec2-exists",
        "You must specify a region.",
        'set aws.region, such as region = "us-east-1"',
    )


@pytest.mark.parametrize(
    ("body", "words"),
    [(b"<A/>", "no 'Reservations' in it"), (b"<A><reservationSet/></A>", f"no {NOWHERE} in it")],
    ids=["nothing", "another answer"],
)
def test_an_answer_without_what_was_asked_for_is_not_a_missing_instance(
    world: AwsWorld, make_aws: MakeAws, body: bytes, words: str
) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(body, content_type="text/xml"))
    seen = look(make_aws(user), NOWHERE)[NOWHERE]
    assert seen.trouble is not None
    assert (seen.trouble.kind, seen.trouble.what) == (Kind.WRONG_ANSWER, f"EC2 gave a wrong answer: {words}")
    assert seen.lookup.by == "ec2-exists"


# --- Diagnoses


DIAGNOSES = ("ec2:DescribeInstanceStatus", "ec2:DescribeVolumes", "ec2:DescribeSecurityGroups")
ALARMS = "cloudwatch:DescribeAlarms"


@pytest.mark.parametrize("action", [*DIAGNOSES, ALARMS])
def test_a_diagnosis_that_is_denied_costs_a_note(world: AwsWorld, make_aws: MakeAws, action: str) -> None:
    one = launch(world)
    user = allowing(
        world, "DescribeInstances", "monitoring:DescribeAlarms", *(one for one in DIAGNOSES if one != action)
    )
    if action == ALARMS:  # which moto denies by another name, and in XML
        words = f"User: {user.arn} is not authorized to perform: {ALARMS} because no policy allows the {ALARMS} action"
        said = json.dumps({"__type": "AccessDenied", "message": words}).encode()
        user.meets(plain(said, content_type="application/x-amz-json-1.0", status=403), service="monitoring")
    seen = look(make_aws(user), one)[one]
    assert seen.instance.value.state == "running"
    (note,) = seen.notes
    assert note.startswith(f"{action} on * denied: AccessDenied")
    assert f"{user.arn} is not authorized to perform: {action}" in note
    assert note.endswith(
        f'add to the policy of {user.arn}: {{"Effect": "Allow", "Action": "{action}", "Resource": "*"}}'
    )
    assert seen.denied == (action,)
    assert (seen.status.or_none is None) is (action == "ec2:DescribeInstanceStatus")
    assert (seen.ssh_rules.or_none is None) is (action == "ec2:DescribeSecurityGroups")
    assert (seen.alarms.or_none is None) is (action == ALARMS)
    (volume,) = seen.volumes.value
    assert (volume.size_gb is None) is (action == "ec2:DescribeVolumes")


def test_who_may_reach_the_ssh_port(world: AwsWorld, make_aws: MakeAws) -> None:
    ec2 = world.client("ec2")
    group = ec2.create_security_group(GroupName=world.name("ssh"), Description="d")["GroupId"]
    rules = [
        {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]},
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
    ]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=rules)
    one = launch(world, SecurityGroupIds=[group])
    assert look(make_aws(world.admin), one)[one].ssh_rules.value == ("203.0.113.0/24",)
    assert look(make_aws(world.admin), one, port=443)[one].ssh_rules.value == ("0.0.0.0/0",)
    assert look(make_aws(world.admin), one, port=2222)[one].ssh_rules.value == ()


@pytest.mark.parametrize(
    ("rule", "open_to"),
    [
        ({"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, ("10.0.0.0/8",)),
        ({"IpProtocol": "6", "FromPort": 0, "ToPort": 65535, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}, ("::/0",)),
        ({"IpProtocol": "tcp", "FromPort": 20, "ToPort": 30, "UserIdGroupPairs": [{"GroupId": "sg-9"}]}, ("sg-9",)),
        ({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "PrefixListIds": [{"PrefixListId": "pl-1"}]}, ("pl-1",)),
        ({"IpProtocol": "udp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, ()),
        ({"IpProtocol": "tcp", "FromPort": 23, "ToPort": 30, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, ()),
        ({"IpProtocol": "icmp", "FromPort": -1, "ToPort": -1, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, ()),
    ],
)
def test_rules_that_let_ssh_in(rule: dict[str, Any], open_to: tuple[str, ...]) -> None:
    answer = {"SecurityGroups": [{"GroupId": "sg-1", "IpPermissions": [rule]}]}
    assert openings_in(answer, 22) == {"sg-1": open_to}


# --- The address of the settings


def test_the_address_is_the_instances(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world)
    aws = make_aws(world.admin)
    instance = look(aws, one)[one].instance.value
    for given in (instance.public_ip, instance.private_ip, instance.public_dns.upper(), instance.private_dns):
        reading = look(aws, one, address=given).address
        assert reading is not None
        match = reading.value
        assert (match.given, match.comparable, match.instance, match.owner.value) == (given, True, one, one)


def test_an_address_that_went_to_another_instance_names_it(world: AwsWorld, make_aws: MakeAws) -> None:
    one, other = launch(world), launch(world)
    aws = make_aws(world.admin)
    theirs = look(aws, other)[other].instance.value
    for given in (theirs.public_ip, theirs.private_ip, theirs.public_dns):
        reading = look(aws, one, address=given).address
        assert reading is not None
        assert (reading.value.comparable, reading.value.instance, reading.value.owner.value) == (True, "", other)


def test_an_address_that_nobody_has_any_more(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world)
    reading = look(make_aws(world.admin), one, address="203.0.113.9").address
    assert reading is not None
    assert (reading.value.comparable, reading.value.instance, reading.value.owner.value) == (True, "", "")


def test_a_name_of_ones_own_cannot_be_compared(world: AwsWorld, make_aws: MakeAws) -> None:
    one = launch(world)
    reading = look(make_aws(world.admin), one, address="gpu-box").address
    assert reading is not None
    assert (reading.value.comparable, reading.value.instance) == (False, "")


def test_nothing_is_said_of_an_address_when_nothing_could_be_asked(world: AwsWorld, make_aws: MakeAws) -> None:
    stranger = world.stranger()
    reading = look(make_aws(stranger), NOWHERE, address="203.0.113.9").address
    assert reading is not None
    assert reading.by == "aws-credentials"
    assert len(stranger.requests) == 1


def test_without_ids_nothing_is_asked(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    assert look(make_aws(user), address="203.0.113.9") == InstancesReadings(instances=(), address=None)
    assert user.requests == []


def test_it_survives_the_way_through_json(world: AwsWorld, make_aws: MakeAws) -> None:
    readings: TypeAdapter[InstancesReadings] = TypeAdapter(InstancesReadings)
    one = launch(world)
    for tenant in (world.admin, world.stranger(), allowing(world, "DescribeInstances")):
        seen = look(make_aws(tenant), one, NOWHERE, address="203.0.113.9")
        again = readings.validate_json(readings.dump_json(seen))
        assert again == seen
        assert type(again[one].lookup.or_none) is type(seen[one].lookup.or_none)
    assert isinstance(again[one].lookup.value, Instance)
    assert isinstance(again[NOWHERE].lookup.value, Absence)
