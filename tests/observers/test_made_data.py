"""Data that is not there before the first run is what the quick run makes; data that is there is judged as it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from observers.step_world import LINES, Pipeline
from pytest_pipeline.observers import s3_files
from pytest_pipeline.observers.data_view import PipelineData
from pytest_pipeline.observers.data_world import of_data
from pytest_pipeline.observers.names import RECORDS, quick_run_name
from pytest_pipeline.observers.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from observers.aws_world import AwsWorld, MakeAws
    from pytest_pipeline.observers.data_readings import Dataset
    from pytest_pipeline.outcome import Reading
    from pytest_pipeline.settings import Settings

THREE = b'{"text": "one"}\n{"text": "two"}\n{"text": "three"}\n'


class Made(Pipeline):
    """A pipeline whose data is looked at as a run does."""

    def producing(self, *words: str, train: list[str] | None = None, **more: Any) -> Settings:
        data = {"train": train or [self.uri("made/train.jsonl")], "fields": {"text": "text"}}
        return self.settings([sys.executable, "put.py", "{bucket}"], *words, data=data, **more)

    def view(self, settings: Settings) -> PipelineData:
        (self.run_folder / "observations").mkdir(exist_ok=True)
        return PipelineData(World(settings, self.run_folder).observations)

    def train(self, settings: Settings) -> Reading[Dataset]:
        return self.view(settings).records.train

    @property
    def ran(self) -> bool:
        return (self.run_folder / "quick-run-prepare.log").exists()


@pytest.fixture
def pipeline(world: AwsWorld, make_aws: MakeAws, tmp_path: Path) -> Iterator[Made]:
    yield Made(world, make_aws, tmp_path)
    s3_files._connection.cache_clear()


def test_what_is_not_there_is_what_the_quick_run_makes(pipeline: Made) -> None:
    settings = pipeline.producing(f"made/train.jsonl={LINES}")

    train = pipeline.train(settings).value

    assert (train.valid, train.made_by) == (2, "prepare")
    assert pipeline.view(settings).quick_run("prepare").value.trouble == ""


def test_what_is_there_is_looked_at_before_the_quick_run_writes_over_it(pipeline: Made) -> None:
    pipeline.put("made/train.jsonl", THREE)
    view = pipeline.view(pipeline.producing(f"made/train.jsonl={LINES}"))

    assert view.quick_run("prepare").value.trouble == ""
    assert (view.records.train.value.valid, view.records.train.value.made_by) == (3, "")


def test_what_is_there_needs_no_quick_run(pipeline: Made) -> None:
    pipeline.put("made/train.jsonl", THREE)

    assert pipeline.train(pipeline.producing(f"made/train.jsonl={LINES}")).value.valid == 3
    assert not pipeline.ran


def test_what_was_there_in_part_is_not_said_to_be_made(pipeline: Made) -> None:
    there = pipeline.put("there.jsonl", THREE)
    settings = pipeline.producing(f"made/train.jsonl={LINES}", train=[there, pipeline.uri("made/train.jsonl")])

    assert (pipeline.train(settings).value.valid, pipeline.train(settings).value.made_by) == (5, "")


@pytest.mark.parametrize("key", ["other.jsonl", "made/train.jsonl.gz"])
def test_what_no_step_makes_is_not_there(pipeline: Made, key: str) -> None:
    train = pipeline.train(pipeline.producing(f"made/train.jsonl={LINES}", train=[pipeline.uri(key)]))

    assert (train.reason, train.by) == (f"{pipeline.uri(key)}: there is no such file", "data-format")
    assert not pipeline.ran


def test_an_empty_file_is_a_fault_of_its_own(pipeline: Made) -> None:
    pipeline.put("made/train.jsonl", b"")

    train = pipeline.train(pipeline.producing(f"made/train.jsonl={LINES}"))

    assert (train.by, pipeline.ran) == ("data-format", False)
    assert train.reason.endswith("is empty")


def test_a_quick_run_that_fails_is_the_one_cause(pipeline: Made) -> None:
    train = pipeline.train(pipeline.producing("nothing to put"))

    uri = pipeline.uri("made/train.jsonl")
    assert (train.reason, train.by) == (
        f"{uri}: there is no such file; the quick run of prepare failed: {uri} was not written",
        "processing-speed",
    )


def test_a_step_that_makes_another_file_of_its_folder(pipeline: Made) -> None:
    outputs = [{"uri": pipeline.uri("made/")}]
    settings = pipeline.producing(f"made/training.jsonl={LINES}", step={"outputs": outputs})

    train = pipeline.train(settings)

    assert (train.reason, train.by, pipeline.ran) == (
        f"{pipeline.uri('made/train.jsonl')}: there is no such file",
        "data-format",
        True,
    )


def test_outside_of_the_sandbox_nothing_is_made(pipeline: Made) -> None:
    train = pipeline.train(pipeline.producing(f"made/train.jsonl={LINES}", world="target"))

    assert (train.reason, train.by) == (
        f"{pipeline.uri('made/train.jsonl')}: there is no such file; so far quick runs are made with --sandbox only",
        "settings",
    )
    assert not pipeline.ran


def test_what_may_start_a_quick_run_starts_with_the_row_that_asks(pipeline: Made, tmp_path: Path) -> None:
    making = pipeline.producing("x")
    beside = pipeline.producing("x", train=[pipeline.uri("other.jsonl")])

    assert effects(making, tmp_path) == {RECORDS, quick_run_name("prepare")}
    assert effects(beside, tmp_path) == {quick_run_name("prepare")}


def effects(settings: Settings, folder: Path) -> set[str]:
    return {observation.name for observation in of_data(settings, folder) if observation.effects}
