"""How the quick run of a step is judged: what the row says, word for word, and that no speed is made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from matrix_tests.quick_runs import expect_sources, judge_quick_run, judge_volume_to_come
from pytest_pipeline import Blocked
from pytest_pipeline.data.distinct import Repeats
from pytest_pipeline.data.listing import Entry, SourceListing, Tally, Want
from pytest_pipeline.data.sampling import Estimate
from pytest_pipeline.observers.data_readings import Dataset
from pytest_pipeline.observers.quick_run import QuickRun
from pytest_pipeline.observers.stage_run import LeftProcess
from pytest_pipeline.observers.step_outputs import Made
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Data, Source

TRAIN = Made(uri="s3://b/train.jsonl", min_records=20, objects=1, records=39)
LOG = "Kept 39\nProcessed 48 records in 2.4 s"
DAEMON = LeftProcess(pid=7, command="python daemon.py")


def run(**changed: Any) -> QuickRun:
    healthy: dict[str, Any] = {
        "step": "prepare",
        "exit_status": 0,
        "duration_s": 3.14,
        "timed_out": False,
        "log_tail": LOG,
        "records": 48,
        "seconds": 2.4,
        "outputs": (TRAIN,),
        "everything": 120_000,
    }
    return QuickRun(**(healthy | changed))


def judged(**changed: Any) -> Evidence:
    evidence = Evidence()
    try:
        judge_quick_run(run(**changed), evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_a_step_that_works_and_how_fast_it_is() -> None:
    seen = judged()

    assert seen.noted == {
        "step": "prepare",
        "exit_status": 0,
        "took_s": 3.14,
        "outputs": "s3://b/train.jsonl",
        "speed": "1.2k records/minute (about 1.7h for everything)",
    }
    assert seen.warnings == []


@pytest.mark.parametrize(
    ("changed", "speed"),
    [
        ({"everything": None}, "1.2k records/minute"),
        ({"everything": 300}, "1.2k records/minute (less than 0.1h for everything)"),
        ({"everything": 3600}, "1.2k records/minute (about 0.1h for everything)"),
        ({"records": 999, "seconds": 60.0, "everything": None}, "999 records/minute"),
        ({"records": 1, "seconds": 600.0, "everything": 10}, "0.1 records/minute (about 1.7h for everything)"),
        ({"records": 10**6, "seconds": 6.0, "everything": None}, "10.0M records/minute"),
    ],
)
def test_speeds(changed: dict[str, Any], speed: str) -> None:
    assert judged(**changed).noted["speed"] == speed


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"records": None, "seconds": None}, "no such line"),
        ({"records": 48, "seconds": 0.0}, "48 records in 0 s"),
        ({"records": 0, "seconds": 2.0}, "0 records in 2 s"),
    ],
)
def test_a_speed_that_cannot_be_told_is_a_warning_and_never_nought(changed: dict[str, Any], said: str) -> None:
    seen = judged(**changed)

    assert seen.noted["speed"] == "unknown"
    assert "failed" not in seen.noted
    assert seen.warnings == [
        f"how fast prepare is cannot be told from what it printed: {said} "
        "(`speed` of the step in pipeline.steps says how such a line reads)"
    ]


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({"exit_status": 1, "log_tail": "Traceback\nKeyError: 'text'\n\n"}, "exit status 1: KeyError: 'text'"),
        ({"exit_status": 137, "log_tail": ""}, "exit status 137"),
        (
            {"timed_out": True, "exit_status": 143, "duration_s": 60.2, "log_tail": "Overwrite? [y/N]"},
            "not done after 60 s: Overwrite? [y/N]",
        ),
        ({"timed_out": True, "exit_status": 0, "log_tail": ""}, "not done after 3 s"),
        ({"killed": (DAEMON,)}, "it left a process behind: python daemon.py"),
        ({"killed": (DAEMON, DAEMON, DAEMON)}, "it left a process behind: python daemon.py and 2 more"),
        ({"left": (DAEMON,), "killed": (DAEMON,)}, "it left a process that cannot be ended: python daemon.py"),
        ({"outputs": (Made(uri="s3://b/t", min_records=0, objects=0),)}, "s3://b/t was not written"),
        (
            {"outputs": (TRAIN, Made(uri="s3://b/v", min_records=3, objects=1, records=2))},
            "s3://b/v has 2 valid records, need 3",
        ),
        (
            {
                "outputs": (
                    Made(uri="s3://b/t", min_records=1, objects=0),
                    Made(uri="s3://b/v", min_records=3, objects=1, records=0),
                )
            },
            "s3://b/t was not written; s3://b/v has 0 valid records, need 3",
        ),
    ],
)
def test_a_step_that_does_not_work(changed: dict[str, Any], failed: str) -> None:
    seen = judged(**changed)

    assert (seen.noted["failed"], seen.noted["step"]) == (failed, "prepare")
    assert "speed" not in seen.noted


def test_an_output_that_is_no_json_lines_must_only_be_there() -> None:
    assert "failed" not in judged(outputs=(Made(uri="s3://b/model.bin", min_records=0, objects=1),)).noted


def lying(uri: str, *entries: Entry) -> Reading[SourceListing]:
    tally = Tally(Want(uri=uri))
    for entry in entries:
        tally.add(entry)
    return Reading.of(tally.listing(complete=True))


IN = Source(name="in", uri="s3://b/in/")
FILE = Entry(key="a.jsonl", uri="s3://b/in/a.jsonl", size_bytes=7)


def test_a_step_that_fails_for_want_of_a_source_is_not_to_blame() -> None:
    data = Data(sources=[IN, Source(name="later", uri="s3://b/later/", optional=True)])
    nothing = lying("s3://b/later/")
    frozen = lying(IN.uri, FILE, replace(FILE, key="b.jsonl", archived="GLACIER"))

    expect_sources(data, {"in": lying(IN.uri, FILE), "later": nothing})
    for listing in (lying(IN.uri), frozen):
        with pytest.raises(Blocked) as caught:
            expect_sources(data, {"in": listing, "later": nothing})
        assert (caught.value.reason, caught.value.by) == (
            "its source in has no files that can be read",
            "data-sources",
        )


def test_a_source_that_cannot_be_seen_keeps_its_owner() -> None:
    denied: Reading[SourceListing] = Reading.missing("denied", by="s3-read")

    with pytest.raises(Blocked) as caught:
        expect_sources(Data(sources=[IN]), {"in": denied})

    assert caught.value.by == "s3-read"


def made(distinct: int) -> Dataset:
    exact = Estimate(share=0, low=0, high=0, bad=0, records=distinct, spans=1, of_spans=1, hidden=0, seed=7, exact=True)
    repeats = Reading.of(Repeats(records=distinct, distinct=distinct, repeated=0, most=()))
    return Dataset(files=(), invalid=exact, repeats=repeats, duration_s=0.1, made_by="prepare")


def volume(distinct: int, *, need: int | None = 100, **changed: Any) -> Evidence:
    evidence = Evidence()
    try:
        judge_volume_to_come(made(distinct), run(**changed), Data(min_records=need), evidence)
    except Blocked:
        raise
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_a_dataset_to_come_is_as_large_as_the_quick_run_says() -> None:
    assert volume(24, everything=200).noted == {"min": "100", "count": "about 100"}


def test_a_dataset_to_come_that_will_be_too_small() -> None:
    assert volume(24, everything=198).noted == {
        "min": "100",
        "count": "about 99",
        "failed": "the quick run of prepare made 24 of 48, and the sources have about 198",
    }


def test_a_quick_run_that_makes_enough_needs_no_guess() -> None:
    assert volume(100, records=None, everything=None).noted == {"min": "100", "count": "100"}


@pytest.mark.parametrize("changed", [{"records": None}, {"records": 0}, {"everything": None}])
def test_what_will_come_is_not_guessed(changed: dict[str, Any]) -> None:
    with pytest.raises(Blocked) as caught:
        volume(24, **changed)

    assert (caught.value.by, caught.value.reason) == (
        "settings",
        "the quick run of prepare made 24, and how many there will be cannot be told: "
        "its output does not say how many it read, or the sources hold no JSON lines",
    )


def test_without_a_minimum_there_is_nothing_to_judge() -> None:
    with pytest.raises(Blocked, match=r"data\.min_records"):
        volume(24, need=None)
