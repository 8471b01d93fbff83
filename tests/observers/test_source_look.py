"""Sources are listed where they lie, and what is in the way is told to the row that answers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends
from pydantic import TypeAdapter

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, error
from pytest_pipeline.data.listing import Names, SourceListing
from pytest_pipeline.observers.source_look import look_at_sources
from pytest_pipeline.outcome import Reading
from pytest_pipeline.settings import Aws, Bucket, Data, Settings, Source

if TYPE_CHECKING:
    from pathlib import Path

    from observers.aws_world import MakeAws

DENIED = error(403, "AccessDenied", "Access Denied")
ANSWER: TypeAdapter[Any] = TypeAdapter(Reading[dict[str, Reading[SourceListing]]])


@pytest.fixture
def bucket(world: AwsWorld) -> str:
    name = world.name("bucket")
    world.client("s3").create_bucket(Bucket=name)
    return name


def put(bucket: str, key: str, body: bytes = b"words", tier: str = "STANDARD") -> None:
    s3: Any = s3_backends[ACCOUNT]["aws"]
    s3.put_object(bucket, key, body, storage=tier)


def looked(*sources: dict[str, Any], aws: Aws | None = None) -> dict[str, Reading[SourceListing]]:
    """Look, and make sure that what was seen survives being stored."""
    seen = look_at_sources(Settings(aws=aws or Aws(), data=Data(sources=[Source(**one) for one in sources])))
    stored = ANSWER.validate_json(ANSWER.dump_json(Reading.of(seen)))
    assert stored == Reading.of(seen)
    return seen


def test_sources_of_both_kinds_are_listed_by_name(
    world: AwsWorld, make_aws: MakeAws, bucket: str, tmp_path: Path
) -> None:
    put(bucket, "trade/")
    put(bucket, "trade/a.jsonl")
    put(bucket, "trade/b.jsonl", b"")
    put(bucket, "trade/old.jsonl", tier="GLACIER")
    put(bucket, "trade/processed/c.jsonl")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "d.pdf").write_bytes(b"words")

    seen = looked(
        {"name": "trade", "uri": f"s3://{bucket}/trade/", "filters": ["-processed/*", "-nothing/*"]},
        {"name": "here", "uri": str(tmp_path / "here")},
        {"name": "absent", "uri": f"s3://{bucket}/absent/"},
        aws=make_aws(world.admin),
    )

    assert [*seen] == ["trade", "here", "absent"]
    trade = seen["trade"].value
    assert (trade.count, trade.size_bytes, trade.folder_markers, trade.complete) == (1, 5, 1, True)
    assert (trade.empty, trade.archived) == (
        Names(count=1, first=("b.jsonl",)),
        Names(count=1, first=("old.jsonl (GLACIER)",)),
    )
    assert (trade.excluded.count, trade.unmatched) == (1, ("-nothing/*",))
    assert (seen["here"].value.count, seen["absent"].value.count) == (1, 0)


def test_few_names_are_kept_of_many_files(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"{number}.jsonl").write_bytes(b"words")

    listing = looked({"name": "here", "uri": str(tmp_path)})["here"].value

    assert (listing.count, len(listing.kept)) == (40, 5)


def test_the_filters_mean_what_the_settings_say(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.tmp"):
        (tmp_path / name).write_bytes(b"words")
    rules = {"uri": str(tmp_path), "filters": ["+*.jsonl"]}

    seen = looked({"name": "aws", **rules}, {"name": "wins", **rules, "filters_meaning": "exclude-wins"})

    assert (seen["aws"].value.count, seen["wins"].value.count) == (2, 1)


def test_a_folder_of_the_users_home_is_found(home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "a.jsonl").write_bytes(b"words")

    assert looked({"name": "home", "uri": "~/data"})["home"].value.count == 1


def test_a_folder_that_is_not_there_is_told_and_no_empty_one(tmp_path: Path) -> None:
    uri = str(tmp_path / "absent")

    assert looked({"name": "absent", "uri": uri})["absent"] == Reading.missing(
        f"{uri}: No such file or directory", by="data-sources"
    )


def test_without_sources_there_is_nothing() -> None:
    assert looked() == {}


class TestWhoAnswers:
    """Each trouble has one owner."""

    def missing(self, world: AwsWorld, make_aws: MakeAws, bucket: str, answer: Any = DENIED, **more: Any) -> Any:
        user = world.user(EVERYTHING)
        user.meets(answer, service="s3")
        seen = looked({"name": "in", "uri": f"s3://{bucket}/in/"}, aws=make_aws(user, **more))["in"]
        assert not seen.is_known
        return seen

    def test_a_bucket_that_the_row_of_buckets_looks_at_is_its_affair(
        self, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        named = Bucket(name=bucket, read=("in/",), from_=("operator",))
        seen = self.missing(world, make_aws, bucket, buckets=(named,))

        assert seen.by == "s3-read"
        assert seen.reason.startswith(f"s3:ListBucket on arn:aws:s3:::{bucket} denied: AccessDenied: Access Denied")

    @pytest.mark.parametrize("read", [None, ("out/",)])
    def test_one_that_no_other_row_looks_at_is_the_sources_own(
        self, world: AwsWorld, make_aws: MakeAws, bucket: str, read: Any
    ) -> None:
        """Blocked by a row that passes, each source, file and archive would be a failure of its own."""
        buckets = (Bucket(name=bucket, read=read, from_=("operator",)),) if read else ()

        assert self.missing(world, make_aws, bucket, buckets=buckets).by == "data-sources"

    def test_one_that_is_denied_to_the_operator_alone_is_a_matter_of_settings(
        self, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        hosts = Bucket(name=bucket, read=("in/",), from_=("host",))
        seen = self.missing(world, make_aws, bucket, buckets=(hosts,))

        assert seen.by == "settings"
        assert seen.reason.startswith(f"s3://{bucket}/in/ is looked at as the operator, who cannot: s3:ListBucket on ")
        assert seen.reason.endswith("; let the operator read it too")

    def test_one_of_the_hosts_that_does_not_exist_is_no_matter_of_settings(
        self, world: AwsWorld, make_aws: MakeAws, bucket: str
    ) -> None:
        hosts = Bucket(name=bucket, read=("in/",), from_=("host",))
        gone = error(404, "NoSuchBucket", "The specified bucket does not exist")

        assert self.missing(world, make_aws, bucket, gone, buckets=(hosts,)).by == "s3-read"

    @pytest.mark.parametrize("code", ["ExpiredToken", "InvalidAccessKeyId"])
    def test_credentials_are_their_own_rows_affair(
        self, world: AwsWorld, make_aws: MakeAws, bucket: str, code: str
    ) -> None:
        hosts = Bucket(name=bucket, read=("in/",), from_=("host",))
        seen = self.missing(world, make_aws, bucket, error(403, code, "It is not valid"), buckets=(hosts,))

        assert seen.by == "aws-credentials"
        assert world.admin.secret not in seen.reason

    def test_one_bad_source_leaves_the_others(
        self, world: AwsWorld, make_aws: MakeAws, bucket: str, tmp_path: Path
    ) -> None:
        user = world.user(EVERYTHING)
        user.meets(DENIED, where="prefix=bad")
        put(bucket, "good/a.jsonl")
        (tmp_path / "a.jsonl").write_bytes(b"words")

        seen = looked(
            {"name": "bad", "uri": f"s3://{bucket}/bad/"},
            {"name": "good", "uri": f"s3://{bucket}/good/"},
            {"name": "here", "uri": str(tmp_path / "a.jsonl")},
            aws=make_aws(user),
        )

        assert {name: one.is_known for name, one in seen.items()} == {"bad": False, "good": True, "here": True}
