"""Writing as the pipeline does: put and read back, begin a multipart upload, delete where the pipeline deletes.

What only the gate does, and the pipeline may not, costs a remark: reading back where nothing is read, and aborting.

What is made is told to the journal before it is made. Multipart uploads are always aborted. The object stays where the
pipeline itself may not delete: one fixed key, overwritten each time, so that buckets do not fill up with objects that
nobody can delete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.effects import Effect
from pytest_pipeline.observers.s3_conversation import WrongAnswerError

if TYPE_CHECKING:
    from pytest_pipeline.observers.effects import Journal
    from pytest_pipeline.observers.s3_conversation import Conversation
    from pytest_pipeline.settings import Bucket

OBJECT = "s3 object"
UPLOAD = "s3 multipart upload"
GATE_KEY = ".pipeline-gate/write-test"
_MARK = b"pytest-pipeline write test "
_ENOUGH_BYTES = 4096  # far more than is written


def write(talk: Conversation, *, bucket: Bucket, nonce: str, journal: Journal) -> None:
    """Try everything the pipeline does when it writes, at the bucket's `probe_key`."""
    key = bucket.probe_key or GATE_KEY
    body = _MARK + nonce.encode() + b"\n"
    made = Effect(what=OBJECT, where=f"s3://{bucket.name}/{key}")
    journal(made)
    tag = talk.ask("s3:PutObject", lambda: _put(talk, bucket, key, body), key=key)
    if tag is None:
        if _refused(talk):
            journal(_gone(made))
        return
    talk.ask("s3:GetObject", lambda: _read_back(talk, key, tag, body), key=key, note="reading back: ")
    if not _reads(bucket, key):
        talk.make_light_of_denial("not read back")
    try_multipart(talk, bucket=bucket, key=key, journal=journal)
    if talk.is_hopeless or not may_delete(bucket):
        return
    if talk.ask("s3:DeleteObject", lambda: _delete(talk, key), key=key) is not None:
        journal(_gone(made))


def try_multipart(talk: Conversation, *, bucket: Bucket, key: str, journal: Journal) -> None:
    """Begin a multipart upload, which takes s3:PutObject, and abort it: no object is made."""
    made = Effect(what=UPLOAD, where=f"s3://{bucket.name}/{key}")
    journal(made)
    upload = talk.ask(
        "s3:PutObject", lambda: _begin_multipart(talk, bucket, key), key=key, note="CreateMultipartUpload: "
    )
    if upload is None:
        if _refused(talk):
            journal(_gone(made))
        return
    aborted = talk.ask("s3:AbortMultipartUpload", lambda: _abort_multipart(talk, key, upload), key=key)
    if aborted is not None:
        journal(_gone(made))
    elif "s3:AbortMultipartUpload" not in bucket.actions:
        talk.make_light_of_denial(f"the upload that was begun at {made.where} is left")


def _put(talk: Conversation, bucket: Bucket, key: str, body: bytes) -> str:
    answer = talk.client.put_object(Key=key, Body=body, ContentType="text/plain", **talk.address, **_encryption(bucket))
    if not answer.get("ETag"):
        raise WrongAnswerError("a 200 without an ETag")
    return str(answer["ETag"])


def _read_back(talk: Conversation, key: str, tag: str, body: bytes) -> None:
    answer = talk.client.get_object(Key=key, **talk.address)
    with answer["Body"] as stream:
        read = stream.read(_ENOUGH_BYTES)
    # Another gate may have written here since: the key is the same for all.
    if read != body and not (answer.get("ETag") != tag and read.startswith(_MARK)):
        raise WrongAnswerError(f"read-back differs: wrote {len(body)} bytes, read {len(read)} others")


def _begin_multipart(talk: Conversation, bucket: Bucket, key: str) -> str:
    answer = talk.client.create_multipart_upload(Key=key, **talk.address, **_encryption(bucket))
    if not answer.get("UploadId"):
        raise WrongAnswerError("a 200 without an UploadId")
    return str(answer["UploadId"])


def _abort_multipart(talk: Conversation, key: str, upload: str) -> bool:
    talk.client.abort_multipart_upload(Key=key, UploadId=upload, **talk.address)
    return True


def _delete(talk: Conversation, key: str) -> bool:
    talk.client.delete_object(Key=key, **talk.address)
    talk.expect_absent(key)
    return True


def _encryption(bucket: Bucket) -> dict[str, Any]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": bucket.kms_key} if bucket.kms_key else {}


def _reads(bucket: Bucket, key: str) -> bool:
    """Whether the pipeline itself reads what it writes here."""
    return "s3:GetObject" in bucket.actions or any(key.startswith(prefix) for prefix in bucket.read)


def may_delete(bucket: Bucket) -> bool:
    """Whether the pipeline itself deletes in the bucket, and so the gate may."""
    return not {"s3:DeleteObject", "s3:*", "*"}.isdisjoint(bucket.actions)


def _refused(talk: Conversation) -> bool:
    """Whether S3 itself said no, so that nothing was made."""
    return 400 <= talk.attempts[-1].status < 500  # noqa: PLR2004  # HTTP's range of refusals


def _gone(effect: Effect) -> Effect:
    return Effect(what=effect.what, where=effect.where, removed=True)
