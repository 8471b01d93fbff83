"""Listing prefixes of S3, side by side: as few requests as the question allows, and a page at the cost of its bytes.

boto3 makes the requests, so that identity, endpoint, retries and every trouble are those of the rest of the gate. Its
own parser takes 70 microseconds a key; here the entries of a page are read by one pattern, in a seventh of that.
"""

from __future__ import annotations

import functools
import html
import re
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.compat import unquote_str

from pytest_pipeline.data.listing import Entry, SourceListing, Tally
from pytest_pipeline.observers.aws_session import asked_of, client, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, AwsTrouble, classify
from pytest_pipeline.observers.buckets import trouble_of
from pytest_pipeline.observers.s3_attempt import BucketAccess, S3Attempt
from pytest_pipeline.observers.s3_conversation import Conversation, Watch, WrongAnswerError, bucket_arn
from pytest_pipeline.observers.side_by_side import side_by_side
from pytest_pipeline.settings import Bucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import boto3

    from pytest_pipeline.data.listing import Want
    from pytest_pipeline.settings import Aws

K = TypeVar("K")

DEADLINE_S = 60.0
"""How long the listing of all sources may take. What was seen by then is told, as incomplete."""

_LIST = "s3:ListBucket"
_GRACE_S = 2.0  # a page that is on its way at the deadline may still come
_PAGE = 1000  # the most that S3 gives (Amazon S3 API reference, ListObjectsV2, "MaxKeys")
_SPARE = 20  # folder markers and empty objects that stand before what is looked for
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})  # not GLACIER_IR, which is read at once
_FIELDS = re.compile(r"<(Key|LastModified|ETag|Size|StorageClass|RestoreExpiryDate)>([^<]*)<")
_ENCODED = re.compile("[%+]")
_OPENS, _CLOSES = b"<Contents>", b"</Contents>"
_ENTRIES = "Entries"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """A bucket and a key or prefix in it."""

    bucket: str
    key: str

    @classmethod
    def of(cls, uri: str) -> S3Address:
        """Read `s3://bucket/key`. Raises ValueError for anything else."""
        found = re.fullmatch(r"s3://([^/]+)(?:/(.*))?", uri, re.DOTALL)
        if found is None:
            raise ValueError(f"{uri!r} is no s3://bucket/prefix")
        return cls(bucket=found[1], key=found[2] or "")


def bucket_of(aws: Aws, address: S3Address) -> Bucket:
    """Return the settings of an address' bucket, or those of a bucket that the settings do not name."""
    named = next((bucket for bucket in aws.buckets if bucket.name == address.bucket), None)
    return named or Bucket(name=address.bucket, read=(address.key,))


def list_s3(
    aws: Aws, wants: Mapping[K, Want], *, deadline_s: float = DEADLINE_S
) -> dict[K, SourceListing | AwsTrouble]:
    """Return what lies in each source, or why it could not be seen.

    A source without a `/` at its end is the object of that name where there is one, else the folder. A denied, missing
    or unreachable bucket, an expired identity and throttling are each a trouble of their kind; so is no answer by the
    deadline. Raises ValueError for a URI that is none.
    """
    addresses = {name: S3Address.of(want.uri) for name, want in wants.items()}
    try:
        session = make_session(aws)
    except AWS_ERRORS as error:
        return {
            name: classify(error, asked_of(aws, _LIST, bucket_arn(address.bucket, aws.region)))
            for name, address in addresses.items()
        }
    ends = time.monotonic() + deadline_s
    calls: dict[K, Callable[[], SourceListing | AwsTrouble]] = {
        name: functools.partial(_listed, aws, session, want, addresses[name], ends) for name, want in wants.items()
    }
    came = side_by_side(calls, deadline_s=deadline_s + _GRACE_S)
    return {name: came[name] if name in came else _late(aws, addresses[name], deadline_s) for name in wants}


def _listed(
    aws: Aws, session: boto3.Session, want: Want, address: S3Address, ends: float
) -> SourceListing | AwsTrouble:
    bucket = bucket_of(aws, address)
    try:
        s3 = client(session, "s3", aws, region=bucket.region)
    except AWS_ERRORS as error:
        return classify(error, asked_of(aws, _LIST, bucket_arn(bucket.name, aws.region), session=session))
    attempts: list[S3Attempt] = []
    with closing(s3):
        s3.meta.events.register_first("before-parse.*.ListObjectsV2", _read_entries)  # `*` comes before botocore's own
        talk = Conversation(bucket, attempts, client=s3, watch=Watch(s3), aws=aws, session=session)
        listing = talk.ask(_LIST, lambda: _walk(talk, want, address, ends))
    return listing or _trouble(aws, address, attempts[-1])


