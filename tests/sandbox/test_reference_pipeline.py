"""The reference pipeline, run as its README says, on the sandbox's S3."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pytest_pipeline.sandbox
from pytest_pipeline.observers.scratch import scratch_copy
from pytest_pipeline.observers.stage_environment import AwsAccess, stage_environment
from pytest_pipeline.observers.stage_run import Stage, StageRun, run_stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.observers.scratch import Scratch
    from sandbox.conftest import World

PIPELINE = Path(pytest_pipeline.sandbox.__file__).parent / "pipeline"
BUCKET, PREFIX = "asoba-llm-cache", "datasets/mistral-verbosity/"
_COMMAND = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
PREPARE, TRAIN = (
    shlex.split(found.replace("\\\n", " ")) for found in _COMMAND.findall((PIPELINE / "README.md").read_text())
)


class Pipeline:
    """The pipeline in a scratch copy, with a tenant's sources and credentials."""

    def __init__(self, world: World, scratch: Scratch, log: Path) -> None:
        self.s3 = world.client("s3")
        self.scratch = scratch
        self._log = log
        credentials = world.session().get_credentials()
        self._access = AwsAccess(
            endpoint_url=world.settings["aws"]["endpoint_url"],
            region="us-east-1",
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
        )

    def source(self, key: str, *records: object) -> None:
        """Put a source; a record that is a text is put as it stands."""
        lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
        self.s3.put_object(Bucket="policy-database", Key=key, Body="".join(f"{line}\n" for line in lines).encode())

    def remove_sources(self) -> None:
        """Remove what the sandbox has there by itself."""
        for entry in self.s3.list_objects_v2(Bucket="policy-database").get("Contents", ()):
            self.s3.delete_object(Bucket="policy-database", Key=entry["Key"])

    def run(self, command: list[str], *more: str) -> StageRun:
        stage = Stage(name="stage", command=[sys.executable, *command[1:], *more], timeout_s=120)
        ways: Any = {"scratch": self.scratch, "access": self._access, "log": self._log, "redact": str, "operators": {}}
        return run_stage(stage, run_id="gate-1", **ways)

    def start(self, command: list[str], *more: str) -> subprocess.Popen[bytes]:
        """Start a stage that somebody else than the gate will end."""
        names: Any = {"run_id": "gate-1", "stage_token": "", "temporary": self.scratch.temporary, "refusing_proxy": ""}
        environment = stage_environment({}, access=self._access, own={}, **names)
        argv = [sys.executable, *command[1:], *more]
        return subprocess.Popen(argv, cwd=self.scratch.workdir, env=environment)

    def output(self, name: str) -> list[dict[str, Any]]:
        body = self.s3.get_object(Bucket=BUCKET, Key=f"{PREFIX}{name}_dataset.jsonl")["Body"].read()
        return [json.loads(line) for line in body.splitlines()]

    def told(self, name: str) -> dict[str, Any]:
        """Return what was told of the run in S3, {} where nothing was."""
        try:
            body = self.s3.get_object(Bucket=BUCKET, Key=f"training-runs/mistral-1/{name}")["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return {}
        content: dict[str, Any] = json.loads(body)
        return content

    def state(self) -> dict[str, Any]:
        """Return the state that the preparation wrote down, {} where it did not come to it."""
        file = self.scratch.workdir / "data_prep" / "pipeline_state.json"
        state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return state


@pytest.fixture
def pipeline(world: World, tmp_path: Path) -> Iterator[Pipeline]:
    with scratch_copy(PIPELINE, parent=tmp_path) as scratch:
        made = Pipeline(world, scratch, tmp_path / "log")
        made.remove_sources()
        for n in range(3):
            made.source(f"econ-theory/chunk_{n}.jsonl", *({"text": f"Rule {n}.{i} of the economy."} for i in range(40)))
            made.source(f"operatives/report_{n}.jsonl", {"text": f"Report {n}."})
        yield made


def test_every_record_is_counted_once_and_no_text_is_in_both_parts(pipeline: Pipeline) -> None:
    pipeline.source(
        "operatives/report_3.jsonl",
        {"text": "  Rule 0.0 of the economy.\n", "id": 1},  # a duplicate of another source, but for blanks
        {"text": "Report 3."},
        {"text": "Report 3."},
        {"text": "  "},
        {"text": None},
        {"title": "no text"},
        ["no object"],
        '{"text": "cut',
        "",
    )
    pipeline.source("operatives/", "")  # a folder marker
    pipeline.source("operatives/notes.txt", "no JSON lines")
    run = pipeline.run(PREPARE)

    assert run.ok, run.log_head
    train, validation = ([record["text"] for record in pipeline.output(name)] for name in ("train", "validation"))
    expected = {f"Rule {n}.{i} of the economy." for n in range(3) for i in range(40)} | {
        f"Report {n}." for n in range(4)
    }
    assert sorted([*train, *validation]) == sorted(expected)
    assert 0.1 < len(validation) / len(expected) < 0.3
    said = re.sub(r"in [\d.]+ s$", "in 0 s", run.log_head, flags=re.MULTILINE)
    assert said == (
        "warning: s3://policy-database/operatives/report_3.jsonl:7 is no JSON object\n"
        "warning: s3://policy-database/operatives/report_3.jsonl:8 is no JSON object\n"
        f"Kept {len(train)} for training, {len(validation)} for validation\n"
        "Dropped 3 without text, 2 duplicates, 2 no JSON objects\n"
        f"Uploaded s3://{BUCKET}/{PREFIX}train_dataset.jsonl\n"
        f"Uploaded s3://{BUCKET}/{PREFIX}validation_dataset.jsonl\n"
        "Processed 131 records in 0 s\n"
    )
    state = pipeline.state()
    assert state.pop("seconds") > 0
    assert state == {
        "stage": "done", "run_id": "mistral-1", "read": 131, "train": len(train), "validation": len(validation),
        "no_text": 3, "duplicates": 2, "broken": 2,
    }  # fmt: skip


def test_a_second_run_makes_the_same_files_and_a_new_source_moves_no_record(pipeline: Pipeline) -> None:
    assert pipeline.run(PREPARE).ok
    first = {name: pipeline.output(name) for name in ("train", "validation")}
    assert pipeline.run(PREPARE).ok
    assert {name: pipeline.output(name) for name in first} == first

    pipeline.source("econ-theory/a_first.jsonl", {"text": "One more."})
    assert pipeline.run(PREPARE).ok
    for name, records in first.items():
        assert [one for one in pipeline.output(name) if one != {"text": "One more."}] == records


def test_a_quick_run_reads_some_records_of_each_source(pipeline: Pipeline) -> None:
    run = pipeline.run(PREPARE, "--limit", "30")

    assert run.ok, run.log_head
    assert pipeline.state()["read"] == 33


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--source", "s3://policy-database/nowhere/"], "error: s3://policy-database/nowhere/ has no records\n"),
        (["--source", "s3://no-such-bucket/x/"], "AccessDenied"),
        (["--output", "s3://no-such-bucket/x/"], "AccessDenied"),
        (["--output", "s3://asoba-llm-cache/datasets"], "error: s3://asoba-llm-cache/datasets is not s3://bucket/prefix/"),
        (["--validation-split", "0"], "error: training and validation need one record each at least"),
    ],
)  # fmt: skip
def test_a_preparation_that_fails_says_so_by_its_status(pipeline: Pipeline, more: list[str], said: str) -> None:
    run = pipeline.run(PREPARE, *more)

    assert run.exit_status == 1
    assert said in run.log_head
    assert pipeline.state().get("stage") != "done"


