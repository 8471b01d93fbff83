"""What a plain client meets that reads an address which was signed for it, and what such a download ends on."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from sandbox.meets_python import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import World

    Meet = tuple[Callable[[World], object], str]

BUCKET, KEY = "asoba-llm-cache", "models/mistralai/Mistral-7B-v0.3/consolidated.safetensors"
SIZE = 100_000


def address(world: World, key: str = KEY, *, expires_s: int = 300, who: str = "client") -> str:
    """Sign an address with the keys of the operator (`client`), or of the host (`host_client`)."""
    client = getattr(world, who)("s3")
    client.meta.events.register_first("choose-signer.s3.GetObject", lambda **_: "s3v4-query")  # not that of 2006
    found: str = client.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key}, ExpiresIn=expires_s)
    return found


def get(url: str, *, timeout_s: float = 20.0, **headers: str) -> tuple[int, bytes]:
    """Return the status and the body."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s) as got:  # noqa: S310  # ours
            return got.status, got.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def downloads(world: World) -> object:
    status, body = get(address(world), timeout_s=1.0, Range=f"bytes=0-{SIZE - 1}")
    return status, len(body), body[:300].strip(b"\0")


def slowly(world: World) -> object:
    began = time.monotonic()
    return downloads(world), "slow" if time.monotonic() - began > SIZE / 2e6 else "fast"


def and_then(meet: Callable[[World], object]) -> Callable[[World], object]:
    return lambda w: (downloads(w), meet(w))


def baseline(world: World) -> object:
    found = world.client("ec2").describe_instance_types(InstanceTypes=[world.host["instance_type"]])
    return found["InstanceTypes"][0]["NetworkInfo"]["NetworkCards"][0]["BaselineBandwidthInGbps"]


def source(world: World) -> object:
    found = world.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="models/mistralai/")
    return [entry["Size"] for entry in found["Contents"]]


DOWNLOAD_MEETS: dict[str, Meet] = {
    "dl-slow-link": (slowly, r"206, 100000, b''\), 'slow'"),
    "dl-slow-connections": (slowly, r"206, 100000, b''\), 'slow'"),
    "dl-hours": (and_then(lambda w: w.settings["data"]["download"]["max_hours"]), r"206, .*\), 1\)"),
    "dl-baseline": (baseline, r"^0\.032$"),
    "dl-denied": (downloads, "403, .*AccessDenied.*s3:GetObject"),
    "dl-expired": (downloads, "403, .*AccessDenied.*Request has expired"),
    "dl-slow-down": (downloads, "503, .*SlowDown"),
    "dl-no-ranges": (downloads, r"\(200, 100000"),
    "dl-reset": (downloads, "reset|closed"),
    "dl-hangs": (downloads, "timed out"),
    "dl-proxy": (runs("env | grep -i proxy"), "http_proxy=http://127.0.0.1:9"),
    "dl-small": (source, r"^\[25\]$"),
    "dl-read-only": (and_then(runs("touch /mnt/training/x")), "Read-only file system"),
    "dl-full": (and_then(runs("head -c 60M /dev/zero > /mnt/training/x")), "No space left"),
}
