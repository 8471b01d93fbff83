"""The records that training reads, looked at once: their form and content, what repeats, and what they mean."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_pipeline.data import columns as schema
from pytest_pipeline.data import encoding_damage, lengths, loading, placeholder, secrets
from pytest_pipeline.data.columns import HEAD_BYTES
from pytest_pipeline.data.distinct import Digests, Overlap, Repeats, overlap
from pytest_pipeline.data.examination import Examination, examine, merge
from pytest_pipeline.data.executors import NoExecutorError, pool_opener
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.intervals import UnknownShareError
from pytest_pipeline.data.listing import Want
from pytest_pipeline.data.missing_library import MissingLibraryError
from pytest_pipeline.data.opening import FileChangedError, LocalFiles
from pytest_pipeline.data.running import WorkerLostError, WorkError
from pytest_pipeline.data.sampling import choose
from pytest_pipeline.data.scan import Leave, NoRecordError, Scan, scan
from pytest_pipeline.data.shape import examined
from pytest_pipeline.data.spans import SPAN_BYTES, Shape, Span
from pytest_pipeline.data.spec import Field, Kind, RecordSpec
from pytest_pipeline.data.staleness import Dated, staleness
from pytest_pipeline.data.staleness import findings as stale_findings
from pytest_pipeline.data.tokenizer import NoTokenizerError, token_counter
from pytest_pipeline.observers.data_readings import DataReadings, Dataset
from pytest_pipeline.observers.s3_files import S3Files, S3ReadError
from pytest_pipeline.observers.source_look import listings, s3_trouble
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pytest_pipeline.data.listing import Entry, SourceListing
    from pytest_pipeline.data.opening import Opener, Readable
    from pytest_pipeline.data.spans import DataFile
    from pytest_pipeline.settings import Aws, Data, Settings

FORMAT_ROW = "data-format"
SEED = 7
"""Of what is drawn: the same data, looked at again, shows the same."""

_JSON = re.compile(r"\.json(\.gz|\.zst)?\Z", re.IGNORECASE)
_SUFFIXES = (".jsonl", ".json", ".ndjson", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst")
_NO_FILE = "there is no such file"
_MEANING_BYTES = 32 * 1000**2  # of a dataset: some seconds, whatever its size
_MOST_WORKERS = 4
_MUCH_BYTES = 256 * 1000**2  # below it, starting processes takes longer than reading
_GLIMPSE_BYTES = 1000**2  # of each file but the first
_LEAST_SHARE = 0.1  # of the time, also for a small part of the data
_OF_SETTINGS = (MissingLibraryError, NoExecutorError, NoTokenizerError, UnknownShareError, WorkerLostError, WorkError)
UNREADABLE = (FileChangedError, NoRecordError, OSError, *_OF_SETTINGS)
"""What reading files of records raises, but for what S3 says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anywhere:
    """Opens files of S3 and of this machine."""

    aws: Aws = field(repr=False)
    span_bytes: int = SPAN_BYTES  # how far a reader is expected to go

    def open(self, file: DataFile, start: int) -> Readable:
        """Return the bytes of a file from `start` on. Raises as `S3Files` and `LocalFiles` do."""
        in_s3 = file.uri.startswith("s3://")
        where: Opener = S3Files(aws=self.aws, span_bytes=self.span_bytes) if in_s3 else LocalFiles()
        return where.open(file, start)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The files of one purpose, in the order that training reads them."""

    files: tuple[DataFile, ...]
    entries: tuple[Entry, ...]
    made_by: str = ""


def look_at_records(
    settings: Settings,
    sources: Mapping[str, Reading[SourceListing]],
    scratch: Path,
    make: Callable[[], Reading[str]],
) -> DataReadings:
    """Return what came of the records of `data.train` and `data.validation`. Nothing is left in the scratch folder.

    `make` has the step of `data.produced_by` make what is not there, and returns the step's name.
    """
    data = settings.data
    place = _place(settings, make)
    found = [_files(settings, uris, setting, place) for setting, uris in _purposes(data).items()]
    all_bytes = max(1, sum(map(_size_bytes, found)))
    part = min(1.0, data.max_download_gb * 1000**3 / max(1, sum(map(_in_s3_bytes, found))))
    scratch.mkdir(exist_ok=True)
    with Digests(scratch) as of_train, Digests(scratch) as of_validation:
        train, validation = (
            _looked_at(settings, one, digests, share=_size_bytes(one) / all_bytes, part=part)
            for one, digests in zip(found, (of_train, of_validation), strict=True)
        )
        return DataReadings(
            train=_dataset(data, train, of_train),
            validation=_dataset(data, validation, of_validation),
            columns=_columns(data, train, validation),
            overlap=_overlap(data, train, validation, of_train, of_validation),
            stale=_stale(found if data.validation else found[:1], sources),
        )


def _purposes(data: Data) -> dict[str, Sequence[str]]:
    return {"data.train": data.train, "data.validation": data.validation}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """What lies where data is to be, by URI, and which step made which of it just now."""

    listings: Mapping[str, Reading[SourceListing]]
    made: Mapping[str, str] = field(default_factory=dict)


def _place(settings: Settings, make: Callable[[], Reading[str]]) -> _Place:
    """Look for all files before any is made, and for all anew then: a step may replace what is there."""
    uris = [uri for uris in _purposes(settings.data).values() for uri in uris]
    found = _listed(settings, uris)
    absent = [uri for uri in uris if _is_yet_to_be_made(settings, uri, found[uri])]
    if not absent:
        return _Place(listings=found)
    made = make()
    if made.is_known:
        return _Place(listings=_listed(settings, uris), made=dict.fromkeys(absent, made.value))
    why: dict[str, Reading[SourceListing]] = {
        uri: Reading.missing(f"{uri}: {_NO_FILE}; {made.reason}", by=made.by, remedy=made.remedy) for uri in absent
    }
    return _Place(listings=found | why)


def _files(settings: Settings, uris: Sequence[str], setting: str, place: _Place) -> Reading[_Found]:
    """Return the files of a purpose as they were listed, or the first thing that is wrong with finding them."""
    if not uris:
        return Reading.missing(setting, by="settings")
    entries: list[Entry] = []
    for uri in uris:
        listing = place.listings[uri]
        if not listing.is_known:
            return listing.hand_on()
        why = _why_nothing(listing.value)
        if why:
            return Reading.missing(f"{uri}: {why}", by=FORMAT_ROW)
        entries += _records_among(listing.value.kept)
    if twice := next((uri for uri, count in Counter(entry.uri for entry in entries).items() if count > 1), ""):
        return Reading.missing(f"{setting} has {twice} twice; take it out once", by="settings")
    opener = Anywhere(aws=settings.aws)
    try:
        files = tuple(examined(entry.file, opener) for entry in entries)
    except S3ReadError as error:
        return s3_trouble(settings, error.uri, error.trouble, owner=FORMAT_ROW).hand_on()
    except UNREADABLE as error:
        return _unreadable(error)
    made_by = place.made[uris[0]] if place.made.keys() >= {*uris} else ""
    return Reading.of(_Found(files=files, entries=tuple(entries), made_by=made_by))


def _records_among(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return the files that hold records: beside JSON lines, a `.json` is about them (`dataset_info.json`)."""
    lines = tuple(entry for entry in entries if not _JSON.search(entry.key))
    return lines or entries


