"""Talking to S3 about one prefix: every call becomes an attempt, with its retries and the region S3 named."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from pytest_pipeline.observers.aws_codes import Kind, kind_of_answer
from pytest_pipeline.observers.aws_session import asked_of
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, classify, shown
from pytest_pipeline.observers.s3_attempt import S3Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    import boto3

    from pytest_pipeline.settings import Aws, Bucket

V = TypeVar("V")

_REDIRECTS = frozenset({301, 302, 307})
_WRONG_REGION_CODES = frozenset({"PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"})
_GONE = frozenset({"NoSuchKey", "404"})


class WrongAnswerError(Exception):
    """An answer with a good status that is not what S3 would say, such as an empty 200 of a proxy."""


class Watch:
    """Counts a client's retries and notes the region that S3 names, whether or not a call succeeds in the end.

    Botocore follows a bucket to its region by itself. Where the answer does not name the region it would ask by
    HeadBucket, which can be redirected too, and so on without end: there it is told that it has followed already.
    """

    def __init__(self, client: Any) -> None:
        self.retries = 0
        self.region = ""
        self._following = False
        client.meta.events.register_first("needs-retry.s3", self._note)

    def start(self) -> None:
        """Begin what is one attempt, of one or more requests."""
        self.retries = 0
        self.region = ""
        self._following = False

    def _note(self, response: Any, attempts: int, request_dict: dict[str, Any], **_: Any) -> None:
        if attempts > 1 and not self._following:  # following to another region is no retry
            self.retries += 1
        self._following = False
        if response is None:  # nothing came back
            return
        http, parsed = response
        error = parsed.get("Error", {})
        region = http.headers.get("x-amz-bucket-region") or error.get("Region", "")
        self.region = region or self.region
        if http.status_code in _REDIRECTS or error.get("Code") in _WRONG_REGION_CODES:
            self._following = True
            if not region:
                request_dict["context"].setdefault("s3_redirect", {})["redirected"] = True


class Conversation:
    """One prefix of a bucket, and what has been tried at it so far."""

    def __init__(
        self, bucket: Bucket, attempts: list[S3Attempt], *, client: Any, watch: Watch, aws: Aws, session: boto3.Session
    ) -> None:
        self._bucket = bucket
        self.attempts = attempts
        self._watch = watch
        self._aws = aws
        self._session = session
        self.client = client
        self.address: dict[str, Any] = {"Bucket": bucket.name}
        if bucket.request_payer:
            self.address["RequestPayer"] = "requester"

    def ask(self, action: str, call: Callable[[], V], *, key: str | None = None, note: str = "") -> V | None:
        """Make a call and note the attempt; return its answer, or None where it failed.

        `key` is the object it is about; without one it is about the bucket. `note` goes before what a failure says.
        """
        resource = bucket_arn(self._bucket.name, self.client.meta.region_name)
        if key is not None:
            resource = f"{resource}/{key}"
        self._watch.start()
        try:
            answer = call()
        except WrongAnswerError as wrong:
            self._add(action, resource, ok=False, status=200, code="WrongAnswer", message=note + str(wrong))
        except AWS_ERRORS as error:
            self._failed(action, resource, note, error)
        else:
            self._add(action, resource, ok=True, status=200, code="", message="")
            return answer
        return None

    def expect_absent(self, key: str) -> None:
        """Read a key that is not there. Raises WrongAnswerError if it is, and ClientError if it may not be read."""
        try:
            answer = self.client.get_object(Key=key, **self.address)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in _GONE:
                raise
        else:
            answer["Body"].close()
            raise WrongAnswerError(f"{key} is answered with 200 although it is not there")

    def remark(self, message: str) -> None:
        """Put a message on the last attempt, beside what is there."""
        last = self.attempts[-1]
        self.attempts[-1] = replace(last, message=f"{last.message}; {message}" if last.message else message)

    def make_light_of_denial(self, consequence: str) -> None:
        """Turn a last attempt that was denied into a remark on the one before: only the gate wanted it."""
        if self.attempts[-1].denied:
            denied = self.attempts.pop()
            self.remark(f"{consequence}: {denied.action} on {denied.resource} denied")

    @property
    def is_hopeless(self) -> bool:
        """Whether the last attempt says that further ones, at whatever prefix, meet the same."""
        if not self.attempts or self.attempts[-1].ok:
            return False
        last = self.attempts[-1]
        kind = kind_of_answer(last.code, last.message, last.status)
        return kind.is_credentials or kind in (Kind.UNREACHABLE, Kind.TIMED_OUT) or last.code == "NoSuchBucket"

    def _failed(self, action: str, resource: str, note: str, error: Exception) -> None:
        if not isinstance(error, ClientError):
            name = type(error).__name__
            self._add(action, resource, ok=False, status=0, code=name, message=note + shown(str(error)))
            return
        trouble = classify(error, asked_of(self._aws, action, resource, session=self._session))
        if trouble.kind is Kind.DENIED:  # S3 may name another action than ours, such as kms:Decrypt
            action, resource = trouble.action, trouble.resource
        answer, told = error.response.get("ResponseMetadata", {}), error.response.get("Error", {})
        status = int(answer.get("HTTPStatusCode", 0))
        message = note + shown(str(told.get("Message", "")))
        self._add(action, resource, ok=False, status=status, code=str(told.get("Code", "")), message=message)

    def _add(self, action: str, resource: str, *, ok: bool, status: int, code: str, message: str) -> None:
        self.attempts.append(
            S3Attempt(
                action=action,
                resource=resource,
                ok=ok,
                status=status,
                code=code,
                message=message,
                retries=self._watch.retries,
                region=self._watch.region,
            )
        )


def bucket_arn(bucket: str, region: str | None) -> str:
    """Return a bucket's ARN in the partition of a region."""
    partition = {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get((region or "").rsplit("-", 2)[0], "aws")
    return f"arn:{partition}:s3:::{bucket}"
