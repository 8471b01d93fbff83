"""Records as values: what is malformed is passed over, and counted as a line all the same."""

from __future__ import annotations

import gzip
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.data.examination import examine, merge
from pytest_pipeline.data.learned import Learned, learned
from pytest_pipeline.data.place import Place, lines_before
from pytest_pipeline.data.records import records_of, texts_of
from pytest_pipeline.data.spans import Compression, DataFile, spans_of
from pytest_pipeline.data.spec import Field, Kind, RecordSpec
from pytest_pipeline.data.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.data.records import Record

LINES = [
    b'{"a": 1}',
    b"",
    b'{"a": ',
    b"[1]",
    b'{"a": "\xff"}',
    b'{"a": NaN}',
    b"[" * 100_000,
    b'\xef\xbb\xbf{"a": 1}',
    b'{"a": "\\ud800"}',
    b'{"a": 1}{"a": 2}',
    b'{"a": "\xc3\xa9"}\r',
    b'{"a": 123456789012345678901234567890}',
]


def of_file(path: Path, span_bytes: int, **more: Any) -> list[Record]:
    file = DataFile(uri=str(path), size_bytes=path.stat().st_size, **more)
    spec = RecordSpec(max_line_bytes=1_000)
    return [one for span in spans_of([file], span_bytes) for block in records_of(span, spec) for one in block]


def test_only_well_formed_objects_are_records_and_every_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(LINES))
    found = of_file(path, 1_000_000)
    offsets = [len(b"\n".join(LINES[:at])) + bool(at) for at in range(len(LINES))]

    assert [(one.line, one.offset, one.values) for one in found] == [
        (1, 0, {"a": 1}),
        (11, offsets[10], {"a": "é"}),
        (12, offsets[11], {"a": 123456789012345678901234567890}),
    ]
    assert found[0].place == Place(uri=str(path), offset=0, start=0, line=1)


@pytest.mark.parametrize("span_bytes", [1, 7, 100, 1_000])
def test_each_record_is_of_the_span_that_it_starts_in(tmp_path: Path, span_bytes: int) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(LINES[:6] + LINES[7:]))
    found = of_file(path, span_bytes)

    assert [(one.offset, one.values) for one in found] == [(one.offset, one.values) for one in of_file(path, 1_000_000)]
    assert all(one.start <= one.offset < one.start + span_bytes for one in found)


def test_a_packed_file_is_read_through(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}\n'))

    assert [(one.line, one.offset) for one in of_file(path, 5, compression=Compression.GZIP)] == [(1, 0), (3, 10)]


def test_an_examination_is_the_same_in_spans_of_any_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": f"cafÃ© {number}" if number % 5 else "x", "n": number}) for number in range(400)]
    path.write_text("\n".join(lines), encoding="utf-8")
    file, spec = DataFile(uri=str(path), size_bytes=path.stat().st_size), RecordSpec(fields=(Field(name="text"),))
    seen = [
        merge(pickle.loads(pickle.dumps(examine(span, spec))) for span in spans_of([file], size))  # noqa: S301
        for size in (90, 1_000, 1_000_000)
    ]

    assert len({(one.secrets.records, one.damage.files[str(path)].mojibake, one.draw.seen) for one in seen}) == 1
    assert seen[0].draw.seen == 400
    for one in seen[1:]:
        assert {lot: each.text for lot, each in one.draw.kept.items()} == {
            lot: each.text for lot, each in seen[0].draw.kept.items()
        }
        assert [*one.columns.parts[str(path), True].columns] == [("text",), ("n",)]


def test_a_place_is_named_by_its_line_where_that_is_known() -> None:
    first, later = (Place(uri="a.jsonl", offset=start + 7, start=start, line=2) for start in (0, 67_108_864))

    assert first.named() == "a.jsonl line 2"
    assert later.named() == later.named({("b.jsonl", 67_108_864): 5}) == "a.jsonl byte 67,108,871"
    assert later.named({("a.jsonl", 67_108_864): 5_000}) == "a.jsonl line 5,002"


def test_the_lines_before_a_span_are_those_of_the_spans_before_it(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "b.jsonl")]
    for path in paths:
        path.write_text("".join(f'{{"n": {number}}}\n' for number in range(1_000)), encoding="utf-8")
    files = [DataFile(uri=str(path), size_bytes=path.stat().st_size) for path in paths]
    spans, spec = spans_of(files, 900), RecordSpec()
    before = lines_before(reversed([validate(span, spec) for span in spans]))
    with_hole = lines_before(validate(span, spec) for number, span in enumerate(spans) if number != 2)

    for span in spans:
        for one in records_of(span, spec):
            for record in one:
                assert record.place.named(before) == f"{span.file.uri} line {record.values['n'] + 1:,}"  # type: ignore[operator]
    assert sorted(before) == sorted((span.file.uri, span.start) for span in spans)
    assert [start for uri, start in sorted(with_hole) if uri == str(paths[0])] == [0, 900]


def test_texts_are_all_strings_down_to_a_depth() -> None:
    deep: object = "too deep"
    for _ in range(40):
        deep = [deep]

    assert list(texts_of({"a": "x", "b": [1, {"c": "y", "d": None}], "e": deep})) == ["x", "y"]


def test_what_is_learned_is_the_answer() -> None:
    asked = RecordSpec(fields=(Field(name="prompt"), Field(name="completion"), Field(name="id", kind=Kind.ANY)))
    chat = RecordSpec(fields=(Field(name="messages", kind=Kind.MESSAGES),))
    both = RecordSpec(fields=(Field(name="title"), Field(name="text")))
    messages = [
        {"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"},
        {"role": "tool", "content": ["t"]}, "no message", {"role": "assistant"}, {"role": "assistant", "content": "b"},
    ]  # fmt: skip

    assert learned({"prompt": "p", "completion": "c", "id": "x"}, asked) == Learned(asked="p", text="c")
    assert learned({"prompt": 7, "completion": None}, asked) == Learned(asked="", text="")
    assert learned({"messages": messages}, chat) == Learned(asked="s\nu", text="a\nb")
    assert learned({"messages": "x"}, chat) == Learned(asked="", text="")
    assert learned({"title": "t", "text": "x", "other": "o"}, both) == Learned(asked="", text="t\nx")
    assert learned({"any": "x", "b": ["y"]}, RecordSpec()) == Learned(asked="", text="x\ny")