def _listed(settings: Settings, uris: Sequence[str]) -> dict[str, Reading[SourceListing]]:
    found = listings(settings, {uri: records_at(uri) for uri in uris}, owner=FORMAT_ROW)
    folders = {uri: records_at(f"{uri}/") for uri in uris if _is_folder_after_all(uri, found[uri])}
    return found | listings(settings, folders, owner=FORMAT_ROW)


def _is_yet_to_be_made(settings: Settings, uri: str, listing: Reading[SourceListing]) -> bool:
    """Whether there is no such file, and the step that makes the data makes it."""
    producer = settings.producer
    nothing = listing.is_known and _why_nothing(listing.value) == _NO_FILE
    return nothing and producer is not None and producer.makes(uri)


def records_at(uri: str) -> Want:
    """Return what to list: of a folder the files that are named as records, and a file whatever its name."""
    return Want(uri=uri, suffixes=_SUFFIXES if uri.endswith("/") else ())


def _is_folder_after_all(uri: str, listing: Reading[SourceListing]) -> bool:
    """Whether files lie below what is written without a `/` at its end."""
    kept = listing.value.kept if listing.is_known and not uri.endswith("/") else ()
    own = uri if uri.startswith("s3://") else str(Path(uri).expanduser().absolute())
    return bool(kept) and kept[0].uri != own


