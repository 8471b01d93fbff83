"""What a step of the pipeline made: what is new or changed among its outputs, and how many records that has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_pipeline.data.listing import Want
from pytest_pipeline.data.scan import Leave, NoRecordError, scan
from pytest_pipeline.data.shape import examined
from pytest_pipeline.data.spec import RecordSpec
from pytest_pipeline.observers.records_look import UNREADABLE, Anywhere, records_at
from pytest_pipeline.observers.s3_files import S3ReadError
from pytest_pipeline.observers.source_look import listings, s3_trouble
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.data.listing import Entry, SourceListing
    from pytest_pipeline.settings import Output, Settings, Step

SPEED_ROW = "processing-speed"
_COUNT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run made of an output: new or changed objects, and their valid records where these are counted."""

    uri: str
    min_records: int
    objects: int
    records: int | None = None

    @property
    def trouble(self) -> str:
        """What is wrong with it, or ""."""
        if not self.objects:
            return f"{self.uri} was not written"
        if self.records is not None and self.records < self.min_records:
            return f"{self.uri} has {self.records:,} valid records, need {self.min_records:,}"
        return ""


def list_outputs(settings: Settings, step: Step) -> Reading[Mapping[str, SourceListing]]:
    """Return what lies at each output of a step, by its URI, or the first reason why that cannot be told."""
    found = listings(settings, {output.uri: _want(output) for output in step.outputs}, owner=SPEED_ROW)
    for uri, listing in found.items():
        if not listing.is_known:
            return listing.hand_on()
        if not listing.value.complete:
            return Reading.missing(f"{uri} was not listed to its end", by=SPEED_ROW)
    return Reading.of({uri: listing.value for uri, listing in found.items()})


def made_of(settings: Settings, output: Output, before: SourceListing, after: SourceListing) -> Reading[Made]:
    """Return what is new or changed: what an earlier run left there is no work of this one."""
    old = {_version(entry) for entry in before.kept}
    entries = [entry for entry in after.kept if _version(entry) not in old]
    made = Made(uri=output.uri, min_records=output.min_records, objects=len(entries))
    if not entries and after.empty.count > before.empty.count:
        return Reading.of(replace(made, objects=after.empty.count, records=0))
    if not entries or not output.min_records:
        return Reading.of(made)
    opener = Anywhere(aws=settings.aws)
    leave = Leave(most_bytes=sum(entry.size_bytes for entry in entries), most_s=_COUNT_S)
    try:
        files = [examined(entry.file, opener) for entry in entries]
        return Reading.of(replace(made, records=scan(files, RecordSpec(), opener, leave).valid))
    except NoRecordError:
        return Reading.of(replace(made, records=0))
    except S3ReadError as error:
        return s3_trouble(settings, error.uri, error.trouble, owner=SPEED_ROW).hand_on()
    except UNREADABLE as error:
        return Reading.missing(f"{output.uri}: {error}", by=SPEED_ROW)


def _want(output: Output) -> Want:
    return records_at(output.uri) if output.min_records else Want(uri=output.uri)


def _version(entry: Entry) -> tuple[str, str, float]:
    return entry.uri, entry.version, entry.modified_s
