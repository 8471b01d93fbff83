"""What becomes of files in `datasets`, and in a stand-in of the same name, which is always there."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from data.looked_at import file_of
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.loading import Came, Head, findings, head, heads_of, load
from pytest_pipeline.data.spec import RecordSpec

if TYPE_CHECKING:
    from pathlib import Path

# Loads JSON lines and refuses what `datasets` refuses of it: a line that is no object, a column the first lacks.
STAND_IN = """
import json, os
__version__ = "0.test"
class Rows:
    def __init__(self, num_rows): self.num_rows = num_rows
def load_dataset(kind, data_files, split, cache_dir):
    assert (kind, split) == ("json", "train")
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_DATASETS_OFFLINE"] == "1"
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
    columns, rows = None, 0
    for path in data_files:
        with open(path) as lines:
            for line in filter(str.strip, lines):
                try:
                    row = json.loads(line)
                    rows += isinstance(row, dict)
                    if columns is None: columns = set(row)
                    if not set(row) <= columns: raise ValueError("Couldn't cast " + ", ".join(row))
                except ValueError as error:
                    raise RuntimeError("An error occurred while generating the dataset") from error
    if not rows: raise ValueError("no data")
    return Rows(rows)
"""


@pytest.fixture(name="stand_in")
def _stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "datasets.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "datasets.py"


def of(number: int, *values: Any) -> Head:
    lines = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    records = sum(1 for line in lines if line.strip())
    return Head(file=file_of(f"{number}.jsonl"), content=b"\n".join(lines), records=records)


@pytest.mark.usefixtures("stand_in")
def test_files_that_load_are_not_complained_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for a child")
    came = load([of(0, {"a": 1}, b"", {"a": 2}), of(1), of(2, {"a": 3})])

    assert (came.came, came.version, came.rows, came.records) == (Came.LOADED, "0.test", 3, 3)
    assert findings(came) == ()


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("line", [1, 2, 5, 8, 9])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_what_does_not_load_is_named_by_our_file_and_line(number: int, line: int) -> None:
    files: list[list[dict[str, int]]] = [[{"a": 1}] * 9 for _ in range(5)]
    files[number][line - 1] = {"a": 1, "b": 2}
    came = load([of(at, *values) for at, values in enumerate(files)])

    assert findings(came) == (
        Finding(
            gravity=Gravity.WRONG,
            sentence=f"{number}.jsonl line {line}: datasets 0.test does not load it: ValueError: Couldn't cast a, b",
        ),
    )


@pytest.mark.usefixtures("stand_in")
def test_an_empty_file_does_not_shift_the_files_after_it() -> None:
    came = load([of(0, {"a": 1}), of(1), of(2, {"a": 1}, b"", {"b": 1})])

    assert (came.came, came.uri, came.line) == (Came.REFUSED, "2.jsonl", 3)


@pytest.mark.usefixtures("stand_in")
def test_rows_that_are_not_our_records_are_said() -> None:
    (finding,) = findings(load([of(0, {"a": 1}, b"[]")]))

    assert finding == Finding(gravity=Gravity.WRONG, sentence="datasets 0.test makes 1 rows of 2 records")


@pytest.mark.skipif(find_spec("datasets") is not None, reason="datasets is installed")
def test_without_the_library_nothing_is_known() -> None:
    came = load([of(0, {"a": 1})])

    assert came.came is Came.ABSENT
    assert findings(came) == (
        Finding(
            gravity=Gravity.UNKNOWN,
            sentence="datasets is not installed: whether the files load was not tried",
        ),
    )


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import a_library_it_needs", "No module named 'a_library_it_needs'"),
        ("raise OSError('libarrow.so: cannot open')", "OSError: libarrow.so: cannot open"),
        ("import os; os.write(2, b'Illegal instruction'); os._exit(132)", "Illegal instruction"),
        ("import os; os._exit(9)", "exit status 9"),
    ],
)
def test_a_library_that_is_broken_is_not_fine(stand_in: Path, source: str, why: str) -> None:
    stand_in.write_text(source, encoding="utf-8")
    came = load([of(0, {"a": 1})])

    assert came.came is Came.BROKEN
    assert findings(came) == (Finding(gravity=Gravity.UNKNOWN, sentence=f"datasets could not be tried: {why}"),)


def test_a_load_that_hangs_is_ended_with_its_children(stand_in: Path, tmp_path: Path) -> None:
    held = tmp_path / "held"
    os.mkfifo(held)
    stand_in.write_text(
        "import subprocess, sys, threading\n"
        "hold = 'import sys, threading; held = open(sys.argv[1], \\'w\\'); threading.Event().wait()'\n"
        f"subprocess.Popen([sys.executable, '-c', hold, {str(held)!r}])\n"
        "threading.Event().wait()\n",
        encoding="utf-8",
    )
    end = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    came = load([of(0, {"a": 1})], timeout_s=2.0)

    assert came.came is Came.LATE
    assert findings(came) == (
        Finding(gravity=Gravity.UNKNOWN, sentence="datasets did not load the first lines of 1 files in time"),
    )
    os.set_blocking(end, True)
    assert os.read(end, 1) == b""  # no child holds the other end any more
    os.close(end)


@pytest.mark.usefixtures("stand_in")
def test_nothing_to_load_is_not_fine() -> None:
    assert findings(load([of(0), of(1, b"", b"  ")])) == (
        Finding(gravity=Gravity.UNKNOWN, sentence="no file has a record to load"),
    )


@pytest.mark.parametrize(
    ("content", "most_bytes", "kept", "records"),
    [
        (b"x234567890\n" * 5, 15, b"x234567890\n" * 2, 2),
        (b"x234567890\n" * 5, 21, b"x234567890\n" * 2, 2),
        (b"x234567890\n" * 5, 22, b"x234567890\n" * 3, 3),  # as datasets does, which reads on to a line's end
        (b"x234567890\n" * 5, 99, b"x234567890\n" * 5, 5),
        (b"x\n\n \ny", 99, b"x\n\n \ny", 2),
        (b"x\n" + b"y" * 200 + b"\nz\n", 99, b"x\n\nz\n", 2),  # one that is too long
        (b"", 99, b"", 0),
    ],
)
def test_a_head_is_the_lines_that_start_in_its_bytes(
    tmp_path: Path, content: bytes, most_bytes: int, kept: bytes, records: int
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    file = file_of(str(path), len(content))

    assert head(file, RecordSpec(max_line_bytes=100), most_bytes) == Head(file=file, content=kept, records=records)


def test_of_the_first_file_with_a_record_more_is_read_than_of_the_others(tmp_path: Path) -> None:
    line, files = b"x" * 1_023 + b"\n", []
    for number, count in enumerate((0, 20_000, 3_000)):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(line * count)
        files.append(file_of(str(path), len(line) * count))

    assert [one.records for one in heads_of(files, RecordSpec())] == [0, 10 * 1_024 + 1, 1_024 + 1]


@pytest.mark.skipif(find_spec("datasets") is None, reason="datasets is not installed")
@pytest.mark.parametrize(
    ("files", "uri", "line", "why"),
    [
        ([[{"a": "x"}], [{"a": "y"}, {"a": "z", "b": 1}]], "1.jsonl", 2, "CastError: Couldn't cast"),
        ([[{"a": 1}] * 30, [{"a": 2}, {"a": "x"}]], "1.jsonl", 2, "ArrowInvalid: Failed to parse string"),
        ([[{"a": 1}, b'{"a": 1, "a": 2}']], "0.jsonl", 2, "ArrowInvalid: JSON parse error: Column(/a) was specified"),
        ([[{"a": 1}, b'{"a": 1']], "0.jsonl", 2, "JSON parse error"),
    ],
)
def test_a_real_datasets_is_understood(files: list[list[Any]], uri: str, line: int, why: str) -> None:
    came = load([of(number, *values) for number, values in enumerate(files)], python=sys.executable)

    assert (came.came, came.uri, came.line) == (Came.REFUSED, uri, line)
    assert why in came.why
