"""Reading objects of S3 in ranges, several at once, each held to the ETag that was listed.

One connection of S3 gives some 80 MB/s, so ranges are fetched ahead. obstore does it without Python's lock; whatever it
cannot fetch boto3 fetches anew, and has the last word on what is wrong. Without obstore boto3 fetches everything.
"""

from __future__ import annotations

import collections
import functools
import os
import queue
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from botocore.exceptions import ClientError

from pytest_pipeline.data.opening import FileChangedError
from pytest_pipeline.data.spans import SPAN_BYTES
from pytest_pipeline.observers.aws_session import asked_of, client, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, AwsTrouble, classify, trouble_in
from pytest_pipeline.observers.s3_conversation import bucket_arn
from pytest_pipeline.observers.s3_listing import S3Address, bucket_of

try:
    import obstore
    from obstore.exceptions import BaseError as ObstoreError
    from obstore.store import S3Store
except ImportError:  # boto3 does all of it, with more of the processor
    obstore = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from pytest_pipeline.data.spans import DataFile
    from pytest_pipeline.settings import Aws, Bucket

RANGE_BYTES = 2 * 1024 * 1024
"""What one request asks for. AWS advises 8 to 16 MB, but a process that holds 130 MB in all has no room for many."""

RANGES_AHEAD = 4
"""How many ranges are under way while one is read."""

RANGE_S = 120.0
"""How long one range may take, attempts included: a server that sends a byte now and then never times out."""

_FIRST_BYTES = 256 * 1024  # of a reader, who may want the beginning alone; and past the span, where a record ends
_PIECE_BYTES = 256 * 1024
_CREDENTIALS_S = 300.0  # botocore renews credentials ten minutes before they end


class S3ReadError(Exception):
    """An object cannot be read; `trouble` says why."""

    def __init__(self, uri: str, trouble: AwsTrouble) -> None:
        super().__init__(uri, trouble)
        self.uri = uri
        self.trouble = trouble

    def __str__(self) -> str:
        """Which object, and what is wrong."""
        return f"{self.uri}: {self.trouble.what}"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Files:
    """Opens objects of S3, in whatever process it is sent to: it holds settings, and no credentials.

    A reader is expected to go `span_bytes` far. What lies beyond is fetched when it is asked for and not before, since
    only the rest of a record is wanted there and every byte that leaves S3 may cost money.
    """

    aws: Aws = field(repr=False)
    span_bytes: int = SPAN_BYTES
    range_bytes: int = RANGE_BYTES
    ranges_ahead: int = RANGES_AHEAD

    def open(self, file: DataFile, start: int) -> S3Reader:
        """Return the bytes of a file from `start` on. Nothing is fetched yet.

        Raises S3ReadError where no client can be made.
        """
        address = S3Address.of(file.uri)
        try:
            connection = _connection(self.aws, address.bucket, os.getpid())
        except AWS_ERRORS as error:
            resource = f"{bucket_arn(address.bucket, self.aws.region)}/{address.key}"
            raise S3ReadError(file.uri, classify(error, asked_of(self.aws, "s3:GetObject", resource))) from error
        fetch = functools.partial(connection.fetch, address.key, file.version)
        return S3Reader(file, start, fetch, files=self)


class S3Reader:
    """The bytes of an object, in order. `readinto` raises FileChangedError and S3ReadError."""

    def __init__(self, file: DataFile, start: int, fetch: Callable[[int, int], memoryview], *, files: S3Files) -> None:
        self._file = file
        self._fetch = fetch
        self._files = files
        self._start = start
        self._next = start  # the first byte that is not yet asked for
        self._expected_end = min(start + files.span_bytes, file.size_bytes)
        self._beyond_bytes = min(_FIRST_BYTES, files.range_bytes)
        self._coming: collections.deque[_Coming] = collections.deque()
        self._here = memoryview(b"")

    def readinto(self, buffer: memoryview) -> int:
        """Fill the buffer, or the beginning of it, and return how many bytes it took; 0 is the end of the object."""
        if not self._here:
            self._here = self._next_range()
        taken = min(len(buffer), len(self._here))
        buffer[:taken] = self._here[:taken]
        self._here = self._here[taken:]
        return taken

    def close(self) -> None:
        """Let go of what was fetched. A range that is under way ends by itself."""
        self._coming.clear()
        self._here = memoryview(b"")
        self._next = self._expected_end = self._file.size_bytes

    def _next_range(self) -> memoryview:
        if self._next == self._start < self._expected_end:
            self._ask(min(self._start + _FIRST_BYTES, self._expected_end))
        else:
            while self._next < self._expected_end and len(self._coming) <= self._files.ranges_ahead:
                self._ask(min(self._next + self._files.range_bytes, self._expected_end))
        if not self._coming and self._next < self._file.size_bytes:
            self._ask(min(self._next + self._beyond_bytes, self._file.size_bytes))
            self._beyond_bytes = min(2 * self._beyond_bytes, self._files.range_bytes)
        try:
            return self._coming.popleft().wait() if self._coming else memoryview(b"")
        except queue.Empty:
            asked = asked_of(self._files.aws, "s3:GetObject")
            late = trouble_in("TimeoutError", f"no answer within {RANGE_S:g} s", 0, asked)
            raise S3ReadError(self._file.uri, late) from None

    def _ask(self, end: int) -> None:
        self._coming.append(_Coming(functools.partial(self._fetch, self._next, end)))
        self._next = end


