"""Each reason is told with its line, its first byte and what it is about, whatever spans a file is read in."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from data.places import InMemory, file_of, told
from pytest_pipeline.data.defect import Defect, Reason
from pytest_pipeline.data.merge import merge
from pytest_pipeline.data.opening import FileChangedError, LocalFiles, version_of
from pytest_pipeline.data.result import DEFECTS_KEPT, DIGEST_BYTES
from pytest_pipeline.data.shape import examined
from pytest_pipeline.data.spans import DataFile, Shape, Span, spans_of
from pytest_pipeline.data.spec import Field, Kind, RecordSpec
from pytest_pipeline.data.validate import validate

if TYPE_CHECKING:
    from pathlib import Path

TEXT = RecordSpec(fields=(Field(name="text"),))
GOOD = [b'{"text": "caf\xc3\xa9 %d", "meta": {"k": %d}, "source": "s"}' % (n, n) for n in range(40)]

FORM = [
    (b'{"text": "cut off in the midd', Reason.TRUNCATED, "the line ends in the middle of a record"),
    (b'{"text": "whole", "n": 1', Reason.TRUNCATED, "the line ends in the middle of a record"),
    (b'{"text": "a", "n": 01}', Reason.MALFORMED, "'1}' where a comma or } was expected"),
    (b'{"text": "a", "n": 1.}', Reason.MALFORMED, "'.}' in a number, without digits"),
    (b'{"text": "a\\q"}', Reason.MALFORMED, "'\\\\q' is no escape of JSON"),
    (b'{"text": "caf\xe9"}', Reason.BAD_UTF8, "the byte 0xe9 is not UTF-8"),
    (b'{"text": "a", "source": "caf\xe9"}', Reason.BAD_UTF8, "the byte 0xe9 is not UTF-8"),
    (b'\xef\xbb\xbf{"text": "a"}', Reason.BOM, "a byte order mark, which JSON must not begin with"),
    (b'{"text": "a"}{"text": "b"}', Reason.CONCATENATED, "another record on the same line"),
    (b'{"text": "a"}, {"text": "b"}', Reason.CONCATENATED, "another record on the same line"),
    (b'{"text": "a"}\\n{"text": "b"}', Reason.LITERAL_NEWLINE, "a line end spelled out as \\n behind the record"),
    (b'{"text": "a"} xyz', Reason.TRAILING_GARBAGE, "'xyz' behind the record"),
    (b'{"text": "a",}', Reason.TRAILING_COMMA, "a comma before }"),
    (b'{"text": "a"},', Reason.TRAILING_COMMA, "a comma behind the record"),
    (b"{'text': 'a'}", Reason.SINGLE_QUOTES, "single quotes, where a key in double quotes was expected"),
    (b'{"text": "a\tb"}', Reason.CONTROL_CHARACTER, "the control character 0x09, not escaped"),
    (b'{"text": "a", "score": NaN}', Reason.NAN, "NaN, which JSON does not have"),
    (b'{"text": "a", "score": -Infinity}', Reason.NAN, "-Infinity, which JSON does not have"),
    (b'{"text": "a\\ud800b"}', Reason.LONE_SURROGATE, "\\ud800 is half a character"),
    (b'{"text": "a", "source": "\\ude00"}', Reason.LONE_SURROGATE, "\\ude00 is half a character"),
    (
        b'{"text": "a", "meta": ' + b"[" * 3000 + b"]" * 3000 + b"}",
        Reason.TOO_DEEP,
        "more than 512 objects and arrays within each other",
    ),
    (b'{"meta": ' * 3000 + b"1" + b"}" * 3000, Reason.TOO_DEEP, "more than 512 objects and arrays within each other"),
    (b'["text", "a"]', Reason.NOT_OBJECT, "a list, not an object"),
    (b'"text"', Reason.NOT_OBJECT, "a string, not an object"),
]
CONTENT = [
    (b'{"source": "s"}', Reason.MISSING, "text is missing"),
    (b'{"meta": {"text": "inside"}}', Reason.MISSING, "text is missing"),
    (b'{"text": null}', Reason.NULL, "text is null"),
    (b'{"text": ""}', Reason.EMPTY, "text is empty"),
    (b'{"text": " \\n\\u00a0"}', Reason.WHITESPACE, "text is nothing but white space"),
    (b'{"text": ["a"]}', Reason.WRONG_TYPE, "text is a list, not a string"),
    (b'{"text": 42}', Reason.WRONG_TYPE, "text is a number, not a string"),
    (b'{"text": "a", "text": "b"}', Reason.DUPLICATE_KEY, "text comes twice"),
    (b'{"text": "a", "te\\u0078t": "b"}', Reason.DUPLICATE_KEY, "text comes twice"),
]


def with_line(line: bytes, at: int = 30) -> tuple[bytes, int]:
    """A file of good lines with another among them, and the first byte of that."""
    lines = [*GOOD[:at], line, *GOOD[at:]]
    return b"\n".join(lines) + b"\n", sum(len(one) + 1 for one in lines[:at])


@pytest.mark.parametrize(("line", "reason", "detail"), FORM + CONTENT)
def test_a_defect_is_told_with_its_line_and_first_byte(line: bytes, reason: Reason, detail: str) -> None:
    content, offset = with_line(line)
    result = told(content, TEXT)
    about = "text" if (line, reason, detail) in CONTENT else ""

    assert (result.lines, result.records, result.valid) == (41, 41, 40)
    assert result.reasons == {reason: 1}
    assert [replace(defect, excerpt="") for defect in result.defects] == [
        Defect(line=31, offset=offset, reason=reason, detail=detail, field=about)
    ]


@pytest.mark.parametrize("line", [line for line, *_ in FORM + CONTENT])
def test_spans_of_any_size_and_reads_of_any_size_tell_the_same(line: bytes) -> None:
    content, _ = with_line(line[:1500], at=2)
    content = content[:700]
    whole = told(content, TEXT)

    for span_bytes in (1, 2, 3, 64, 333, len(content) - 1):
        assert told(content, TEXT, span_bytes=span_bytes, most_bytes=7) == whole


@pytest.mark.parametrize(
    "line",
    [
        b'{"text": "a\\u0000b"}',
        b'{"text": "\\ud83d\\ude00"}',
        b'{"text": "\\\\ud800"}',
        b'{"te\\u0078t": "a"}',
        b'{"text": "}\\n{"}',
        b'{"text": "a", "meta": ' + b"[" * 511 + b"]" * 511 + b"}",
        b'{"text": "a", "n": 1e999, "m": ' + b"9" * 5000 + b"}",
        b'{"text": "a", "source": 1, "source": 2}',
        b'{"text": "a", "meta": {"text": "b", "text": "c"}}',
        b'{"text": "text", "source": "text"}',
        b' {"text" :\t"a" } ',
    ],
)
def test_what_is_valid_raises_no_alarm(line: bytes) -> None:
    content, _ = with_line(line)
    result = told(content, TEXT)

    assert (result.valid, result.reasons, result.defects) == (41, {}, ())


def test_a_blank_line_is_noted_and_is_no_record() -> None:
    content, offset = with_line(b" \t")
    result = told(content, TEXT)

    assert (result.lines, result.records, result.valid) == (41, 40, 40)
    assert result.defects == (Defect(line=31, offset=offset, reason=Reason.BLANK),)


def test_a_carriage_return_is_noted_and_the_record_is_valid() -> None:
    content, offset = with_line(b'{"text": "a"}\r')
    result = told(content, TEXT)

    assert (result.lines, result.records, result.valid) == (41, 41, 41)
    assert result.defects == (Defect(line=31, offset=offset, reason=Reason.CRLF),)


def test_a_blank_and_a_doubled_line_in_one_block_do_not_make_up_for_each_other() -> None:
    result = told(b'{"text": "a"}\n' * 9 + b'\n{"text": "a"}{"text": "b"}\n', TEXT)

    assert result.reasons == {Reason.BLANK: 1, Reason.CONCATENATED: 1}


def test_a_doubled_key_and_one_spelled_with_escapes_do_not_make_up_for_each_other() -> None:
    result = told(b'{"text": "a"}\n' * 9 + b'{"text": "a", "text": "b"}\n{"te\\u0078t": "a"}\n', TEXT)

    assert (result.valid, result.reasons) == (10, {Reason.DUPLICATE_KEY: 1})


def test_a_hidden_value_of_another_key_is_judged_too() -> None:
    good = b'{"text": "a", "x": 1}\n' * 9
    hidden = b'{"text": "a", "x": "\xff", "x": 1}\n{"text": "a", "x": ' + b"[" * 600 + b"]" * 600 + b', "x": 1}\n'

    assert told(good + hidden, TEXT).reasons == {Reason.BAD_UTF8: 1, Reason.TOO_DEEP: 1}


def test_a_record_over_two_lines_among_others_is_two_defects() -> None:
    result = told(b'{"text": "a"}\n' * 9 + b'{"text":\n"a"}\n' + b'{"text": "a"}\n' * 9, TEXT)

    assert (result.lines, result.valid) == (20, 18)
    assert [(one.line, one.reason) for one in result.defects] == [(10, Reason.TRUNCATED), (11, Reason.TRAILING_GARBAGE)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [(b'{"k": "\xff"}', Reason.BAD_UTF8), (b"[" * 600 + b"]" * 600, Reason.TOO_DEEP)],
    ids=["utf-8", "depth"],
)
@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.ANY])
def test_values_that_are_not_decoded_are_judged_too(value: bytes, reason: Reason, kind: Kind) -> None:
    spec = RecordSpec(fields=(Field(name="text" if kind is Kind.TEXT else "meta", kind=kind),))
    good = b'{"text": "a", "meta": {"k": "v"}}\n' * 9

    assert told(good + good[:22] + value + b"}\n" + good, spec).reasons == {reason: 1}


def test_a_line_that_is_too_long_is_told_once_with_its_size() -> None:
    spec = RecordSpec(fields=TEXT.fields, max_line_bytes=1000)
    long = b'{"text": "' + b"x" * 5000 + b'"}'
    content, offset = with_line(long)

    for span_bytes in (100, 1 << 20):
        result = told(content, spec, span_bytes=span_bytes, most_bytes=99)
        assert (result.lines, result.records, result.valid) == (41, 41, 40)
        (defect,) = result.defects
        assert (defect.line, defect.offset, defect.reason) == (31, offset, Reason.TOO_LONG)
        assert defect.detail == "5,012 bytes, more than 1,000"
        assert len(defect.excerpt) <= 80


@pytest.mark.parametrize(("size_bytes", "valid"), [(1000, 1), (1001, 0)])
def test_the_longest_line_is_as_long_as_is_allowed(size_bytes: int, valid: int) -> None:
    line = b'{"text": "' + b"x" * (size_bytes - 12) + b'"}'
    spec = RecordSpec(fields=TEXT.fields, max_line_bytes=1000)

    assert told(line, spec).valid == told(line + b"\n", spec).valid == valid


KINDS: list[tuple[Kind, list[Any], list[tuple[Any, Reason]]]] = [
    (Kind.STRING, ["", " ", "x"], [(1, Reason.WRONG_TYPE), (None, Reason.NULL)]),
    (Kind.NUMBER, [0, -1, 1.5, 10**40], [("1", Reason.WRONG_TYPE), (True, Reason.WRONG_TYPE), (None, Reason.NULL)]),
    (Kind.BOOLEAN, [True, False], [(0, Reason.WRONG_TYPE), ("true", Reason.WRONG_TYPE)]),
    (Kind.LIST, [[None]], [([], Reason.EMPTY), ({"a": 1}, Reason.WRONG_TYPE), ("[1]", Reason.WRONG_TYPE)]),
    (Kind.OBJECT, [{"a": []}], [({}, Reason.EMPTY), ([1], Reason.WRONG_TYPE)]),
    (Kind.ANY, ["", 0, False, [], {}], [(None, Reason.NULL)]),
    (
        Kind.MESSAGES,
        [[{"role": "user", "content": "hi"}], [{"role": "tool", "content": "x", "name": "f", "weight": 1}]],
        [
            ([], Reason.EMPTY),
            ({}, Reason.WRONG_TYPE),
            (["hi"], Reason.WRONG_TYPE),
            ([None], Reason.NULL),
            ([{"content": "hi"}], Reason.MISSING),
            ([{"role": "user", "content": None}], Reason.NULL),
            ([{"role": "user", "content": ["hi"]}], Reason.WRONG_TYPE),
            ([{"role": " ", "content": "hi"}], Reason.WHITESPACE),
            ([{"role": "user", "content": "hi"}, {"role": "user", "content": ""}], Reason.EMPTY),
        ],
    ),
]


@pytest.mark.parametrize(("kind", "right", "wrong"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_a_field_holds_what_its_kind_says(kind: Kind, right: list[Any], wrong: list[tuple[Any, Reason]]) -> None:
    spec = RecordSpec(fields=(Field(name="x", kind=kind),))
    good = b"".join(json.dumps({"x": value}).encode() + b"\n" for value in right * 5)

    assert told(good, spec).valid == len(right) * 5
    for value, reason in wrong:
        result = told(good + json.dumps({"x": value}).encode(), spec)
        assert (result.valid, [*result.reasons], result.defects[0].field) == (len(right) * 5, [reason], "x")


def test_a_message_is_named_by_its_place() -> None:
    spec = RecordSpec(fields=(Field(name="messages", kind=Kind.MESSAGES),))
    line = b'{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": ""}]}'

    assert told(line, spec).defects[0].detail == "messages[1].content is empty"


def test_first_defects_are_kept_and_all_are_counted() -> None:
    result = told(b'{"text": ""}\n' * 100 + b"[]\n", TEXT, span_bytes=400)

    assert result.reasons == {Reason.EMPTY: 100, Reason.NOT_OBJECT: 1}
    assert [defect.line for defect in result.defects] == [*range(1, DEFECTS_KEPT + 1), 101]


def test_an_excerpt_shows_the_fault_and_no_secret() -> None:
    line = b'{"token": "hf_' + b"a1B2" * 8 + b'", "text": "' + b"x " * 60 + b'\x07"}'
    (defect,) = told(line, TEXT).defects

    assert defect.reason is Reason.CONTROL_CHARACTER
    assert defect.excerpt == "… " + "x " * 36 + '\\x07"}'
    (defect,) = told(line[:58], TEXT).defects
    assert defect.excerpt == '{"token": "***", "text": "'


def test_digests_are_of_required_values_however_they_are_spelled() -> None:
    spec = RecordSpec(fields=(Field(name="a"), Field(name="b")), digests=True)
    lines = [
        b'{"a": "x", "b": "caf\xc3\xa9"}',
        b'{"b": "caf\\u00e9", "n": 1, "a": "x"}',
        b'{"a": "xc", "b": "af\xc3\xa9"}',
        b'{"a": "", "b": "x"}',
    ]
    content = b"\n".join(lines)
    (span,) = spans_of([file_of(content)])
    digests = validate(span, spec, InMemory(content)).digests
    one, two, three = (digests[at : at + DIGEST_BYTES] for at in range(0, len(digests), DIGEST_BYTES))

    assert one == two != three
    assert one.hex() == "851d648f200d6cc5175bf17d82db934c"


def test_digests_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^digests are of required fields, and none is named$"):
        RecordSpec(digests=True)


@pytest.mark.parametrize(
    ("content", "shape", "reason"),
    [
        (b'[{"text": "a"}, {"text": "b"}]', Shape.ARRAY, Reason.ARRAY),
        (b'{\n  "text": "a"\n}\n' * 1000, Shape.PRETTY_PRINTED, Reason.PRETTY_PRINTED),
        ('{"text": "a"}\n'.encode("utf-16"), Shape.UTF16, Reason.UTF16),
        ('{"text": "a"}\n'.encode("utf-32"), Shape.UTF32, Reason.UTF16),
    ],
)
def test_a_file_of_another_shape_is_one_defect(content: bytes, shape: Shape, reason: Reason) -> None:
    opener = InMemory(content)
    file = examined(file_of(content), opener)
    spans = spans_of([file], 100)
    (result,) = merge([validate(span, TEXT, opener) for span in spans], spans)

    assert file.shape is shape
    assert (result.whole, result.lines, result.records, result.valid) == (True, 1, 1, 0)
    assert [(one.line, one.offset, one.reason) for one in result.defects] == [(1, 0, reason)]


def test_a_file_on_disk_is_read_by_its_path_in_any_process(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(GOOD))
    file = DataFile(uri=str(path), size_bytes=path.stat().st_size, version=version_of(path.stat()))
    spans = spans_of([file], 100)
    results = [pickle.loads(pickle.dumps(validate))(span, TEXT, LocalFiles()) for span in spans]  # noqa: S301

    assert merge(results, spans)[0].valid == len(GOOD)
    path.write_bytes(b"\n".join(GOOD[::-1]))
    with pytest.raises(FileChangedError):
        validate(spans[0], TEXT)


def test_a_source_that_ends_early_is_no_short_file() -> None:
    content = b"\n".join(GOOD)
    span = Span(file=file_of(content), start=0, end=len(content))

    with pytest.raises(FileChangedError, match="bytes before the size that was listed"):
        validate(span, TEXT, InMemory(content[:-20]))


def test_what_was_appended_since_is_not_read() -> None:
    content = b"\n".join(GOOD)
    span = Span(file=file_of(content), start=0, end=len(content))

    assert validate(span, TEXT, InMemory(content + b'x\n{"text": ""}\n')).valid == len(GOOD)


def test_an_empty_file_has_no_lines() -> None:
    result = told(b"", TEXT)

    assert (result.whole, result.lines, result.records, result.defects) == (True, 0, 0, ())
