"""Which objects a download is measured with: the largest of those that the pipeline reads, signed for the host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_pipeline.data.listing import Want
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.presigned import presigned
from pytest_pipeline.observers.s3_listing import S3Address, bucket_of
from pytest_pipeline.observers.source_look import SOURCES_ROW, listings, s3_trouble, want_of
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_pipeline.data.spans import DataFile
    from pytest_pipeline.observers.presigned import SignedObject
    from pytest_pipeline.settings import Settings

LEAST_BYTES = 8 * 2**20
"""What there must be in all, so that a speed is measured and not how long requests take."""

_ROW, _TRAIN_ROW = "download-speed", "data-format"
_NAMED = "data.sources, data.train or requirements.model.source"
_SEEN = 5000  # files that are looked for in each place; the first of them are as large as others
_MOST = 64  # of the largest: they are read again and again


def signed_objects(settings: Settings) -> Reading[tuple[SignedObject, ...]]:
    """Return addresses of what the pipeline downloads, the largest first. Lists each place, and reads nothing.

    A place that cannot be listed is left out where the others have enough.
    """
    came = [
        one
        for owner, wants in _places(settings).items()
        for one in listings(settings, dict(enumerate(wants)), owner=owner).values()
    ]
    files = to_measure([file for one in came if one.is_known for file in one.value.files])
    size_bytes = sum(file.size_bytes for file in files)
    if size_bytes >= LEAST_BYTES:
        return _signed(settings, files)
    unseen = next((one for one in came if not one.is_known), None)
    if unseen is not None:
        return unseen.hand_on()
    there = f"{size_bytes:,} bytes in S3 are too few to measure a speed with" if came else "nothing in S3 is named"
    return Reading.missing(f"{_NAMED}: {LEAST_BYTES:,} bytes in S3 at least ({there})", by="settings")


def to_measure(files: Sequence[DataFile]) -> list[DataFile]:
    """Return the largest of some files, each once, the largest first; no small ones where there are large ones."""
    each = {file.uri: file for file in files}
    found = sorted(each.values(), key=lambda file: (-file.size_bytes, file.uri))[:_MOST]
    return [file for file in found if file.size_bytes >= LEAST_BYTES] or found


def _places(settings: Settings) -> dict[str, list[Want]]:
    """Return what is listed, by the row that answers for what is not there."""
    sources = [replace(want_of(source), keep=_SEEN, at_most=_SEEN) for source in settings.data.sources]
    model = settings.requirements.model
    train = [Want(uri=uri, keep=_SEEN, at_most=_SEEN) for uri in settings.data.train]
    weights = [Want(uri=model.source, keep=_SEEN, at_most=_SEEN)] if model and model.source else []
    places = {SOURCES_ROW: sources, _TRAIN_ROW: train, _ROW: weights}
    return {owner: [want for want in wants if want.uri.startswith("s3://")] for owner, wants in places.items()}


def _signed(settings: Settings, files: Sequence[DataFile]) -> Reading[tuple[SignedObject, ...]]:
    signed: dict[str, SignedObject] = {}
    for bucket in {address.bucket: address for address in (S3Address.of(file.uri) for file in files)}.values():
        of = [file for file in files if S3Address.of(file.uri).bucket == bucket.bucket]
        came = presigned(of, bucket_of(settings.aws, bucket), settings.aws)
        if isinstance(came, AwsTrouble):
            return s3_trouble(settings, of[0].uri, came, owner=_ROW).hand_on()
        signed |= {one.uri: one for one in came}
    return Reading.of(tuple(signed[file.uri] for file in files))
