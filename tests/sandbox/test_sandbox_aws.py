"""The sandbox's AWS holds what the settings say, and answers as AWS does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sandbox.conftest import Code, OpenWorld, World

READ, WRITE = "policy-database", "asoba-llm-cache"


def test_the_operator_is_a_user_of_the_expected_account(world: World) -> None:
    found = world.client("sts").get_caller_identity()

    account = world.settings["aws"]["account"]
    assert found["Account"] == account
    assert found["Arn"] == f"arn:aws:iam::{account}:user/deployer"


def test_the_host_is_a_session_of_its_role(world: World) -> None:
    found = world.host_client("sts").get_caller_identity()

    account, instance = world.settings["aws"]["account"], world.host["instance_ids"][0]
    assert found["Arn"] == f"arn:aws:sts::{account}:assumed-role/mistral-training/{instance}"


@pytest.mark.parametrize("who", ["client", "host_client"])
def test_both_write_read_and_delete(world: World, who: str, code: Code) -> None:
    s3 = getattr(world, who)("s3")
    key = "training-runs/a b/ü+%41.bin"

    s3.put_object(Bucket=WRITE, Key=key, Body=b"x" * 100_000)

    assert s3.get_object(Bucket=WRITE, Key=key)["Body"].read() == b"x" * 100_000
    assert [found["Key"] for found in s3.list_objects_v2(Bucket=WRITE, Prefix="training-runs/")["Contents"]] == [key]
    assert s3.head_object(Bucket=WRITE, Key=key)["ContentLength"] == 100_000
    s3.delete_object(Bucket=WRITE, Key=key)
    assert code(s3.get_object, Bucket=WRITE, Key=key)[:2] == (404, "NoSuchKey")


def test_multipart_uploads_work(world: World) -> None:
    s3 = world.host_client("s3")
    part = b"y" * (5 << 20)

    upload = s3.create_multipart_upload(Bucket=WRITE, Key="models/mistral-verbosity/x")["UploadId"]
    where = {"Bucket": WRITE, "Key": "models/mistral-verbosity/x", "UploadId": upload}
    tag = s3.upload_part(**where, PartNumber=1, Body=part)["ETag"]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": tag}]})

    assert s3.head_object(Bucket=WRITE, Key="models/mistral-verbosity/x")["ContentLength"] == len(part)


def test_the_instance_is_as_the_settings_say(world: World) -> None:
    ec2 = world.client("ec2")
    ids = world.host["instance_ids"]

    instance = ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"][0]

    assert instance["InstanceId"] == ids[0]
    assert instance["State"]["Name"] == "running"
    assert instance["InstanceType"] == world.host["instance_type"] == "g5.2xlarge"
    assert instance["PublicIpAddress"] == "127.0.0.1"
    assert instance["Tags"] == [{"Key": "Name", "Value": "mistral-training"}]
    assert instance["VpcId"]
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": ids}])["Volumes"]
    assert sorted(volume["Size"] for volume in volumes) == [8, 300]
    group = ec2.describe_security_groups(GroupIds=[instance["SecurityGroups"][0]["GroupId"]])["SecurityGroups"][0]
    assert [(rule["FromPort"], rule["IpProtocol"]) for rule in group["IpPermissions"]] == [
        (22, "tcp"),
        (world.host["port"], "tcp"),
    ]
    status = ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == status["SystemStatus"]["Status"] == "ok"


def test_an_account_sees_the_regions_it_has_by_default(world: World) -> None:
    names = {region["RegionName"] for region in world.client("ec2").describe_regions()["Regions"]}

    assert len(names) == 17
    assert {"us-east-1", "eu-west-1", "sa-east-1"} < names
    assert not {name for name in names if name.startswith(("cn-", "us-gov-", "af-"))}


def test_no_instance_ever_has_an_address_outside_this_machine(open_world: OpenWorld) -> None:
    for faults in ((), ("ec2-stopped",), ("instance-address",), ("ec2-region",)):
        world = open_world(*faults)
        for region in ("us-east-1", "eu-west-1"):
            for found in world.client("ec2", region=region).describe_instances()["Reservations"]:
                for instance in found["Instances"]:
                    assert instance.get("PublicIpAddress", "127.0.0.1").startswith("127.")


def test_somebody_elses_instance_has_an_id_of_its_own_in_every_tenant(open_world: OpenWorld) -> None:
    for _ in range(16):  # ids end in the tenant's number, and once the two were one in every sixteenth
        world = open_world("instance-address")
        found = world.client("ec2").describe_instances()["Reservations"]

        assert len({instance["InstanceId"] for held in found for instance in held["Instances"]}) == 2


def test_a_bucket_of_another_region_says_which(open_world: OpenWorld) -> None:
    world = open_world("s3-region")
    s3 = world.client("s3")
    answers: list[Any] = []
    s3.meta.events.register_first("needs-retry.s3.ListObjectsV2", lambda response, **_: answers.append(response[0]))

    assert s3.list_objects_v2(Bucket=READ)["KeyCount"] == 30, "boto3 follows the redirect, as it does with AWS"
    assert (answers[0].status_code, answers[0].headers["x-amz-bucket-region"]) == (301, "eu-west-1")
    assert world.client("s3").get_bucket_location(Bucket=READ)["LocationConstraint"] == "eu-west-1"
    assert world.client("s3", region="eu-west-1").list_objects_v2(Bucket=READ)["KeyCount"] == 30


def test_an_instance_of_another_region_is_found_there(open_world: OpenWorld, code: Code) -> None:
    world = open_world("ec2-region")
    ids = world.host["instance_ids"]

    assert code(world.client("ec2").describe_instances, InstanceIds=ids)[1] == "InvalidInstanceID.NotFound"
    assert world.client("ec2", region="eu-west-1").describe_instances(InstanceIds=ids)["Reservations"]


def test_pages_are_of_a_thousand_keys(open_world: OpenWorld) -> None:
    world = open_world(variant="paginated-prefixes")
    s3 = world.host_client("s3")

    first = s3.list_objects_v2(Bucket=READ, Prefix="econ-theory/")

    assert first["IsTruncated"]
    assert all(found["Key"].endswith("/") for found in first["Contents"])
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=READ, Prefix="econ-theory/")
    assert sum(not found["Key"].endswith("/") for page in pages for found in page["Contents"]) == 403
