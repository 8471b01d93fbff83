"""What S3 says to those who use it: the rows s3-read and s3-write judge every identity, bucket and prefix alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline import Blocked
from pytest_pipeline.observers.buckets import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.aws_view import PipelineAws
    from pytest_pipeline.observers.gpu_host import GpuHost
    from pytest_pipeline.observers.s3_attempt import BucketAccess
    from pytest_pipeline.settings import Settings

_SAID_IN_FULL = 3

Wanted = tuple[str, str, str]
"""(bucket, identity, prefix): each of them must have been looked at."""


def read_access(settings: Settings, aws: PipelineAws, host: GpuHost) -> dict[Wanted, BucketAccess | None]:
    """Return what came of reading, for all that the pipeline reads. Raises Blocked where nobody could look."""
    wanted = [
        (bucket.name, identity, prefix)
        for bucket in settings.aws.buckets
        for identity in bucket.from_
        for prefix in bucket.read
    ]
    if not wanted:
        raise Blocked("aws.buckets with read prefixes", by="settings")
    seen: list[BucketAccess] = []
    if any(identity == "operator" for _, identity, _ in wanted):
        seen += aws.facts.buckets_read
    if any(identity == "host" for _, identity, _ in wanted):
        seen += host.buckets_read
    return _found(wanted, seen)


def write_access(settings: Settings, aws: PipelineAws, host: GpuHost) -> dict[Wanted, BucketAccess | None]:
    """Return what came of writing, likewise. This writes, reads back and deletes one object a bucket."""
    wanted = [
        (bucket.name, identity, prefix)
        for bucket in settings.aws.buckets
        for identity in bucket.from_
        for prefix in bucket.write
    ]
    if not wanted:
        raise Blocked("aws.buckets with write prefixes", by="settings")
    seen: list[BucketAccess] = []
    if any(identity == "operator" for _, identity, _ in wanted):
        seen += aws.facts.buckets_written
    if any(identity == "host" for _, identity, _ in wanted):
        seen += host.buckets_written
    return _found(wanted, seen)


def _found(wanted: Sequence[Wanted], seen: Sequence[BucketAccess]) -> dict[Wanted, BucketAccess | None]:
    by_place = {(access.bucket, access.identity, access.prefix): access for access in seen}
    return {place: by_place.get(place) for place in wanted}


def judge_access(
    accesses: dict[Wanted, BucketAccess | None], needed: set[str], settings: Settings, evidence: Evidence
) -> None:
    """Fail with every denial by action and ARN. An action that is needed and was not tried is no access."""
    evidence(looked_at=", ".join(dict.fromkeys(f"s3://{bucket}" for bucket, _, _ in accesses)))
    wrong: dict[str, list[str]] = {}  # what is wrong -> where, and for whom
    first: tuple[str, str] | None = None
    for (bucket, identity, prefix), access in accesses.items():
        for what, remedy in _wrong_with(access, needed, settings, evidence):
            wrong.setdefault(what, []).append(f"{identity} at s3://{bucket}/{prefix}")
            first = first or (bucket, remedy)
    if first is not None:
        bucket, remedy = first
        evidence(bucket=bucket, permissions=_in_words(wrong))
        evidence.remedy(remedy)
    assert not wrong


def _in_words(wrong: dict[str, list[str]]) -> str:
    said = [f"{what} ({', '.join(dict.fromkeys(places))})" for what, places in wrong.items()]
    more = len(said) - _SAID_IN_FULL
    return "; ".join([*said[:_SAID_IN_FULL], *([f"and {more} more like these"] if more > 0 else [])])


def _wrong_with(
    access: BucketAccess | None, needed: set[str], settings: Settings, evidence: Evidence
) -> Iterator[tuple[str, str]]:
    if access is None or not access.attempts:
        yield "it was not looked at", ""
        return
    for attempt in access.attempts:
        trouble = trouble_of(attempt, access, settings.aws)
        if trouble is not None:
            yield trouble.what, trouble.remedy
        elif attempt.retries:
            times = "once" if attempt.retries == 1 else f"{attempt.retries} times"
            evidence.warn(f"{attempt.action} on {attempt.resource} was retried {times} before it held")
    untried = needed - {attempt.action for attempt in access.attempts}
    if untried and all(attempt.ok for attempt in access.attempts):
        yield f"{', '.join(sorted(untried))} was not tried", ""
