"""S3 as the pipeline uses it: what was tried, in which words it failed, and what is left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends
from pydantic import TypeAdapter

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, Tenant, error, in_time_of, plain, reset
from pytest_pipeline.observers.buckets import read_buckets, trouble_of, write_buckets
from pytest_pipeline.observers.effects import Effect
from pytest_pipeline.observers.s3_attempt import BucketAccess, S3Attempt
from pytest_pipeline.settings import Bucket

if TYPE_CHECKING:
    from collections.abc import Mapping

    from observers.aws_world import MakeAws
    from pytest_pipeline.settings import Aws

SLOW = error(503, "SlowDown", "Please reduce your request rate.")
KEY = "out/.pipeline-gate/write-test"


@pytest.fixture
def bucket(world: AwsWorld) -> str:
    """A bucket with something to read under `in/`."""
    name = world.name("bucket")
    world.client("s3").create_bucket(Bucket=name)
    put(name, "in/", b"")
    put(name, "in/part-1.jsonl", b'{"text": "words"}\n')
    return name


def put(bucket: str, key: str, body: bytes) -> None:
    """Put an object past IAM and HTTP: a thousand take a moment."""
    s3: Any = s3_backends[ACCOUNT]["aws"]
    s3.put_object(bucket, key, body)


def keys_in(world: AwsWorld, bucket: str) -> list[str]:
    return [entry["Key"] for entry in world.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


def uploads_in(world: AwsWorld, bucket: str) -> list[str]:
    uploads = world.client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads", [])
    return [upload["Key"] for upload in uploads]


def arn(bucket: str, key: str | None = None) -> str:
    return f"arn:aws:s3:::{bucket}" + ("" if key is None else f"/{key}")


def read(aws: Aws, bucket: str, *prefixes: str, **more: Any) -> list[BucketAccess]:
    return list(read_buckets(aws, [Bucket(name=bucket, read=prefixes or ("in/",), **more)]))


def write(aws: Aws, bucket: str, *prefixes: str, **more: Any) -> tuple[list[BucketAccess], list[Effect]]:
    effects: list[Effect] = []
    asked = Bucket(name=bucket, write=prefixes or ("out/",), **more)
    return list(write_buckets(aws, [asked], journal=effects.append)), effects


def steps(access: BucketAccess) -> list[tuple[str, bool]]:
    return [(attempt.action, attempt.ok) for attempt in access.attempts]


def failure(access: BucketAccess) -> S3Attempt:
    (failed,) = [attempt for attempt in access.attempts if not attempt.ok]
    return failed


def said(access: BucketAccess, aws: Aws) -> tuple[str, str]:
    trouble = trouble_of(failure(access), access, aws)
    assert trouble is not None
    return trouble.what, trouble.remedy


def but(world: AwsWorld, *denied: str, resource: str = "*") -> Tenant:
    """Make a user who may do everything but this."""
    return world.user(EVERYTHING, {"Effect": "Deny", "Action": list(denied), "Resource": resource})


def left(effects: list[Effect]) -> list[tuple[str, str]]:
    """Return what the journal knows to be left: the last word on each thing."""
    last: Mapping[tuple[str, str], Effect] = {(effect.what, effect.where): effect for effect in effects}
    return [thing for thing, effect in last.items() if not effect.removed]


# --- Reading


def test_reading_is_listing_and_getting(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    (access,) = read(make_aws(user), bucket)
    assert (access.bucket, access.identity, access.prefix) == (bucket, "operator", "in/")
    assert access.attempts == (
        S3Attempt(action="s3:ListBucket", resource=arn(bucket), ok=True, status=200, code="", message=""),
        S3Attempt(
            action="s3:GetObject", resource=arn(bucket, "in/part-1.jsonl"), ok=True, status=200, code="", message=""
        ),
    )
    assert trouble_of(access.attempts[0], access, make_aws(user)) is None
    assert not [asked for asked in user.requests if asked.startswith("HEAD")], "HeadBucket proves nothing"
    assert "Range" not in user.requests[1]


def test_each_prefix_of_each_bucket_is_looked_at_in_order(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    other = world.name("bucket")
    world.client("s3").create_bucket(Bucket=other)
    put(bucket, "b/x", b"x")
    wanted = [
        Bucket(name=other, read=["q/"]),
        Bucket(name=bucket, read=["in/", "b/"]),
        Bucket(name=other, write=["w/"]),
    ]
    accesses = read_buckets(make_aws(world.admin), wanted)
    assert [(access.bucket, access.prefix) for access in accesses] == [(other, "q/"), (bucket, "in/"), (bucket, "b/")]
    assert all(attempt.ok for access in accesses for attempt in access.attempts)


def test_folder_markers_and_empty_objects_are_nothing_to_read(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    for key in ("in/-/", "in/-empty"):
        put(bucket, key, b"")
    (access,) = read(make_aws(world.admin), bucket)
    assert access.attempts[1].resource == arn(bucket, "in/part-1.jsonl")


def test_a_listing_is_followed_over_its_pages(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    for number in range(1001):
        put(bucket, f"many/{number:05}/", b"")
    put(bucket, "many/real", b"x")
    (access,) = read(make_aws(world.admin), bucket, "many/")
    assert steps(access) == [("s3:ListBucket", True), ("s3:GetObject", True)]
    assert access.attempts[1].resource == arn(bucket, "many/real")
    assert access.attempts[0].retries == 0, "a second page is no retry"


def test_an_empty_prefix_is_proven_by_a_key_that_is_not_there(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    put(bucket, "none/", b"")
    (access,) = read(make_aws(world.admin), bucket, "none/")
    assert steps(access) == [("s3:ListBucket", True), ("s3:GetObject", True)]
    assert access.attempts[0].message == "no object with content among 1 keys"
    assert access.attempts[1].resource.startswith(arn(bucket, "none/.pipeline-gate-"))


def test_an_endless_listing_ends_and_says_so(
    world: AwsWorld, make_aws: MakeAws, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_pipeline.observers.s3_reading._MOST_PAGES", 1)
    for number in range(1001):
        put(bucket, f"many/{number:05}/", b"")
    (access,) = read(make_aws(world.admin), bucket, "many/")
    assert access.attempts[0].message == "no object with content among 1000 keys, and there are more"
    assert access.attempts[1].ok


def test_an_archived_object_is_read_only_if_there_is_no_other(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    s3 = world.client("s3")
    s3.put_object(Bucket=bucket, Key="cold/a", Body=b"x", StorageClass="GLACIER")
    aws = make_aws(world.admin)
    (access,) = read(aws, bucket, "cold/")
    assert failure(access).code == "InvalidObjectState"
    assert failure(access).resource == arn(bucket, "cold/a")
    s3.put_object(Bucket=bucket, Key="cold/b", Body=b"x")
    (access,) = read(aws, bucket, "cold/")
    assert access.attempts[1].resource == arn(bucket, "cold/b")
    assert access.attempts[1].ok


def test_a_requester_who_pays_says_so(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    headers: list[str | None] = []

    def note(environ: Any, start: Any) -> Any:
        headers.append(environ.get("HTTP_X_AMZ_REQUEST_PAYER"))
        return plain()(environ, start)

    user.meets(note)
    read(make_aws(user), bucket, request_payer=True)
    read(make_aws(user), bucket)
    assert headers == ["requester", None]


def test_listing_denied_says_nothing_of_getting(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(but(world, "s3:ListBucket"))
    (access,) = read(aws, bucket)
    assert steps(access) == [("s3:ListBucket", False)]
    assert failure(access).denied
    assert said(access, aws) == (
        f"s3:ListBucket on {arn(bucket)} denied: AccessDenied: Access Denied",
        f'add to the policy: {{"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "{arn(bucket)}"}}',
    )


@pytest.mark.parametrize("prefix", ["in/", "none/"], ids=["with objects", "empty"])
def test_getting_denied_is_found_although_listing_is_allowed(
    world: AwsWorld, make_aws: MakeAws, bucket: str, prefix: str
) -> None:
    aws = make_aws(but(world, "s3:GetObject", resource=f"{arn(bucket)}/{prefix}*"))
    (access,) = read(aws, bucket, prefix)
    assert steps(access) == [("s3:ListBucket", True), ("s3:GetObject", False)]
    what, remedy = said(access, aws)
    assert what == f"s3:GetObject on {failure(access).resource} denied: AccessDenied: Access Denied"
    assert remedy == (
        f'add to the policy: {{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "{arn(bucket)}/{prefix}*"}}'
    )


def test_a_key_that_cannot_be_decrypted_names_kms(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    denial = (
        "User: arn:aws:iam::123456789012:user/jo is not authorized to perform: kms:Decrypt on resource: "
        "arn:aws:kms:us-east-1:123456789012:key/k because no identity-based policy allows the kms:Decrypt action"
    )
    user.meets(error(403, "AccessDenied", denial), where="part-1")
    aws = make_aws(user)
    (access,) = read(aws, bucket)
    failed = failure(access)
    assert (failed.action, failed.resource) == ("kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/k")
    assert said(access, aws)[1] == (
        'add to the policy of arn:aws:iam::123456789012:user/jo: {"Effect": "Allow", "Action": "kms:Decrypt", '
        '"Resource": "arn:aws:kms:us-east-1:123456789012:key/k"}'
    )


def test_a_bucket_that_is_not_there_is_asked_for_once(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    aws, name = make_aws(user), world.name("nowhere")
    first, second = read(aws, name, "a/", "b/")
    assert len(user.requests) == 1
    assert first.attempts == second.attempts
    assert said(second, aws) == (
        f"NoSuchBucket: The specified bucket does not exist ({arn(name)})",
        f"correct aws.buckets, or: AWS_SHARED_CREDENTIALS_FILE={aws.credentials_file} aws s3 mb s3://{name} "
        "--region us-east-1 --profile default",
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (plain(), "a 200 without the fields of a listing"),
        (plain(b"<A/>", content_type="application/xml"), "a 200 without the fields of a listing"),
        (
            plain(b"<A><IsTruncated>true</IsTruncated></A>", content_type="application/xml"),
            "a listing that is cut off, without the token to go on",
        ),
    ],
    ids=["empty", "not a listing", "no token"],
)
def test_a_good_status_without_a_listing_is_no_success(
    world: AwsWorld, make_aws: MakeAws, bucket: str, answer: Any, words: str
) -> None:
    user = world.user(EVERYTHING)
    user.meets(answer)
    aws = make_aws(user)
    (access,) = read(aws, bucket)
    assert (failure(access).status, failure(access).code, failure(access).message) == (200, "WrongAnswer", words)
    assert said(access, aws) == (
        f"S3 gave a wrong answer: {words}",
        "something answers in AWS's place or changes it: check HTTPS_PROXY and aws.endpoint_url",
    )


@pytest.mark.parametrize("key", ["part-1", "pipeline-gate"], ids=["a real object", "an absent key"])
def test_a_good_status_without_a_byte_is_no_success(world: AwsWorld, make_aws: MakeAws, bucket: str, key: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(), where=key)
    (access,) = read(make_aws(user), bucket, "in/" if key == "part-1" else "none/")
    assert failure(access).code == "WrongAnswer"
    assert failure(access).action == "s3:GetObject"


@pytest.mark.usefixtures("no_pause")
def test_two_refusals_and_then_an_answer_is_a_success_with_two_retries(
    world: AwsWorld, make_aws: MakeAws, bucket: str
) -> None:
    user = world.user(EVERYTHING)
    user.meets(SLOW, times=2)
    (access,) = read(make_aws(user, attempts=3), bucket)
    assert [(attempt.ok, attempt.retries) for attempt in access.attempts] == [(True, 2), (True, 0)]


@pytest.mark.usefixtures("no_pause")
def test_refusals_without_end_say_how_often_it_was_tried(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(SLOW)
    aws = make_aws(user, attempts=3)
    (access,) = read(aws, bucket)
    assert (failure(access).status, failure(access).code, failure(access).retries) == (503, "SlowDown", 2)
    assert said(access, aws) == (
        "SlowDown: Please reduce your request rate. (3 attempts)",
        "run again in a minute; if it stays, raise aws.attempts",
    )


@pytest.mark.usefixtures("no_pause")
def test_a_connection_that_is_reset_once_is_a_retry(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(reset, times=1)
    (access,) = read(make_aws(user, attempts=2), bucket)
    assert [(attempt.ok, attempt.retries) for attempt in access.attempts] == [(True, 1), (True, 0)]


def test_a_connection_that_is_always_reset(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(reset)
    aws = make_aws(user)
    (access,) = read(aws, bucket)
    assert (failure(access).status, failure(access).code) == (0, "ConnectionClosedError")
    assert said(access, aws)[0] == (
        "cannot reach S3: Connection was closed before we received a valid response from endpoint "
        f'URL: "{world.url}/{bucket}".'
    )


def test_silence_is_met_once_for_all_prefixes(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(world.hang)
    aws = make_aws(user, read_timeout_s=0.1)
    accesses = read(aws, bucket, "in/", "b/", "c/")
    assert len(user.requests) == 1
    for access in accesses:
        assert (failure(access).status, failure(access).code) == (0, "ReadTimeoutError")
        assert said(access, aws)[0] == (
            f'S3 timed out after 0.1 s (1 attempt): Read timeout on endpoint URL: "{world.url}/{bucket}"'
        )


def test_the_deadline_keeps_what_was_seen_before(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(world.hang, where="prefix=b")
    aws = make_aws(user)
    healthy = Bucket(name=bucket, read=["in/"])
    slow = Bucket(name=bucket, read=["in/", "b/", "c/"])
    first, seen, late, never = read_buckets(aws, [healthy, slow], deadline_s=1.0)
    assert steps(first) == steps(seen) == [("s3:ListBucket", True), ("s3:GetObject", True)]
    for access in (late, never):
        assert said(access, aws)[0] == "S3 timed out: no answer within 1 s"
        assert failure(access).code == "TimeoutError"


def test_s3_that_cannot_be_reached(world: AwsWorld, make_aws: MakeAws, bucket: str, closed_port: int) -> None:
    aws = make_aws(world.admin, endpoint_url=f"http://127.0.0.1:{closed_port}")
    (access,) = read(aws, bucket)
    assert said(access, aws)[0].startswith("cannot reach S3: Could not connect to the endpoint")


@pytest.mark.parametrize(
    ("headers", "inner"),
    [({"x-amz-bucket-region": "eu-west-1"}, ""), ({}, "<Region>eu-west-1</Region>")],
    ids=["in a header", "in the body"],
)
def test_a_bucket_in_another_region_is_followed_and_named(
    world: AwsWorld, make_aws: MakeAws, bucket: str, headers: dict[str, str], inner: str
) -> None:
    user = world.user(EVERYTHING)
    elsewhere = error(301, "PermanentRedirect", "Use the endpoint.", more=inner, headers=headers)
    user.meets(elsewhere, elsewhere_than="/eu-west-1/")
    (access,) = read(make_aws(user), bucket)
    assert [(attempt.ok, attempt.retries) for attempt in access.attempts] == [(True, 0), (True, 0)]
    assert access.attempts[0].region == "eu-west-1"


def test_a_bucket_that_cannot_be_followed_names_its_region(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(301, "PermanentRedirect", "Use the endpoint.", headers={"x-amz-bucket-region": "eu-west-1"}))
    aws = make_aws(user)
    (access,) = read(aws, bucket)
    assert said(access, aws) == (
        f"{arn(bucket)} is in eu-west-1, not in us-east-1: PermanentRedirect: Use the endpoint.",
        'set region = "eu-west-1" for this bucket in aws.buckets',
    )


def test_a_redirect_to_nowhere_ends(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    # Botocore would ask by HeadBucket, be redirected, ask by HeadBucket...
    user = world.user(EVERYTHING)
    user.meets(error(301, "PermanentRedirect", "Use the endpoint."))
    (access,) = read(make_aws(user), bucket)
    assert failure(access).code == "PermanentRedirect"
    assert len(user.requests) == 1


def test_a_buckets_own_region_is_used(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(400, "AuthorizationHeaderMalformed", "Not here."), elsewhere_than="/ap-south-1/")
    (access,) = read(make_aws(user), bucket, region="ap-south-1")
    assert all(attempt.ok for attempt in access.attempts)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            error(400, "ExpiredToken", "The provided token has expired."),
            "ExpiredToken: The provided token has expired.",
        ),
        (in_time_of(7200)(lambda *_: []), "clock off by more than 300 s: RequestTimeTooSkewed: The difference between"),
    ],
    ids=["expired", "skewed"],
)
def test_bad_credentials_are_not_taken_for_denials(
    world: AwsWorld, make_aws: MakeAws, bucket: str, answer: Any, words: str
) -> None:
    user = world.user(EVERYTHING)
    user.meets(answer)
    aws = make_aws(user)
    first, second = read(aws, bucket, "in/", "b/")
    assert len(user.requests) == 1
    assert not failure(first).denied
    trouble = trouble_of(failure(second), second, aws)
    assert trouble is not None
    assert trouble.is_credentials
    assert trouble.what.startswith(words)


def test_without_a_session_every_prefix_says_why(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(world.admin, profile="nobody")
    for access in (*read(aws, bucket, "in/", "b/"), *write(aws, bucket)[0]):
        trouble = trouble_of(failure(access), access, aws)
        assert trouble is not None
        assert trouble.is_credentials
        assert "The config profile (nobody) could not be found" in trouble.what
        assert trouble.remedy.endswith("aws configure --profile nobody")


def test_what_the_host_met_is_mended_on_the_host(world: AwsWorld, make_aws: MakeAws) -> None:
    attempt = S3Attempt(
        action="s3:ListBucket", resource=arn("b"), ok=False, status=400, code="ExpiredToken", message="It has expired."
    )
    access = BucketAccess(bucket="b", identity="host", prefix="in/", attempts=(attempt,))
    trouble = trouble_of(attempt, access, make_aws(world.admin))
    assert trouble is not None
    assert (trouble.what, trouble.remedy) == (
        "ExpiredToken: It has expired.",
        "on the host: aws sts get-caller-identity",
    )


# --- Writing


def test_writing_is_putting_reading_back_and_beginning_a_multipart_upload(
    world: AwsWorld, make_aws: MakeAws, bucket: str
) -> None:
    (access,), effects = write(make_aws(world.admin), bucket)
    assert (access.bucket, access.identity, access.prefix) == (bucket, "operator", "out/")
    assert steps(access) == [
        ("s3:PutObject", True),
        ("s3:GetObject", True),
        ("s3:PutObject", True),
        ("s3:AbortMultipartUpload", True),
    ]
    assert {attempt.resource for attempt in access.attempts} == {arn(bucket, KEY)}
    assert KEY in keys_in(world, bucket), "it stays: the pipeline does not delete here"
    assert uploads_in(world, bucket) == []
    assert left(effects) == [("s3 object", f"s3://{bucket}/{KEY}")]


def test_the_one_key_is_overwritten(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(world.admin)
    bodies = []
    for _ in range(2):
        write(aws, bucket)
        bodies.append(world.client("s3").get_object(Bucket=bucket, Key=KEY)["Body"].read())
    assert bodies[0] != bodies[1], "an old object read back would pass for a new one"
    assert [key for key in keys_in(world, bucket) if "pipeline-gate" in key] == [KEY]


def test_where_the_pipeline_deletes_so_does_the_test(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    (access,), effects = write(make_aws(world.admin), bucket, actions=["s3:DeleteObject"])
    assert steps(access)[-1] == ("s3:DeleteObject", True)
    assert access.attempts[-1].retries == 0, "looking whether it is gone is no retry"
    assert KEY not in keys_in(world, bucket)
    assert left(effects) == []


def test_an_effect_is_noted_before_it_is_made(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    order: list[str] = []

    def note(environ: Any, start: Any) -> Any:
        order.append(environ["REQUEST_METHOD"])
        return plain()(environ, start)

    user.meets(note)
    asked = Bucket(name=bucket, write=["out/"])
    write_buckets(make_aws(user), [asked], journal=lambda effect: order.append(effect.what))
    assert order[:2] == ["s3 object", "PUT"]


def test_further_prefixes_are_proven_without_an_object(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    accesses, effects = write(make_aws(world.admin), bucket, "out/", "models", "logs/run-")
    assert [access.prefix for access in accesses] == ["out/", "models", "logs/run-"]
    for access in accesses[1:]:
        assert steps(access) == [("s3:PutObject", True), ("s3:AbortMultipartUpload", True)]
    assert accesses[1].attempts[0].resource == arn(bucket, "models/.pipeline-gate/write-test")
    assert accesses[2].attempts[0].resource == arn(bucket, "logs/run-/.pipeline-gate/write-test")
    assert keys_in(world, bucket) == ["in/", "in/part-1.jsonl", KEY]
    assert uploads_in(world, bucket) == []
    assert left(effects) == [("s3 object", f"s3://{bucket}/{KEY}")]


def test_a_denial_at_one_prefix_is_that_prefixs(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(but(world, "s3:PutObject", "s3:CreateMultipartUpload", resource=f"{arn(bucket)}/models/*"))
    (whole, models), effects = write(aws, bucket, "out/", "models/")
    assert all(attempt.ok for attempt in whole.attempts)
    assert steps(models) == [("s3:PutObject", False)]
    assert failure(models).message == "CreateMultipartUpload: Access Denied"
    assert said(models, aws)[1] == (
        f'add to the policy: {{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "{arn(bucket)}/models/*"}}'
    )
    assert left(effects) == [("s3 object", f"s3://{bucket}/{KEY}")], "what was refused was not made"


def test_a_probe_key_of_its_own_is_used_beside_the_prefix(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    (access,), effects = write(make_aws(world.admin), bucket, probe_key="tmp/gate")
    assert {attempt.resource for attempt in access.attempts} == {arn(bucket, KEY), arn(bucket, "tmp/gate")}
    assert "tmp/gate" in keys_in(world, bucket)
    assert KEY not in keys_in(world, bucket)
    assert left(effects) == [("s3 object", f"s3://{bucket}/tmp/gate")]


def test_putting_denied(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(but(world, "s3:PutObject"))
    (access,), effects = write(aws, bucket)
    assert steps(access) == [("s3:PutObject", False)]
    assert said(access, aws) == (
        f"s3:PutObject on {arn(bucket, KEY)} denied: AccessDenied: Access Denied",
        f'add to the policy: {{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "{arn(bucket)}/out/*"}}',
    )
    assert left(effects) == []


def test_what_may_have_been_made_is_left_in_the_journal(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(reset, method="PUT")
    _, effects = write(make_aws(user), bucket)
    assert left(effects) == [("s3 object", f"s3://{bucket}/{KEY}")]


def test_deleting_denied_leaves_the_object_and_says_so(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(but(world, "s3:DeleteObject"))
    (access,), effects = write(aws, bucket, actions=["s3:DeleteObject"])
    assert steps(access)[-1] == ("s3:DeleteObject", False)
    assert said(access, aws)[0] == f"s3:DeleteObject on {arn(bucket, KEY)} denied: AccessDenied: Access Denied"
    assert left(effects) == [("s3 object", f"s3://{bucket}/{KEY}")]
    (access,), _ = write(aws, bucket)
    assert all(attempt.ok for attempt in access.attempts), "nobody needs to delete where the pipeline does not"


def test_a_delete_that_does_not_delete_is_found(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(status=204), method="DELETE", where="write-test.* $|write-test\\? $")
    (access,), effects = write(make_aws(user), bucket, actions=["s3:DeleteObject"])
    assert failure(access).action == "s3:DeleteObject"
    assert failure(access).message == f"{KEY} is answered with 200 although it is not there"
    assert left(effects) == [("s3 object", f"s3://{bucket}/{KEY}")]


def test_a_multipart_upload_that_is_denied(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(403, "AccessDenied", "Access Denied"), method="POST", where="uploads")
    (access,), effects = write(make_aws(user), bucket)
    assert (failure(access).action, failure(access).message) == ("s3:PutObject", "CreateMultipartUpload: Access Denied")
    assert left(effects) == [("s3 object", f"s3://{bucket}/{KEY}")]


def test_an_upload_that_may_not_be_aborted_is_left_and_said(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(but(world, "s3:AbortMultipartUpload"))
    (access,), effects = write(aws, bucket)
    assert all(attempt.ok for attempt in access.attempts), "only the gate wanted to abort"
    where = f"s3://{bucket}/{KEY}"
    assert access.attempts[-1].message == (
        f"the upload that was begun at {where} is left: s3:AbortMultipartUpload on {arn(bucket, KEY)} denied"
    )
    assert left(effects) == [("s3 object", where), ("s3 multipart upload", where)]
    (access,), _ = write(aws, bucket, actions=["s3:AbortMultipartUpload"])
    assert failure(access).action == "s3:AbortMultipartUpload"


def test_an_abort_that_gets_no_answer_is_a_failure(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(reset, method="DELETE")
    (access,), effects = write(make_aws(user), bucket)
    assert (failure(access).action, failure(access).code) == ("s3:AbortMultipartUpload", "ConnectionClosedError")
    assert ("s3 multipart upload", f"s3://{bucket}/{KEY}") in left(effects)


def test_reading_back_is_needed_only_where_the_pipeline_reads(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    aws = make_aws(but(world, "s3:GetObject"))
    (access,), _ = write(aws, bucket)
    assert all(attempt.ok for attempt in access.attempts)
    assert access.attempts[0].message == f"not read back: s3:GetObject on {arn(bucket, KEY)} denied"
    for more in ({"read": ["out/"]}, {"actions": ["s3:GetObject"]}):
        (access,), _ = write(aws, bucket, **more)
        assert failure(access).action == "s3:GetObject"
        assert failure(access).message == "reading back: Access Denied"


def test_what_is_read_back_must_be_what_was_written(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(b"pytest-pipeline write tesT"), method="GET", where="write-test")
    aws = make_aws(user)
    (access,), _ = write(aws, bucket)
    assert (
        said(access, aws)[0]
        == "S3 gave a wrong answer: reading back: read-back differs: wrote 60 bytes, read 26 others"
    )


def test_another_gate_at_the_same_key_is_no_corruption(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    theirs = b"pytest-pipeline write test " + b"0" * 32 + b"\n"
    user.meets(plain(theirs, content_type="text/plain"), method="GET", where="write-test")
    (access,), _ = write(make_aws(user), bucket)
    assert all(attempt.ok for attempt in access.attempts)


@pytest.mark.parametrize(("method", "words"), [("PUT", "a 200 without an ETag"), ("POST", "a 200 without an UploadId")])
def test_a_good_status_without_the_fields_of_a_write_is_no_success(
    world: AwsWorld, make_aws: MakeAws, bucket: str, method: str, words: str
) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(), method=method)
    (access,), _ = write(make_aws(user), bucket)
    assert failure(access).code == "WrongAnswer"
    assert words in failure(access).message


def test_the_key_of_the_settings_encrypts(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    seen: list[tuple[str, str, str]] = []

    def note(environ: Any, start: Any) -> Any:
        names = ("SERVER_SIDE_ENCRYPTION", "SERVER_SIDE_ENCRYPTION_AWS_KMS_KEY_ID", "REQUEST_PAYER")
        seen.append(tuple(environ.get(f"HTTP_X_AMZ_{name}", "") for name in names))
        return plain()(environ, start)

    user.meets(note, method="PUT")
    write(make_aws(user), bucket, kms_key="alias/models", request_payer=True)
    write(make_aws(user), bucket)
    assert seen == [("aws:kms", "alias/models", "requester"), ("", "", "")]


def test_a_versioned_bucket_is_as_good_as_any(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    world.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    (access,), effects = write(make_aws(world.admin), bucket, actions=["s3:DeleteObject"])
    assert all(attempt.ok for attempt in access.attempts)
    assert left(effects) == []


def test_a_bucket_without_write_prefixes_is_left_alone(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    assert write_buckets(make_aws(user), [Bucket(name=bucket, read=["in/"])], journal=lambda _: None) == ()
    assert user.requests == []


def test_it_survives_the_way_through_json(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    both: TypeAdapter[Any] = TypeAdapter(tuple[BucketAccess, ...])
    effect: TypeAdapter[Effect] = TypeAdapter(Effect)
    accesses, effects = write(make_aws(but(world, "s3:DeleteObject")), bucket, actions=["s3:DeleteObject"])
    assert both.validate_json(both.dump_json(tuple(accesses))) == tuple(accesses)
    assert [effect.validate_json(effect.dump_json(one)) for one in effects] == effects
