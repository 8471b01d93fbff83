"""Names in archives are read as the standard library reads them, and hostile archives end in an error."""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.data.archives import (
    BrokenArchiveError,
    BudgetSpentError,
    Member,
    is_archive,
    members,
)
from pytest_pipeline.data.opening import LocalFiles, version_of
from pytest_pipeline.data.spans import DataFile
from pytest_pipeline.data.unpacking import BrokenStreamError

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.data.opening import Readable

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
FILES = {
    "a.pdf": b"one",
    "deep/" * 50 + "b.PDF": b"two",
    "é/c.pdf": b"x" * 2000,
    "empty.pdf": b"",
    "../../up.pdf": b"z",
}


def on_disk(path: Path, content: bytes) -> DataFile:
    path.write_bytes(content)
    return DataFile(uri=str(path), size_bytes=len(content), version=version_of(path.stat()))


def zipped(files: dict[str, bytes], **more: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = more.get("comment", b"")
    return made.getvalue()


def tarred(files: dict[str, bytes], form: str = "pax") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=FORMATS[form]) as archive:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        link = tarfile.TarInfo("link.pdf")
        link.type, link.linkname = tarfile.SYMTYPE, "a.pdf"
        archive.addfile(link)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


def seen(file: DataFile, **more: int) -> list[tuple[str, int]]:
    return [(member.name, member.size_bytes) for member in members(file, LocalFiles(), **more)]


def sizes(files: dict[str, bytes]) -> list[tuple[str, int]]:
    return [(name, len(content)) for name, content in files.items()]


def test_archives_are_known_by_name() -> None:
    names = ("a.ZIP", "b.tar", "c.tar.gz", "d.TGZ", "e.tar.zst", "f.gz", "g.jsonl.gz", "h.tar.xz", "i.rar", "zip")
    assert [name[0] for name in names if is_archive(name)] == ["a", "b", "c", "d", "e", "h", "i"]


def test_an_archive_of_a_kind_that_is_not_looked_into_is_an_error_and_not_empty(tmp_path: Path) -> None:
    for name in ("a.tar.XZ", "a.7z"):
        with pytest.raises(BrokenArchiveError, match="archives of its kind are not looked into"):
            seen(on_disk(tmp_path / name, b""))


def test_names_in_a_zip_are_those_of_its_directory(tmp_path: Path) -> None:
    folder = {"folder/": b""}
    for comment in (b"", b"PK\5\6 words" * 9):
        assert seen(on_disk(tmp_path / "a.zip", zipped({**FILES, **folder}, comment=comment))) == sizes(FILES)
    assert seen(on_disk(tmp_path / "none.zip", zipped({}))) == []
    assert seen(on_disk(tmp_path / "self-extracting.ZIP", b"#!/bin/sh\n" + zipped(FILES))) == sizes(FILES)


def test_a_zip_of_more_files_than_old_zips_count_is_read(tmp_path: Path) -> None:
    files = {f"{number}": b"" for number in range(66_000)}
    assert len(seen(on_disk(tmp_path / "a.zip", zipped(files)))) == 66_000


@pytest.mark.parametrize("form", FORMATS)
def test_names_in_a_tar_are_those_that_python_reads(tmp_path: Path, form: str) -> None:
    files = {name: content for name, content in FILES.items() if form != "ustar" or len(name) < 100}
    plain = tarred(files, form)
    assert seen(on_disk(tmp_path / "a.tar", plain)) == sizes(files)
    assert seen(on_disk(tmp_path / "a.tgz", gzip.compress(plain))) == sizes(files)


def test_a_tar_of_random_names_reads_as_python_reads_it(tmp_path: Path) -> None:
    draw = random.Random(4)  # noqa: S311  # a test's own
    for form in ("gnu", "pax"):
        for _ in range(20):
            names = {
                "".join(draw.choices("ab/.é\n ", k=draw.choice((3, 99, 101, 300)))).strip("/") or "x" for _ in range(9)
            }
            files = {name: b"x" * draw.choice((0, 1, 511, 512, 513)) for name in names}
            packed = tarred(files, form)
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                expected = [(info.name, info.size) for info in archive if info.isfile()]
            assert seen(on_disk(tmp_path / "a.tar", packed)) == expected


