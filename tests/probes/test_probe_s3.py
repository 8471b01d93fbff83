"""S3 as the host sees it: what is asked, in which order, and what each answer comes to."""

from __future__ import annotations

import datetime as dt
import socket
import time
from typing import TYPE_CHECKING, Any

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from http_script import Answer, Asked, Server, answering
from probe_parts import part, parts

from pytest_pipeline.observers.host_request import BucketRequest, S3Request, _s3

if TYPE_CHECKING:
    from collections.abc import Callable

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # of the AWS documents


@pytest.fixture(autouse=True)
def host_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The environment of a host with credentials, and nothing of ours."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)


def ask(url: str, bucket: BucketRequest, *, effects: bool = False, attempts: int = 3, timeout_s: float = 5.0) -> Any:
    request = S3Request(
        buckets=(bucket,), endpoint_url=url, network_credentials=False, attempts=attempts, timeout_s=timeout_s
    )
    answer = part("s3").read(_s3(request, "c0ffee", 20.0, effects=effects), parts())
    assert (answer["source"], answer["key_ends"]) == ("environment", "MPLE")
    return answer["access"]


def attempts_of(access: Any) -> list[tuple[str, str, bool, int, str, str]]:
    (one,) = access
    return [
        (each["action"], each["resource"], each["ok"], each["status"], each["code"], each["message"])
        for each in one["attempts"]
    ]


def listing(*keys: str, size: int = 5, more: str = "", storage: str = "STANDARD") -> str:
    contents = "".join(
        f"<Contents><Key>{key}</Key><Size>{0 if key.endswith('/') else size}</Size>"
        f"<StorageClass>{storage}</StorageClass></Contents>"
        for key in keys
    )
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    truncated = str(bool(more)).lower()
    return f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{contents}</ListBucketResult>"


def error(code: str, status: int = 403, message: str = "Access Denied", **headers: str) -> Answer:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


READS = BucketRequest(name="policies", read=("econ/",))
LIST_OK = ("s3:ListBucket", "arn:aws:s3:::policies", True, 200, "", "")


# --- signing


