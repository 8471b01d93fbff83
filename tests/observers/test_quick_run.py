"""A step is run once, in a copy and as the sandbox's operator; what it made, and how fast, is seen and not assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from observers.aws_world import AwsWorld, error
from observers.step_world import LINES, PUT, SPOKEN, Pipeline
from pytest_pipeline.observers import quick_run, s3_files
from pytest_pipeline.observers.stage_run import StageUnknownError
from pytest_pipeline.observers.step_outputs import Made

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from observers.aws_world import MakeAws


@pytest.fixture
def pipeline(world: AwsWorld, make_aws: MakeAws, tmp_path: Path) -> Iterator[Pipeline]:
    yield Pipeline(world, make_aws, tmp_path)
    s3_files._connection.cache_clear()


def test_a_step_that_works(pipeline: Pipeline) -> None:
    pipeline.put("in/a.jsonl", b'{"text": "one"}\n' * 500)
    sources = [{"name": "in", "uri": pipeline.uri("in/")}]

    seen = pipeline.puts(f"{{prefix}}train.jsonl={LINES}", SPOKEN, data={"sources": sources})

    made = Made(uri=pipeline.uri("made/train.jsonl"), min_records=2, objects=1, records=2)
    assert (seen.trouble, seen.outputs) == ("", (made,))
    assert (seen.exit_status, seen.timed_out, seen.killed, seen.left) == (0, False, (), ())
    assert (seen.records, seen.seconds, seen.records_each_s) == (1200, 2.5, 480.0)
    assert (seen.everything, seen.log_tail) == (500, SPOKEN)
    assert 0 < seen.duration_s < 20
    assert (pipeline.run_folder / "quick-run-prepare.log").read_text() == f"{SPOKEN}\n"


def test_what_an_earlier_run_made_is_no_work_of_this_one(pipeline: Pipeline) -> None:
    pipeline.put("made/train.jsonl", LINES.replace("|", "\n").encode())

    assert pipeline.look(pipeline.settings("true")).value.trouble == (
        f"{pipeline.uri('made/train.jsonl')} was not written"
    )


def test_an_output_that_is_written_over_is_work_of_this_run(pipeline: Pipeline) -> None:
    pipeline.put("made/train.jsonl", b'{"text": "old"}\n')

    assert pipeline.puts(f"made/train.jsonl={LINES}").trouble == ""


def test_records_that_are_no_json_count_for_nothing(pipeline: Pipeline) -> None:
    seen = pipeline.puts("made/train.jsonl={'text': 'a'}|{\"text\": \"b\"}|")

    assert seen.trouble == f"{pipeline.uri('made/train.jsonl')} has 1 valid records, need 2"


@pytest.mark.parametrize("text", ["", "|||"])
def test_an_output_without_a_record_was_written_and_has_none(pipeline: Pipeline, text: str) -> None:
    seen = pipeline.puts(f"made/train.jsonl={text}")

    assert seen.trouble == f"{pipeline.uri('made/train.jsonl')} has 0 valid records, need 2"


def test_a_folder_as_an_output_has_the_records_of_its_new_files(pipeline: Pipeline) -> None:
    pipeline.put("parts/old.jsonl", b'{"text": "old"}\n' * 9)
    outputs = [{"uri": pipeline.uri("parts/"), "min_records": 4}]

    seen = pipeline.puts(
        f"parts/a.jsonl={LINES}", f"parts/b.jsonl={LINES}", "parts/README=x", step={"outputs": outputs}
    )

    assert seen.outputs == (Made(uri=pipeline.uri("parts/"), min_records=4, objects=2, records=4),)
    assert seen.trouble == ""


def test_an_output_that_is_no_json_lines_is_not_counted(pipeline: Pipeline) -> None:
    outputs = [{"uri": pipeline.uri("model.bin"), "min_records": 0}, {"uri": pipeline.uri("_DONE"), "min_records": 0}]

    seen = pipeline.puts("model.bin=|PK", "_DONE=", step={"outputs": outputs})

    assert seen.trouble == ""
    assert [(made.objects, made.records) for made in seen.outputs] == [(1, None), (1, 0)]


def test_a_command_line_for_bash_and_arguments_that_need_quotes(pipeline: Pipeline) -> None:
    seen = pipeline.look(
        pipeline.settings("echo {run_id} {step} {prefix} {region} $(pwd) {workdir}; false", "a b", "$x")
    )

    words = seen.value.log_tail.split()
    assert words[:4] == ["gate-7", "prepare", "made/", "us-east-1"]
    assert words[4] == words[5] != str(pipeline.workdir)

    said = pipeline.look(pipeline.settings("exit 3; echo", "a b", "$x; true")).value
    assert (said.exit_status, said.outputs, said.trouble) == (3, (), "exit status 3")
    assert pipeline.look(pipeline.settings("printf '<%s>'", "a b", "$x;")).value.log_tail == "<a b><$x;>"


def test_the_original_folder_is_left_as_it_is(pipeline: Pipeline) -> None:
    pipeline.look(pipeline.settings("echo x > put.py; echo y > new; rm -rf ."))

    assert [path.name for path in pipeline.workdir.iterdir()] == ["put.py"]
    assert (pipeline.workdir / "put.py").read_text() == PUT


def test_it_acts_as_the_operator_of_the_sandbox_and_has_its_own_variables(pipeline: Pipeline) -> None:
    settings = pipeline.settings("env", step={"environment": {"STAGE_OF": "tests"}})

    variables = pipeline.look(settings).value.log_tail

    assert f"AWS_ACCESS_KEY_ID={pipeline.user.key}" in variables
    assert "STAGE_OF=tests" in variables
    assert pipeline.user.secret not in variables


def test_a_step_past_its_deadline(pipeline: Pipeline) -> None:
    seen = pipeline.look(pipeline.settings("echo asking; sleep 60", step={"timeout_s": 0.5})).value

    assert (seen.timed_out, seen.trouble) == (True, "not done after 1 s: asking")


@pytest.mark.parametrize(
    ("printed", "speed"),
    [
        (SPOKEN, (1200, 2.5)),
        (f"{SPOKEN}\nProcessed 7 records in 1 s\nbye", (7, 1.0)),
        ("Processed many records in 1 s", (None, None)),
        ("Processed , records in 1 s", (None, None)),
        ("Processed 7 records in ... s", (None, None)),
        ("", (None, None)),
    ],
)
def test_the_speed_is_what_the_step_says(
    pipeline: Pipeline, printed: str, speed: tuple[int | None, float | None]
) -> None:
    seen = pipeline.look(pipeline.settings(["printf", "%s", printed])).value

    assert (seen.records, seen.seconds) == speed


def test_what_a_step_prints_acts_on_no_terminal(pipeline: Pipeline) -> None:
    seen = pipeline.look(pipeline.settings(["printf", r"a\n\033[31mred\033[0m\n"])).value

    assert "\033" not in seen.log_tail


def test_quick_runs_are_made_in_the_sandbox_only(pipeline: Pipeline) -> None:
    seen = pipeline.look(pipeline.settings("touch here", world="target"))

    assert (seen.reason, seen.by) == ("so far quick runs are made with --sandbox only", "settings")


@pytest.mark.parametrize("endpoint_url", [None, "https://s3.us-east-1.amazonaws.com", "http://10.0.0.1:9000"])
def test_no_quick_run_reaches_an_aws_that_is_not_the_sandboxs(pipeline: Pipeline, endpoint_url: str | None) -> None:
    aws = {"endpoint_url": endpoint_url, "region": "us-east-1"}

    seen = pipeline.look(pipeline.settings("true", aws=aws))

    assert (seen.reason, seen.by) == (
        "aws.endpoint_url leads out of the sandbox, where alone quick runs are made",
        "settings",
    )


def test_a_folder_that_is_not_there_is_a_matter_of_the_settings(pipeline: Pipeline, tmp_path: Path) -> None:
    steps = pipeline.settings("true").pipeline.steps
    gone = tmp_path / "gone"

    without = pipeline.look(pipeline.settings("true", pipeline={"steps": steps}))
    nowhere = pipeline.look(pipeline.settings("true", pipeline={"workdir": str(gone), "steps": steps}))

    assert (without.reason, without.by) == ("pipeline.workdir: the folder that steps run in", "settings")
    assert (nowhere.reason, nowhere.by) == (
        f"{gone} cannot be copied: {gone}: No such file or directory",
        "settings",
    )


def test_a_name_that_has_no_value(pipeline: Pipeline) -> None:
    seen = pipeline.look(pipeline.settings("kill {pid}"))

    assert seen.by == "settings"
    assert seen.reason.startswith("{pid} (the process that is meant) has no value in 'kill {pid}'")


def test_a_step_of_which_nothing_can_be_told(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object, **__: object) -> None:
        raise StageUnknownError("what ran stage prepare was killed (out of memory?); the stage was ended")

    monkeypatch.setattr(quick_run, "run_stage", lost)

    seen = pipeline.look(pipeline.settings("true"))

    assert (seen.by, seen.reason) == (
        "processing-speed",
        "what ran stage prepare was killed (out of memory?); the stage was ended",
    )


def test_outputs_that_cannot_be_listed_are_not_taken_for_none(pipeline: Pipeline) -> None:
    pipeline.user.meets(error(403, "AccessDenied", "Access Denied"), service="s3", where="list-type")

    seen = pipeline.look(pipeline.settings("true"))

    assert (seen.is_known, seen.by) == (False, "processing-speed")
    assert "AccessDenied" in seen.reason


def test_sources_that_do_not_tell_how_many_records_they_have(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "report.pdf").write_bytes(b"%PDF-1.4\n")
    sources = [{"name": "here", "uri": f"{tmp_path}/sources/"}, {"name": "gone", "uri": f"{tmp_path}/gone/"}]

    for some in ([], sources[:1], sources):
        assert pipeline.look(pipeline.settings("true", data={"sources": some})).value.everything is None
