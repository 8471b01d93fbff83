"""Which objects a download is measured with: the pipeline's own, large ones, and the reason where there are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from observers.aws_world import EVERYTHING
from pytest_pipeline.data.spans import DataFile
from pytest_pipeline.observers.download_objects import LEAST_BYTES, signed_objects, to_measure
from pytest_pipeline.settings import Data, Requirements, Settings

if TYPE_CHECKING:
    from observers.aws_world import AwsWorld, MakeAws

NAMED = "data.sources, data.train or requirements.model.source: 8,388,608 bytes in S3 at least"


def file(name: str, size_bytes: int) -> DataFile:
    return DataFile(uri=f"s3://b/{name}", size_bytes=size_bytes)


def test_each_file_is_measured_with_once_the_largest_first() -> None:
    small, middle, large = file("a", 1), file("c", 5), file("b", 7)
    assert to_measure([small, large, middle, large]) == [large, middle, small]


def test_small_files_are_left_out_where_there_are_large_ones() -> None:
    large, part = file("large", LEAST_BYTES), file("part", LEAST_BYTES - 1)
    assert to_measure([part, large]) == [large]
    assert to_measure([part, file("other", LEAST_BYTES - 1)])[0] == file("other", LEAST_BYTES - 1)


def test_no_more_than_a_few_are_signed() -> None:
    assert len(to_measure([file(str(n), LEAST_BYTES + n) for n in range(1000)])) == 64


@pytest.fixture
def name(world: AwsWorld) -> str:
    """A bucket with a model, a large file of training data, and what a source leaves out."""
    name = world.name("objects")
    s3 = world.client("s3")
    s3.create_bucket(Bucket=name)
    for key, size_bytes in (
        ("model/weights.bin", LEAST_BYTES + 1),
        ("train/all.jsonl", LEAST_BYTES),
        ("source/a.jsonl", LEAST_BYTES + 2),
        ("source/a.tmp", LEAST_BYTES + 3),
        ("small/a.jsonl", 10),
    ):
        s3.put_object(Bucket=name, Key=key, Body=bytes(size_bytes))
    return name


def settings(world: AwsWorld, make_aws: MakeAws, *, model: str | None = None, **data: Any) -> Settings:
    needs: dict[str, Any] = {"model": {"name": "M", "path": "/m", "source": model}} if model else {}
    return Settings(aws=make_aws(world.user(EVERYTHING)), data=Data(**data), requirements=Requirements(**needs))


def test_sources_training_data_and_the_model_are_signed(world: AwsWorld, make_aws: MakeAws, name: str) -> None:
    sources = [{"name": "s", "uri": f"s3://{name}/source/", "filters": ["-*", "+*.jsonl"]}]
    sources += [{"name": "here", "uri": "/somewhere/else"}]
    given = settings(
        world, make_aws, sources=sources, train=[f"s3://{name}/train/all.jsonl"], model=f"s3://{name}/model/"
    )
    signed = signed_objects(given).value
    assert [(one.uri, one.size_bytes) for one in signed] == [
        (f"s3://{name}/source/a.jsonl", LEAST_BYTES + 2),
        (f"s3://{name}/model/weights.bin", LEAST_BYTES + 1),
        (f"s3://{name}/train/all.jsonl", LEAST_BYTES),
    ]
    assert all("X-Amz-Signature=" in one.url.get_secret_value() for one in signed)


def test_too_little_is_blocked_by_the_settings(world: AwsWorld, make_aws: MakeAws, name: str) -> None:
    few = signed_objects(settings(world, make_aws, train=[f"s3://{name}/small/"]))
    assert (few.reason, few.by) == (f"{NAMED} (10 bytes in S3 are too few to measure a speed with)", "settings")
    none = signed_objects(settings(world, make_aws, train=["/somewhere/else.jsonl"], model="hf://mistral"))
    assert (none.reason, none.by) == (f"{NAMED} (nothing in S3 is named)", "settings")


def test_what_cannot_be_listed_is_the_reason_only_where_the_rest_is_too_little(
    world: AwsWorld, make_aws: MakeAws, name: str
) -> None:
    missing = f"s3://{world.name('none')}/data/"
    enough = signed_objects(settings(world, make_aws, train=[missing, f"s3://{name}/train/"]))
    assert [one.uri for one in enough.value] == [f"s3://{name}/train/all.jsonl"]
    unseen = signed_objects(settings(world, make_aws, train=[missing, f"s3://{name}/small/"]))
    assert unseen.by == "data-format"
    assert "NoSuchBucket" in unseen.reason or "does not exist" in unseen.reason
