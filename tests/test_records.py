"""How records are judged: what each row says of them, word for word, and which row answers for what none can read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from data.places import told

from matrix_tests import test_phase3_data as rows
from matrix_tests.records import (
    datasets_in,
    judge_content,
    judge_findings,
    judge_form,
    judge_leak,
    judge_repeats,
    judge_volume,
    readable_in,
    speed_of,
    valid_in,
)
from pytest_pipeline import Blocked
from pytest_pipeline.data.distinct import Overlap, RecordPlace, Repeated, Repeats, Shared
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.sampling import Estimate
from pytest_pipeline.data.spec import Field, RecordSpec
from pytest_pipeline.observers.data_readings import DataReadings, Dataset
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Data, Settings, Source

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = RecordSpec(fields=(Field(name="text"),))
BOTH = RecordSpec(fields=(Field(name="prompt"), Field(name="completion")))
DATA = Data(train=["/data/train.jsonl"], fields={"text": "text"})
LEARNED = Data(train=["/data/train.jsonl"], validation=["/data/validation.jsonl"], fields={"text": "text"})
NOTHING: Reading[Any] = Reading.missing("nobody looked", by="settings")


def lines(*records: object) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


GOOD = lines(*({"text": f"words {number}"} for number in range(10)))


def file(content: bytes = GOOD, name: str = "train", spec: RecordSpec = TEXT, **changed: Any) -> Any:
    result = told(content, spec)
    return replace(result, file=replace(result.file, uri=f"/data/{name}.jsonl"), **changed)


def dataset(*files: Any, sampled: Estimate | None = None, repeats: Reading[Repeats] | None = None) -> Dataset:
    files = files or (file(),)
    records, valid = sum(one.records for one in files), sum(one.valid for one in files)
    return Dataset(
        files=files,
        invalid=sampled or estimate(records - valid, records, exact=True),
        repeats=repeats or Reading.of(Repeats(records=valid, distinct=valid, repeated=0, most=())),
        duration_s=0.5,
    )


def estimate(bad: int, records: int, *, spans: int = 32, of_spans: int = 320, exact: bool = False) -> Estimate:
    share = bad / records if records else 0.0
    return Estimate(
        share=share, low=share / 2, high=min(1.0, share * 2), bad=bad, records=records, spans=spans, of_spans=of_spans,
        hidden=0.1, seed=7, exact=exact,
    )  # fmt: skip


def readings(train: Reading[Dataset], validation: Reading[Dataset] = NOTHING) -> DataReadings:
    return DataReadings(train=train, validation=validation, columns=NOTHING, overlap=NOTHING, stale=NOTHING)


def said(judge: Callable[..., object], *given: Any) -> tuple[str, Evidence]:
    """Return the failure's text, "" where there is none, and what was noted."""
    evidence = Evidence()
    try:
        judge(*given, evidence)
    except Blocked:
        raise
    except pytest.fail.Exception as failed:
        return str(failed), evidence
    return "", evidence


def blocked(judge: Callable[..., object], *given: Any) -> tuple[str, str]:
    """Return why a row could not look, and which row answers for it."""
    with pytest.raises(Blocked) as caught:
        judge(*given, Evidence())
    return caught.value.reason, caught.value.by