needs_torch = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("torch", "transformers", "datasets", "accelerate"))),
    reason="training needs torch, transformers, datasets and accelerate (extra: training)",
)


@needs_torch
def test_training_ends_with_a_model_and_says_so(pipeline: Pipeline) -> None:
    assert pipeline.run(PREPARE).ok
    run = pipeline.run(TRAIN)

    assert run.ok, run.log_tail or run.log_head
    assert run.killed == ()
    assert (pipeline.scratch.workdir / "output" / "final" / "model.safetensors").exists()
    told = pipeline.told("progress.json")
    assert (told["run_id"], told["step"], told["total_steps"]) == ("mistral-1", 20, 20)
    assert pipeline.told("_complete")["step"] == 20
    assert pipeline.told("_error") == {}


@needs_torch
def test_a_run_that_was_killed_goes_on_from_its_checkpoint_to_the_same_weights(pipeline: Pipeline) -> None:
    assert pipeline.run(PREPARE).ok
    assert pipeline.run(TRAIN, "--output-dir", "whole").ok
    killed = pipeline.start(TRAIN)
    checkpoint = pipeline.scratch.workdir / "output" / "checkpoint-10" / "trainer_state.json"
    end = time.monotonic() + 100
    while not checkpoint.exists() and time.monotonic() < end:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert pipeline.told("_complete") == {}
    resumed = pipeline.run(TRAIN, "--resume")

    assert resumed.ok, resumed.log_tail or resumed.log_head
    assert pipeline.told("_complete")["step"] == 20
    whole, gone_on = (pipeline.scratch.workdir / name / "final" / "model.safetensors" for name in ("whole", "output"))
    assert whole.read_bytes() == gone_on.read_bytes()


@needs_torch
def test_training_that_fails_says_so_in_s3_and_by_its_status(pipeline: Pipeline) -> None:
    run = pipeline.run(TRAIN, "--dataset", f"s3://{BUCKET}/nowhere/")

    assert run.exit_status == 1
    assert f"cannot fetch s3://{BUCKET}/nowhere/train_dataset.jsonl" in pipeline.told("_error")["reason"]
    assert pipeline.told("_complete") == {}
