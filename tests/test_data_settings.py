"""The settings of data: what they hold, and what somebody who made a mistake in them reads, whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = "[[data.sources]]\nname = 'trade'\nuri = 's3://policy/trade/'\n"
NOTHING: Mapping[str, Any] = {"config_file": None, "command_line": {}, "assignments": (), "environ": {}}


def loaded(folder: Path, text: str = "", **given: Any) -> Settings:
    (folder / "pipeline.toml").write_text(text)
    return load(**{"rootdir": folder, **NOTHING, **given})


def told(folder: Path, text: str) -> list[str]:
    """Return what is told of a pipeline.toml, a line each, without its name."""
    with pytest.raises(SettingsError) as caught:
        loaded(folder, text)
    return [line.removeprefix(f"{folder}/pipeline.toml: ") for line in str(caught.value).splitlines()]


def test_a_whole_table_is_read_as_it_is_written(tmp_path: Path) -> None:
    text = (
        "[data]\ntrain = ['s3://cache/a.jsonl', '/data/b/']\nvalidation = ['~/c.jsonl']\n"
        "fields = {messages = 'messages', weight = 'number'}\nmin_records = 500\nmax_duplicate_share = 0\n"
        "tokenizer = '~/tokenizer.json'\n[data.pdfs]\nsources = ['trade']\nlimit = 0\n"
        + SOURCE
        + "filters = ['-processed/*', '+*.jsonl']\nfilters_meaning = 'gitignore'\noptional = true\n"
    )
    data = loaded(tmp_path, text).data

    assert (data.train, data.validation) == (("s3://cache/a.jsonl", "/data/b/"), ("~/c.jsonl",))
    assert [*data.fields.items()] == [("messages", "messages"), ("weight", "number")]
    assert (data.min_records, data.max_duplicate_share, data.tokenizer) == (
        500,
        0.0,
        Path("~/tokenizer.json").expanduser(),
    )
    assert data.pdfs is not None
    assert (data.pdfs.sources, data.pdfs.limit, data.pdfs.archives) == (("trade",), 0, True)
    (source,) = data.sources
    assert (source.filters, source.filters_meaning, source.optional) == (
        ("-processed/*", "+*.jsonl"),
        "gitignore",
        True,
    )
    assert Settings.from_wire(loaded(tmp_path, text).to_wire()) == loaded(tmp_path, text)


def test_what_is_left_out_has_defaults_that_look_at_everything(tmp_path: Path) -> None:
    data = loaded(tmp_path).data

    assert (data.sources, data.train, data.validation, data.fields, data.pdfs) == ((), (), (), {}, None)
    assert (data.max_invalid_records, data.sample_records, data.try_loading) == (0, None, False)


def test_the_command_line_stands_above_the_file(tmp_path: Path) -> None:
    text = "[data]\nsample_records = 7\n"

    assert loaded(tmp_path, text).data.sample_records == 7
    assert loaded(tmp_path, text, command_line={"data.sample_records": 1_000}).data.sample_records == 1_000


URI = (
    "must be an s3:// URI with a bucket and a key or prefix, or a path that begins with '/' or '~/', "
    "got the text {given!r}; correct it"
)
FILTER = "must be '+' or '-' and a pattern, such as '-processed/*' or '+*.jsonl', got the text {given!r}; correct it"
KINDS = "'text', 'string', 'number', 'boolean', 'list', 'object', 'messages' or 'any'"


@pytest.mark.parametrize(
    "given", ["policy/trade/", "s3://policy", "s3://policy/", "s3:///trade/", "S3://policy/trade/", "~trade", "./a"]
)
def test_what_is_no_place_of_data_is_refused(tmp_path: Path, given: str) -> None:
    assert told(tmp_path, f"[data]\ntrain = [{given!r}]") == [f"data.train[0] {URI.format(given=given)}"]
    assert told(tmp_path, f"[[data.sources]]\nname = 'a'\nuri = {given!r}") == [
        f"data.sources[0].uri {URI.format(given=given)}"
    ]


@pytest.mark.parametrize("given", ["*.jsonl", "-", "+", " -a", "!a"])
def test_what_is_no_pattern_is_refused(tmp_path: Path, given: str) -> None:
    assert told(tmp_path, SOURCE + f"filters = ['-a', {given!r}]") == [
        f"data.sources[0].filters[1] {FILTER.format(given=given)}"
    ]


WRONG = [
    ("[data]\ntrain = 's3://a/b'", "data.train must be a list, got the text 's3://a/b'; correct or remove it"),
    ("[data]\ntrain = ['']", "data.train[0] must not be empty, got the text ''; correct it"),
    (
        "[data]\nmax_invalid_records = -1",
        "data.max_invalid_records must be at least 0, got the number -1; correct it, or remove it for the default 0",
    ),
    (
        "[data]\nmax_duplicate_share = 5",
        "data.max_duplicate_share must be at most 1, got the number 5; correct it, or remove it for the default 0.05",
    ),
    ("[data]\nmin_records = 0", "data.min_records must be at least 1, got the number 0; correct or remove it"),
    ("[data]\nsample_records = 0", "data.sample_records must be at least 1, got the number 0; correct or remove it"),
    (
        "[data]\nmax_download_gb = 0",
        "data.max_download_gb must be above 0, got the number 0; correct it, or remove it for the default 5.0",
    ),
    (
        "[data]\nbudget_s = 0",
        "data.budget_s must be above 0, got the number 0; correct it, or remove it for the default 480.0",
    ),
    ("[data]\nworkers = 0", "data.workers must be at least 1, got the number 0; correct or remove it"),
    ("[data]\nsequence_length = 0", "data.sequence_length must be at least 1, got the number 0; correct or remove it"),
    ("[data]\ntokenizer = ''", "data.tokenizer must not be empty, got the text ''; correct or remove it"),
    (
        "[data.fields]\ntext = 'txt'",
        f"data.fields.text must be {KINDS} (did you mean 'text'?), got the text 'txt'; correct or remove it",
    ),
    ("[data]\nfields = ['text']", "data.fields must be a table, got a list; correct or remove it"),
    ("[[data.sources]]\nname = 'a'", "data.sources[0].uri is missing; add it"),
    ("[[data.sources]]\nuri = '/a'", "data.sources[0].name is missing; add it"),
    (
        SOURCE + "filters_meaning = 'rsync'",
        "data.sources[0].filters_meaning must be 'aws-cli', 'gitignore' or 'exclude-wins', got the text 'rsync'; "
        'correct it, or remove it for the default "aws-cli"',
    ),
    (SOURCE + "[data.pdfs]\nsources = ['trade']", "data.pdfs.limit is missing; add it"),
    (
        SOURCE + "[data.pdfs]\nsources = []\nlimit = 1",
        "data.pdfs.sources must not be empty, got an empty list; correct it",
    ),
    (
        SOURCE + "[data.pdfs]\nsources = ['trade', 'tarde']\nlimit = 1",
        "data.pdfs.sources[1] names the source 'tarde', which data.sources does not have; correct one of them",
    ),
    (SOURCE * 2, "data.sources[1] has the name 'trade' for the second time; rename it"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    assert told(tmp_path, text) == [message]


def test_a_wrong_sample_of_the_command_line_is_told_by_its_option(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, command_line={"data.sample_records": 0})

    assert str(caught.value) == (
        "--sample-size: data.sample_records must be at least 1, got the number 0; correct or remove it"
    )
