"""What S3 says to those who use it: the rows s3-read and s3-write judge every identity, bucket and prefix alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from pytest_pipeline import Blocked
from pytest_pipeline.observers.buckets import trouble_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.aws_view import PipelineAws
    from pytest_pipeline.observers.gpu_host import GpuHost
    from pytest_pipeline.observers.s3_attempt import BucketAccess
    from pytest_pipeline.settings import Bucket, Settings

_SAID_IN_FULL = 3
_TRIED = {"s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"}

Wanted = tuple[str, str, str]
"""(bucket, identity, prefix): each of them must have been looked at."""

Found = dict[Wanted, "BucketAccess | None"]
Look = Callable[[], "Sequence[BucketAccess]"]


def read_access(settings: Settings, aws: PipelineAws, host: GpuHost) -> Found:
    """Return what came of reading, for all that the pipeline reads. Raises Blocked where nobody could look."""
    return _access(settings, "read", lambda: aws.facts.buckets_read, lambda: host.buckets_read)


def write_access(settings: Settings, aws: PipelineAws, host: GpuHost) -> Found:
    """Return what came of writing, likewise. This writes, reads back and deletes one object a bucket."""
    return _access(settings, "write", lambda: aws.facts.buckets_written, lambda: host.buckets_written)


def _access(settings: Settings, use: Literal["read", "write"], by_operator: Look, by_host: Look) -> Found:
    blind = [bucket.name for bucket in settings.aws.buckets if not (bucket.read or bucket.write)]
    if blind:
        raise Blocked(f"aws.buckets {', '.join(blind)}: read or write prefixes", by="settings")
    wanted: list[Wanted] = [
        (bucket.name, identity, prefix)
        for bucket in settings.aws.buckets
        for identity in bucket.from_
        for prefix in getattr(bucket, use)
    ]
    if not wanted:
        raise Blocked(f"aws.buckets with {use} prefixes", by="settings")
    seen: list[BucketAccess] = []
    for asked, look in (("operator", by_operator), ("host", by_host)):
        if any(identity == asked for _, identity, _ in wanted):
            seen += look()
    by_place = {(access.bucket, access.identity, access.prefix): access for access in seen}
    return {place: by_place.get(place) for place in wanted}


def judge_access(
    accesses: Mapping[Wanted, BucketAccess | None], needed: set[str], settings: Settings, evidence: Evidence
) -> None:
    """Fail with every denial by action and ARN. An action that is needed and was not tried is no access.

    Raises Blocked where the operator's credentials are to blame: they are another row's to judge.
    """
    evidence(looked_at=", ".join(dict.fromkeys(f"s3://{bucket}" for bucket, _, _ in accesses)))
    buckets = {bucket.name: bucket for bucket in settings.aws.buckets}
    for bucket in settings.aws.buckets:
        for action in sorted({*bucket.actions} - _TRIED):
            evidence.warn(f"{action} on {bucket.name} is in aws.buckets.actions, and is not tried")
    wrong: dict[str, list[str]] = {}  # what is wrong -> for whom, and where
    first: tuple[str, str] | None = None
    for (name, identity, prefix), access in accesses.items():
        for remark in _remarks(access, buckets[name], settings):
            evidence.warn(f"{remark} ({identity} at s3://{name}/{prefix})")
        for what, remedy in _wrong_with(access, needed, settings):
            wrong.setdefault(what, []).append(f"{identity} at s3://{name}/{prefix}")
            first = first or (name, remedy)
    if first is not None:
        evidence(bucket=first[0], permissions=_in_words(wrong))
        evidence.remedy(first[1])
        raise AssertionError  # the diagnostic says it all; an `assert` here is one that `python -O` may remove


def _wrong_with(access: BucketAccess | None, needed: set[str], settings: Settings) -> Iterator[tuple[str, str]]:
    if access is None or not access.attempts:
        yield "it was not looked at", ""
        return
    for attempt in access.attempts:
        trouble = trouble_of(attempt, access, settings.aws)
        if trouble is None:
            continue
        if trouble.is_credentials and access.identity == "operator":
            raise Blocked(trouble.what, by="aws-credentials", remedy=trouble.remedy)
        yield trouble.what, trouble.remedy
    untried = needed - {attempt.action for attempt in access.attempts}
    if untried and all(attempt.ok for attempt in access.attempts):
        yield f"{', '.join(sorted(untried))} was not tried", ""


def _remarks(access: BucketAccess | None, bucket: Bucket, settings: Settings) -> Iterator[str]:
    """What somebody should look at although it works."""
    region = bucket.region or settings.aws.region
    for attempt in access.attempts if access else ():
        if not attempt.ok:
            continue
        if attempt.retries:
            retries = "1 retry" if attempt.retries == 1 else f"{attempt.retries} retries"
            yield f"{attempt.action} needed {retries}"
        if attempt.region and region and attempt.region != region:
            yield f"the bucket is in {attempt.region}, not in {region}: every request is redirected"
        # What only the gate wanted, to see more, and was denied; or nothing to read: a prefix may be mistyped.
        if "denied" in attempt.message or attempt.message.startswith("no object"):
            yield f"{attempt.action}: {attempt.message}"


def _in_words(wrong: Mapping[str, Sequence[str]]) -> str:
    said = [f"{what} ({', '.join(dict.fromkeys(places))})" for what, places in wrong.items()]
    more = len(said) - _SAID_IN_FULL
    return "; ".join([*said[:_SAID_IN_FULL], *([f"and {more} more like these"] if more > 0 else [])])