class Counting:
    """Opens local files and counts what is read of them."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def open(self, file: DataFile, start: int) -> Readable:
        inner, outer = LocalFiles().open(file, start), self

        class Counted:
            def readinto(self, view: memoryview) -> int:
                got = inner.readinto(view)
                outer.read_bytes += got
                return got

            def close(self) -> None:
                inner.close()

        return Counted()


def test_content_is_neither_unpacked_nor_fetched(tmp_path: Path) -> None:
    large = random.Random(1).randbytes(3_000_000)  # noqa: S311  # a test's own
    for name, content in (("a.zip", zipped({"a.pdf": large, "b.pdf": large})), ("a.tar", tarred({"a.pdf": large}))):
        opener = Counting()
        assert list(members(on_disk(tmp_path / name, content), opener))
        assert opener.read_bytes < 100_000


# --- Hostile or broken


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_zip_that_is_cut_is_an_error(tmp_path: Path, keep: float) -> None:
    whole = zipped(FILES)
    with pytest.raises(BrokenArchiveError, match="cut off, or no zip"):
        seen(on_disk(tmp_path / "a.zip", whole[: int(keep * len(whole))]))


@pytest.mark.parametrize("keep", [0.0, 0.05, 0.3, 0.6])
def test_a_tar_that_is_cut_is_an_error(tmp_path: Path, keep: float) -> None:
    whole = tarred(FILES)
    cut = whole[: int(keep * len(whole.rstrip(b"\0")))]
    with pytest.raises(BrokenArchiveError, match="cut off"):
        seen(on_disk(tmp_path / "a.tar", cut))
    packed = gzip.compress(whole)
    with pytest.raises((BrokenArchiveError, BrokenStreamError)):
        seen(on_disk(tmp_path / "a.tar.gz", packed[: int(keep * len(packed))]))


def test_what_is_no_archive_is_an_error(tmp_path: Path) -> None:
    for name in ("a.zip", "a.tar", "a.tgz"):
        with pytest.raises(BrokenArchiveError):
            seen(on_disk(tmp_path / name, b'{"text": "words"}\n' * 100))


def test_a_directory_that_lies_is_an_error(tmp_path: Path) -> None:
    whole = zipped(FILES)
    end = whole.rfind(b"PK\5\6")
    larger = whole[: end + 12] + struct.pack("<L", 2**31) + whole[end + 16 :]
    with pytest.raises(BrokenArchiveError, match="larger than it is itself"):
        seen(on_disk(tmp_path / "a.zip", larger))
    fewer = whole[: end + 8] + struct.pack("<HH", 2, 2) + whole[end + 12 :]
    with pytest.raises(BrokenArchiveError, match="has 5 entries where 2 are told of"):
        seen(on_disk(tmp_path / "a.zip", fewer))
    broken = whole.replace(b"PK\1\2", b"PK\1\3", 1)
    with pytest.raises(BrokenArchiveError, match="broken after 0 entries"):
        seen(on_disk(tmp_path / "a.zip", broken))


def test_a_bomb_is_left_at_the_budget(tmp_path: Path) -> None:
    bomb = gzip.compress(tarred({"a.pdf": bytes(50_000_000)}))
    inside = members(on_disk(tmp_path / "a.tar.gz", bomb), LocalFiles(), 1_000_000)
    assert next(inside) == Member(name="a.pdf", size_bytes=50_000_000)
    with pytest.raises(BudgetSpentError, match="too large to be looked at to its end"):
        next(inside)


def test_a_name_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 2**40
    with pytest.raises(BrokenArchiveError, match="longer than a megabyte"):
        seen(on_disk(tmp_path / "a.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))


def test_a_header_that_was_changed_is_an_error(tmp_path: Path) -> None:
    whole = tarred({"a.pdf": b"one"})
    with pytest.raises(BrokenArchiveError, match="a header in it is broken, or it is no tar"):
        seen(on_disk(tmp_path / "a.tar", whole.replace(b"a.pdf\0", b"b.pdf\0")))


def test_a_link_has_no_content_whatever_its_header_says(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link.pdf")
    link.type, link.linkname, link.size = tarfile.LNKTYPE, "a.pdf", 2000
    content = link.tobuf(tarfile.GNU_FORMAT) + tarred({"a.pdf": b"one"})
    assert seen(on_disk(tmp_path / "a.tar", content)) == [("a.pdf", 3)]


@pytest.mark.parametrize(
    "said", [b"0 path=x\n", b"7 ", b"99 path=x\n", b"path", b"-1 path=x\n", b"9" * 5000 + b" path=x\n"]
)
def test_a_pax_header_that_lies_about_its_length_is_an_error(tmp_path: Path, said: bytes) -> None:
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, len(said)
    content = info.tobuf(tarfile.USTAR_FORMAT) + said + bytes(-len(said) % 512) + tarred(FILES)
    with pytest.raises(BrokenArchiveError, match="a header in it is broken"):
        seen(on_disk(tmp_path / "a.tar", content))


def test_a_directory_that_would_begin_before_the_file_is_an_error(tmp_path: Path) -> None:
    locator, end = b"PK\6\7" + bytes(16), b"PK\5\6" + bytes(18)
    with pytest.raises(BrokenArchiveError, match="cut off"):
        seen(on_disk(tmp_path / "a.zip", locator + end))


def test_a_file_of_impossible_size_is_an_error(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.pdf")
    info.size = 2**60
    with pytest.raises(BrokenArchiveError, match="cut off"):
        seen(on_disk(tmp_path / "a.tar", info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))


def test_bytes_at_random_are_no_crash(tmp_path: Path) -> None:
    draw = random.Random(9)  # noqa: S311  # a test's own
    for name, whole in (("a.zip", zipped(FILES)), ("a.tar", tarred(FILES)), ("a.tgz", gzip.compress(tarred(FILES)))):
        for _ in range(150):
            changed = bytearray(whole)
            for _ in range(draw.randint(1, 8)):
                changed[draw.randrange(len(changed))] = draw.randrange(256)
            with contextlib.suppress(BrokenArchiveError, BudgetSpentError, BrokenStreamError):
                seen(on_disk(tmp_path / name, bytes(changed)), budget_bytes=10_000_000)
