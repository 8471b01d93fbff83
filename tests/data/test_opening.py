"""Local files are opened as what was listed, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_pipeline.data.opening import FileChangedError, LocalFiles, version_of
from pytest_pipeline.data.spans import DataFile


def listed(path: Path) -> DataFile:
    return DataFile(uri=str(path), size_bytes=path.stat().st_size, version=version_of(path.stat()))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"0123456789")
    return path


def test_a_file_is_read_from_where_it_is_asked_for(path: Path) -> None:
    source = LocalFiles().open(listed(path), 4)
    buffer = bytearray(10)

    assert source.readinto(memoryview(buffer)) == 6
    assert source.readinto(memoryview(buffer)) == 0
    assert buffer[:6] == b"456789"
    source.close()


def test_a_file_that_was_written_again_is_refused(path: Path) -> None:
    file = listed(path)
    path.write_bytes(b"9876543210")
    os.utime(path, ns=(1, 1))

    with pytest.raises(FileChangedError) as caught:
        LocalFiles().open(file, 0)
    assert str(caught.value) == f"{path} is not what was listed: it was changed since"


def test_a_file_that_changes_while_it_is_read_is_told_at_the_end(path: Path) -> None:
    source = LocalFiles().open(listed(path), 0)
    path.write_bytes(b"longer than before")

    with pytest.raises(FileChangedError):
        source.close()


def test_a_file_that_is_gone_is_told_as_such(path: Path) -> None:
    file = listed(path)
    path.unlink()

    with pytest.raises(FileChangedError, match=r"is gone since it was listed$"):
        LocalFiles().open(file, 0)


def test_a_pipe_in_place_of_a_file_does_not_hang(path: Path) -> None:
    file = listed(path)
    path.unlink()
    os.mkfifo(path)

    with pytest.raises(FileChangedError):
        LocalFiles().open(file, 0)


def test_a_refused_file_is_not_left_open(path: Path) -> None:
    file = listed(path)
    path.write_bytes(b"")
    before = len([*Path("/proc/self/fd").iterdir()])

    for _ in range(5):
        with pytest.raises(FileChangedError):
            LocalFiles().open(file, 0)
    assert len([*Path("/proc/self/fd").iterdir()]) == before
