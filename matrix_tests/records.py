"""Judging the records that training reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import Blocked
from pytest_pipeline.data.defect import Reason
from pytest_pipeline.data.finding import Gravity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_pipeline import Evidence
    from pytest_pipeline.data.defect import Defect
    from pytest_pipeline.data.distinct import Overlap, RecordPlace, Repeats
    from pytest_pipeline.data.finding import Finding
    from pytest_pipeline.data.result import FileResult
    from pytest_pipeline.observers.data_readings import DataReadings, Dataset
    from pytest_pipeline.settings import Data

_WRONG_FORM = frozenset(reason for reason in Reason if not reason.is_content and not reason.is_note)
_WRONG_CONTENT = frozenset(reason for reason in Reason if reason.is_content)
_LOOK_AT_ALL = "data.sample_records, data.max_download_gb"
_SURE = 1.3  # times what is needed: spans hold unlike numbers of records
_MANY = 10_000  # records a second
# What is known to be wrong is not hidden by what is not known.
_WORST_FIRST = (Gravity.CRITICAL, Gravity.WRONG, Gravity.UNKNOWN, Gravity.DOUBTFUL, Gravity.NOTE)


def datasets_in(records: DataReadings, data: Data, evidence: Evidence) -> tuple[Dataset, ...]:
    """What training reads and, where there is any, what it is validated on. Raises Blocked."""
    if not data.train:
        raise Blocked("data.train: what training reads", by="settings")
    evidence(file=data.train[0])  # for what cannot be read at all
    found = [records.train.value]
    if data.validation:
        evidence(file=data.validation[0])
        found.append(records.validation.value)
    for one in found:
        if one.made_by:
            evidence(data=f"made by the quick run of {one.made_by}")
    return tuple(found)


def readable_in(records: DataReadings, data: Data, evidence: Evidence) -> tuple[Dataset, ...]:
    """As `datasets_in`, for all that is read from records: a file without a single one is the form's affair."""
    datasets = datasets_in(records, data, evidence)
    for file in _files(datasets):
        if file.records and _count(file, _WRONG_FORM) == file.records:
            raise Blocked(f"no record of {file.file.uri} can be read", by="data-format")
        if _is_without_records(file):
            raise Blocked(f"there is no record in {file.file.uri}", by="data-format")
    return datasets


def valid_in(records: DataReadings, data: Data, evidence: Evidence) -> tuple[Dataset, ...]:
    """As `readable_in`, for what is told of required fields: where no record has them, the content is at fault."""
    datasets = readable_in(records, data, evidence)
    for one in datasets:
        if not one.valid:
            first = one.files[0].file.uri
            raise Blocked(f"none of the {one.records:,} records of {first} is valid", by="data-content")
    return datasets


def judge_form(datasets: Sequence[Dataset], data: Data, evidence: Evidence) -> None:
    """Whether each line is one JSON object. Up to `data.max_invalid_records` lines that are not are a warning."""
    wrong = _WRONG_FORM
    evidence(records=f"{sum(one.records for one in datasets):,}", looked_at=_looked_at(datasets))
    for file in _files(datasets):
        for note in (Reason.CRLF, Reason.BLANK):
            if file.reasons.get(note):
                evidence.warn(_note(file, note))
    for file in _files(datasets):
        if _is_without_records(file):
            evidence(file=file.file.uri)
            pytest.fail("there is no record in it", pytrace=False)
    bad = [file for file in _files(datasets) if _count(file, wrong)]
    if bad:
        first = _first(bad[0], wrong)
        evidence(file=bad[0].file.uri)
        what = f"{_said(first)}; {_sum_of(bad, datasets, wrong)}"
        if sum(map(_invalid_in, datasets)) > data.max_invalid_records:
            pytest.fail(what, pytrace=False)
        evidence.warn(f"{bad[0].file.uri}: {what}, of {data.max_invalid_records:,} invalid records that are allowed")


