"""Faults of downloading to the host: the row download-speed must catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.aws_presigned import SIGNATURE
from pytest_pipeline.sandbox.aws_rule import cut, fails, ignores_ranges, never, paced, watched
from pytest_pipeline.sandbox.data_content import SOURCE_PREFIX
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import CACHE_BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.aws_rule import Effect
    from pytest_pipeline.sandbox.fault import Kind
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

ROW = "download-speed"
_WEIGHTS = f"arn:aws:s3:::{CACHE_BUCKET}/{SOURCE_PREFIX}*"
_NOBODY_LISTENS = "http://127.0.0.1:9"


def _met(plan: TenantPlan, effect: Effect = watched) -> Tally:
    """Let this become of what the host reads with an address that was signed for it."""
    return plan.rule("s3:GetObject", effect, parameter=SIGNATURE)


def _takes(plan: TenantPlan, *, size_gb: float, max_hours: float) -> Tally:
    plan.settings["data"]["download"] |= {"size_gb": size_gb, "max_hours": max_hours}
    return _met(plan)


def _slow_link(plan: TenantPlan) -> Tally:
    plan.link_bytes_s = 8e5
    return _takes(plan, size_gb=100, max_hours=4)


def _slow_connections(plan: TenantPlan) -> Tally:
    plan.settings["data"]["download"] |= {"size_gb": 100, "max_hours": 4}
    return _met(plan, paced(1e5))


def _denied(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:GetObject", _WEIGHTS, of=plan.operator)


def _small(plan: TenantPlan) -> Tally:
    objects = plan.buckets[CACHE_BUCKET].objects
    for key in [key for key in objects if key.startswith(SOURCE_PREFIX)]:
        objects[key] = b"a pointer, and no weights"
    return plan.rule("s3:ListBucket", resources=(f"arn:aws:s3:::{CACHE_BUCKET}",))


def _low_baseline(plan: TenantPlan) -> Tally:
    """Let the instance be of a type that bursts: for good it has 0.032Gbps, half of what is measured.

    At the speed that is measured, 60 h are enough.
    """
    plan.instance.type = plan.settings["host"]["instance_type"] = "t3.nano"
    plan.settings["data"]["download"] |= {"size_gb": 1000, "max_hours": 60}
    return plan.rule("ec2:DescribeInstanceTypes")


def _read_only(plan: TenantPlan) -> Tally:
    plan.volume.read_only = True
    return _met(plan)


def _full(plan: TenantPlan) -> Tally:
    plan.volume.fill_mib = plan.volume.size_mib - 40
    return _met(plan)


def _dead_proxy(plan: TenantPlan) -> Tally:
    plan.host.environment["http_proxy"] = _NOBODY_LISTENS
    return plan.host.commands


def _fault(
    name: str,
    inject: Callable[[TenantPlan], Tally | None],
    words: str,
    summary: str,
    *,
    subtle: bool = True,
    expect: Status = Status.FAILED,
) -> Fault:
    kind: Kind = "subtle" if subtle else "gross"
    return Fault(id=name, row=ROW, kind=kind, words=words, summary=summary, inject=inject, expect=expect)


DOWNLOAD_FAULTS = (
    _fault(
        "dl-slow-link", _slow_link, "4h are allowed for 100GB, and it takes", "a link of 6Mbps in all", subtle=False
    ),
    _fault("dl-slow-connections", _slow_connections, "the network binds", "connections that are slow, each of them"),
    _fault(
        "dl-hours",
        lambda plan: _takes(plan, size_gb=2000, max_hours=1),
        "1h are allowed for 2000GB, and it takes",
        "a good link, and fewer hours than the size takes",
    ),
    _fault(
        "dl-baseline",
        _low_baseline,
        "the instance's baseline bandwidth binds",
        "a type of instance that is fast for minutes, and slow for hours",
    ),
    _fault(
        "dl-denied",
        _denied,
        "the host could not download: 403 AccessDenied",
        "a reader who may list the model's source and not read it",
        subtle=False,
    ),
    _fault(
        "dl-expired",
        lambda plan: _met(plan, fails(403, "AccessDenied", "Request has expired")),
        "403 AccessDenied: Request has expired",
        "addresses that are over before they are used",
    ),
    _fault(
        "dl-slow-down",
        lambda plan: _met(plan, fails(503, "SlowDown", "Please reduce your request rate.")),
        "503 SlowDown",
        "S3 that throttles all that the host reads",
        subtle=False,
    ),
    _fault(
        "dl-no-ranges",
        lambda plan: _met(plan, ignores_ranges),
        "the whole object is sent, whatever range is asked for",
        "something on the way that takes ranges out of requests",
    ),
    _fault("dl-reset", lambda plan: _met(plan, cut), "closed the connection", "connections that are reset"),
    _fault("dl-hangs", lambda plan: _met(plan, never), "did not answer in time", "connections that never answer"),
    _fault("dl-proxy", _dead_proxy, "cannot be reached", "a proxy in the host's environment where nobody listens"),
    _fault(
        "dl-small",
        _small,
        "bytes in S3 are too few to measure a speed with",
        "a model's source that holds pointers and no weights",
        expect=Status.BLOCKED,
    ),
    _fault(
        "dl-read-only",
        _read_only,
        "Read-only file system",
        "a volume that cannot be written, so that its speed is not known",
        expect=Status.WARNED,
    ),
    _fault(
        "dl-full",
        _full,
        "are too few to measure how fast /mnt/training can be written",
        "a volume without room to measure how fast it is",
        expect=Status.WARNED,
    ),
)
