"""A folder of this machine is listed as a prefix is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.data.filters import Filters
from pytest_pipeline.data.listing import Names, Want
from pytest_pipeline.data.opening import LocalFiles
from pytest_pipeline.observers.local_listing import list_local

if TYPE_CHECKING:
    from pathlib import Path


def put(path: Path, text: str = "words") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_files_are_found_at_any_depth_in_a_settled_order(tmp_path: Path) -> None:
    for name in ("z.jsonl", "b/deep/er/1.jsonl", "a/2.jsonl", ".hidden"):
        put(tmp_path / name)
    put(tmp_path / "empty.jsonl", "")
    (tmp_path / "folder").mkdir()
    seen = list_local(Want(uri=str(tmp_path)))
    assert [entry.key for entry in seen.kept] == [".hidden", "z.jsonl", "a/2.jsonl", "b/deep/er/1.jsonl"]
    assert seen.kept[1].uri == str(tmp_path / "z.jsonl")
    assert (seen.count, seen.size_bytes, seen.empty, seen.complete) == (
        4, 20, Names(count=1, first=("empty.jsonl",)), True
    )  # fmt: skip


def test_filters_see_the_path_below_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "processed" / "a.jsonl")
    put(tmp_path / "b.jsonl")
    put(tmp_path / "c.txt")
    seen = list_local(Want(uri=str(tmp_path), filters=Filters(rules=("-*", "+*.jsonl", "-processed/*", "-x/*"))))
    assert ([entry.key for entry in seen.kept], seen.unmatched) == (["b.jsonl"], ("-x/*",))


def test_a_file_is_a_source_of_one(tmp_path: Path) -> None:
    put(tmp_path / "other.jsonl")
    seen = list_local(Want(uri=str(put(tmp_path / "a.jsonl")), filters=Filters(rules=("-*", "+a.jsonl"))))
    assert ([entry.key for entry in seen.kept], seen.complete) == (["a.jsonl"], True)


def test_what_is_listed_can_be_opened_until_it_changes(tmp_path: Path) -> None:
    put(tmp_path / "a.jsonl")
    (file,) = list_local(Want(uri=str(tmp_path))).files
    opened = LocalFiles().open(file, 0)
    room = bytearray(9)
    assert opened.readinto(memoryview(room)) == 5
    opened.close()


def test_links_are_followed_and_loops_are_not(tmp_path: Path) -> None:
    put(tmp_path / "elsewhere" / "a.jsonl")
    folder = tmp_path / "data"
    put(folder / "own" / "b.jsonl")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "own" / "up").symlink_to(folder)
    (folder / "file").symlink_to(tmp_path / "elsewhere" / "a.jsonl")
    seen = list_local(Want(uri=str(folder)))
    assert [entry.key for entry in seen.kept] == ["file", "linked/a.jsonl", "own/b.jsonl"]


def test_a_dangling_link_a_loop_of_links_and_a_pipe_are_named_and_no_files(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "itself").symlink_to(tmp_path / "itself")
    os.mkfifo(tmp_path / "pipe")
    seen = list_local(Want(uri=str(tmp_path)))
    assert (seen.count, seen.no_files) == (0, Names(count=3, first=("dangling", "itself", "pipe")))


def test_a_folder_that_is_not_there_is_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list_local(Want(uri=str(tmp_path / "absent")))


def test_a_folder_within_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a.jsonl")
    put(tmp_path / "closed" / "b.jsonl")
    scandir = os.scandir

    def refuse(path: str) -> object:  # root, as whom tests may run, is refused nothing
        if path.endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="closed"):
        list_local(Want(uri=str(tmp_path)))


def test_looking_stops_at_the_asked_number_and_at_the_deadline(tmp_path: Path) -> None:
    for number in range(9):
        put(tmp_path / f"{number}.jsonl")
    enough = list_local(Want(uri=str(tmp_path), at_most=3))
    assert (enough.count, enough.complete) == (3, False)
    late = list_local(Want(uri=str(tmp_path)), deadline_s=-1.0)
    assert (late.count, late.complete) == (1, False)


def test_a_name_that_is_no_text_is_listed_all_the_same(tmp_path: Path) -> None:
    put(tmp_path / "caf\udce9.jsonl")
    assert list_local(Want(uri=str(tmp_path))).kept[0].key == "caf\udce9.jsonl"
