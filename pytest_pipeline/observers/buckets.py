"""What the operator can do in S3, tried as the pipeline does it: list and get, put and read back, multipart, delete.

HeadBucket proves nothing: it needs ListBucket, and says nothing of objects or prefixes. Each bucket has a thread and a
client of its own.
"""

from __future__ import annotations

import functools
import uuid
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pytest_pipeline.observers.aws_session import asked_of, client, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, AwsTrouble, shown, trouble_in
from pytest_pipeline.observers.s3_attempt import BucketAccess, S3Attempt
from pytest_pipeline.observers.s3_conversation import Conversation, Watch, bucket_arn
from pytest_pipeline.observers.s3_reading import read
from pytest_pipeline.observers.s3_writing import GATE_KEY, try_multipart, write
from pytest_pipeline.observers.side_by_side import side_by_side
from pytest_pipeline.remedy import on_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import boto3

    from pytest_pipeline.observers.effects import Journal
    from pytest_pipeline.settings import Aws, Bucket

DEADLINE_S = 20.0
"""How long one bucket may take, all prefixes and retries included."""


@dataclass(slots=True, kw_only=True)
class _Stop:
    """One prefix to look at, what is tried there, and what came of it so far. Its thread fills it in."""

    prefix: str
    tries: tuple[Callable[[Conversation], None], ...]
    attempts: list[S3Attempt] = field(default_factory=list)
    done: bool = False


def read_buckets(aws: Aws, buckets: Sequence[Bucket], *, deadline_s: float = DEADLINE_S) -> tuple[BucketAccess, ...]:
    """Return what the operator can read at each read prefix of these buckets. Nothing is written."""
    routes = [
        (bucket, [_Stop(prefix=prefix, tries=(functools.partial(read, prefix=prefix),)) for prefix in bucket.read])
        for bucket in buckets
    ]
    return _travel(aws, routes, "s3:ListBucket", deadline_s)


def write_buckets(
    aws: Aws, buckets: Sequence[Bucket], *, journal: Journal, deadline_s: float = DEADLINE_S
) -> tuple[BucketAccess, ...]:
    """Return what the operator can write at each write prefix of these buckets.

    One object a bucket, at its `probe_key`, is written and overwritten; it stays unless the pipeline itself deletes
    there (`s3:DeleteObject` in the bucket's actions). Other prefixes are proven by a multipart upload that is begun and
    aborted: it needs the same s3:PutObject, leaves no object and fires no event. `journal` is told of every effect.
    """
    nonce = uuid.uuid4().hex
    return _travel(aws, [(bucket, _writes(bucket, nonce, journal)) for bucket in buckets], "s3:PutObject", deadline_s)


def trouble_of(attempt: S3Attempt, access: BucketAccess, aws: Aws) -> AwsTrouble | None:
    """Return why an attempt failed, in words and with its remedy, whoever made it; None where it did not fail."""
    if attempt.ok:
        return None
    whole = f"{bucket_arn(access.bucket, attempt.region or aws.region)}/"
    grant = f"{whole}{access.prefix}*" if attempt.resource.startswith(f"{whole}{access.prefix}") else ""
    asked = asked_of(aws, attempt.action, attempt.resource, grant=grant)
    region, retries = attempt.region, attempt.retries
    trouble = trouble_in(attempt.code, attempt.message, attempt.status, asked, region=region, retries=retries)
    if access.identity == "host" and trouble.is_credentials:
        return replace(trouble, remedy=on_host("aws sts get-caller-identity"))
    return trouble


def _writes(bucket: Bucket, nonce: str, journal: Journal) -> list[_Stop]:
    probe_key = bucket.probe_key or ""
    whole = functools.partial(write, bucket=bucket, nonce=nonce, journal=journal)
    home = next((prefix for prefix in bucket.write if probe_key.startswith(prefix)), None)
    stops = []
    for prefix in bucket.write:
        folder = prefix if prefix.endswith("/") or not prefix else f"{prefix}/"
        begun = functools.partial(try_multipart, bucket=bucket, key=folder + GATE_KEY, journal=journal)
        stops.append(_Stop(prefix=prefix, tries=(whole,) if prefix == home else (begun,)))
    if stops and home is None:  # a probe key of its own, where the pipeline does not write
        stops[0].tries = (*stops[0].tries, whole)
    return stops


def _travel(
    aws: Aws, routes: Sequence[tuple[Bucket, list[_Stop]]], first_action: str, deadline_s: float
) -> tuple[BucketAccess, ...]:
    """Visit the stops of each bucket, all buckets at once. What was late says so, and keeps what was seen before."""
    routes = [(bucket, stops) for bucket, stops in routes if stops]
    try:
        session = make_session(aws)
    except AWS_ERRORS as error:
        for bucket, stops in routes:
            stops[0].attempts.append(_no_client(error, bucket, aws, first_action))
            _spread(stops)
    else:
        calls = {
            f"{bucket.name}-{number}": functools.partial(_visit, aws, session, bucket, stops, first_action)
            for number, (bucket, stops) in enumerate(routes)
        }
        side_by_side(calls, deadline_s=deadline_s)
    access = []
    for bucket, stops in routes:
        for stop in stops:
            attempts = list(stop.attempts)  # a late thread may still add to it
            if not stop.done:
                attempts.append(_late(bucket, aws, first_action, deadline_s))
            access.append(
                BucketAccess(bucket=bucket.name, identity="operator", prefix=stop.prefix, attempts=tuple(attempts))
            )
    return tuple(access)


def _visit(aws: Aws, session: boto3.Session, bucket: Bucket, stops: list[_Stop], first_action: str) -> None:
    try:
        s3 = client(session, "s3", aws, region=bucket.region)
    except AWS_ERRORS as error:
        stops[0].attempts.append(_no_client(error, bucket, aws, first_action))
        _spread(stops)
        return
    with closing(s3):
        watch = Watch(s3)
        for stop in stops:
            talk = Conversation(bucket, stop.attempts, client=s3, watch=watch, aws=aws, session=session)
            for try_it in stop.tries:
                try_it(talk)
                if talk.is_hopeless:
                    _spread(stops)
                    return
            stop.done = True


def _spread(stops: list[_Stop]) -> None:
    """Say of the stops that were not reached what was said of the last one: they would meet the same."""
    last = next(stop.attempts[-1] for stop in reversed(stops) if stop.attempts)
    for stop in stops:
        if not stop.attempts:
            stop.attempts.append(last)
        stop.done = True


def _no_client(error: Exception, bucket: Bucket, aws: Aws, action: str) -> S3Attempt:
    return _failed(bucket, aws, action, type(error).__name__, shown(str(error)))


def _late(bucket: Bucket, aws: Aws, action: str, deadline_s: float) -> S3Attempt:
    return _failed(bucket, aws, action, "TimeoutError", f"no answer within {deadline_s:g} s")


def _failed(bucket: Bucket, aws: Aws, action: str, code: str, message: str) -> S3Attempt:
    resource = bucket_arn(bucket.name, bucket.region or aws.region)
    return S3Attempt(action=action, resource=resource, ok=False, status=0, code=code, message=message)
