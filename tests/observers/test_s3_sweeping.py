"""What a killed run left in S3 is removed by a later one, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from observers.aws_world import EVERYTHING, AwsWorld
from pytest_pipeline.observers.effects import Effect
from pytest_pipeline.observers.s3_sweeping import sweep
from pytest_pipeline.settings import Bucket

if TYPE_CHECKING:
    from observers.aws_world import MakeAws

KEY = "out/.pipeline-gate/write-test"


@pytest.fixture
def name(world: AwsWorld) -> str:
    """A bucket with a begun upload and an object of the gate's, and the same of somebody else's beside them."""
    name = world.name("bucket")
    s3 = world.client("s3")
    s3.create_bucket(Bucket=name)
    for key in (KEY, f"{KEY}-of-somebody"):
        s3.put_object(Bucket=name, Key=key, Body=b"x")
        s3.create_multipart_upload(Bucket=name, Key=key)
    return name


def upload(name: str, *, removed: bool = False) -> Effect:
    return Effect(what="s3 multipart upload", where=f"s3://{name}/{KEY}", removed=removed)


def written(name: str) -> Effect:
    return Effect(what="s3 object", where=f"s3://{name}/{KEY}")


def things_in(world: AwsWorld, name: str) -> tuple[list[str], list[str]]:
    s3: Any = world.client("s3")
    uploads = [upload["Key"] for upload in s3.list_multipart_uploads(Bucket=name).get("Uploads", [])]
    return uploads, [entry["Key"] for entry in s3.list_objects_v2(Bucket=name)["Contents"]]


def test_uploads_are_aborted_and_objects_stay_where_nobody_deletes(
    world: AwsWorld, make_aws: MakeAws, name: str
) -> None:
    noted: list[Effect] = []
    bucket = Bucket(name=name, write=["out/"])
    left = sweep(make_aws(world.admin), [bucket], [upload(name), written(name)], journal=noted.append)
    assert left == (written(name),)
    assert noted == [upload(name, removed=True)]
    assert things_in(world, name) == ([f"{KEY}-of-somebody"], [KEY, f"{KEY}-of-somebody"])


def test_where_the_pipeline_deletes_the_object_goes_too(world: AwsWorld, make_aws: MakeAws, name: str) -> None:
    bucket = Bucket(name=name, write=["out/"], actions=["s3:DeleteObject"])
    assert sweep(make_aws(world.admin), [bucket], [written(name)], journal=lambda _: None) == ()
    assert things_in(world, name)[1] == [f"{KEY}-of-somebody"]


def test_what_is_gone_or_in_a_bucket_of_others_is_not_asked_for(world: AwsWorld, make_aws: MakeAws, name: str) -> None:
    user = world.user(EVERYTHING)
    theirs = upload("theirs")
    assert sweep(
        make_aws(user),
        [Bucket(name=name, write=["out/"])],
        [upload(name, removed=True), theirs],
        journal=lambda _: None,
    ) == (theirs,)
    assert user.requests == []


def test_what_may_not_be_removed_is_left_and_said(world: AwsWorld, make_aws: MakeAws, name: str) -> None:
    user = world.user(EVERYTHING, {"Effect": "Deny", "Action": "s3:AbortMultipartUpload", "Resource": "*"})
    noted: list[Effect] = []
    left = sweep(make_aws(user), [Bucket(name=name, write=["out/"])], [upload(name)], journal=noted.append)
    assert (left, noted) == ((upload(name),), [])