def judge_content(datasets: Sequence[Dataset], data: Data, evidence: Evidence) -> None:
    """Whether each record has what it must have."""
    wrong = _WRONG_CONTENT
    valid, records = sum(one.valid for one in datasets), sum(one.records for one in datasets)
    fields = " and ".join(name.capitalize() for name in data.fields)
    evidence(fields=fields, share=_percent(valid, records), records=f"{records:,}")
    bad = [file for file in _files(datasets) if _count(file, wrong)]
    if not bad:
        return
    first = _first(bad[0], wrong)
    count = sum(file.fields.get(first.field, 0) for file in bad)
    evidence(field=first.field, count=f"{count:,}")
    what = f"first at {bad[0].file.uri} {_said(first)}; {_sum_of(bad, datasets, wrong)}"
    if sum(map(_invalid_in, datasets)) > data.max_invalid_records:
        pytest.fail(what, pytrace=False)
    evidence.warn(f"{what}, of {data.max_invalid_records:,} invalid records that are allowed")


def judge_volume(train: Dataset, data: Data, evidence: Evidence) -> None:
    """Whether there are valid distinct records enough."""
    if data.min_records is None:
        raise Blocked("data.min_records", by="settings")
    evidence(min=f"{data.min_records:,}")
    if not train.exact:
        _judge_sampled_volume(train, data.min_records, evidence)
        return
    repeats = train.repeats.value
    evidence(count=f"{repeats.distinct:,}")
    if repeats.distinct < data.min_records:
        invalid = train.records - train.valid
        # There would be enough, were they valid; where so many may be invalid, no other row says so.
        if train.valid < data.min_records <= train.records and invalid > data.max_invalid_records:
            content = sum(_count(file, _WRONG_CONTENT) for file in train.files)
            row = "data-content" if content > invalid - content else "data-format"
            raise Blocked(f"of {train.records:,} records {train.valid:,} are valid, need {data.min_records:,}", by=row)
        seen = f"{train.records:,} records, {train.valid:,} of them valid, {repeats.distinct:,} distinct"
        pytest.fail(seen, pytrace=False)


def _judge_sampled_volume(train: Dataset, least: int, evidence: Evidence) -> None:
    """A sample tells about how many records there are, and not how many are distinct."""
    seen = f"a sample of {train.records:,} records stands for about {_stands_for(train, train.valid):,} valid ones"
    if _stands_for(train, train.valid) < least * _SURE:
        raise Blocked(f"{seen}, and only all of them tell whether that is enough ({_LOOK_AT_ALL})", by="settings")
    evidence(count=f"about {_stands_for(train, train.valid):,}")
    evidence.warn(f"{seen}; how many are distinct, only all of them tell ({_LOOK_AT_ALL})")


def judge_repeats(datasets: Sequence[Dataset], most_share: float, evidence: Evidence) -> None:
    """Whether records occur again: a model learns by heart what it reads often."""
    every = [one.repeats.value for one in datasets]
    _warn_of_sample(datasets, "what repeats", evidence)
    evidence(distinct=f"{sum(one.distinct for one in every):,}", records=f"{sum(one.records for one in every):,}")
    for repeats in every:
        again = repeats.records - repeats.distinct
        if not again:
            continue
        what = (
            f"{again:,} of {repeats.records:,} records ({_percent(again, repeats.records)} %) repeat an earlier one; "
            f"{_most(repeats)}"
        )
        if again / repeats.records > most_share:
            pytest.fail(what, pytrace=False)
        evidence.warn(what)


def judge_leak(overlap: Overlap, datasets: Sequence[Dataset], evidence: Evidence) -> None:
    """Whether the model is judged by what it was trained on."""
    _warn_of_sample(datasets, "what is in both", evidence)
    evidence(records=f"{overlap.records:,}")
    if overlap.shared:
        most = overlap.most[0]
        pytest.fail(
            f"{overlap.shared:,} of {overlap.records:,} validation records are in the training data too, "
            f"such as {_place(most.places[0])}, which is {_place(most.elsewhere[0])}",
            pytrace=False,
        )


def _warn_of_sample(datasets: Sequence[Dataset], what: str, evidence: Evidence) -> None:
    if not all(one.exact for one in datasets):
        evidence.warn(f"{_looked_at(datasets)} was looked at, and only all of them tell {what} ({_LOOK_AT_ALL})")