class _Coming:
    """A range that a thread of its own is fetching."""

    def __init__(self, fetch: Callable[[], memoryview]) -> None:
        self._answers: queue.SimpleQueue[memoryview | BaseException] = queue.SimpleQueue()
        threading.Thread(target=self._run, args=(fetch,), name="pipeline-s3-range", daemon=True).start()

    def _run(self, fetch: Callable[[], memoryview]) -> None:
        try:
            self._answers.put(fetch())
        except BaseException as error:  # noqa: BLE001  # nothing is swallowed: it is raised again where it is awaited
            self._answers.put(error)

    def wait(self) -> memoryview:
        """Return the range, or raise what fetching it raised; queue.Empty where it does not come in time."""
        answer = self._answers.get(timeout=RANGE_S)
        if isinstance(answer, BaseException):
            raise answer
        return answer


class _Connection:
    """A bucket, by both ways. Used by several threads at once."""

    def __init__(self, aws: Aws, bucket: Bucket) -> None:
        self._aws = aws
        self._bucket = bucket
        self._session = make_session(aws)
        self._client = client(self._session, "s3", aws, region=bucket.region)
        self._store = _store(aws, bucket, self._session, self._client)

    def fetch(self, key: str, etag: str, start: int, end: int) -> memoryview:
        """Return the bytes [start, end) of the object that has this ETag. Raises FileChangedError and S3ReadError."""
        quick = self._fetched_quickly(key, etag, start, end)
        if quick is not None:
            return quick
        surely = self._fetched_surely(key, etag, start, end)
        self._store = None  # what obstore could not fetch and boto3 could is boto3's from now on
        return surely

    def _fetched_quickly(self, key: str, etag: str, start: int, end: int) -> memoryview | None:
        store = self._store
        if store is None:
            return None
        try:
            options: Any = {"range": (start, end), **({"if_match": etag} if etag else {})}
            answer = memoryview(obstore.get(store, key, options=options).bytes())
        except (ObstoreError, OSError, ValueError):
            return None
        return answer if len(answer) == end - start else None

    def _fetched_surely(self, key: str, etag: str, start: int, end: int) -> memoryview:
        uri = f"s3://{self._bucket.name}/{key}"
        given = {"RequestPayer": "requester"} if self._bucket.request_payer else {}
        if etag:
            given["IfMatch"] = etag
        wanted = f"bytes={start}-{end - 1}"
        try:
            answer = self._client.get_object(Bucket=self._bucket.name, Key=key, Range=wanted, **given)
            with answer["Body"] as body:
                if answer["ContentLength"] != end - start:
                    raise self._wrong(uri, f"{answer['ContentLength']} bytes for a range of {end - start}")
                room = memoryview(bytearray(end - start))
                filled = 0
                while came := body.read(_PIECE_BYTES):
                    room[filled : filled + len(came)] = came
                    filled += len(came)
                if filled != len(room):
                    raise self._wrong(uri, f"{filled} bytes for a range of {end - start}")
                return room
        except AWS_ERRORS as error:
            raise self._failed(uri, error) from error

    def _failed(self, uri: str, error: Exception) -> Exception:
        code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
        if code in ("PreconditionFailed", "412"):
            return FileChangedError(f"{uri} is not what was listed: it was changed since")
        if code == "NoSuchKey":
            return FileChangedError(f"{uri} is gone since it was listed")
        return S3ReadError(uri, classify(error, asked_of(self._aws, "s3:GetObject", self._arn(uri))))

    def _wrong(self, uri: str, said: str) -> S3ReadError:
        asked = asked_of(self._aws, "s3:GetObject", self._arn(uri))
        return S3ReadError(uri, trouble_in("WrongAnswer", said, 200, asked))

    def _arn(self, uri: str) -> str:
        whole = bucket_arn(self._bucket.name, self._client.meta.region_name)
        return f"{whole}/{uri.removeprefix(f's3://{self._bucket.name}/')}"


@functools.lru_cache(maxsize=32)
def _connection(aws: Aws, bucket: str, _pid: int) -> _Connection:
    """Return this process' connection to a bucket. Neither library's survives a fork."""
    return _Connection(aws, bucket_of(aws, S3Address(bucket=bucket, key="")))


def _store(aws: Aws, bucket: Bucket, session: boto3.Session, s3: Any) -> Any:
    """Return obstore's view of a bucket, or None where it has none: boto3 then says what is wrong, if anything is."""
    if obstore is None or not _may_use_obstore():
        return None
    endpoint = urlsplit(s3.meta.endpoint_url)
    # AWS wants the bucket in the host's name; a certificate does not cover a bucket with dots there.
    hosted = aws.endpoint_url is None and "amazonaws.com" in endpoint.netloc and "." not in bucket.name
    host = f"{bucket.name}.{endpoint.netloc}" if hosted else endpoint.netloc

    def credentials() -> Any:
        held = session.get_credentials().get_frozen_credentials()
        return {
            "access_key_id": held.access_key,
            "secret_access_key": held.secret_key,
            "token": held.token,
            "expires_at": datetime.now(UTC) + timedelta(seconds=_CREDENTIALS_S),
        }

    try:
        return S3Store(
            bucket.name,
            endpoint=urlunsplit(endpoint._replace(netloc=host)),
            region=s3.meta.region_name,
            virtual_hosted_style_request=hosted,
            request_payer=bucket.request_payer,
            credential_provider=credentials,
            client_options={
                "allow_http": endpoint.scheme == "http",
                "connect_timeout": timedelta(seconds=aws.connect_timeout_s),
                "read_timeout": timedelta(seconds=aws.read_timeout_s),
                "timeout": timedelta(seconds=RANGE_S),
            },
            retry_config={"max_retries": min(1, aws.attempts - 1)},
        )
    except (ObstoreError, ValueError):
        return None


_used_in: set[int] = set()


def _may_use_obstore() -> bool:
    """Whether this process may use obstore: its runtime stops for good in the child of a process that has used it."""
    _used_in.add(os.getpid())
    return len(_used_in) == 1