@pytest.mark.parametrize(
    ("method", "path", "search", "headers", "body", "token"),
    [
        ("GET", "/b/key", "", {}, b"", ""),
        ("GET", "/b/a%20b/%C3%A9~x", "", {"range": "bytes=0-0"}, b"", "t0ken"),
        ("GET", "/b", "encoding-type=url&list-type=2&prefix=a%2Fb%20c", {"x-amz-request-payer": "requester"}, b"", ""),
        ("PUT", "/b/k", "", {"x-amz-server-side-encryption": "aws:kms"}, b"content", ""),
        ("POST", "/b/k", "uploads=", {}, b"", ""),
        ("DELETE", "/b/k", "uploadId=a%2Bb", {}, b"", "t0ken"),
    ],
)
def test_signatures_are_those_of_botocore(  # noqa: PLR0917  # a table's columns
    method: str, path: str, search: str, headers: dict[str, str], body: bytes, token: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    credentials = {"key": KEY, "secret": SECRET, "token": token}
    ours = part("s3_request").sign(
        method, "s3.eu-west-1.amazonaws.com", path, search, region="eu-west-1", headers=headers, body=body,
        credentials=credentials,
    )  # fmt: skip
    at = dt.datetime.strptime(ours["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=dt.UTC)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: at)
    sent = dict(headers)
    if method in {"PUT", "POST"}:
        sent["content-type"] = ours["content-type"]
    url = f"https://s3.eu-west-1.amazonaws.com{path}{'?' + search if search else ''}"
    theirs = AWSRequest(method=method, url=url, data=body, headers=sent)
    signer = botocore.auth.S3SigV4Auth(Credentials(KEY, SECRET, token or None), "s3", "eu-west-1")
    theirs.context["payload_signing_enabled"] = True
    signer.add_auth(theirs)
    assert ours["authorization"] == theirs.headers["Authorization"]


def test_the_address_of_s3() -> None:
    assert part("s3_request").endpoint("eu-west-1") == "https://s3.eu-west-1.amazonaws.com"
    assert part("s3_request").endpoint("cn-north-1") == "https://s3.cn-north-1.amazonaws.com.cn"


# --- reading


def test_list_and_get_a_byte_of_the_first_real_object() -> None:
    def answer(asked: Asked) -> Answer:
        if "list-type" in asked.query:
            return Answer(body=listing("econ/", "econ/empty/", "econ/smith+wealth%20of%20nations.txt"))
        return Answer(206, b"A")

    with answering(answer) as server:
        access = ask(server.url, READS)
    assert attempts_of(access) == [
        LIST_OK,
        ("s3:GetObject", "arn:aws:s3:::policies/econ/smith wealth of nations.txt", True, 206, "", ""),
    ]
    assert server.asked[0].query == {"list-type": "2", "prefix": "econ/", "encoding-type": "url"}
    assert server.asked[1].path == "/policies/econ/smith wealth of nations.txt"
    assert server.asked[1].headers["range"] == "bytes=0-0"
    assert "x-amz-request-payer" not in server.asked[0].headers


def test_pages_of_folder_markers_are_turned() -> None:
    pages = {"": listing("econ/a/", more="t/1"), "t/1": listing("econ/b/", more="t2"), "t2": listing("econ/c")}

    def answer(asked: Asked) -> Answer:
        return Answer(body=pages[asked.query.get("continuation-token", "")] if "list-type" in asked.query else b"A")

    with answering(answer) as server:
        access = ask(server.url, READS)
    assert [line[0] for line in attempts_of(access)] == ["s3:ListBucket", "s3:GetObject"]
    assert len(server.asked) == 4


def test_an_object_in_an_archive_is_taken_only_where_there_is_no_other() -> None:
    def answer(asked: Asked) -> Answer:
        if asked.query.get("prefix") == "econ/":
            both = listing("econ/old", storage="DEEP_ARCHIVE").replace("</ListBucketResult>", "")
            return Answer(body=both + listing("econ/new").partition("</IsTruncated>")[2])
        if "list-type" in asked.query:
            return Answer(body=listing("old/old", storage="GLACIER"))
        if asked.path.endswith("/old"):
            return error("InvalidObjectState", message="The operation is not valid for the object's storage class")
        return Answer(body=b"A")

    with answering(answer) as server:
        assert attempts_of(ask(server.url, READS))[1][1] == "arn:aws:s3:::policies/econ/new"
        archived = attempts_of(ask(server.url, BucketRequest(name="policies", read=("old/",))))
    assert archived[1][2:5] == (False, 403, "InvalidObjectState")


@pytest.mark.parametrize("body", [listing(), listing("econ/")], ids=["nothing", "a folder marker"])
def test_an_empty_prefix_is_proven_by_an_absent_key(body: str) -> None:
    keys = body.count("<Contents>")

    def answer(asked: Asked) -> Answer:
        return Answer(body=body) if "list-type" in asked.query else error("NoSuchKey", 404, "No such key")

    with answering(answer) as server:
        access = ask(server.url, READS)
    assert attempts_of(access) == [
        (*LIST_OK[:5], f"no object with content among {keys} keys"),
        ("s3:GetObject", "arn:aws:s3:::policies/econ/.pipeline-gate-c0ffee", True, 404, "", ""),
    ]


def test_an_empty_prefix_that_may_not_be_read() -> None:
    with answering(lambda asked: Answer(body=listing()) if "list-type" in asked.query else error("AccessDenied")) as s3:
        assert attempts_of(ask(s3.url, READS))[1][2:] == (False, 403, "AccessDenied", "Access Denied")


def test_a_denied_listing_says_nothing_of_objects() -> None:
    with answering(lambda _: error("AccessDenied", message="not authorized to perform: s3:ListBucket")) as server:
        access = ask(server.url, READS)
    assert attempts_of(access) == [
        (*LIST_OK[:2], False, 403, "AccessDenied", "not authorized to perform: s3:ListBucket"),
    ]  # fmt: skip


def test_an_empty_200_is_no_listing() -> None:
    with answering(lambda _: Answer()) as server:
        access = ask(server.url, READS)
    assert attempts_of(access) == [(*LIST_OK[:2], False, 200, "WrongAnswer", "a 200 without the fields of a listing")]


def test_a_200_that_means_an_error() -> None:
    with answering(lambda _: error("InternalError", 200, "try again")) as server:
        access = ask(server.url, READS, attempts=1)
    assert attempts_of(access)[0][2:5] == (False, 200, "InternalError")


def test_requester_pays() -> None:
    with answering(lambda asked: Answer(body=listing("econ/a") if asked.query else b"A")) as server:
        ask(server.url, BucketRequest(name="policies", read=("econ/",), request_payer=True))
    assert {one.headers["x-amz-request-payer"] for one in server.asked} == {"requester"}


def test_slow_down_twice_then_fine_is_counted() -> None:
    def answer(_: Asked) -> Answer:
        return error("SlowDown", 503) if len(server.asked) <= 2 else Answer(body=listing("econ/a"))

    with answering(answer) as server:
        (access,) = ask(server.url, READS)
    assert (access["attempts"][0]["ok"], access["attempts"][0]["retries"]) == (True, 2)


def test_slow_down_for_ever_ends() -> None:
    with answering(lambda _: error("SlowDown", 503, "Please reduce your request rate")) as server:
        (access,) = ask(server.url, READS)
    assert len(server.asked) == 3
    (attempt,) = access["attempts"]
    assert (attempt["status"], attempt["code"], attempt["retries"]) == (503, "SlowDown", 2)


def test_an_endpoint_that_hangs() -> None:
    with answering(lambda _: Answer(-1)) as server:
        started = time.monotonic()
        access = ask(server.url, READS, attempts=2, timeout_s=0.3)
        assert time.monotonic() - started < 5
        assert len(server.asked) == 2
    assert attempts_of(access)[0][2:] == (False, 0, "ReadTimeoutError", f"{server.address} did not answer in time")


def test_an_endpoint_that_closes() -> None:
    with answering(lambda _: Answer(0)) as server:
        access = ask(server.url, READS, attempts=1)
    assert attempts_of(access)[0][3:5] == (0, "ConnectionClosedError")


def test_an_endpoint_that_is_not_there() -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    access = ask(f"http://127.0.0.1:{port}", READS, attempts=1)
    assert attempts_of(access)[0][3:5] == (0, "EndpointConnectionError")
    assert attempts_of(access)[0][5] == f"127.0.0.1:{port} cannot be reached: [Errno 111] Connection refused"


def elsewhere(asked: Asked) -> Answer:
    if "/eu-west-1/s3/" in asked.headers["authorization"]:
        return Answer(body=listing("econ/a") if asked.query else b"A")
    return error(
        "PermanentRedirect", 301, "must be addressed elsewhere", x_amz_bucket_region="eu-west-1", location="/x"
    )


def test_another_region_is_followed_where_none_is_configured() -> None:
    with answering(elsewhere) as server:
        access = ask(server.url, READS)
    assert [line[2] for line in attempts_of(access)] == [True, True]
    assert len(server.asked) == 3


def test_another_region_than_the_configured_one_is_named() -> None:
    with answering(elsewhere) as server:
        (access,) = ask(server.url, BucketRequest(name="policies", region="us-east-1", read=("econ/",)))
    (attempt,) = access["attempts"]
    assert (attempt["ok"], attempt["status"], attempt["code"], attempt["region"]) == (
        False, 301, "PermanentRedirect", "eu-west-1"
    )  # fmt: skip


def test_the_region_may_stand_in_the_body_alone() -> None:
    body = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-west-1</Region></Error>"

    def answer(asked: Asked) -> Answer:
        return elsewhere(asked) if "/eu-west-1/" in asked.headers["authorization"] else Answer(400, body)

    with answering(answer) as server:
        assert [line[2] for line in attempts_of(ask(server.url, READS))] == [True, True]


def test_arns_of_other_partitions() -> None:
    bucket = {"name": "b", "region": "us-gov-west-1"}
    assert part("s3").arn(bucket, "k") == "arn:aws-us-gov:s3:::b/k"
    assert part("s3").arn({**bucket, "region": "cn-north-1"}, "") == "arn:aws-cn:s3:::b"


# --- writing


class Bucket:
    """A bucket that keeps what is put, and does what a test says of some requests."""

    def __init__(self, special: Callable[[Asked], Answer | None] = lambda _: None) -> None:
        self.kept: dict[str, bytes] = {}
        self.special = special

    def __call__(self, asked: Asked) -> Answer:
        said = self.special(asked)
        if said is not None:
            return said
        if asked.method == "PUT":
            self.kept[asked.path] = asked.body
            return Answer(headers={"etag": '"1"'})
        if asked.method == "POST":
            return Answer(
                body="<InitiateMultipartUploadResult><UploadId>u+1</UploadId></InitiateMultipartUploadResult>"
            )
        if asked.method == "DELETE":
            if "uploadId" not in asked.query:
                del self.kept[asked.path]
            return Answer(204)
        if asked.path in self.kept:
            return Answer(body=self.kept[asked.path], headers={"etag": '"1"'})
        return error("NoSuchKey", 404)


WRITES = BucketRequest(name="cache", write=("runs/",))
PROBE = "arn:aws:s3:::cache/runs/.pipeline-gate/write-test"
FINE = (True, 200, "", "")


def write(
    special: Callable[[Asked], Answer | None] = lambda _: None, bucket: BucketRequest = WRITES
) -> tuple[Any, Server]:
    with answering(Bucket(special)) as server:
        return ask(server.url, bucket, effects=True, attempts=1), server


def test_put_read_back_and_an_upload_in_parts() -> None:
    access, server = write()
    assert attempts_of(access) == [
        ("s3:PutObject", PROBE, *FINE),
        ("s3:GetObject", PROBE, True, 200, "", "reading back"),
        ("s3:PutObject", PROBE, True, 200, "", "CreateMultipartUpload"),
        ("s3:AbortMultipartUpload", PROBE, True, 204, "", ""),
    ]
    assert access[0]["left"] == ["runs/.pipeline-gate/write-test"]
    path = "/cache/runs/.pipeline-gate/write-test"
    assert server.lines == [f"PUT {path}", f"GET {path}", f"POST {path}", f"DELETE {path}"]
    assert server.asked[0].body == b"pytest-pipeline write test c0ffee\n"
    assert server.asked[3].query == {"uploadId": "u+1"}


def test_it_is_deleted_where_the_pipeline_deletes() -> None:
    access, server = write(bucket=BucketRequest(name="cache", write=("runs/",), actions=("s3:DeleteObject",)))
    assert attempts_of(access)[-1] == ("s3:DeleteObject", PROBE, True, 204, "", "")
    assert access[0]["left"] == []
    assert server.lines[-1].startswith("GET ")  # it is gone


def test_a_denied_delete_names_what_is_left() -> None:
    bucket = BucketRequest(name="cache", write=("runs/",), actions=("s3:DeleteObject",))
    access, _ = write(
        lambda asked: error("AccessDenied") if asked.method == "DELETE" and not asked.query else None, bucket
    )
    assert attempts_of(access)[-1] == ("s3:DeleteObject", PROBE, False, 403, "AccessDenied", "Access Denied")
    assert access[0]["left"] == ["runs/.pipeline-gate/write-test"]


def test_a_delete_that_does_not_delete() -> None:
    bucket = BucketRequest(name="cache", write=("runs/",), actions=("*",))
    access, _ = write(lambda asked: Answer(204) if asked.method == "DELETE" else None, bucket)
    assert attempts_of(access)[-1][2:] == (
        False, 200, "WrongAnswer", "runs/.pipeline-gate/write-test is answered with 200 although it is not there"
    )  # fmt: skip


def test_a_denied_put_ends_it_and_leaves_nothing() -> None:
    access, server = write(lambda asked: error("AccessDenied") if asked.method == "PUT" else None)
    assert attempts_of(access) == [("s3:PutObject", PROBE, False, 403, "AccessDenied", "Access Denied")]
    assert access[0]["left"] == []
    assert len(server.asked) == 1


def test_a_denied_upload_in_parts_says_which_call_it_was() -> None:
    access, _ = write(lambda asked: error("AccessDenied") if asked.method == "POST" else None)
    assert attempts_of(access)[-1] == (
        "s3:PutObject", PROBE, False, 403, "AccessDenied", "CreateMultipartUpload: Access Denied"
    )  # fmt: skip


def test_an_upload_that_cannot_be_aborted_is_left() -> None:
    access, _ = write(lambda asked: error("AccessDenied") if "uploadId" in asked.query else None)
    assert access[0]["left"] == [
        "runs/.pipeline-gate/write-test",
        "runs/.pipeline-gate/write-test?uploadId=u+1",
    ]


def test_what_is_read_back_is_compared() -> None:
    access, _ = write(lambda asked: Answer(body=b"altered", headers={"etag": '"1"'}) if asked.method == "GET" else None)
    assert attempts_of(access)[1] == (
        "s3:GetObject", PROBE, False, 200, "WrongAnswer", "read-back differs: wrote 34 bytes, read 7 others"
    )  # fmt: skip


def test_another_gate_may_have_written_since() -> None:
    other = Answer(body=b"pytest-pipeline write test 0ther\n", headers={"etag": '"2"'})
    access, _ = write(lambda asked: other if asked.method == "GET" else None)
    assert attempts_of(access)[1][2]


def test_further_prefixes_are_proven_without_an_object() -> None:
    access, server = write(bucket=BucketRequest(name="cache", write=("runs/", "models"), probe_key="runs/probe"))
    assert [one["prefix"] for one in access] == ["runs/", "models"]
    assert [attempt["action"] for attempt in access[1]["attempts"]] == ["s3:PutObject", "s3:AbortMultipartUpload"]
    assert access[1]["left"] == []
    assert [line for line in server.lines if line.startswith("PUT")] == ["PUT /cache/runs/probe"]
    assert "POST /cache/models/.pipeline-gate/write-test" in server.lines


def test_a_probe_key_outside_the_prefixes_is_a_place_of_its_own() -> None:
    access, server = write(bucket=BucketRequest(name="cache", write=("runs/",), probe_key="gate/probe"))
    assert [one["prefix"] for one in access] == ["runs/", "gate"]
    assert [line for line in server.lines if line.startswith("PUT")] == ["PUT /cache/gate/probe"]


def test_a_kms_key_is_named_in_each_write() -> None:
    _, server = write(bucket=BucketRequest(name="cache", write=("runs/",), kms_key="arn:aws:kms:x"))
    for asked in server.asked:
        wanted = asked.method in {"PUT", "POST"}
        assert (asked.headers.get("x-amz-server-side-encryption") == "aws:kms") is wanted
        assert (asked.headers.get("x-amz-server-side-encryption-aws-kms-key-id") == "arn:aws:kms:x") is wanted