class TestWhatIsLookedAt:
    """Which datasets there are; what cannot be read is one cause."""

    def test_what_training_reads_and_what_it_is_validated_on(self) -> None:
        train, validation = dataset(), dataset(file(name="validation"))

        evidence = Evidence()
        assert datasets_in(readings(Reading.of(train)), DATA, evidence) == (train,)
        assert datasets_in(readings(Reading.of(train), Reading.of(validation)), LEARNED, evidence) == (
            train,
            validation,
        )
        assert evidence.noted == {"file": "/data/validation.jsonl"}

    def test_without_training_data_there_is_nothing_to_look_at(self) -> None:
        assert blocked(datasets_in, readings(NOTHING), Data()) == ("data.train: what training reads", "settings")

    def test_what_is_missing_keeps_its_owner(self) -> None:
        gone: Reading[Dataset] = Reading.missing("/data/t: there is no such file", by="data-format")

        assert blocked(datasets_in, readings(gone), DATA) == ("/data/t: there is no such file", "data-format")

    def test_validation_data_that_cannot_be_read_is_not_passed_over(self) -> None:
        denied: Reading[Dataset] = Reading.missing("denied", by="s3-read")
        for look in (datasets_in, readable_in, valid_in):
            assert blocked(look, readings(Reading.of(dataset()), denied), LEARNED) == ("denied", "s3-read")

    def test_a_file_without_a_readable_record_is_the_forms_affair(self) -> None:
        seen = readings(Reading.of(dataset(file(), file(b"[1]\n[2]\n\n", "list"))))

        assert blocked(readable_in, seen, DATA) == ("no record of /data/list.jsonl can be read", "data-format")

    def test_a_file_of_blank_lines_is_the_forms_affair(self) -> None:
        seen = readings(Reading.of(dataset(file(), file(b"\n \n", "blank"))))

        assert blocked(readable_in, seen, DATA) == ("there is no record in /data/blank.jsonl", "data-format")

    def test_one_readable_record_is_enough_to_look_at(self) -> None:
        seen = dataset(file(b'[1]\n{"text": "a"}\n'))

        assert readable_in(readings(Reading.of(seen)), DATA, Evidence()) == (seen,)

    def test_a_sampled_file_of_which_no_record_was_met_is_not_said_to_have_none(self) -> None:
        seen = dataset(file(), file(b"\n", "sampled", whole=False), sampled=estimate(0, 10))

        assert readable_in(readings(Reading.of(seen)), DATA, Evidence()) == (seen,)
        assert said(judge_form, (seen,), DATA)[0] == ""

    def test_of_no_valid_record_nothing_can_be_compared(self) -> None:
        bad = dataset(file(lines({"body": "a"}, {"text": ""})))

        assert blocked(valid_in, readings(Reading.of(dataset()), Reading.of(bad)), LEARNED) == (
            "none of the 2 records of /data/train.jsonl is valid",
            "data-content",
        )
        assert valid_in(readings(Reading.of(dataset())), DATA, Evidence()) == (dataset(),)


