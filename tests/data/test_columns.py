"""Columns and types across files, held to what `datasets` 5.2 was seen to do with them."""

from __future__ import annotations

import itertools
import json
import pickle
from typing import TYPE_CHECKING, Any

import pytest

from data.looked_at import file_of, in_spans, records
from pytest_pipeline.data.columns import MOST_COLUMNS, Columns, What, differences, findings, look, merge
from pytest_pipeline.data.finding import Finding, Gravity

if TYPE_CHECKING:
    from collections.abc import Sequence

VALUES: dict[str, Any] = {
    "null": None,
    "bool": True,
    "int": 1,
    "float": 1.5,
    "str": "x",
    "numstr": "7",
    "date": "2020-01-02T03:04:05",
    "emptylist": [],
    "liststr": ["a"],
    "listint": [1],
    "listobj": [{"p": "q"}],
    "obj": {"p": "q"},
    "objint": {"p": 1},
    "obj+": {"p": "q", "r": "s"},
    "obj-": {"r": "s"},
    "emptyobj": {},
}
# Measured with datasets 5.2.0 and pyarrow 26.0.1: a file of {"a": row's} and after it one of {"a": column's value}.
LOADS = """
    null      - X X X X X X X X X X X X X X X
    bool      . - . . X X X X X X X X X X X X
    int       . . - X X . . X X X X X X X X X
    float     . . . - X . X X X X X X X X X X
    str       . . . . - . . X X X X . . . . .
    numstr    . . . . . - . X X X X . . . . .
    date      . X . X X X - X X X X X X X X X
    emptylist . X X X X X X - X X X X X X X X
    liststr   . X X X X X X . - . X X X X X X
    listint   . X X X X X X . X - X X X X X X
    listobj   . X X X X X X . X X - X X X X X
    obj       . X X X X X X X X X X - . X X .
    objint    . X X X X X X X X X X X - X X .
    obj+      . X X X X X X X X X X . . - . .
    obj-      . X X X X X X X X X X X X X - .
    emptyobj  . . . . . . . . . . . . . . . -
"""
TABLE = [
    (first, later, cell == ".")
    for first, *cells in map(str.split, LOADS.strip().splitlines())
    for later, cell in zip(VALUES, cells, strict=True)
    if cell != "-"
]
# Measured likewise: what a file holds, what is read after it, and whether both load.
MORE: dict[str, tuple[list[Any], list[Any], bool]] = {
    "an extra column": ([{"a": "x"}], [{"a": "x", "b": 1}], False),
    "an extra column of null": ([{"a": "x"}], [{"a": "x", "b": None}], False),
    "a missing column": ([{"a": "x", "b": 1}], [{"a": "x"}], True),
    "other order of columns": ([{"a": "x", "b": 1}], [{"b": 1, "a": "x"}], True),
    "no column in common": ([{"a": "x"}], [{"b": 1}], False),
    "an extra column on a later line": ([{"a": "x"}, {"a": "x", "b": 1}], [{"b": 2}], True),
    "types mixed in the first": ([{"a": 1}, {"a": "x"}], [{"a": ["y"]}], True),
    "types mixed later, text first": ([{"a": "x"}], [{"a": "x"}, {"a": 1}], True),
    "text and list later, text first": ([{"a": "x"}], [{"a": "y"}, {"a": ["l"]}], True),
    "list and number later, list first": ([{"a": ["x"]}], [{"a": ["y"]}, {"a": 3}], False),
    "number and text later, number first": ([{"a": 1}], [{"a": 1}, {"a": "x"}], False),
    "fewer keys": ([{"a": {"p": 1, "q": 2}}], [{"a": {"p": 1}}, {"a": {"q": 1}}], True),
    "keys that differ in the first": ([{"a": {"p": 1}}, {"a": {"q": 1}}], [{"a": {"z": [1]}}], True),
    "keys that differ in the first, then text": ([{"a": {"p": 1}}, {"a": {"q": 1}}], [{"a": "z"}], True),
    "messages that differ in the first": ([{"m": [{"r": "u", "c": "x"}, {"r": "u"}]}], [{"m": [{"n": 1}]}], True),
    "messages with a new key": ([{"m": [{"r": "u"}]}], [{"m": [{"r": "u", "n": 1}]}], False),
    "messages with a key less": ([{"m": [{"r": "u", "c": "x"}]}], [{"m": [{"r": "u"}]}], True),
    "null and number first": ([{"a": None}, {"a": 1}], [{"a": 2}], True),
    "an empty and a full list first": ([{"a": []}, {"a": [{"k": 1}]}], [{"a": [{"k": 3}]}], True),
    "a list of null": ([{"a": [None]}], [{"a": ["x"]}], False),
    "a whole number with a point": ([{"a": 1}], [{"a": 2.0}], True),
    "numbers of both kinds first": ([{"a": 1}, {"a": 2.5}], [{"a": 3}], True),
    "a whole number with a point first": ([{"a": 2.0}], [{"a": 1.5}], True),
    "boolean and number first": ([{"a": True}, {"a": 2}], [{"a": "z"}], True),
    "a day, then words": ([{"a": "2020-01-01"}], [{"a": "unknown"}], False),
    "a time with a zone, then words": ([{"a": "2020-01-01T10:00:00+02:00"}], [{"a": "unknown"}], False),
    "a time to the minute, then words": ([{"a": "2020-01-01T10:00"}], [{"a": "unknown"}], False),
    "a time with fractions, then words": ([{"a": "2020-01-01T10:00:00.123Z"}], [{"a": "unknown"}], True),
    "a day, then nothing": ([{"a": "2020-01-01"}], [{"a": ""}], False),
    "a number beyond 64 bits later": ([{"a": 1}], [{"a": 2**63}], False),
    "a number beyond 64 bits first": ([{"a": 2**63}], [{"a": 1}], True),
    "a padded number": ([{"a": 1}], [{"a": " 12"}], False),
    "a decimal in a string, whole number first": ([{"a": 1}], [{"a": "1.5"}], False),
    "a decimal in a string, number first": ([{"a": 1.5}], [{"a": "1e5"}], True),
    "true in a string": ([{"a": True}], [{"a": "true"}], True),
    "null in an object first": ([{"a": {"p": None}}], [{"a": {"p": "x"}}], False),
    "objects and null first": ([{"a": {"p": 1}}, {"a": None}], [{"a": {"p": 2}}], True),
    "an object in a nested string": ([{"a": {"p": "x"}}], [{"a": {"p": {"q": 1}}}], False),
    "an object among nested strings": ([{"a": {"p": "x"}}], [{"a": {"p": {"q": 1}}}, {"a": {"p": "y"}}], True),
    "an object among strings of a list": ([{"a": ["x"]}], [{"a": [{"q": 1}]}, {"a": ["y"]}], True),
    "an empty object first": ([{"a": "x"}, {}], [{"a": "y"}], True),
}