def judge_findings(findings: Iterable[Finding], evidence: Evidence) -> None:
    """Make of findings, worst first, what they are for the row."""
    for finding in sorted(findings, key=lambda one: _WORST_FIRST.index(one.gravity)):
        match finding.gravity:
            case Gravity.UNKNOWN:
                raise Blocked(finding.sentence, by="settings")
            case Gravity.CRITICAL:
                evidence.severity("critical")
                pytest.fail(finding.sentence, pytrace=False)
            case Gravity.WRONG:
                pytest.fail(finding.sentence, pytrace=False)
            case Gravity.DOUBTFUL:
                evidence.warn(finding.sentence)
            case Gravity.NOTE:
                evidence(note=finding.sentence)


def speed_of(datasets: Sequence[Dataset]) -> str:
    """How fast the records were looked at, as `812k records/s`."""
    records, seconds = sum(one.records for one in datasets), sum(one.duration_s for one in datasets)
    each_s = records / max(seconds, 1e-9)
    return f"{each_s / 1000:.0f}k records/s" if each_s >= _MANY else f"{each_s:.0f} records/s"


def _files(datasets: Iterable[Dataset]) -> Iterator[FileResult]:
    for one in datasets:
        yield from one.files


def _count(file: FileResult, reasons: Iterable[Reason]) -> int:
    return sum(file.reasons.get(reason, 0) for reason in reasons)


def _first(file: FileResult, reasons: Iterable[Reason]) -> Defect:
    return min((defect for defect in file.defects if defect.reason in reasons), key=lambda defect: defect.offset)


def _said(defect: Defect) -> str:
    at = f"line {defect.line:,}" if defect.line else f"byte {defect.offset:,}"
    detail = f": {defect.detail}" if defect.detail else ""
    return f"{at}: {defect.reason.value.replace('-', ' ')}{detail}{f' ({defect.excerpt})' if defect.excerpt else ''}"


def _note(file: FileResult, note: Reason) -> str:
    what = "end in CR LF" if note is Reason.CRLF else "are blank, which a reader that parses each line does not take"
    return f"{file.reasons[note]:,} lines of {file.file.uri} {what}"


def _sum_of(bad: Sequence[FileResult], datasets: Sequence[Dataset], reasons: Iterable[Reason]) -> str:
    """`12 of 51,617 records, exact`, or the estimate of a sample."""
    count = sum(_count(file, reasons) for file in bad)
    records = sum(one.records for one in datasets)
    files = f" in {len(bad)} files" if len(bad) > 1 else ""
    if all(one.exact for one in datasets):
        return f"{count:,} of {records:,} records{files}, exact"
    sampled = next(one for one in datasets if not one.exact)
    return f"{count:,} of {records:,} records looked at{files}; {sampled.invalid.sentence()}"


def _invalid_in(dataset: Dataset) -> int:
    """Return how many records are invalid: those that were seen or, of a sample, as many as they stand for."""
    seen = dataset.records - dataset.valid
    return seen if dataset.exact else _stands_for(dataset, seen)


def _stands_for(dataset: Dataset, seen: int) -> int:
    """Return how many records of all a number of those in the sample stand for."""
    return max(seen, round(seen * dataset.invalid.of_spans / dataset.invalid.spans))


def _is_without_records(file: FileResult) -> bool:
    return file.whole and not file.records


def _looked_at(datasets: Sequence[Dataset]) -> str:
    records = f"{sum(one.records for one in datasets):,}"
    sampled = [one.invalid for one in datasets if not one.exact]
    if not sampled:
        return f"all {records} records"
    spans, of_spans = sum(one.spans for one in sampled), sum(one.of_spans for one in sampled)
    return f"a sample of {records} records in {spans:,} of {of_spans:,} spans"


def _percent(part: int, whole: int) -> str:
    """Rounded so that 100 means all and 0 none."""
    if not whole or part in (0, whole):
        return "100" if part else "0"
    return f"{min(99.9, max(0.1, 100 * part / whole)):.1f}"


def _most(repeats: Repeats) -> str:
    most = repeats.most[0]
    places = " and ".join(_place(place) for place in most.places[:2])
    return f"the most frequent {most.count:,} times, as {places}"


def _place(place: RecordPlace) -> str:
    within = f" from byte {place.start:,} on" if place.start else ""
    return f"valid record {place.record:,} of {place.uri}{within}"
