"""The output of a stage, whatever it is and however it comes."""

from __future__ import annotations

import io

import pytest

from pytest_pipeline.observers.stage_log import HEAD_BYTES, TAIL_BYTES, StageLog

SECRET = "hunter2-and-a-bit-more"  # noqa: S105  # of nobody


def logged(*pieces: bytes) -> tuple[StageLog, str]:
    file = io.BytesIO()
    log = StageLog(file, lambda text: text.replace(SECRET, "***"))
    for piece in pieces:
        log.write(piece)
    log.close()
    return log, file.getvalue().decode()


def test_short_output_is_all_head() -> None:
    log, written = logged(b"one\ntw", b"o\nthree")

    assert (log.head, log.tail, log.dropped_bytes) == ("one\ntwo\nthree", "", 0)
    assert written == log.head


def test_what_lies_between_head_and_tail_is_dropped_and_counted() -> None:
    line = b"x" * 999 + b"\n"
    log, written = logged(b"first\n", *[line] * 1000, b"last\n")

    assert log.head.startswith("first\nxxx")
    assert log.tail.endswith("xxx\nlast\n")
    assert (len(log.head), len(log.tail)) == (HEAD_BYTES, TAIL_BYTES)
    assert log.dropped_bytes == 1_000_011 - HEAD_BYTES - TAIL_BYTES
    assert written == f"{log.head}\n[... {log.dropped_bytes:,} bytes dropped ...]\n{log.tail}"


def test_output_that_just_fits_is_whole() -> None:
    log, written = logged(b"x\n" * ((HEAD_BYTES + TAIL_BYTES) // 2))

    assert log.dropped_bytes == 0
    assert written == log.head + log.tail == "x\n" * ((HEAD_BYTES + TAIL_BYTES) // 2)


@pytest.mark.parametrize("size", [5, 1000, 65536])
@pytest.mark.parametrize("after", [" after\n", "y" * 70_000], ids=["short", "long"])
@pytest.mark.parametrize("before", ["", "a line\n", "x" * 65530, "x" * 131_060, "é" * 20_000], ids=len)
def test_a_secret_is_seen_however_it_is_cut(size: int, before: str, after: str) -> None:
    data = f"{before}{SECRET}{after}".encode()
    log, written = logged(*(data[start : start + size] for start in range(0, len(data), size)))

    assert written == f"{before}***{after}"
    assert SECRET not in log.head + log.tail


def test_a_beginning_is_written_before_the_end_comes() -> None:
    file = io.BytesIO()
    log = StageLog(file, str)
    log.write(b"one\ntwo")

    assert file.getvalue() == b"one\n"


def test_what_is_no_utf8_is_replaced() -> None:
    assert logged(b"a\xffb \xc3", b"\xa9 \xe2\x82")[0].head == "a\N{REPLACEMENT CHARACTER}b é \N{REPLACEMENT CHARACTER}"