def _why_nothing(listing: SourceListing) -> str:
    if not listing.complete:
        return "its files were not all listed in time"
    if listing.archived.count:
        return f"{listing.archived.first[0]} must be restored before it can be read"
    if listing.no_files.count:
        return f"{listing.no_files.first[0]} is no file that can be read"
    if listing.count:
        return ""
    if listing.empty.count:
        return f"{listing.empty.first[0]} is empty"
    if listing.others:
        return f"none of its {listing.others:,} files is named as one of records ({', '.join(_SUFFIXES)})"
    return _NO_FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Looked:
    """What was seen of one purpose: the form of records, and what they mean."""

    files: tuple[DataFile, ...]
    made_by: str
    scan: Scan
    seen: Examination
    loaded: tuple[Finding, ...]


def _looked_at(
    settings: Settings, found: Reading[_Found], digests: Digests, *, share: float, part: float
) -> Reading[_Looked]:
    """Look at one purpose, in its `share` of the time; of what is in S3 no more than `part` may be downloaded."""
    if not found.is_known:
        return found.hand_on()
    data, files, opener = settings.data, found.value.files, Anywhere(aws=settings.aws)
    fields = tuple(Field(name=name, kind=Kind(kind)) for name, kind in data.fields.items())
    spec = RecordSpec(fields=fields, max_line_bytes=int(data.max_record_mb * 1000**2), digests=bool(fields))
    leave = Leave(
        most_bytes=int(_size_bytes(found) * (part if _in_s3_bytes(found) else 1)),
        most_s=data.budget_s * max(share, _LEAST_SHARE),
        records=data.sample_records,
        seed=SEED,
    )
    much = _size_bytes(found) > _MUCH_BYTES
    workers = (data.workers or min(_MOST_WORKERS, os.cpu_count() or 1)) if much else 1
    try:
        pool = pool_opener(workers=workers, url=data.executor or "")
        seen = scan(files, spec, opener, leave, digests=digests if fields else None, open_pool=pool)
        return Reading.of(
            _Looked(
                files=files,
                made_by=found.value.made_by,
                scan=seen,
                seen=merge(examine(span, spec, opener) for span in _to_examine(files)),
                loaded=_loaded(files, spec, opener) if data.try_loading else (),
            )
        )
    except S3ReadError as error:
        return s3_trouble(settings, error.uri, error.trouble, owner=FORMAT_ROW).hand_on()
    except UNREADABLE as error:
        return _unreadable(error)


def _loaded(files: Sequence[DataFile], spec: RecordSpec, opener: Opener) -> tuple[Finding, ...]:
    return loading.findings(loading.load(loading.heads_of(files, spec, opener)))


def _to_examine(files: Sequence[DataFile]) -> tuple[Span, ...]:
    """Return the spans whose records are looked at for what they mean: all, or random ones and the head of each file.

    The head of the first fixes the types of columns for `datasets`, and something of each file must be seen.
    """
    sample = choose(files, budget_bytes=_MEANING_BYTES, seed=SEED)
    if sample.exact:
        return sample.spans
    plain = [file for file in files if file.size_bytes and not file.compression and file.shape is Shape.LINES]
    ends = {file: min(file.size_bytes, _GLIMPSE_BYTES if number else HEAD_BYTES) for number, file in enumerate(plain)}
    heads = [Span(file=file, start=0, end=end) for file, end in ends.items()]
    return (*heads, *(span for span in sample.spans if span.start >= ends.get(span.file, 0)))


def _size_bytes(found: Reading[_Found]) -> int:
    return sum(file.size_bytes for file in found.value.files) if found.is_known else 0


def _in_s3_bytes(found: Reading[_Found]) -> int:
    return sum(file.size_bytes for file in found.value.files if file.uri.startswith("s3://")) if found.is_known else 0


def _unreadable(error: Exception) -> Reading[Any]:
    """Return why data could not be read: for want of something here, or because of the file."""
    if isinstance(error, _OF_SETTINGS):
        return Reading.missing(str(error), by="settings")
    where = getattr(error, "filename", None)
    said = f"{where}: {error.strerror}" if isinstance(error, OSError) and where and error.strerror else str(error)
    return Reading.missing(said, by=FORMAT_ROW)