def seen(*files: Sequence[Any]) -> Columns:
    return merge(look(records(values, f"{number}.jsonl")) for number, values in enumerate(files))


ORDER = [file_of(f"{number}.jsonl") for number in range(9)]


def broken(*files: Sequence[Any]) -> bool:
    found = differences(seen(*files), ORDER[: len(files)])
    return any(one.what.gravity is Gravity.WRONG for one in found)


@pytest.mark.parametrize(("first", "later", "loads"), TABLE)
def test_a_type_after_another_loads_or_not_as_datasets_does(first: str, later: str, *, loads: bool) -> None:
    assert broken([{"a": VALUES[first]}], [{"a": VALUES[later]}]) is not loads


@pytest.mark.parametrize(("first", "later", "loads"), MORE.values(), ids=MORE)
def test_files_load_or_not_as_with_datasets(first: list[Any], later: list[Any], *, loads: bool) -> None:
    assert broken(first, later) is not loads


def test_a_real_datasets_agrees_with_the_table(tmp_path: Any) -> None:
    load = pytest.importorskip("datasets", reason="datasets is not installed").load_dataset
    for number, (name, (first, later, loads)) in enumerate(MORE.items()):
        paths = [tmp_path / f"{number}-{at}.jsonl" for at in range(2)]
        for path, values in zip(paths, (first, later), strict=True):
            path.write_text("".join(f"{json.dumps(value)}\n" for value in values), encoding="utf-8")
        try:
            load("json", data_files=list(map(str, paths)), split="train", cache_dir=str(tmp_path / f"cache-{number}"))
        except Exception:  # noqa: BLE001  # whatever it raises, it did not load
            assert not loads, name
        else:
            assert loads, name


