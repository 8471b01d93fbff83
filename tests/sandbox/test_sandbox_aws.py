"""The sandbox's AWS answers as AWS does, also where moto alone does not."""

from __future__ import annotations

import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config

if TYPE_CHECKING:
    from conftest import OpenWorld, World

READ, WRITE = "policy-database", "asoba-llm-cache"


def code(call: Any, **arguments: Any) -> tuple[int, str, str]:
    """Return status, code and message of the error that a call gets."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def with_keys(world: World, service: str, key: str, secret: str, token: str | None = None) -> Any:
    return botocore.session.Session().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=world.settings["aws"]["endpoint_url"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )


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
def test_both_write_read_and_delete(world: World, who: str) -> None:
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
    assert [(rule["FromPort"], rule["IpProtocol"]) for rule in group["IpPermissions"]] == [(22, "tcp")]
    status = ec2.describe_instance_status(InstanceIds=ids)["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == status["SystemStatus"]["Status"] == "ok"


def test_no_instance_ever_has_an_address_outside_this_machine(open_world: OpenWorld) -> None:
    for faults in ((), ("ec2-stopped",), ("instance-address",), ("ec2-region",)):
        world = open_world(*faults)
        for region in ("us-east-1", "eu-west-1"):
            for found in world.client("ec2", region=region).describe_instances()["Reservations"]:
                for instance in found["Instances"]:
                    assert instance.get("PublicIpAddress", "127.0.0.1").startswith("127.")


def test_a_wrong_secret_is_refused_by_every_service(world: World) -> None:
    keys = world.session().get_credentials()
    got = {
        service: code(getattr(with_keys(world, service, keys.access_key, "z" * 40), call))[:2]
        for service, call in (("sts", "get_caller_identity"), ("s3", "list_buckets"), ("ec2", "describe_instances"))
    }

    assert got == {
        "sts": (403, "SignatureDoesNotMatch"),
        "s3": (403, "SignatureDoesNotMatch"),
        "ec2": (401, "AuthFailure"),
    }


def test_an_unknown_key_is_refused_by_every_service(world: World) -> None:
    got = {
        service: code(getattr(with_keys(world, service, "AKIAIOSFODNN7EXAMPLE", "z" * 40), call))[:2]
        for service, call in (("sts", "get_caller_identity"), ("s3", "list_buckets"), ("ec2", "describe_instances"))
    }

    assert got == {
        "sts": (403, "InvalidClientTokenId"),
        "s3": (403, "InvalidAccessKeyId"),
        "ec2": (401, "AuthFailure"),
    }


def test_a_wrong_session_token_is_refused(world: World) -> None:
    lines = world.run("cat ~/.aws/credentials")[1].splitlines()
    keys = dict(line.split(" = ") for line in lines if " = " in line)
    sts = with_keys(world, "sts", keys["aws_access_key_id"], keys["aws_secret_access_key"], "another token")

    assert code(sts.get_caller_identity)[:2] == (403, "InvalidClientTokenId")


def test_a_request_without_signature_is_refused_and_does_not_break_moto(world: World) -> None:
    s3 = botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=world.settings["aws"]["endpoint_url"],
        config=Config(signature_version=UNSIGNED),
    )
    assert code(s3.list_objects_v2, Bucket=READ)[:2] == (403, "AccessDenied")

    url = f"{world.settings['aws']['endpoint_url']}/?Action=GetCallerIdentity&Version=2011-06-15"
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        urllib.request.urlopen(url)  # noqa: S310  # our own loopback address
    assert b"Error" in caught.value.read()
    caught.value.close()


def test_motos_own_controls_are_out_of_reach(world: World) -> None:
    url = f"{world.settings['aws']['endpoint_url']}/moto-api/reset"
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        urllib.request.urlopen(urllib.request.Request(url, method="POST"))  # noqa: S310  # our own loopback address
    caught.value.close()
    stranger = with_keys(world, "s3", "AKIAIOSFODNN7EXAMPLE", "z" * 40)
    assert code(stranger.list_objects_v2, Bucket="moto-api")[0] in (403, 404)

    assert world.client("s3").list_objects_v2(Bucket=READ)["KeyCount"] == 6


def test_head_bucket_is_denied_to_who_may_not_list(open_world: OpenWorld) -> None:
    world = open_world("s3-list-deny")

    assert code(world.host_client("s3").head_bucket, Bucket=READ)[0] == 403
    assert world.client("s3").head_bucket(Bucket=READ)


def test_a_missing_object_is_denied_to_who_may_not_list(open_world: OpenWorld) -> None:
    world = open_world("s3-list-deny")
    status, error, message = code(world.host_client("s3").get_object, Bucket=READ, Key="econ-theory/none")

    assert (status, error) == (403, "AccessDenied")
    assert "s3:ListBucket" in message
    assert code(world.client("s3").get_object, Bucket=READ, Key="econ-theory/none")[:2] == (404, "NoSuchKey")


def test_denials_read_like_those_of_aws(open_world: OpenWorld) -> None:
    world = open_world("s3-get-deny", "s3-write-operator-deny", "ec2-deny")
    account, instance = world.settings["aws"]["account"], world.host["instance_ids"][0]

    assert code(world.host_client("s3").get_object, Bucket=READ, Key="econ-theory/chunk_0.jsonl") == (
        403,
        "AccessDenied",
        f"User: arn:aws:sts::{account}:assumed-role/mistral-training/{instance} is not authorized to perform: "
        f's3:GetObject on resource: "arn:aws:s3:::policy-database/econ-theory/chunk_0.jsonl" '
        "because no identity-based policy allows the s3:GetObject action",
    )
    assert code(world.client("ec2").describe_instances)[:2] == (403, "UnauthorizedOperation")
    assert code(world.client("iam").list_users)[:2] == (403, "AccessDenied")


def test_what_no_policy_allows_is_denied(world: World) -> None:
    assert code(world.host_client("ec2").describe_instances)[1] == "UnauthorizedOperation"
    assert code(world.client("s3").list_objects_v2, Bucket="somebody-elses")[1] == "AccessDenied"
    assert code(world.client("s3").create_bucket, Bucket="a-new-one")[1] == "AccessDenied"
    assert (
        code(world.client("ec2").stop_instances, InstanceIds=world.host["instance_ids"])[1] == "UnauthorizedOperation"
    )


def test_expired_credentials_are_refused_in_each_services_words(open_world: OpenWorld) -> None:
    world = open_world("aws-expired")

    assert code(world.client("sts").get_caller_identity)[:2] == (403, "ExpiredToken")
    assert code(world.client("s3").list_objects_v2, Bucket=READ)[:2] == (400, "ExpiredToken")
    assert code(world.client("ec2").describe_instances)[:2] == (400, "RequestExpired")
    assert world.host_client("s3").list_objects_v2(Bucket=READ)["KeyCount"] == 6


def test_a_late_clock_is_refused_and_the_right_time_is_told(open_world: OpenWorld) -> None:
    world = open_world("aws-skew")

    with pytest.raises(botocore.exceptions.ClientError) as caught:
        world.client("sts").get_caller_identity()
    told = caught.value.response["ResponseMetadata"]["HTTPHeaders"]["date"]
    ours = world.host_client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]["date"]

    assert 7190 < (parsedate_to_datetime(told) - parsedate_to_datetime(ours)).total_seconds() < 7210


def test_a_bucket_of_another_region_says_which(open_world: OpenWorld) -> None:
    world = open_world("s3-region")
    s3 = world.client("s3")
    answers: list[Any] = []
    s3.meta.events.register_first("needs-retry.s3.ListObjectsV2", lambda response, **_: answers.append(response[0]))

    assert s3.list_objects_v2(Bucket=READ)["KeyCount"] == 6, "boto3 follows the redirect, as it does with AWS"
    assert (answers[0].status_code, answers[0].headers["x-amz-bucket-region"]) == (301, "eu-west-1")
    assert world.client("s3").get_bucket_location(Bucket=READ)["LocationConstraint"] == "eu-west-1"
    assert world.client("s3", region="eu-west-1").list_objects_v2(Bucket=READ)["KeyCount"] == 6


def test_an_instance_of_another_region_is_found_there(open_world: OpenWorld) -> None:
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


def test_two_tenants_have_the_same_names_and_nothing_in_common(open_world: OpenWorld) -> None:
    one, two = open_world(), open_world()

    def fill(world: World) -> list[str]:
        s3 = world.client("s3")
        for n in range(5):
            s3.put_object(Bucket=WRITE, Key=f"training-runs/{n}", Body=world.id.encode())
        found = s3.list_objects_v2(Bucket=WRITE, Prefix="training-runs/")["Contents"]
        return [s3.get_object(Bucket=WRITE, Key=each["Key"])["Body"].read().decode() for each in found]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(fill, (one, two))) == [[one.id] * 5, [two.id] * 5]
    assert one.settings["aws"]["account"] != two.settings["aws"]["account"]
    assert code(one.client("ec2").describe_instances, InstanceIds=two.host["instance_ids"])[1] == (
        "InvalidInstanceID.NotFound"
    )
    one.run("echo one > /mnt/training/mine")
    assert two.run("ls -A /mnt/training; ls ~")[1] == ""


def test_a_fault_of_one_tenant_is_not_felt_by_another(open_world: OpenWorld) -> None:
    ill, well = open_world("s3-slow-forever", "aws-expired", "ebs-ro"), open_world()

    assert code(ill.client("s3").list_objects_v2, Bucket=READ)[1] == "ExpiredToken"
    assert well.client("s3").list_objects_v2(Bucket=READ)["KeyCount"] == 6
    assert well.run("touch /mnt/training/x")[0] == 0
    assert ill.run("touch /mnt/training/x")[0] == 1


def test_the_account_of_a_closed_tenant_is_gone(open_world: OpenWorld) -> None:
    one, two = open_world(), open_world()
    sts = one.client("sts")
    assert sts.get_caller_identity()

    one.close()

    assert code(sts.get_caller_identity)[1] == "InvalidClientTokenId"
    assert two.client("sts").get_caller_identity()
