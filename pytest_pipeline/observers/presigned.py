"""Addresses of objects that anybody may read who has them, for a few minutes: for a host without our credentials.

Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import SecretStr

from pytest_pipeline.observers.aws_session import asked_of, client, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, AwsTrouble, classify
from pytest_pipeline.observers.s3_conversation import Watch, bucket_arn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import boto3

    from pytest_pipeline.data.spans import DataFile
    from pytest_pipeline.settings import Aws, Bucket

EXPIRES_S = 300

# Version 2, which botocore would take in old regions, reads nothing that KMS protects. With the bucket in the path the
# address is always the region's own; the global one may redirect, and what is signed for one does not do for another.
_CONFIG = Config(signature_version="s3v4", s3={"addressing_style": "path"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedObject:
    """An object, and the address to get it at, which is a secret; `headers` are signed too, and must be sent along."""

    uri: str
    size_bytes: int
    url: SecretStr
    headers: dict[str, str] = field(default_factory=dict)


def presigned(
    files: Sequence[DataFile], bucket: Bucket, aws: Aws, *, expires_s: int = EXPIRES_S
) -> tuple[SignedObject, ...] | AwsTrouble:
    """Return addresses to GET these objects of a bucket at, signed with the operator's credentials.

    They end after `expires_s`, or with the session whose credentials signed them, if that is earlier. Whether they may
    be read is not known before they are. Sends nothing but, where the settings do not name the bucket's region, the
    question for it.
    """
    session = None
    try:
        session = make_session(aws)
        region = bucket.region or _region_of(bucket, aws, session)
        with closing(session.client("s3", region_name=region, config=_CONFIG)) as s3:
            return tuple(_signed(s3, one, bucket, expires_s) for one in files)
    except AWS_ERRORS as error:
        resource = bucket_arn(bucket.name, bucket.region or aws.region)
        return classify(error, asked_of(aws, "s3:ListBucket", resource, session=session))


def _region_of(bucket: Bucket, aws: Aws, session: boto3.Session) -> str:
    """Return the region of a bucket: S3 names it also to those whom it denies everything else. Raises ClientError."""
    with closing(client(session, "s3", aws)) as s3:
        watch = Watch(s3)  # which also keeps botocore from asking in circles
        try:
            s3.head_bucket(Bucket=bucket.name)
        except ClientError:
            if not watch.region:
                raise
        return watch.region or str(s3.meta.region_name)


def _signed(s3: Any, file: DataFile, bucket: Bucket, expires_s: int) -> SignedObject:
    key = file.uri.removeprefix(f"s3://{bucket.name}/")
    payer = {"RequestPayer": "requester"} if bucket.request_payer else {}
    parameters = {"Bucket": bucket.name, "Key": key, **payer}
    url = s3.generate_presigned_url("get_object", Params=parameters, ExpiresIn=expires_s)
    headers = {"x-amz-request-payer": "requester"} if payer else {}
    return SignedObject(uri=file.uri, size_bytes=file.size_bytes, url=SecretStr(url), headers=headers)
