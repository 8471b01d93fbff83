"""What a limit of tokens cuts off, counted or estimated."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from data.looked_at import records
from pytest_pipeline.data import draw
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.lengths import findings, lengths
from pytest_pipeline.data.spec import Field, RecordSpec
from pytest_pipeline.data.tokenizer import NoTokenizerError, token_counter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

TEXT = RecordSpec(fields=(Field(name="text"),))
ANSWERS = RecordSpec(fields=(Field(name="prompt"), Field(name="completion")))


def words_in(text: str) -> int:
    return len(text.split())


def said(
    values: Iterable[Any], spec: RecordSpec, limit: int, tokens_in: Callable[[str], int] | None = words_in
) -> tuple[Finding, ...]:
    return findings(lengths(draw.look(records(values), spec), limit, tokens_in))


def test_what_is_cut_is_counted_in_the_models_tokens() -> None:
    values = [{"text": "w " * 100}] * 8 + [{"text": "w " * 150}, {"text": "w " * 300}]

    assert said(values, TEXT, 100) == (
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="20.0 % of 10 records are longer than 100 tokens: 20.0 % of all tokens are cut off, "
            "most at a.jsonl line 10",
        ),
    )
    assert said(values, TEXT, 300) == ()


def test_what_is_asked_counts_and_may_leave_no_room_for_an_answer() -> None:
    values = [{"prompt": "w " * 99, "completion": "w"}, {"prompt": "w " * 100, "completion": "w"}]

    assert said(values, ANSWERS, 100) == (
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="50.0 % of 2 records ask 100 tokens or more: nothing of their answers is left to learn",
        ),
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="50.0 % of 2 records are longer than 100 tokens: 0.5 % of all tokens are cut off, "
            "most at a.jsonl line 2",
        ),
    )


def test_most_of_the_tokens_lost_is_wrong_and_a_few_records_cut_are_a_note() -> None:
    assert [one.gravity for one in said([{"text": "w " * 300}], TEXT, 100)] == [Gravity.WRONG]
    values = [{"text": "w " * 90}] * 99 + [{"text": "w " * 110}]
    assert [one.gravity for one in said(values, TEXT, 100)] == [Gravity.NOTE]


def test_a_share_of_drawn_records_has_limits() -> None:
    values = ({"text": "w " * (150 if number % 4 == 0 else 50)} for number in range(3_000))

    assert said(values, TEXT, 100)[0].sentence.startswith("26.6 % (23.9-29.5 %, 95 %) of 1,000 records drawn of 3,000 ")


def test_of_a_text_whose_ends_were_kept_the_rest_is_taken_to_be_alike() -> None:
    found = lengths(draw.look(records([{"text": "w " * 50_000}]), TEXT), 100, words_in)

    assert abs(found.tokens - 50_000) < 50


def test_without_a_tokenizer_it_is_an_estimate_and_never_wrong() -> None:
    values = [{"text": "x" * 60_000}] * 9 + [{"text": "x"}]

    assert said(values, TEXT, 100, None) == (
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="90 to 90 % of 10 records are longer than 100 tokens, estimated by 1.5 to 6.0 bytes a token: "
            "the model's tokenizer was not there to count them",
        ),
    )
    perhaps = said([{"text": "x" * 300}] * 10, TEXT, 100, None)
    assert [one.gravity for one in perhaps] == [Gravity.NOTE]
    assert perhaps[0].sentence.startswith("0 to 100 % of 10 records are longer than 100 tokens, estimated")
    assert said([{"text": "x" * 149}] * 10, TEXT, 100, None) == ()


def test_bytes_are_those_of_utf_8_whatever_the_text() -> None:
    assert said([{"text": "文" * 300}], TEXT, 100, None)[0].gravity is Gravity.DOUBTFUL
    assert lengths(draw.look(records([{"text": ""}]), TEXT), 100).tokens == 0


def test_without_a_record_there_is_no_share() -> None:
    with pytest.raises(ValueError, match="no record was drawn"):
        lengths(draw.Draw(), 100)


def test_without_the_library_there_is_no_counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)

    with pytest.raises(NoTokenizerError, match="tokenizers cannot be imported"):
        token_counter(tmp_path / "tokenizer.json")


def test_a_file_that_is_no_tokenizer_is_no_counter(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    (tmp_path / "tokenizer.json").write_text('{"model": 7}', encoding="utf-8")

    with pytest.raises(NoTokenizerError, match=r"tokenizer.json is no tokenizer: "):
        token_counter(tmp_path / "tokenizer.json")


def test_a_tokenizer_counts_all_even_where_its_file_says_to_cut(tmp_path: Path) -> None:
    library = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    vocabulary = {"[UNK]": 0, "w": 1}
    tokenizer = library.Tokenizer(library.models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106  # no password
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=50)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    assert json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))["truncation"]

    assert [token_counter(tmp_path / "tokenizer.json")("w " * count) for count in (3, 30)] == [3, 30]
