"""Reading a prefix as the pipeline does: list it until there is something to read, and read a byte of that."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.observers.s3_conversation import WrongAnswerError

if TYPE_CHECKING:
    from pytest_pipeline.observers.s3_conversation import Conversation

_MOST_PAGES = 5  # of 1,000 keys each
_ARCHIVED = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listing:
    """What a listing came to: a key with content or "", and how many keys were looked at, all of them or not."""

    key: str
    keys: int
    complete: bool


def read(talk: Conversation, *, prefix: str) -> None:
    """List the prefix and get one byte of a real object; where there is none, prove GetObject by a key that is absent.

    S3 answers 404 for an absent key only to who may both list and get, and 403 to everybody else (Amazon S3 API
    reference, GetObject, "Permissions"); so without a listing nothing can be said of GetObject.
    """
    listing = talk.ask("s3:ListBucket", lambda: _listing(talk, prefix))
    if listing is None:
        return
    if listing.key:
        talk.ask("s3:GetObject", lambda: _first_byte(talk, listing.key), key=listing.key)
        return
    more = "" if listing.complete else ", and there are more"
    talk.remark(f"no object with content among {listing.keys} keys{more}")
    absent = f"{prefix}.pipeline-gate-{uuid.uuid4().hex}"
    talk.ask("s3:GetObject", lambda: talk.expect_absent(absent), key=absent)


def _listing(talk: Conversation, prefix: str) -> _Listing:
    """Page through the prefix up to the first object with content; folder markers and empty objects do not count."""
    archived, keys = "", 0
    more: dict[str, str] = {}
    for _ in range(_MOST_PAGES):
        page = talk.client.list_objects_v2(Prefix=prefix, **talk.address, **more)
        if "IsTruncated" not in page:
            raise WrongAnswerError("a 200 without the fields of a listing")
        for entry in page.get("Contents", ()):
            keys += 1
            if entry["Size"] == 0 or entry["Key"].endswith("/"):
                continue
            if entry.get("StorageClass") not in _ARCHIVED:
                return _Listing(key=entry["Key"], keys=keys, complete=not page["IsTruncated"])
            archived = archived or entry["Key"]
        if not page["IsTruncated"]:
            return _Listing(key=archived, keys=keys, complete=True)
        if not page.get("NextContinuationToken"):
            raise WrongAnswerError("a listing that is cut off, without the token to go on")
        more = {"ContinuationToken": page["NextContinuationToken"]}
    return _Listing(key=archived, keys=keys, complete=False)


def _first_byte(talk: Conversation, key: str) -> None:
    body = talk.client.get_object(Key=key, Range="bytes=0-0", **talk.address)["Body"]
    try:
        if not body.read(1):
            raise WrongAnswerError(f"a 200 without a byte of {key}, which the listing says has content")
    finally:
        body.close()
