"""From what a host says of S3 to attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.observers.s3_attempt import BucketAccess, S3Attempt
from pytest_pipeline.observers.untrusted import Unreadable, flag, items, mapping, printable, text, whole

if TYPE_CHECKING:
    from typing import Any

_KEY_END = 4  # characters of an access key id that may be shown


def bucket_access(value: object) -> tuple[BucketAccess, ...]:
    """Read the answer of the S3 probe. Raises Unreadable."""
    of = mapping(value, "S3")
    source, key_ends = text(of, "source"), text(of, "key_ends")
    if len(key_ends) > _KEY_END:
        raise Unreadable("key_ends is longer than four characters")
    credentials = f"{source}, ...{key_ends}" if source else ""
    return tuple(_access(entry, credentials) for entry in items(of.get("access"), "access"))


def _access(value: object, credentials: str) -> BucketAccess:
    of = mapping(value, "access")
    attempts = tuple(_attempt(one) for one in items(of.get("attempts"), "attempts"))
    if not attempts:
        raise Unreadable("attempts is empty")
    return BucketAccess(
        bucket=_name(of, "bucket"),
        identity="host",
        prefix=_name(of, "prefix"),
        attempts=attempts,
        left=tuple(printable(key) for key in items(of.get("left"), "left")),
        credentials=credentials,
    )


def _name(of: dict[str, Any], name: str) -> str:
    """Return a name as it is: it is ours, and compared with what was asked for."""
    value = of.get(name)
    if not isinstance(value, str):
        raise Unreadable(f"{name} is no text")
    return value


def _attempt(value: object) -> S3Attempt:
    of = mapping(value, "attempt")
    return S3Attempt(
        action=text(of, "action"),
        resource=text(of, "resource"),
        ok=flag(of, "ok"),
        status=whole(of, "status"),
        code=text(of, "code"),
        message=text(of, "message"),
        retries=whole(of, "retries"),
        region=text(of, "region"),
    )
