"""Prefixes are listed with few requests, what lies there is told apart, and so is what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, error, in_time_of, plain, reset
from pytest_pipeline.data.filters import Filters
from pytest_pipeline.data.listing import Names, SourceListing, Want
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.s3_listing import S3Address, list_s3
from pytest_pipeline.settings import Bucket

if TYPE_CHECKING:
    from observers.aws_world import MakeAws
    from pytest_pipeline.settings import Aws

LISTING = """<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix>in/</Prefix>{tail}
<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>{entries}</ListBucketResult>"""
DONE = "<IsTruncated>false</IsTruncated>"
ENTRY = """<Contents><Key>in/{key}</Key><LastModified>2025-07-30T10:11:12.000Z</LastModified>
<ETag>&quot;e&quot;</ETag><Size>7</Size>{more}</Contents>"""


def put(bucket: str, key: str, body: bytes = b"words", tier: str = "STANDARD") -> None:
    """Put an object past IAM and HTTP: a thousand take a moment."""
    s3: Any = s3_backends[ACCOUNT]["aws"]
    s3.put_object(bucket, key, body, storage=tier)


@pytest.fixture
def bucket(world: AwsWorld) -> str:
    name = world.name("bucket")
    world.client("s3").create_bucket(Bucket=name)
    return name


def listed(aws: Aws, uri: str, *rules: str, **more: Any) -> SourceListing:
    (came,) = list_s3(aws, {"one": Want(uri=uri, filters=Filters(rules=rules), **more)}).values()
    assert isinstance(came, SourceListing), came
    return came


def trouble(aws: Aws, uri: str, **more: Any) -> AwsTrouble:
    (came,) = list_s3(aws, {"one": Want(uri=uri)}, **more).values()
    assert isinstance(came, AwsTrouble), came
    return came


def answered(world: AwsWorld, make_aws: MakeAws, *entries: str, tail: str = DONE) -> Aws:
    """Settings of a user to whom a listing is answered as written here."""
    user = world.user(EVERYTHING)
    page = LISTING.format(tail=tail, entries="".join(entries))
    user.meets(plain(page.encode(), content_type="application/xml"))
    return make_aws(user)


# --- What lies there


def test_files_are_told_apart_from_what_is_none(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    put(bucket, "in/", b"")
    put(bucket, "in/sub/", b"")
    put(bucket, "in/_SUCCESS", b"")
    put(bucket, "in/a.jsonl", b"first")
    put(bucket, "in/sub/b.jsonl", b"second", "GLACIER_IR")
    put(bucket, "in/old.jsonl", b"third", "DEEP_ARCHIVE")
    put(bucket, "in/older.jsonl", b"fourth", "GLACIER")
    put(bucket, "in/notes.txt")
    put(bucket, "in-between/c.jsonl")
    seen = listed(make_aws(world.admin), f"s3://{bucket}/in/", "-*", "+*.jsonl", "+_*", "+*.PDF")
    assert [(kept.key, kept.uri, kept.size_bytes) for kept in seen.kept] == [
        ("a.jsonl", f"s3://{bucket}/in/a.jsonl", 5),
        ("sub/b.jsonl", f"s3://{bucket}/in/sub/b.jsonl", 6),
    ]
    assert (seen.count, seen.size_bytes, seen.folder_markers, seen.complete) == (2, 11, 2, True)
    assert seen.empty == Names(count=1, first=("_SUCCESS",))
    assert seen.archived == Names(count=2, first=("old.jsonl (DEEP_ARCHIVE)", "older.jsonl (GLACIER)"))
    assert seen.excluded == Names(count=1, first=("notes.txt",))
    assert seen.unmatched == ("+*.PDF",)


def test_version_and_time_are_those_of_the_object(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    put(bucket, "in/a.jsonl")
    head = world.client("s3").head_object(Bucket=bucket, Key="in/a.jsonl")
    (kept,) = listed(make_aws(world.admin), f"s3://{bucket}/in/").kept
    assert kept.version == head["ETag"]
    assert kept.modified_s == pytest.approx(head["LastModified"].timestamp(), abs=1.0)


@pytest.mark.parametrize("key", ["a b+c%20d&e.jsonl", "<é>\n.jsonl", "x//y.jsonl", "../up", "&amp;.jsonl", "%2F"])
def test_keys_are_what_they_are(world: AwsWorld, make_aws: MakeAws, bucket: str, key: str) -> None:
    put(bucket, f"in/{key}")
    assert [kept.key for kept in listed(make_aws(world.admin), f"s3://{bucket}/in/").kept] == [key]


def test_an_archived_object_that_is_restored_is_a_file(world: AwsWorld, make_aws: MakeAws) -> None:
    tier = "<StorageClass>GLACIER</StorageClass>"
    restoring = "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
    restored = (
        "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
        "<RestoreExpiryDate>2026-12-12T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>"
    )
    aws = answered(
        world,
        make_aws,
        ENTRY.format(key="a", more=tier),
        ENTRY.format(key="b", more=tier + restoring),
        ENTRY.format(key="c", more=tier + restored),
    )
    seen = listed(aws, "s3://b/in/")
    assert [(kept.key, kept.version) for kept in seen.kept] == [("c", '"e"')]
    assert seen.archived.first == ("a (GLACIER)", "b (GLACIER)")


def test_a_server_that_does_not_encode_keys_is_taken_at_its_word(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    page = LISTING.format(tail=DONE, entries=ENTRY.format(key="a+b%20&amp;c", more=""))
    user.meets(plain(page.replace("<EncodingType>url</EncodingType>", "").encode()))
    assert [kept.key for kept in listed(make_aws(user), "s3://b/in/").kept] == ["a+b%20&c"]


def test_an_entry_that_is_written_otherwise_is_read_all_the_same(world: AwsWorld, make_aws: MakeAws) -> None:
    written = ENTRY.format(key="a%20b", more="<StorageClass>GLACIER</StorageClass>")
    aws = answered(world, make_aws, written.replace("<Contents>", '<Contents kind="object">'))
    seen = listed(aws, "s3://b/in/")
    assert seen.archived == Names(count=1, first=("a b (GLACIER)",))


def test_an_object_alone_is_a_source_of_one(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    put(bucket, "in/a.jsonl", b"first")
    put(bucket, "in/a.jsonl.bak")
    seen = listed(make_aws(world.admin), f"s3://{bucket}/in/a.jsonl", "-*", "+a.jsonl")
    assert ([kept.key for kept in seen.kept], seen.complete) == (["a.jsonl"], True)


def test_a_prefix_without_a_slash_is_the_folder_and_not_its_neighbours(
    world: AwsWorld, make_aws: MakeAws, bucket: str
) -> None:
    put(bucket, "econ-theory/a.jsonl")
    put(bucket, "econ/b.jsonl")
    aws = make_aws(world.admin)
    assert [kept.key for kept in listed(aws, f"s3://{bucket}/econ").kept] == ["b.jsonl"]
    assert listed(aws, f"s3://{bucket}/eco").count == 0
    assert listed(aws, f"s3://{bucket}").count == 2


def test_a_bracket_in_the_prefix_does_to_filters_what_the_aws_cli_does(
    world: AwsWorld, make_aws: MakeAws, bucket: str
) -> None:
    put(bucket, "run[1]/a.txt")
    put(bucket, "run/a.txt")
    aws = make_aws(world.admin)
    assert listed(aws, f"s3://{bucket}/run[1]/", "-*").count == 1
    assert listed(aws, f"s3://{bucket}/run/", "-*").count == 0


def test_what_is_no_address_is_refused() -> None:
    for wrong in ("/in", "s3:///in", "s3://", "https://b/in"):
        with pytest.raises(ValueError, match="is no s3://bucket/prefix"):
            S3Address.of(wrong)
    assert S3Address.of("s3://b/a//b\n") == S3Address(bucket="b", key="a//b\n")


# --- How much is asked for


def test_all_pages_are_read_and_only_as_many_files_kept_as_asked(
    world: AwsWorld, make_aws: MakeAws, bucket: str
) -> None:
    for number in range(1005):
        put(bucket, f"in/{number:04}")
    user = world.user(EVERYTHING)
    seen = listed(make_aws(user), f"s3://{bucket}/in/", keep=3)
    assert (seen.count, len(seen.kept), seen.complete, len(user.requests)) == (1005, 3, True, 2)


def test_whether_there_is_one_takes_one_small_page(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    put(bucket, "in/", b"")
    for number in range(30):
        put(bucket, f"in/{number:04}")
    user = world.user(EVERYTHING)
    seen = listed(make_aws(user), f"s3://{bucket}/in/", at_most=1)
    assert (seen.count, seen.complete) == (1, False)
    (asked,) = user.requests
    assert "max-keys=21" in asked


def test_more_than_a_number_stops_at_one_more(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    for number in range(1500):
        put(bucket, f"in/{number:04}")
    user = world.user(EVERYTHING)
    seen = listed(make_aws(user), f"s3://{bucket}/in/", at_most=101, keep=0)
    assert (seen.count, seen.complete, len(user.requests)) == (101, False, 1)


def test_filters_are_looked_past_for_the_one_that_is_asked_for(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    for number in range(40):
        put(bucket, f"in/{number:04}.txt")
    put(bucket, "in/z.jsonl")
    assert listed(make_aws(world.admin), f"s3://{bucket}/in/", "-*.txt", at_most=1).count == 1


def test_a_bucket_that_the_requester_pays_for_is_asked_so(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    put(bucket, "in/a.jsonl")
    user = world.user(EVERYTHING)
    aws = make_aws(user, buckets=(Bucket(name=bucket, read=("in/",), request_payer=True),))
    sent: list[str] = []

    def look(environ: Any, start: Any) -> Any:
        sent.append(environ.get("HTTP_X_AMZ_REQUEST_PAYER", ""))
        return plain(LISTING.format(tail=DONE, entries="").encode())(environ, start)

    user.meets(look)
    listed(aws, f"s3://{bucket}/in/")
    assert sent == ["requester"]


# --- What is in the way


def test_each_source_has_its_own_answer(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    put(bucket, "in/a.jsonl")
    other = world.name("bucket")
    world.client("s3").create_bucket(Bucket=other)
    user = world.user(EVERYTHING, {"Effect": "Deny", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{other}"})
    wants = {name: Want(uri=f"s3://{where}/") for name, where in
             {"there": f"{bucket}/in", "empty": f"{bucket}/none", "denied": f"{other}/in"}.items()}  # fmt: skip
    came = list_s3(make_aws(user), wants)
    assert list(came) == ["there", "empty", "denied"]
    there, empty, denied = came.values()
    assert isinstance(there, SourceListing)
    assert isinstance(empty, SourceListing)
    assert isinstance(denied, AwsTrouble)
    assert (there.count, empty.count, empty.complete, denied.kind) == (1, 0, True, Kind.DENIED)
    assert (denied.action, denied.resource) == ("s3:ListBucket", f"arn:aws:s3:::{other}")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(403, "AccessDenied", "Access Denied"), Kind.DENIED),
        (error(404, "NoSuchBucket", "The specified bucket does not exist"), Kind.MISSING),
        (error(400, "ExpiredToken", "The provided token has expired."), Kind.EXPIRED),
        (error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"), Kind.INVALID),
        (error(503, "SlowDown", "Please reduce your request rate."), Kind.THROTTLED),
        (reset, Kind.UNREACHABLE),
    ],
)  # fmt: skip
def test_what_is_in_the_way_is_told_apart(world: AwsWorld, make_aws: MakeAws, answer: Any, kind: Kind) -> None:
    user = world.user(EVERYTHING)
    user.meets(answer)
    assert trouble(make_aws(user), "s3://b/in/").kind is kind


@pytest.mark.parametrize(
    "body",
    [
        "<html>sign in</html>",
        "",
        LISTING.format(tail="", entries=""),
        LISTING.format(tail="<IsTruncated>true</IsTruncated>", entries=""),
        LISTING.format(tail=DONE, entries="<Contents><Key>in/a</Key></Contents>"),
        LISTING.format(tail=DONE, entries=ENTRY.format(key="a", more="").replace("7", "seven")),
    ],
    ids=["page", "nothing", "no end", "no token", "no size", "no number"],
)
def test_an_answer_that_is_no_listing_is_no_empty_folder(world: AwsWorld, make_aws: MakeAws, body: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(body.encode()))
    assert trouble(make_aws(user), "s3://b/in/").kind is Kind.WRONG_ANSWER


@pytest.mark.parametrize(
    "body",
    [
        LISTING.format(tail=DONE, entries=ENTRY.format(key="a", more=""))[:-30],
        LISTING.format(tail=DONE, entries="<Contents><Key>in/a</Key>"),
    ],
    ids=["after an entry", "within an entry"],
)
def test_a_listing_that_is_cut_is_what_botocore_takes_it_for(world: AwsWorld, make_aws: MakeAws, body: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(body.encode()))
    assert trouble(make_aws(user), "s3://b/in/").kind is Kind.SERVICE_FAILED


def test_a_trouble_reads_as_everywhere_else(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"})
    seen = trouble(make_aws(user), f"s3://{bucket}/in/")
    assert seen.what.startswith(f"s3:ListBucket on arn:aws:s3:::{bucket} denied: ")
    assert '"Action": "s3:ListBucket"' in seen.remedy


def test_a_clock_that_is_off_is_a_matter_of_credentials(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(in_time_of(3600)(lambda *_: []))
    assert trouble(make_aws(user), "s3://b/in/").kind is Kind.CLOCK_SKEWED


def test_nobody_at_the_endpoint_and_no_credentials_are_troubles(
    world: AwsWorld, make_aws: MakeAws, closed_port: int, home: Any
) -> None:
    dead = make_aws(world.admin, endpoint_url=f"http://127.0.0.1:{closed_port}")
    assert trouble(dead, "s3://b/in/").kind is Kind.UNREACHABLE
    (home / "nothing").write_text("")
    assert trouble(make_aws(world.admin, credentials_file=home / "nothing"), "s3://b/in/").kind is Kind.ABSENT
    assert trouble(make_aws(world.admin, profile="nobody"), "s3://b/in/").kind is Kind.PROFILE_MISSING


def test_silence_past_the_deadline_is_a_trouble(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_pipeline.observers.s3_listing._GRACE_S", 0.0)
    user = world.user(EVERYTHING)
    user.meets(world.hang)
    seen = trouble(make_aws(user), "s3://b/in/", deadline_s=0.3)
    assert (seen.kind, seen.what) == (Kind.TIMED_OUT, "S3 timed out: no answer within 0.3 s")


def test_a_deadline_between_pages_tells_what_was_seen(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    for number in range(1005):
        put(bucket, f"in/{number:04}")
    wants = {"one": Want(uri=f"s3://{bucket}/in/", filters=Filters(rules=("-x",)))}
    (seen,) = list_s3(make_aws(world.admin), wants, deadline_s=0.0).values()
    assert isinstance(seen, SourceListing)
    assert (seen.count, seen.complete, seen.unmatched) == (1000, False, ())
