"""The steps of the pipeline as settings have them, and what somebody who made a mistake in them reads, whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.settings import Output, Settings, SettingsError, Step, load

if TYPE_CHECKING:
    from pathlib import Path

STEP = """
[[pipeline.steps]]
name = "prepare"
command = ["python", "prepare.py", "--run-id", "{run_id}"]
quick = ["--limit", "100"]
outputs = [{ uri = "s3://b/datasets/train.jsonl" }, { uri = "s3://b/parts/", min_records = 5 }]
"""
PRODUCED = '[data]\nproduced_by = "prepare"\n'


def loaded(folder: Path, text: str) -> Settings:
    (folder / "pipeline.toml").write_text(text)
    return load(rootdir=folder, config_file=None, command_line={}, assignments=(), environ={})


def told(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, text)
    return str(caught.value).replace(str(folder), "ROOT")


def test_a_step_and_what_it_makes(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f'{PRODUCED}[pipeline]\nworkdir = "code"\nexclude = ["*.bin"]\n{STEP}')

    step = settings.producer
    assert step is not None
    assert step.command == ("python", "prepare.py", "--run-id", "{run_id}")
    assert step.outputs == (
        Output(uri="s3://b/datasets/train.jsonl", min_records=1),
        Output(uri="s3://b/parts/", min_records=5),
    )
    assert (settings.pipeline.workdir, settings.pipeline.exclude) == (tmp_path / "code", ("*.bin",))
    assert Settings.from_wire(settings.to_wire()) == settings
    assert [step.makes(uri) for uri in ("s3://b/datasets/train.jsonl", "s3://b/parts/a.jsonl", "s3://b/parts/")] == [
        True
    ] * 3
    assert not any(map(step.makes, ("s3://b/datasets/train.jsonl.gz", "s3://b/datasets/", "s3://b/parts")))


def test_a_command_line_for_bash(tmp_path: Path) -> None:
    settings = loaded(tmp_path, '[[pipeline.steps]]\nname = "a"\ncommand = "make data | tee log"\n')

    assert settings.pipeline.steps[0].command == "make data | tee log"
    assert settings.producer is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            PRODUCED,
            "data.produced_by names the step 'prepare', which pipeline.steps does not have; correct one of them",
        ),
        (
            f'{PRODUCED}[[pipeline.steps]]\nname = "prepare"\ncommand = "true"\n',
            "data.produced_by names the step 'prepare', whose outputs nobody knows; add them to the step",
        ),
        (STEP + STEP, "pipeline.steps[1] is the second step named 'prepare'; rename one"),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = []\n',
            "pipeline.steps[0].command must be a command line for bash, or a list of a program and its arguments, "
            "got an empty list; correct it",
        ),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = ["sleep", 5]\n',
            "pipeline.steps[0].command must be a command line for bash, or a list of a program and its arguments, "
            "got a list; correct it",
        ),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = 5\n',
            "pipeline.steps[0].command must be a command line for bash, or a list of a program and its arguments, "
            "got the number 5; correct it",
        ),
        ('[[pipeline.steps]]\nname = "a"\n', "pipeline.steps[0].command is missing; add it"),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = ["b", "c\\u0000"]\n',
            "pipeline.steps[0].command must have no NUL character, which ends an argument, got a list; correct it",
        ),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = "b"\nquick = ["c\\u0000"]\n',
            "pipeline.steps[0].quick[0] must have no NUL character, which ends an argument, "
            r"got the text 'c\x00'; correct it",
        ),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = "b"\noutputs = [{ uri = "/data/train.jsonl" }]\n',
            "pipeline.steps[0].outputs[0].uri must be an s3:// URI with a bucket and a key or prefix, "
            "got the text '/data/train.jsonl'; correct it",
        ),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = "b"\nspeed = "done in (?P<seconds>\\\\d+)"\n',
            "pipeline.steps[0].speed must have the groups (?P<records>...) and (?P<seconds>...), "
            r"got the text 'done in (?P<seconds>\\d+)'; correct it, or remove it for the default "
            r'"Processed (?P<records>[\d,]+) records in (?P<seconds>[\d.]+) s"',
        ),
        (
            '[[pipeline.steps]]\nname = "a"\ncommand = "b"\nspeed = "("\n',
            "pipeline.steps[0].speed must be a regular expression "
            "(missing ), unterminated subpattern at position 0), got the text '('; correct it, or remove it for the "
            r'default "Processed (?P<records>[\d,]+) records in (?P<seconds>[\d.]+) s"',
        ),
    ],
)
def test_what_is_said_of_a_mistake(tmp_path: Path, text: str, message: str) -> None:
    assert told(tmp_path, text) == f"ROOT/pipeline.toml: {message}"


def test_the_line_of_the_reference_pipeline_is_read_by_default() -> None:
    given: Any = {"name": "prepare", "command": "true"}
    found = re.search(Step(**given).speed, "Processed 131 records in 0.171 s")

    assert found is not None
    assert found.groupdict() == {"records": "131", "seconds": "0.171"}
