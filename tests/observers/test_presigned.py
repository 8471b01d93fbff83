"""Addresses that are signed: of the right region, for a short time, good to read with, and in no output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from moto import settings as moto_settings

from observers.aws_world import EVERYTHING, REGION, error
from pytest_pipeline.data.spans import DataFile
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.presigned import SignedObject, presigned
from pytest_pipeline.settings import Bucket

if TYPE_CHECKING:
    from observers.aws_world import AwsWorld, MakeAws, Tenant
    from pytest_pipeline.settings import Aws


def bucket(name: str, **more: Any) -> Bucket:
    return Bucket(**{"name": name, "read": ("",), **more})


def one(name: str, aws: Aws, key: str = "data/a b+c.jsonl", **more: Any) -> SignedObject:
    signed = presigned([DataFile(uri=f"s3://{name}/{key}", size_bytes=9)], bucket(name, **more), aws)
    assert isinstance(signed, tuple)
    return signed[0]


def trouble(name: str, aws: Aws) -> AwsTrouble:
    refused = presigned([DataFile(uri=f"s3://{name}/k", size_bytes=9)], bucket(name), aws)
    assert isinstance(refused, AwsTrouble)
    return refused


def fields(signed: SignedObject) -> dict[str, str]:
    query = urlsplit(signed.url.get_secret_value()).query
    return {name: values[0] for name, values in parse_qs(query).items()}


@pytest.fixture
def filled(world: AwsWorld) -> str:
    """A bucket with an object."""
    name = world.name("signed")
    s3 = world.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="data/a b+c.jsonl", Body=b"0123456789")
    return name


@pytest.fixture
def tenant(world: AwsWorld) -> Tenant:
    """A user who may do everything."""
    return world.user(EVERYTHING)


def test_a_range_is_read_with_it_and_with_nothing_else(
    filled: str, tenant: Tenant, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moto_settings, "INITIAL_NO_AUTH_ACTION_COUNT", 10**9)  # moto cannot verify signed addresses
    signed = one(filled, make_aws(tenant), region=REGION)
    answer = requests.get(signed.url.get_secret_value(), headers={"range": "bytes=2-4"}, timeout=10)
    assert (answer.status_code, answer.content) == (206, b"234")
    assert tenant.requests == []  # a region that is configured is not asked for


def test_it_is_a_secret_and_short_lived(filled: str, tenant: Tenant, make_aws: MakeAws) -> None:
    signed = one(filled, make_aws(tenant), region=REGION)
    assert fields(signed)["X-Amz-Expires"] == "300"
    assert fields(signed)["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
    signature = fields(signed)["X-Amz-Signature"]
    assert all(signature not in text for text in (repr(signed), str(signed), f"{signed.url}"))


@pytest.mark.parametrize(
    ("region", "start"),
    [
        ("eu-west-1", "https://s3.eu-west-1.amazonaws.com/"),
        ("cn-north-1", "https://s3.cn-north-1.amazonaws.com.cn/"),
        ("us-east-1", "https://s3.amazonaws.com/"),
    ],
)
def test_the_address_is_of_the_region_itself(region: str, start: str, tenant: Tenant, make_aws: MakeAws) -> None:
    signed = one("some-bucket", make_aws(tenant, endpoint_url=None), region=region)
    assert signed.url.get_secret_value().startswith(f"{start}some-bucket/data/a%20b%2Bc.jsonl?")
    assert f"/{region}/s3/" in fields(signed)["X-Amz-Credential"]


def test_who_pays_is_signed_and_sent(filled: str, tenant: Tenant, make_aws: MakeAws) -> None:
    signed = one(filled, make_aws(tenant), region=REGION, request_payer=True)
    assert signed.headers == {"x-amz-request-payer": "requester"}
    assert fields(signed)["X-Amz-SignedHeaders"] == "host;x-amz-request-payer"


def test_the_region_is_asked_for_where_the_settings_do_not_name_it(
    filled: str, tenant: Tenant, make_aws: MakeAws
) -> None:
    signed = one(filled, make_aws(tenant))
    assert f"/{REGION}/s3/" in fields(signed)["X-Amz-Credential"]
    assert tenant.requests == [f"HEAD /{filled}? "]


def test_a_denial_names_the_region_all_the_same(filled: str, tenant: Tenant, make_aws: MakeAws) -> None:
    denied = error(403, "AccessDenied", "no", headers={"x-amz-bucket-region": "eu-west-3"})
    tenant.meets(denied, method="HEAD")
    assert "/eu-west-3/s3/" in fields(one(filled, make_aws(tenant)))["X-Amz-Credential"]


def test_another_region_is_followed(world: AwsWorld, tenant: Tenant, make_aws: MakeAws) -> None:
    name = world.name("moved")
    place = {"LocationConstraint": "eu-west-3"}
    world.client("s3", "eu-west-3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
    moved = error(301, "PermanentRedirect", "elsewhere", headers={"x-amz-bucket-region": "eu-west-3"})
    tenant.meets(moved, method="HEAD", elsewhere_than="eu-west-3")
    assert "/eu-west-3/s3/" in fields(one(name, make_aws(tenant)))["X-Amz-Credential"]


def test_a_bucket_that_is_not_there(world: AwsWorld, tenant: Tenant, make_aws: MakeAws) -> None:
    assert trouble(world.name("absent"), make_aws(tenant)).kind is Kind.MISSING


def test_without_credentials_nothing_is_signed(filled: str, tenant: Tenant, make_aws: MakeAws, tmp_path: Any) -> None:
    aws = make_aws(tenant)
    (tmp_path / "credentials").write_text("[default]\n")
    refused = trouble(filled, aws)
    assert refused.is_credentials
    assert refused.kind is Kind.ABSENT
