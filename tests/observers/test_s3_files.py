"""Objects are read in ranges of one version, fast where obstore is and surely where it is not."""

from __future__ import annotations

import collections
import multiprocessing
import os
import pickle
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, Tenant, error, plain
from pytest_pipeline.data.opening import FileChangedError
from pytest_pipeline.data.spans import DataFile
from pytest_pipeline.observers import s3_files
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.s3_files import S3Files, S3ReadError
from pytest_pipeline.settings import Bucket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from observers.aws_world import MakeAws

CONTENT = bytes(range(256)) * 4096  # 1 MiB in which each place can be told from its neighbours
SMALL = {"span_bytes": 400_000, "range_bytes": 100_000}
OUT_OF_REACH = (403, "AccessDenied", "Access Denied")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No connection of another test's endpoint."""
    yield
    s3_files._connection.cache_clear()


@pytest.fixture(params=["obstore", "boto3"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two that fetch."""
    if request.param == "boto3":
        monkeypatch.setattr(s3_files, "obstore", None)
    else:
        pytest.importorskip("obstore")
    return str(request.param)


@pytest.fixture
def bucket(world: AwsWorld) -> str:
    name = world.name("bucket")
    world.client("s3").create_bucket(Bucket=name)
    return name


def put(bucket: str, key: str = "in/a.jsonl", body: bytes = CONTENT, tier: str = "STANDARD") -> DataFile:
    s3: Any = s3_backends[ACCOUNT]["aws"]
    made = s3.put_object(bucket, key, body, storage=tier)
    return DataFile(uri=f"s3://{bucket}/{key}", size_bytes=len(body), version=made.etag)


def read(files: S3Files, file: DataFile, start: int = 0, most: int = -1) -> bytes:
    """Read as the validator does, in steps of an odd size."""
    room, came = bytearray(70_001), bytearray()
    with closing(files.open(file, start)) as opened:
        while len(came) != most and (
            got := opened.readinto(memoryview(room)[: len(room) if most < 0 else most - len(came)])
        ):
            came += room[:got]
    return bytes(came)


def gets(user: Tenant) -> list[str]:
    return [request for request in user.requests if request.startswith("GET ")]


def test_bytes_are_those_of_the_object_from_any_place_on(
    world: AwsWorld, make_aws: MakeAws, bucket: str, way: str
) -> None:
    file, files = put(bucket), S3Files(aws=make_aws(world.admin), **SMALL)
    for start in (0, 1, 399_999, 500_000, len(CONTENT) - 1, len(CONTENT)):
        assert read(files, file, start) == CONTENT[start:], (way, start)


def test_an_empty_object_asks_for_nothing(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    assert read(S3Files(aws=make_aws(user)), put(bucket, body=b"")) == b""
    assert gets(user) == []


def test_an_empty_view_takes_nothing_and_is_no_end(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    with closing(S3Files(aws=make_aws(world.admin)).open(put(bucket), 0)) as opened:
        assert opened.readinto(memoryview(bytearray(0))) == 0
        assert opened.readinto(memoryview(bytearray(10))) == 10


def test_who_wants_the_beginning_gets_little_more(world: AwsWorld, make_aws: MakeAws, bucket: str, way: str) -> None:
    user = world.user(EVERYTHING)
    assert read(S3Files(aws=make_aws(user)), put(bucket), most=1000) == CONTENT[:1000], way
    assert len(gets(user)) == 1


def test_past_the_span_one_small_range_at_a_time_is_fetched(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    files = S3Files(aws=make_aws(user), span_bytes=300_000, range_bytes=100_000)
    file = put(bucket)
    assert read(files, file, most=300_000) == CONTENT[:300_000]
    within = len(gets(user))
    assert read(files, file, most=300_001) == CONTENT[:300_001]
    assert (within, len(gets(user)) - within) == (2, 3)


@pytest.mark.parametrize("key", ["in/a b+c%20d&é#?.jsonl", "in//x.jsonl", "in/./x", "in/%2F"])
def test_keys_are_taken_as_they_are(world: AwsWorld, make_aws: MakeAws, bucket: str, way: str, key: str) -> None:
    assert read(S3Files(aws=make_aws(world.admin)), put(bucket, key, way.encode())) == way.encode()


def test_an_object_that_changed_is_an_error_before_any_byte_of_it(
    world: AwsWorld, make_aws: MakeAws, bucket: str, way: str
) -> None:
    listed = put(bucket)
    put(bucket, body=CONTENT[::-1])
    said = f"s3://{bucket}/in/a.jsonl is not what was listed: it was changed since"
    with pytest.raises(FileChangedError, match=f"^{re.escape(said)}$"):
        read(S3Files(aws=make_aws(world.admin)), listed)
    assert way


def test_an_object_that_changes_while_it_is_read_is_an_error(
    world: AwsWorld, make_aws: MakeAws, bucket: str, way: str
) -> None:
    listed = put(bucket)
    room = memoryview(bytearray(1 << 20))
    with closing(S3Files(aws=make_aws(world.admin), **SMALL).open(listed, 0)) as opened:
        assert opened.readinto(room)
        put(bucket, body=CONTENT[::-1])
        with pytest.raises(FileChangedError):
            collections.deque(iter(lambda: opened.readinto(room), 0), maxlen=0)
    assert way


def test_an_object_that_is_gone_was_changed_too(world: AwsWorld, make_aws: MakeAws, bucket: str, way: str) -> None:
    listed = put(bucket)
    world.client("s3").delete_object(Bucket=bucket, Key="in/a.jsonl")
    with pytest.raises(FileChangedError, match="is gone since it was listed"):
        read(S3Files(aws=make_aws(world.admin)), listed)
    assert way


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(*OUT_OF_REACH), Kind.DENIED),
        (error(404, "NoSuchBucket", "The specified bucket does not exist"), Kind.MISSING),
        (error(400, "ExpiredToken", "The provided token has expired."), Kind.EXPIRED),
        (error(503, "SlowDown", "Please reduce your request rate."), Kind.THROTTLED),
        (plain(b"<html>sign in</html>"), Kind.WRONG_ANSWER),
    ],
    ids=["denied", "missing", "expired", "throttled", "wrong"],
)
def test_what_is_in_the_way_is_told_apart(
    world: AwsWorld, make_aws: MakeAws, way: str, *, answer: Any, kind: Kind
) -> None:
    user, file = world.user(EVERYTHING), DataFile(uri="s3://b/in/a.jsonl", size_bytes=7, version='"e"')
    user.meets(answer)
    with pytest.raises(S3ReadError) as raised:
        read(S3Files(aws=make_aws(user)), file)
    assert (raised.value.trouble.kind, raised.value.trouble.action) == (kind, "s3:GetObject"), way
    again = pickle.loads(pickle.dumps(raised.value))  # noqa: S301  # as a worker sends it
    assert (str(again), again.trouble) == (str(raised.value), raised.value.trouble)


def test_what_is_denied_reads_with_its_object(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user, file = world.user(EVERYTHING), put(bucket)
    user.meets(error(*OUT_OF_REACH))
    with pytest.raises(S3ReadError) as raised:
        read(S3Files(aws=make_aws(user)), file)
    arn = f"arn:aws:s3:::{bucket}/in/a.jsonl"
    assert str(raised.value) == f"{file.uri}: s3:GetObject on {arn} denied: AccessDenied: Access Denied"


def test_nobody_at_the_endpoint_and_no_credentials_are_told(
    world: AwsWorld, make_aws: MakeAws, closed_port: int, home: Any, way: str
) -> None:
    file = DataFile(uri="s3://b/in/a.jsonl", size_bytes=7, version='"e"')
    (home / "nothing").write_text("")
    for wrong, kind in (
        ({"endpoint_url": f"http://127.0.0.1:{closed_port}"}, Kind.UNREACHABLE),
        ({"credentials_file": home / "nothing"}, Kind.ABSENT),
        ({"profile": "nobody"}, Kind.PROFILE_MISSING),
    ):
        with pytest.raises(S3ReadError) as raised:
            read(S3Files(aws=make_aws(world.admin, **wrong)), file)
        assert raised.value.trouble.kind is kind, way


def test_a_range_that_does_not_come_is_a_trouble(
    world: AwsWorld, make_aws: MakeAws, bucket: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_files, "RANGE_S", 0.2)
    user, file = world.user(EVERYTHING), put(bucket)
    user.meets(world.hang)
    with pytest.raises(S3ReadError) as raised:
        read(S3Files(aws=make_aws(user)), file)
    assert str(raised.value) == f"{file.uri}: S3 timed out: no answer within 0.2 s", way


def test_what_obstore_cannot_fetch_boto3_does_from_then_on(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    pytest.importorskip("obstore")
    user, file = world.user(EVERYTHING), put(bucket)
    user.meets(error(*OUT_OF_REACH), times=1)
    aws = make_aws(user)
    connection = s3_files._connection(aws, bucket, os.getpid())  # whose bytes they are cannot be seen from outside
    assert connection._store is not None
    assert read(S3Files(aws=aws), file) == CONTENT
    assert connection._store is None


def test_fewer_bytes_than_asked_for_are_no_range(world: AwsWorld, make_aws: MakeAws, bucket: str, way: str) -> None:
    file = put(bucket, body=b"short")
    longer = DataFile(uri=file.uri, size_bytes=50, version=file.version)
    with pytest.raises(S3ReadError) as raised:
        read(S3Files(aws=make_aws(world.admin)), longer)
    assert raised.value.trouble.what == "S3 gave a wrong answer: 5 bytes for a range of 50", way


def test_a_bucket_that_the_requester_pays_for_is_asked_so(
    world: AwsWorld, make_aws: MakeAws, bucket: str, way: str
) -> None:
    user, file = world.user(EVERYTHING), put(bucket)
    sent: list[str] = []

    def look(environ: Any, start: Any) -> Any:
        sent.append(environ.get("HTTP_X_AMZ_REQUEST_PAYER", ""))
        return error(*OUT_OF_REACH)(environ, start)

    user.meets(look)
    aws = make_aws(user, buckets=(Bucket(name=bucket, read=("in/",), request_payer=True),))
    with pytest.raises(S3ReadError):
        read(S3Files(aws=aws), file)
    assert set(sent) == {"requester"}, way


def test_nothing_secret_is_carried_or_shown(world: AwsWorld, make_aws: MakeAws) -> None:
    files = S3Files(aws=make_aws(world.admin))
    assert world.admin.secret.encode() not in pickle.dumps(files)
    assert repr(files) == "S3Files(span_bytes=67108864, range_bytes=2097152, ranges_ahead=4)"


@pytest.mark.filterwarnings("default:.*fork:DeprecationWarning")  # from Python 3.12 on: it is what is tested
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_another_process_reads_too(world: AwsWorld, make_aws: MakeAws, bucket: str, method: str) -> None:
    file, files = put(bucket), S3Files(aws=make_aws(world.admin))
    assert read(files, file) == CONTENT, "what a fork copies has been used"
    context: Any = multiprocessing.get_context(method)
    with context.Pool(1) as pool:
        assert pool.apply_async(read, (files, file, 5)).get(timeout=60) == CONTENT[5:]