def test_an_extra_column_in_a_later_file_is_named_by_file_and_line() -> None:
    columns = seen([{"text": "x"}], [{"text": "y"}, {"text": "z", "source": "web"}], [{"text": "y", "source": "w"}])

    assert findings(columns, ORDER[:3]) == (
        Finding(
            gravity=Gravity.WRONG,
            sentence="1.jsonl line 2: column source is not in 0.jsonl, which is read first: "
            "datasets refuses to load the files in this order (and in 1 more files)",
        ),
    )


def test_a_column_that_only_the_first_file_has_loads_by_luck() -> None:
    (finding,) = findings(seen([{"text": "x", "source": "web"}], [{"text": "y"}]), ORDER[:2])

    assert finding == Finding(
        gravity=Gravity.DOUBTFUL,
        sentence="1.jsonl: column source of 0.jsonl is missing: the files load only because 0.jsonl is read first",
    )


def test_other_sentences() -> None:
    null = findings(seen([{"m": {"who": None}}], [{"m": {"who": "me"}}]), ORDER[:2])
    cast = findings(seen([{"m": [{"c": 1}]}], [{"m": [{"c": "one"}]}]), ORDER[:2])
    converted = findings(seen([{"id": "x"}], [{"id": 7}]), ORDER[:2])
    mixed = findings(seen([{"id": 7}, {"id": "x"}], [{"id": 8}]), ORDER[:2])
    quoted = findings(seen([{"id": "x"}], [{"id": "y"}, {"id": 7}]), ORDER[:2])

    assert [one.sentence for one in (*null, *cast, *converted, *mixed, *quoted)] == [
        "1.jsonl line 1: column m.who holds string, and only null in the first 10 MiB of 0.jsonl, which is read "
        "first: datasets refuses to load the files in this order",
        "1.jsonl line 1: column m[].c holds string, and integer in 0.jsonl, which is read first: "
        "datasets refuses to load the files in this order",
        "1.jsonl line 1: column id holds integer, and datasets silently makes it string, "
        "as in 0.jsonl, which is read first",
        "0.jsonl line 2: column id mixes integer and string: datasets keeps it as JSON text",
        "1.jsonl line 2: column id holds integer among strings, and datasets silently makes all of them in the same "
        "10 MiB JSON text, strings with their quotation marks",
    ]
    assert [one.gravity.value for one in (*null, *cast, *converted)] == ["wrong", "wrong", "doubtful"]


def test_the_order_of_files_is_the_trainings_not_the_alphabets() -> None:
    columns = seen([{"text": "x"}], [{"text": "y", "source": "web"}])

    assert [one.what for one in differences(columns, ORDER[:2])] == [What.EXTRA]
    assert [one.what for one in differences(columns, ORDER[1::-1])] == [What.MISSING]


def test_a_file_reads_on_by_the_types_of_its_own_first_10_mib() -> None:
    padding = "x" * 1_000_000
    columns = seen([{"text": padding}] * 11 + [{"text": padding, "b": 1}])

    (finding,) = findings(columns, ORDER[:1])
    assert finding.sentence.startswith("0.jsonl line 12: column b is not in 0.jsonl")


def test_an_empty_file_is_passed_over_and_what_was_not_looked_at_is_said() -> None:
    columns = merge([look(records([{"a": 1}], "1.jsonl"))])

    assert findings(columns, [file_of("0.jsonl", 0), ORDER[1]]) == ()
    assert (
        findings(columns, ORDER[:2])
        == findings(columns, [ORDER[1], ORDER[0]])
        == (
            Finding(
                gravity=Gravity.UNKNOWN,
                sentence="0.jsonl: no record of it was looked at: nothing is known of its columns",
            ),
        )
    )


def test_a_first_file_whose_head_was_not_looked_at_says_nothing_of_the_others() -> None:
    late = [one for one in records([{"text": "x" * 11_000_000}, {"a": 1}], "0.jsonl") if one.offset]
    (finding,) = findings(merge([look(late), look(records([{"a": "x"}], "1.jsonl"))]), ORDER[:2])

    assert finding.gravity is Gravity.UNKNOWN
    assert finding.sentence == (
        "0.jsonl: its first 10 MiB were not looked at, which fix the types: nothing is known of whether the files load"
    )


