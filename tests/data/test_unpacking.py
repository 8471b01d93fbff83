"""Packed files are read to their end, or it is said where they break."""

from __future__ import annotations

import gzip
import importlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from data.places import InMemory, file_of
from pytest_pipeline.data.defect import Reason
from pytest_pipeline.data.missing_library import MissingLibraryError
from pytest_pipeline.data.shape import examined
from pytest_pipeline.data.spans import Compression, spans_of
from pytest_pipeline.data.spec import Field, RecordSpec
from pytest_pipeline.data.validate import validate

if TYPE_CHECKING:
    from pytest_pipeline.data.result import Result

zstd = importlib.import_module("backports.zstd")

LINES = [b'{"text": "number %d", "n": %d}\n' % (n, n * n) for n in range(5000)]
PLAIN = b"".join(LINES)
SPEC = RecordSpec(fields=(Field(name="text"),), digests=True)


def read(packed: bytes, most_bytes: int = 1 << 20) -> Result:
    opener = InMemory(packed, most_bytes)
    (span,) = spans_of([examined(file_of(packed), opener)], 100)
    return validate(span, SPEC, opener)


@pytest.fixture(params=["isal", "zlib"])
def _either_gzip(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)


PACKED = {
    "gzip": gzip.compress(PLAIN),
    "gzip of several members": b"".join(gzip.compress(b"".join(LINES[at : at + 999])) for at in range(0, 5000, 999)),
    "gzip with an empty member": gzip.compress(b"") + gzip.compress(PLAIN),
    "gzip with padding": gzip.compress(PLAIN) + b"\0" * 1000,
    "zstd": zstd.compress(PLAIN),
    "zstd of several frames": zstd.compress(PLAIN[:70_001]) + zstd.compress(PLAIN[70_001:]),
}


@pytest.mark.usefixtures("_either_gzip")
@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("most_bytes", [777, 1 << 20])
def test_a_packed_file_reads_as_the_plain_one(name: str, most_bytes: int) -> None:
    result = read(PACKED[name], most_bytes)
    (whole,) = spans_of([file_of(PLAIN)])
    plain = validate(whole, SPEC, InMemory(PLAIN))

    assert result.span.file.compression is Compression(name.partition(" ")[0])
    assert replace(result, span=whole) == plain
    assert (result.valid, result.read_bytes) == (5000, len(PLAIN))


@pytest.mark.usefixtures("_either_gzip")
@pytest.mark.parametrize("name", ["gzip", "zstd", "gzip with padding", "gzip of several members"])
def test_a_stream_that_is_cut_is_broken_where_its_last_line_begins(name: str) -> None:
    packed = PACKED[name].rstrip(b"\0")
    result = read(packed[: len(packed) * 9 // 10])
    (defect,) = result.defects
    whole_lines = result.lines - 1

    assert result.reasons == {Reason.BROKEN_STREAM: 1}
    assert 0 < whole_lines < 5000
    assert (result.records, result.valid) == (whole_lines + 1, whole_lines)
    assert (defect.line, defect.offset) == (whole_lines + 1, sum(map(len, LINES[:whole_lines])))
    assert defect.detail == "the file ends before its packed content does"


@pytest.mark.usefixtures("_either_gzip")
@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(PLAIN) + b"garbage",
        zstd.compress(PLAIN) + b"garbage",
        gzip.compress(PLAIN) + b"\0\0\x1f\x8b",
    ],
    ids=["gzip and garbage", "zstd and garbage", "half a member"],
)
def test_a_stream_that_is_damaged_is_broken_behind_its_last_good_line(packed: bytes) -> None:
    result = read(packed)

    assert result.reasons == {Reason.BROKEN_STREAM: 1}
    assert (result.lines, result.valid, result.defects[0].offset) == (5001, 5000, len(PLAIN))


@pytest.mark.usefixtures("_either_gzip")
@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_damaged_stream_breaks_in_one_place_whatever_it_is_read_in(name: str) -> None:
    packed = PACKED[name][:-5] + b"\xff" * 5
    result = read(packed)

    assert result.reasons == {Reason.BROKEN_STREAM: 1}
    assert result.valid < 5000
    assert read(packed, 1000) == result


def test_without_its_library_a_file_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "backports.zstd", None)
    monkeypatch.setitem(sys.modules, "compression.zstd", None)

    with pytest.raises(MissingLibraryError) as caught:
        read(PACKED["zstd"])
    assert str(caught.value) == (
        "backports.zstd is not installed, and is needed to read a file that is packed with zstd: "
        "pip install 'pytest-pipeline-readiness[data]'"
    )


def test_a_bomb_takes_no_memory() -> None:
    tracemalloc = importlib.import_module("tracemalloc")
    for packed in (gzip.compress(b"x" * 200_000_000), zstd.compress(b"x" * 200_000_000)):
        tracemalloc.start()
        result = read(packed)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert result.reasons == {Reason.TOO_LONG: 1}
        assert peak_bytes < 40e6