class TestForm:
    """data-format."""

    def test_what_is_right_says_how_much_was_looked_at(self) -> None:
        failure, evidence = said(judge_form, (dataset(), dataset(file(name="validation"))), LEARNED)

        assert failure == ""
        assert evidence.noted == {"records": "20", "looked_at": "all 20 records"}
        assert evidence.warnings == []

    def test_a_sample_says_that_it_is_one(self) -> None:
        _, evidence = said(judge_form, (dataset(), dataset(sampled=estimate(0, 10))), LEARNED)

        assert evidence.noted["looked_at"] == "a sample of 20 records in 32 of 320 spans"

    def test_the_first_line_that_is_wrong_is_told_with_all_that_are(self) -> None:
        failure, evidence = said(judge_form, (dataset(file(GOOD + b"[1]\n" + GOOD + b'{"text": "cut\n')),), DATA)

        assert failure == "line 11: not object: a list, not an object ([1]); 2 of 22 records, exact"
        assert evidence.noted["file"] == "/data/train.jsonl"

    def test_files_are_counted_where_there_are_several(self) -> None:
        bad = dataset(file(), file(b"[1]\n" + GOOD, "b"), file(b"[1]\n[2]\n" + GOOD, "c"))
        failure, evidence = said(judge_form, (bad,), DATA)

        assert failure == "line 1: not object: a list, not an object ([1]); 3 of 33 records in 2 files, exact"
        assert evidence.noted["file"] == "/data/b.jsonl"

    def test_of_a_sample_the_byte_and_the_estimate_are_told(self) -> None:
        bad = file(GOOD + b"[1]\n")
        bad = replace(bad, whole=False, defects=tuple(replace(one, line=0) for one in bad.defects))
        failure, _ = said(judge_form, (dataset(bad, sampled=estimate(1, 11)),), DATA)

        assert failure == (
            f"byte {len(GOOD)}: not object: a list, not an object ([1]); 1 of 11 records looked at; "
            "invalid 9.1 % (4.5-18.2 %, 95 %, 1 of 11 records in 32 of 320 spans, seed 7)"
        )

    def test_a_file_without_a_record_is_wrong_beside_one_with_many(self) -> None:
        failure, evidence = said(judge_form, (dataset(file(), file(b"\n\n", "blank")),), DATA)

        assert (failure, evidence.noted["file"]) == ("there is no record in it", "/data/blank.jsonl")

    def test_what_is_wrong_with_content_is_another_rows_affair(self) -> None:
        failure, evidence = said(judge_form, (dataset(file(lines({"body": 1}))),), DATA)

        assert (failure, evidence.warnings) == ("", [])

    def test_as_many_as_are_allowed_are_a_warning_and_one_more_is_wrong(self) -> None:
        bad = (dataset(file(GOOD + b"[1]\n[2]\n")),)

        failure, evidence = said(judge_form, bad, DATA.model_copy(update={"max_invalid_records": 2}))
        assert failure == ""
        assert evidence.warnings == [
            "/data/train.jsonl: line 11: not object: a list, not an object ([1]); 2 of 12 records, exact, "
            "of 2 invalid records that are allowed"
        ]
        assert said(judge_form, bad, DATA.model_copy(update={"max_invalid_records": 1}))[0] != ""

    def test_a_sample_is_judged_by_what_it_stands_for(self) -> None:
        """One bad record of 11 in a tenth of the spans: about ten of 110."""
        bad = (dataset(file(GOOD + b"[1]\n", whole=False), sampled=estimate(1, 11)),)

        assert said(judge_form, bad, DATA.model_copy(update={"max_invalid_records": 10}))[0] == ""
        assert said(judge_form, bad, DATA.model_copy(update={"max_invalid_records": 9}))[0] != ""

    def test_windows_lines_and_blank_ones_are_noted(self) -> None:
        failure, evidence = said(judge_form, (dataset(file(GOOD.replace(b"\n", b"\r\n") + b"\n\n")),), DATA)

        assert failure == ""
        assert evidence.warnings == [
            "10 lines of /data/train.jsonl end in CR LF",
            "2 lines of /data/train.jsonl are blank, which a reader that parses each line does not take",
        ]

    def test_an_excerpt_shows_no_secret(self) -> None:
        token = "ghp_" + "a8Kd03lQzX7mB2vN5cR9tY1uWe4iOp6sJfGh"
        failure, _ = said(judge_form, (dataset(file(f'{{"text": "use {token}" "x"}}\n'.encode() + GOOD)),), DATA)

        assert "use ***" in failure
        assert token not in failure