def _dataset(data: Data, looked: Reading[_Looked], digests: Digests) -> Reading[Dataset]:
    if not looked.is_known:
        return looked.hand_on()
    seen, scanned = looked.value.seen, looked.value.scan
    findings = {
        "placeholder-text": placeholder.findings(placeholder.placeholder(seen.draw), scanned.lines_before),
        "encoding-damage": encoding_damage.findings(seen.damage, scanned.lines_before),
        "secrets-in-data": secrets.findings(seen.secrets, scanned.lines_before),
    }
    try:
        findings["sequence-length"] = _lengths(data, looked.value)
    except NoTokenizerError as error:
        return _unreadable(error)
    return Reading.of(
        Dataset(
            files=scanned.files,
            invalid=scanned.invalid,
            repeats=_repeats(data, digests),
            duration_s=scanned.duration_s,
            findings=findings,
            made_by=looked.value.made_by,
        )
    )


def _lengths(data: Data, looked: _Looked) -> tuple[Finding, ...]:
    """Raise NoTokenizerError where there is none at the place that the settings name."""
    if data.sequence_length is None:
        return ()
    if not looked.seen.draw.kept:
        return (Finding(gravity=Gravity.UNKNOWN, sentence="no record was looked at: nothing is known of its length"),)
    counter = token_counter(data.tokenizer) if data.tokenizer else None
    seen = lengths.lengths(looked.seen.draw, data.sequence_length, counter)
    return lengths.findings(seen, looked.scan.lines_before)


def _columns(data: Data, train: Reading[_Looked], validation: Reading[_Looked]) -> Reading[tuple[Finding, ...]]:
    """Return where columns differ: among the training files, and between them and the validation files.

    The latter is in doubt only: `datasets` refuses it where both are loaded together, and not where they are not.
    """
    if not train.is_known:
        return train.hand_on()
    seen, before = train.value.seen, train.value.scan.lines_before
    found = (*schema.findings(seen.columns, train.value.files, before), *train.value.loaded)
    if not data.validation:
        return Reading.of(found)
    if not validation.is_known:
        return validation.hand_on()
    both = schema.merge((seen.columns, validation.value.seen.columns))
    files = (*train.value.files, *validation.value.files)
    known = {one.sentence for one in found}
    further = schema.findings(both, files, {**before, **validation.value.scan.lines_before})
    doubts = [replace(one, gravity=_in_doubt(one.gravity)) for one in further if one.sentence not in known]
    return Reading.of((*found, *doubts, *validation.value.loaded))


def _in_doubt(gravity: Gravity) -> Gravity:
    return Gravity.DOUBTFUL if gravity in (Gravity.CRITICAL, Gravity.WRONG) else gravity


def _repeats(data: Data, digests: Digests) -> Reading[Repeats]:
    if not data.fields:
        return Reading.missing("data.fields: what a record must have, and what makes two alike", by="settings")
    return Reading.of(digests.repeats())


def _overlap(
    data: Data, train: Reading[_Looked], validation: Reading[_Looked], of_train: Digests, of_validation: Digests
) -> Reading[Overlap]:
    for looked in (train, validation):
        if not looked.is_known:
            return looked.hand_on()
    if not data.fields:
        return _repeats(data, of_train).hand_on()
    return Reading.of(overlap(of_validation, of_train))


def _stale(
    made: Sequence[Reading[_Found]], sources: Mapping[str, Reading[SourceListing]]
) -> Reading[tuple[Finding, ...]]:
    """Return what is older than the newest source."""
    dated = []
    for one in made:
        if not one.is_known:
            return one.hand_on()
        dated += [_dated(entry) for entry in one.value.entries]
    newest = []
    for listing in sources.values():
        if not listing.is_known:
            return listing.hand_on()
        if not listing.value.complete:
            return Reading.missing(f"{listing.value.uri} was not listed to its end", by="data-sources")
        newest += [_dated(listing.value.newest)] if listing.value.newest else []
    return Reading.of(stale_findings(staleness(dated, newest)))


def _dated(entry: Entry) -> Dated:
    return Dated(uri=entry.uri, modified_s=entry.modified_s or None)
