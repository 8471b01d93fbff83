"""Addresses that are signed work in the sandbox as with S3: once the signature is right, for a while, and no longer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sandbox.meets_download import BUCKET, address, get

if TYPE_CHECKING:
    from sandbox.conftest import World

ODD_KEY = "training-runs/a b/ü+%41.bin"
MIB = 2**20


@pytest.mark.parametrize("who", ["client", "host_client"])
def test_who_has_the_address_may_read(world: World, who: str) -> None:
    world.client("s3").put_object(Bucket=BUCKET, Key=ODD_KEY, Body=b"0123456789")
    assert get(address(world, ODD_KEY, who=who)) == (200, b"0123456789")
    assert get(address(world, ODD_KEY, who=who), Range="bytes=2-4") == (206, b"234")


def test_ranges_of_what_is_large_come_as_they_are_asked_for(world: World) -> None:
    url = address(world)
    assert get(url, Range=f"bytes={8 * MIB}-{8 * MIB + 9}") == (206, bytes(10))
    status, body = get(url, Range=f"bytes={9 * MIB}-{9 * MIB + 9}")
    assert (status, b"<Code>InvalidRange</Code>" in body) == (416, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [("Signature=", "Signature=0"), ("X-Amz-Expires=300", "X-Amz-Expires=3000"), ("consolidated", "config")],
    ids=["signature", "time", "object"],
)
def test_an_address_that_was_changed_is_refused(world: World, old: str, new: str) -> None:
    status, body = get(address(world).replace(old, new))
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)


def test_an_address_ends(world: World) -> None:
    url = address(world, expires_s=1)
    until = time.monotonic() + 10
    while get(url, Range="bytes=0-0")[0] == 206:
        assert time.monotonic() < until
    status, body = get(url)
    assert status == 403
    assert b"<Code>AccessDenied</Code><Message>Request has expired</Message><X-Amz-Expires>1</X-Amz-Expires>" in body


def test_what_is_no_signature_is_said_to_be_none(world: World) -> None:
    url = address(world)
    status, body = get(url.replace("&X-Amz-Expires=300", ""))
    assert (status, b"<Code>AuthorizationQueryParametersError</Code>" in body) == (400, True)
    status, body = get(url.replace("Credential=", "Credential=AKIASOMEBODYELSES000"))
    assert (status, b"<Code>InvalidAccessKeyId</Code>" in body) == (403, True)


def test_another_session_than_the_one_that_signed_is_none(world: World) -> None:
    status, body = get(address(world, who="host_client").replace("X-Amz-Security-Token=", "X-Amz-Security-Token=x"))
    assert (status, b"<Code>InvalidToken</Code>" in body) == (400, True)