class TestContent:
    """data-content."""

    def test_what_is_right_says_which_share(self) -> None:
        failure, evidence = said(judge_content, (dataset(), dataset(file(name="validation"))), LEARNED)

        assert failure == ""
        assert evidence.noted == {"fields": "Text", "share": "100", "records": "20"}

    def test_the_first_record_is_told_with_all_that_lack_its_field(self) -> None:
        bad = dataset(file(GOOD + lines({"body": "a"}, {"text": " "}, {"text": None})))
        failure, evidence = said(judge_content, (bad,), DATA)

        assert failure == (
            'first at /data/train.jsonl line 11: missing: text is missing ({"body": "a"}); 3 of 13 records, exact'
        )
        assert evidence.noted == {
            "fields": "Text", "share": "76.9", "records": "13", "field": "text", "count": "3",
        }  # fmt: skip

    def test_each_field_has_a_count_of_its_own(self) -> None:
        content = lines({"prompt": "a"}, {"completion": "b"}, {"prompt": "a", "completion": ""}, {})
        failure, evidence = said(
            judge_content,
            (dataset(file(content, spec=BOTH), file(content, "more", spec=BOTH)),),
            Data(train=["/data/train.jsonl"], fields={"prompt": "text", "completion": "text"}),
        )

        assert failure == (
            "first at /data/train.jsonl line 1: missing: completion is missing "
            '({"prompt": "a"}); 8 of 8 records in 2 files, exact'
        )
        assert (evidence.noted["fields"], evidence.noted["share"]) == ("Prompt and Completion", "0")
        assert (evidence.noted["field"], evidence.noted["count"]) == ("completion", "4")

    def test_a_line_that_is_none_is_not_counted_as_a_record_without_its_field(self) -> None:
        failure, evidence = said(judge_content, (dataset(file(GOOD + b"[1]\n")),), DATA)

        assert (failure, evidence.noted["share"]) == ("", "90.9")

    def test_as_many_as_are_allowed_are_a_warning_whatever_is_wrong_with_them(self) -> None:
        bad = (dataset(file(GOOD + lines({}) + b"[1]\n")),)

        failure, evidence = said(judge_content, bad, DATA.model_copy(update={"max_invalid_records": 2}))
        assert failure == ""
        assert evidence.warnings == [
            "first at /data/train.jsonl line 11: missing: text is missing ({}); 1 of 12 records, exact, "
            "of 2 invalid records that are allowed"
        ]
        assert said(judge_content, bad, DATA.model_copy(update={"max_invalid_records": 1}))[0] != ""

    def test_a_sample_is_judged_by_what_it_stands_for(self) -> None:
        bad = (dataset(file(GOOD + lines({}), whole=False), sampled=estimate(1, 11)),)

        assert said(judge_content, bad, DATA.model_copy(update={"max_invalid_records": 10}))[0] == ""
        assert said(judge_content, bad, DATA.model_copy(update={"max_invalid_records": 9}))[0] != ""

    @pytest.mark.parametrize(
        ("valid", "records", "share"),
        [(0, 7, "0"), (7, 7, "100"), (9_999, 10_000, "99.9"), (1, 10_000, "0.1"), (2, 3, "66.7")],
    )
    def test_a_hundred_percent_are_all_and_none_is_none(self, valid: int, records: int, share: str) -> None:
        seen = dataset(file(valid=valid, records=records))
        _, evidence = said(judge_content, (seen,), DATA)

        assert evidence.noted["share"] == share