HEALTHY = {
    "messages with and without tools": [
        [{"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "y", "name": "n"}]}],
        [{"messages": [{"role": "user", "content": "x"}]}],
    ],
    "metadata that varies": [
        [{"text": "x", "meta": {"a": 1}}, {"text": "x", "meta": {"b": "2"}}],
        [{"text": "y", "meta": {"c": [3]}}],
    ],
    "a column that may be null": [[{"a": "x"}, {"a": None}], [{"a": None}], [{"a": "y"}]],
    "strings that look like something": [[{"a": "x"}], [{"a": "7"}], [{"a": "true"}], [{"a": "2020-01-01"}]],
    "numbers": [[{"a": 0.5}], [{"a": 1}]],
    "one file, optional columns": [[{"a": 1}, {"a": 1, "b": 2}, {"b": 3}]],
    "keys of other alphabets": [[{"été": 1, "文": {"[]": 1}}], [{"été": 2, "文": {"[]": 3}}]],
}


@pytest.mark.parametrize("files", HEALTHY.values(), ids=HEALTHY)
def test_healthy_files_are_not_complained_of(files: list[list[Any]]) -> None:
    assert findings(seen(*files), ORDER[: len(files)]) == ()


def test_spans_in_any_order_make_the_same_whole() -> None:
    values = [{"a": n, "b": {"c": [n, str(n)]}, **({"d": 1} if n == 7 else {})} for n in range(12)]
    whole = records(values)
    for count in range(1, 13):
        spans = in_spans(whole, count)
        parts = [pickle.loads(pickle.dumps(look(span))) for span in spans]  # noqa: S301  # our own
        forth, back = merge(parts), merge([merge(parts[len(parts) // 2 :]), merge(parts[: len(parts) // 2])])
        assert forth == back
        assert {
            (path, kind): (sight.count, sight.first.offset)
            for path, kinds in forth.parts["a.jsonl", True].columns.items()
            for kind, sight in kinds.items()
        } == {
            (path, kind): (sight.count, sight.first.offset)
            for path, kinds in look(whole).parts["a.jsonl", True].columns.items()
            for kind, sight in kinds.items()
        }


def test_lists_of_numbers_are_counted_at_once_and_the_same() -> None:
    ids = seen([{"ids": list(range(9))}, {"ids": [1, 2**63]}, {"ids": [1, True]}]).parts["0.jsonl", True]

    assert {kind.value: sight.count for kind, sight in ids.columns["ids", "[]"].items()} == {
        "integer": 11, "number": 1, "boolean": 1,
    }  # fmt: skip


def test_keys_that_are_data_are_bounded_and_said() -> None:
    values = [{"text": "x", "by_id": {f"user-{n}-{m}": 1 for m in range(100)}} for n in range(100)]
    columns = seen(values, [{"text": "x", "by_id": {}}])

    assert len(columns.parts["0.jsonl", True].columns) == MOST_COLUMNS
    (finding,) = findings(columns, ORDER[:2])
    assert finding == Finding(
        gravity=Gravity.DOUBTFUL,
        sentence="0.jsonl: more than 1,000 columns; 9,002 values in others were not looked at: are keys data?",
    )
    halves = merge(look(span) for span in in_spans(records(values, "0.jsonl"), 2))
    assert len(halves.parts["0.jsonl", True].columns) == MOST_COLUMNS


def test_many_differences_are_counted_and_not_all_told() -> None:
    columns = seen([{"text": "x"}], [{"text": "x", **{f"c{n}": 1 for n in range(14)}}])
    said = findings(columns, ORDER[:2])

    assert len(said) == 11
    assert said[-1] == Finding(gravity=Gravity.WRONG, sentence="4 more columns differ")


def test_a_hostile_name_is_shown_short_and_on_one_line() -> None:
    columns = seen([{"text": "x"}], [{"text": "x", "a\n\x1b[31m" + "k" * 10_000: 1}])
    (finding,) = findings(columns, ORDER[:2])

    assert finding.sentence.startswith(r"1.jsonl line 1: column a\n\x1b[31m" + "k" * 33 + "... is not in 0.jsonl")


def test_every_order_of_three_files_is_judged_by_its_first() -> None:
    files = {"0.jsonl": {"a": 1}, "1.jsonl": {"a": 1, "b": 2}, "2.jsonl": {"a": 1, "b": 2, "c": 3}}
    columns = merge(look(records([value], uri)) for uri, value in files.items())
    for order in itertools.permutations(files):
        breaks = any(one.what is What.EXTRA for one in differences(columns, [file_of(uri) for uri in order]))
        assert breaks is not (order[0] == "2.jsonl")
