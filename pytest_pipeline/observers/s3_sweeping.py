"""Removing what an earlier run left in S3, because it was killed or could not reach S3 at its end."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.aws_session import client, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS
from pytest_pipeline.observers.s3_writing import OBJECT, UPLOAD, may_delete

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_pipeline.observers.effects import Effect, Journal
    from pytest_pipeline.settings import Aws, Bucket


def sweep(aws: Aws, buckets: Sequence[Bucket], effects: Iterable[Effect], *, journal: Journal) -> tuple[Effect, ...]:
    """Remove what these effects of earlier runs left, and return those that are left still.

    Uploads are aborted. Objects are deleted where the pipeline itself deletes; elsewhere they stay by design. Only
    buckets of the settings are touched, and there only the keys that the gate itself writes. What cannot be removed,
    for whatever reason AWS has, is left and returned.
    """
    of_name = {bucket.name: bucket for bucket in buckets}
    left = []
    for effect in effects:
        name, _, key = effect.where.removeprefix("s3://").partition("/")
        bucket = of_name.get(name)
        if effect.removed:
            continue
        if bucket is not None and _removed(aws, bucket, key, effect.what):
            journal(replace(effect, removed=True))
        else:
            left.append(effect)
    return tuple(left)


def _removed(aws: Aws, bucket: Bucket, key: str, what: str) -> bool:
    try:
        with closing(client(make_session(aws), "s3", aws, region=bucket.region)) as s3:
            if what == UPLOAD:
                return _abort_all(s3, bucket, key)
            if what == OBJECT and may_delete(bucket):
                s3.delete_object(Bucket=bucket.name, Key=key, **_payer(bucket))
                return True
    except AWS_ERRORS:
        return False  # it is left, and the caller says so
    return False


def _abort_all(s3: Any, bucket: Bucket, key: str) -> bool:
    answer = s3.list_multipart_uploads(Bucket=bucket.name, Prefix=key, **_payer(bucket))
    for upload in answer.get("Uploads", ()):
        if upload["Key"] == key:
            s3.abort_multipart_upload(Bucket=bucket.name, Key=key, UploadId=upload["UploadId"], **_payer(bucket))
    return "IsTruncated" in answer and not answer["IsTruncated"]  # an answer without it is none of S3's


def _payer(bucket: Bucket) -> dict[str, str]:
    return {"RequestPayer": "requester"} if bucket.request_payer else {}