class TestVolume:
    """data-volume."""

    NEEDS = DATA.model_copy(update={"min_records": 10})

    def test_exactly_enough_is_enough(self) -> None:
        failure, evidence = said(judge_volume, dataset(), self.NEEDS)

        assert failure == ""
        assert evidence.noted == {"min": "10", "count": "10"}

    def test_one_less_is_not(self) -> None:
        few = file(lines(*({"text": str(number)} for number in range(9))))
        failure, evidence = said(judge_volume, dataset(few), self.NEEDS)

        assert failure == "9 records, 9 of them valid, 9 distinct"
        assert evidence.noted["count"] == "9"

    def test_what_repeats_counts_once(self) -> None:
        same = Repeats(records=10, distinct=4, repeated=3, most=())
        failure, evidence = said(judge_volume, dataset(repeats=Reading.of(same)), self.NEEDS)

        assert failure == "10 records, 10 of them valid, 4 distinct"
        assert evidence.noted["count"] == "4"

    @pytest.mark.parametrize(("line", "row"), [(b"[1]\n", "data-format"), (b'{"text": ""}\n', "data-content")])
    def test_too_few_because_they_are_invalid_is_another_rows_affair(self, line: bytes, row: str) -> None:
        nine = lines(*({"text": str(number)} for number in range(9)))

        assert blocked(judge_volume, dataset(file(nine + line)), self.NEEDS) == (
            "of 10 records 9 are valid, need 10",
            row,
        )

    def test_too_few_because_of_invalid_ones_that_are_allowed_is_told_here(self) -> None:
        nine = lines(*({"text": str(number)} for number in range(9)))
        allowing = self.NEEDS.model_copy(update={"max_invalid_records": 1})

        assert said(judge_volume, dataset(file(nine + b"[1]\n")), allowing)[0] == (
            "10 records, 9 of them valid, 9 distinct"
        )

    def test_too_few_whatever_is_made_of_the_invalid_ones_is_told_here(self) -> None:
        assert said(judge_volume, dataset(file(lines({"text": "a"}) + b"[1]\n")), self.NEEDS)[0] == (
            "2 records, 1 of them valid, 1 distinct"
        )

    def test_without_a_minimum_there_is_nothing_to_hold_it_to(self) -> None:
        assert blocked(judge_volume, dataset(), DATA) == ("data.min_records", "settings")

    def test_a_sample_does_not_tell_how_many_are_distinct(self) -> None:
        failure, evidence = said(judge_volume, dataset(sampled=estimate(0, 10)), self.NEEDS)

        assert (failure, evidence.noted["count"]) == ("", "about 100")
        assert evidence.warnings == [
            "a sample of 10 records stands for about 100 valid ones; how many are distinct, only all of them tell "
            "(data.sample_records, data.max_download_gb)"
        ]

    def test_a_sample_that_stands_for_hardly_enough_does_not_tell(self) -> None:
        needs = self.NEEDS.model_copy(update={"min_records": 77})

        assert blocked(judge_volume, dataset(sampled=estimate(0, 10)), needs) == (
            "a sample of 10 records stands for about 100 valid ones, and only all of them tell whether that is enough "
            "(data.sample_records, data.max_download_gb)",
            "settings",
        )

    def test_without_fields_nobody_knows_what_makes_two_alike(self) -> None:
        none: Reading[Repeats] = Reading.missing("data.fields: what", by="settings")

        assert blocked(judge_volume, dataset(repeats=none), self.NEEDS) == ("data.fields: what", "settings")


def place(record: int, name: str = "train", start: int = 0) -> RecordPlace:
    return RecordPlace(uri=f"/data/{name}.jsonl", start=start, record=record)


class TestRepeats:
    """duplicate-records."""

    SOME = Repeats(
        records=100,
        distinct=95,
        repeated=2,
        most=(Repeated(count=4, places=(place(3), place(7, start=1_000), place(9))), Repeated(count=3, places=())),
    )
    SAID = (
        "5 of 100 records (5.0 %) repeat an earlier one; the most frequent 4 times, "
        "as valid record 3 of /data/train.jsonl and valid record 7 of /data/train.jsonl from byte 1,000 on"
    )

    def test_none_is_right(self) -> None:
        failure, evidence = said(judge_repeats, (dataset(), dataset()), 0.0)

        assert (failure, evidence.warnings) == ("", [])
        assert evidence.noted == {"distinct": "20", "records": "20"}

    def test_as_large_a_share_as_is_allowed_is_a_warning_and_more_is_wrong(self) -> None:
        seen = (dataset(), dataset(repeats=Reading.of(self.SOME)))
        failure, evidence = said(judge_repeats, seen, 0.05)

        assert (failure, evidence.warnings) == ("", [self.SAID])
        assert said(judge_repeats, seen, 0.0499)[0] == self.SAID

    def test_a_sample_is_never_right(self) -> None:
        failure, evidence = said(judge_repeats, (dataset(), dataset(sampled=estimate(0, 10))), 0.05)

        assert (failure, evidence.warnings) == (
            "",
            [
                "a sample of 20 records in 32 of 320 spans was looked at, and only all of them tell what repeats "
                "(data.sample_records, data.max_download_gb)"
            ],
        )