def _trouble(aws: Aws, address: S3Address, attempt: S3Attempt) -> AwsTrouble:
    access = BucketAccess(bucket=address.bucket, identity="operator", prefix=address.key, attempts=(attempt,))
    trouble = trouble_of(attempt, access, aws)
    if trouble is None:
        raise AssertionError("a listing that is not there has failed")
    return trouble


def _late(aws: Aws, address: S3Address, deadline_s: float) -> AwsTrouble:
    arn = bucket_arn(address.bucket, aws.region)
    said = f"no answer within {deadline_s:g} s"
    late = S3Attempt(action=_LIST, resource=arn, ok=False, status=0, code="TimeoutError", message=said)
    return _trouble(aws, address, late)


def _walk(talk: Conversation, want: Want, address: S3Address, ends: float) -> SourceListing:
    """Page through a source until it ends, there is enough, or the time is over."""
    prefix = address.key
    if prefix and not prefix.endswith("/"):
        folder, _, name = prefix.rpartition("/")
        beside = f"{folder}/" if folder else ""
        alone = next((entry for entry in _page(talk, prefix, beside, most=1)[0] if entry.key == name), None)
        if alone is not None:
            tally = Tally(_rooted(want, f"{address.bucket}/{beside}"))
            tally.add(alone)
            return tally.listing(complete=True)
        prefix += "/"
    want = _rooted(want, f"{address.bucket}/{prefix}")
    tally = Tally(want)
    more = ""
    most = _PAGE if want.at_most is None else min(_PAGE, want.at_most + _SPARE)
    while True:
        entries, more = _page(talk, prefix, prefix, most=most, more=more)
        for entry in entries:
            tally.add(entry)
            if tally.enough:
                return tally.listing(complete=False)
        if not more:
            return tally.listing(complete=True)
        if time.monotonic() > ends:
            return tally.listing(complete=False)
        most = _PAGE


def _rooted(want: Want, root: str) -> Want:
    return replace(want, filters=replace(want.filters, root=root))


def _page(talk: Conversation, prefix: str, root: str, *, most: int, more: str = "") -> tuple[Iterator[Entry], str]:
    """Return the entries of one page, their keys relative to `root`, and the token of the next page or ""."""
    after = {"ContinuationToken": more} if more else {}
    page = talk.client.list_objects_v2(
        Prefix=prefix, MaxKeys=most, OptionalObjectAttributes=["RestoreStatus"], **talk.address, **after
    )
    if "IsTruncated" not in page:
        raise WrongAnswerError("a 200 without the fields of a listing")
    token = page.get("NextContinuationToken", "")
    if page["IsTruncated"] and not token:
        raise WrongAnswerError("a listing that is cut off, without the token to go on")
    encoded = page.get("EncodingType") == "url"
    bucket_uri = f"s3://{talk.address['Bucket']}"
    if page.get("Contents"):  # written otherwise than S3 writes it, and so left to botocore
        entries = (_entry(_written(parsed), bucket_uri, root, encoded=False) for parsed in page["Contents"])
    else:
        entries = (_entry(fields, bucket_uri, root, encoded=encoded) for fields in page.get(_ENTRIES, ()))
    return entries, token if page["IsTruncated"] else ""


def _read_entries(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Take the entries out of a page before botocore parses it. What is no listing is left as it is."""
    body: bytes = response_dict["body"]
    first, last = body.find(_OPENS), body.rfind(_CLOSES)
    if response_dict["status_code"] != 200 or not 0 <= first < last:  # noqa: PLR2004  # the status says itself
        return
    response_dict["body"] = body[:first] + body[last + len(_CLOSES) :]
    texts = body[first:last].decode("utf-8", "replace").split("<Contents>")[1:]
    customized_response_dict[_ENTRIES] = [dict(_FIELDS.findall(text)) for text in texts]


def _written(parsed: Mapping[str, Any]) -> dict[str, str]:
    """Return what botocore parsed as S3 wrote it."""
    return {name: str(value) for name, value in {**parsed, **parsed.get("RestoreStatus", {})}.items()}


def _entry(fields: Mapping[str, str], bucket_uri: str, root: str, *, encoded: bool) -> Entry:
    """Return an entry of a listing. Raises WrongAnswerError where it lacks what S3 always says."""
    try:
        written, size, changed = fields["Key"], fields["Size"], fields["LastModified"]
        key = html.unescape(written) if "&" in written else written
        key = unquote_str(key) if encoded and _ENCODED.search(key) else key
        tier = fields.get("StorageClass", "")
        return Entry(
            key=key.removeprefix(root),
            uri=f"{bucket_uri}/{key}",
            size_bytes=int(size),
            version=fields.get("ETag", "").replace("&quot;", '"'),
            modified_s=datetime.fromisoformat(changed).timestamp(),
            archived=tier if tier in _ARCHIVED and "RestoreExpiryDate" not in fields else "",
        )
    except (KeyError, ValueError) as error:
        raise WrongAnswerError(f"an entry of a listing without a key, size or time ({error})") from error
