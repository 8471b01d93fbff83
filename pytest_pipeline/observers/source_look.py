"""The sources of data, listed: those in S3 as the operator, those on this machine as they lie there."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pytest_pipeline.data.filters import Filters, Meaning
from pytest_pipeline.data.listing import SourceListing, Want
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.local_listing import list_local
from pytest_pipeline.observers.s3_listing import S3Address, bucket_of, list_s3
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.settings import Aws, Settings, Source

K = TypeVar("K")

SOURCES_ROW = "data-sources"
_SHOWN = 5  # files that are kept of a source; counts are exact all the same


def want_of(source: Source) -> Want:
    """Return what is to be listed of a source."""
    filters = Filters(rules=tuple(source.filters), meaning=Meaning(source.filters_meaning))
    return Want(uri=source.uri, filters=filters, keep=_SHOWN)


def look_at_sources(settings: Settings) -> dict[str, Reading[SourceListing]]:
    """Return what lies in each source of the settings, by its name."""
    return listings(settings, {source.name: want_of(source) for source in settings.data.sources}, owner=SOURCES_ROW)


def listings(settings: Settings, wants: Mapping[K, Want], *, owner: str) -> dict[K, Reading[SourceListing]]:
    """Return what lies in each place. `owner` is the row that answers for what is not there."""
    in_s3 = {name: want for name, want in wants.items() if want.uri.startswith("s3://")}
    came = list_s3(settings.aws, in_s3) if in_s3 else {}
    return {
        name: _in_s3(settings, want.uri, came[name], owner) if name in came else _here(want, owner)
        for name, want in wants.items()
    }


def _in_s3(settings: Settings, uri: str, came: SourceListing | AwsTrouble, owner: str) -> Reading[SourceListing]:
    return s3_trouble(settings, uri, came, owner=owner) if isinstance(came, AwsTrouble) else Reading.of(came)


def s3_trouble(settings: Settings, uri: str, trouble: AwsTrouble, *, owner: str) -> Reading[SourceListing]:
    """Return why something in S3 could not be looked at, and which row answers for it: `owner` where no other looks.

    Where the pipeline reads a bucket as the host alone, a denial to the operator is no fault of the pipeline's.
    """
    if trouble.is_credentials:
        return Reading.missing(str(trouble), by="aws-credentials")
    address = S3Address.of(uri)
    bucket = bucket_of(settings.aws, address)
    if trouble.kind is Kind.DENIED and bucket.from_ and "operator" not in bucket.from_:
        reason = f"{uri} is looked at as the operator, who cannot: {trouble}; let the operator read it too"
        return Reading.missing(reason, by="settings")
    return Reading.missing(str(trouble), by="s3-read" if _is_read_by_s3_read(settings.aws, address) else owner)


def _is_read_by_s3_read(aws: Aws, address: S3Address) -> bool:
    prefixes = [prefix for bucket in aws.buckets if bucket.name == address.bucket for prefix in bucket.read]
    return any(address.key.startswith(prefix) for prefix in prefixes)


def _here(want: Want, owner: str) -> Reading[SourceListing]:
    try:
        return Reading.of(list_local(replace(want, uri=os.path.expanduser(want.uri))))  # noqa: PTH111  # keeps the last /
    except OSError as error:
        return Reading.missing(f"{want.uri}: {error.strerror or error}", by=owner)