class TestLeak:
    """train-validation-leak."""

    def test_none_is_right(self) -> None:
        failure, evidence = said(judge_leak, Overlap(records=60, shared=0, most=()), (dataset(), dataset()))

        assert (failure, evidence.noted) == ("", {"records": "60"})

    def test_a_sample_is_never_right(self) -> None:
        _, evidence = said(judge_leak, Overlap(records=6, shared=0, most=()), (dataset(sampled=estimate(0, 10)),))

        assert evidence.warnings == [
            "a sample of 10 records in 32 of 320 spans was looked at, and only all of them tell what is in both "
            "(data.sample_records, data.max_download_gb)"
        ]

    def test_one_is_wrong(self) -> None:
        most = (Shared(count=1, places=(place(2, "validation"),), elsewhere=(place(8, start=64),)),)

        assert said(judge_leak, Overlap(records=60, shared=1, most=most), (dataset(),))[0] == (
            "1 of 60 validation records are in the training data too, such as valid record 2 of "
            "/data/validation.jsonl, which is valid record 8 of /data/train.jsonl from byte 64 on"
        )


def finding(gravity: Gravity) -> Finding:
    return Finding(gravity=gravity, sentence=f"it is {gravity.value}")


class TestFindings:
    """The rows beyond, each of which makes the same of its findings."""

    def test_none_is_right(self) -> None:
        failure, evidence = said(judge_findings, ())

        assert (failure, evidence.warnings, evidence.noted, evidence.raised) == ("", [], {}, False)

    def test_a_critical_one_makes_the_row_critical(self) -> None:
        failure, evidence = said(judge_findings, [finding(Gravity.CRITICAL)])

        assert (failure, evidence.raised) == ("it is critical", True)

    def test_what_is_wrong_is_a_failure_and_what_is_doubtful_a_warning(self) -> None:
        failure, evidence = said(judge_findings, [finding(Gravity.WRONG)])
        assert (failure, evidence.raised) == ("it is wrong", False)

        failure, evidence = said(judge_findings, [finding(Gravity.DOUBTFUL), finding(Gravity.DOUBTFUL)])
        assert (failure, evidence.warnings) == ("", ["it is doubtful", "it is doubtful"])

    def test_a_note_is_noted(self) -> None:
        failure, evidence = said(judge_findings, [finding(Gravity.NOTE)])

        assert (failure, evidence.warnings, evidence.noted) == ("", [], {"note": "it is note"})

    def test_what_could_not_be_looked_at_is_no_pass(self) -> None:
        assert blocked(judge_findings, [finding(Gravity.DOUBTFUL), finding(Gravity.UNKNOWN)]) == (
            "it is unknown",
            "settings",
        )

    @pytest.mark.parametrize("gravity", [Gravity.CRITICAL, Gravity.WRONG])
    def test_what_is_known_to_be_wrong_is_not_hidden_by_what_is_not_known(self, gravity: Gravity) -> None:
        found = [finding(each) for each in (Gravity.NOTE, Gravity.DOUBTFUL, Gravity.UNKNOWN, gravity)]

        assert said(judge_findings, found)[0] == f"it is {gravity.value}"

    def test_the_worst_comes_first_in_whatever_order_they_are_found(self) -> None:
        failure, evidence = said(judge_findings, map(finding, reversed(Gravity)))

        assert (failure, evidence.raised, evidence.warnings) == ("it is critical", True, [])


@pytest.mark.parametrize(
    ("records", "seconds", "speed"),
    [(10, 1.0, "10 records/s"), (9_999, 1.0, "9999 records/s"), (812_499, 1.0, "812k records/s")],
)
def test_speed_is_told_in_few_digits(records: int, seconds: float, speed: str) -> None:
    half = replace(dataset(file(records=records)), duration_s=seconds / 2)
    rest = replace(dataset(file(records=0)), duration_s=seconds / 2)

    assert speed_of((half, rest)) == speed


