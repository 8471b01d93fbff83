"""The sandbox's AWS refuses as AWS does, also where moto alone does not."""

from __future__ import annotations

import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config

if TYPE_CHECKING:
    from sandbox.conftest import Code, OpenWorld, World

READ, WRITE = "policy-database", "asoba-llm-cache"


def with_keys(world: World, service: str, key: str, secret: str, token: str | None = None) -> Any:
    return botocore.session.Session().create_client(
        service,
        region_name="us-east-1",
        endpoint_url=world.settings["aws"]["endpoint_url"],
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )


def test_a_wrong_secret_is_refused_by_every_service(world: World, code: Code) -> None:
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


def test_an_unknown_key_is_refused_by_every_service(world: World, code: Code) -> None:
    got = {
        service: code(getattr(with_keys(world, service, "AKIAIOSFODNN7EXAMPLE", "z" * 40), call))[:2]
        for service, call in (("sts", "get_caller_identity"), ("s3", "list_buckets"), ("ec2", "describe_instances"))
    }

    assert got == {
        "sts": (403, "InvalidClientTokenId"),
        "s3": (403, "InvalidAccessKeyId"),
        "ec2": (401, "AuthFailure"),
    }


def test_a_wrong_session_token_is_refused(world: World, code: Code) -> None:
    lines = world.run("cat ~/.aws/credentials")[1].splitlines()
    keys = dict(line.split(" = ") for line in lines if " = " in line)
    sts = with_keys(world, "sts", keys["aws_access_key_id"], keys["aws_secret_access_key"], "another token")

    assert code(sts.get_caller_identity)[:2] == (403, "InvalidClientTokenId")


def test_a_request_without_signature_is_refused_and_does_not_break_moto(world: World, code: Code) -> None:
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


def test_an_sso_token_that_nobody_has_is_refused(world: World) -> None:
    url = f"{world.settings['aws']['endpoint_url']}/federation/credentials?role_name=x&account_id=123456789012"
    request = urllib.request.Request(url, headers={"x-amz-sso_bearer_token": "none"})  # noqa: S310  # likewise
    with pytest.raises(urllib.error.HTTPError, match="401") as caught:
        urllib.request.urlopen(request)  # noqa: S310  # our own loopback address
    caught.value.close()


def test_motos_own_controls_are_out_of_reach(world: World, code: Code) -> None:
    url = f"{world.settings['aws']['endpoint_url']}/moto-api/reset"
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        urllib.request.urlopen(urllib.request.Request(url, method="POST"))  # noqa: S310  # our own loopback address
    caught.value.close()
    stranger = with_keys(world, "s3", "AKIAIOSFODNN7EXAMPLE", "z" * 40)
    assert code(stranger.list_objects_v2, Bucket="moto-api")[0] in (403, 404)

    assert world.client("s3").list_objects_v2(Bucket=READ)["KeyCount"] == 30


def test_head_bucket_is_denied_to_who_may_not_list(open_world: OpenWorld, code: Code) -> None:
    world = open_world("s3-list-deny")

    assert code(world.host_client("s3").head_bucket, Bucket=READ)[0] == 403
    assert world.client("s3").head_bucket(Bucket=READ)


def test_a_missing_object_is_denied_to_who_may_not_list(open_world: OpenWorld, code: Code) -> None:
    world = open_world("s3-list-deny")
    status, error, message = code(world.host_client("s3").get_object, Bucket=READ, Key="econ-theory/none")

    assert (status, error) == (403, "AccessDenied")
    assert "s3:ListBucket" in message
    assert code(world.client("s3").get_object, Bucket=READ, Key="econ-theory/none")[:2] == (404, "NoSuchKey")


def test_denials_read_like_those_of_aws(open_world: OpenWorld, code: Code) -> None:
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


def test_what_no_policy_allows_is_denied(world: World, code: Code) -> None:
    assert code(world.host_client("ec2").describe_instances)[1] == "UnauthorizedOperation"
    assert code(world.client("s3").list_objects_v2, Bucket="somebody-elses")[1] == "AccessDenied"
    assert code(world.client("s3").create_bucket, Bucket="a-new-one")[1] == "AccessDenied"
    assert (
        code(world.client("ec2").stop_instances, InstanceIds=world.host["instance_ids"])[1] == "UnauthorizedOperation"
    )


def test_expired_credentials_are_refused_in_each_services_words(open_world: OpenWorld, code: Code) -> None:
    world = open_world("aws-expired")

    assert code(world.client("sts").get_caller_identity)[:2] == (403, "ExpiredToken")
    assert code(world.client("s3").list_objects_v2, Bucket=READ)[:2] == (400, "ExpiredToken")
    assert code(world.client("ec2").describe_instances)[:2] == (400, "RequestExpired")
    assert world.host_client("s3").list_objects_v2(Bucket=READ)["KeyCount"] == 30


def test_a_late_clock_is_refused_and_the_right_time_is_told(open_world: OpenWorld) -> None:
    world = open_world("aws-skew")

    with pytest.raises(botocore.exceptions.ClientError) as caught:
        world.client("sts").get_caller_identity()
    told = caught.value.response["ResponseMetadata"]["HTTPHeaders"]["date"]
    ours = world.host_client("sts").get_caller_identity()["ResponseMetadata"]["HTTPHeaders"]["date"]

    assert 7190 < (parsedate_to_datetime(told) - parsedate_to_datetime(ours)).total_seconds() < 7210