class FakeData:
    """What rows are given, made of one training file and perhaps validation data."""

    def __init__(self, train: Reading[Dataset], validation: Reading[Dataset]) -> None:
        why = validation if train.is_known else train
        missing = why.hand_on() if not why.is_known else None
        found: Reading[Any] = missing or Reading.of(())
        overlap: Reading[Any] = missing or Reading.of(Overlap(records=10, shared=0, most=()))
        self.records = DataReadings(train=train, validation=validation, columns=found, overlap=overlap, stale=found)


FINDINGS = ("placeholder-text", "sequence-length", "encoding-damage", "secrets-in-data")
ROWS = {
    "data-format": rows.test_data_format,
    "data-content": rows.test_data_content,
    "data-volume": rows.test_data_volume,
    "schema-consistency": rows.test_schema_consistency,
    "duplicate-records": rows.test_duplicate_records,
    "train-validation-leak": rows.test_train_validation_leak,
    "placeholder-text": rows.test_placeholder_text,
    "sequence-length": rows.test_sequence_length,
    "encoding-damage": rows.test_encoding_damage,
    "secrets-in-data": rows.test_secrets_in_data,
    "stale-dataset": rows.test_stale_dataset,
}
SETTINGS = Settings(
    data=Data(
        train=["/data/train.jsonl"], validation=["/data/validation.jsonl"], fields={"text": "text"}, min_records=10,
        sequence_length=512, sources=[Source(name="trade", uri="/data/trade")],
    )
)  # fmt: skip


def outcomes(content: bytes, validation: Reading[Dataset] | None = None) -> dict[str, str]:
    """Return what each row comes to: `right`, `wrong`, or which row it is blocked by."""
    findings: Any = dict.fromkeys(FINDINGS, ())
    train = Reading.of(replace(dataset(file(content)), findings=findings))
    other = Reading.of(replace(dataset(file(name="validation")), findings=findings))
    came = {}
    for row, judge in ROWS.items():
        try:
            judge(FakeData(train, validation or other), SETTINGS, Evidence())  # type: ignore[arg-type]
            came[row] = "right"
        except Blocked as block:
            came[row] = block.by
        except pytest.fail.Exception:
            came[row] = "wrong"
    return came


class TestOneCause:
    """All rows of records side by side: one thing that is wrong is one failure."""

    def test_good_records_are_right_for_all(self) -> None:
        assert outcomes(GOOD) == dict.fromkeys(ROWS, "right")

    @pytest.mark.parametrize("content", [b"<html>\n", b"[1]\n" * 30, b"\n\n", b"PAR1\0\1\xff\n" * 9])
    def test_a_file_that_holds_no_record_is_the_forms_alone(self, content: bytes) -> None:
        assert outcomes(content) == dict.fromkeys(ROWS, "data-format") | {"data-format": "wrong"}

    @pytest.mark.parametrize("record", [{"body": "words"}, {}, {"text": ["a"]}, {"text": " "}])
    def test_records_that_all_lack_their_field_are_the_contents_alone(self, record: object) -> None:
        """Nothing that is told of the field's text can be told, such as that all have the same."""
        of_the_field = ("data-volume", "duplicate-records", "train-validation-leak", *FINDINGS[:2])
        expected = dict.fromkeys(ROWS, "right") | dict.fromkeys(of_the_field, "data-content")

        assert outcomes(lines(record) * 30) == expected | {"data-content": "wrong"}

    def test_validation_data_that_cannot_be_read_is_one_cause(self) -> None:
        denied: Reading[Dataset] = Reading.missing("denied", by="s3-read")

        assert outcomes(GOOD, denied) == dict.fromkeys(ROWS, "s3-read")
