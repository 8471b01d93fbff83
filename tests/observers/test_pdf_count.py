"""PDF files are counted in archives too, and some are opened."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, error
from pytest_pipeline.data.listing import Names, Want
from pytest_pipeline.data.opening import LocalFiles
from pytest_pipeline.data.pdfs import EDGE_BYTES, PdfFault
from pytest_pipeline.data.spans import DataFile
from pytest_pipeline.observers.local_listing import list_local
from pytest_pipeline.observers.pdf_count import ArchivedPdfs, PdfSample, Unseen, count_in_archives, open_pdfs
from pytest_pipeline.observers.s3_files import S3Files

if TYPE_CHECKING:
    from pathlib import Path

    from observers.aws_world import MakeAws

PDF = b"%PDF-1.4\n" + b"% words\n" * 500 + b"xref\n0 0\ntrailer\n<< /Size 0 >>\nstartxref\n4009\n%%EOF\n"


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "" if name.startswith("empty") else "words")
    return made.getvalue()


def tarred(*names: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"words"))
    return made.getvalue()


def lay(folder: Path, **files: bytes) -> tuple[DataFile, ...]:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return list_local(Want(uri=str(folder))).files


def count(files: tuple[DataFile, ...], **more: Any) -> ArchivedPdfs:
    return count_in_archives(files, LocalFiles(), **{"at_most": 100, **more})


def test_pdfs_with_content_are_counted_in_any_case_and_any_archive(tmp_path: Path) -> None:
    files = lay(tmp_path, a__zip=zipped("a.pdf", "x/B.PDF", "c.txt", "empty.pdf"), b__tgz=tarred("d.Pdf", "e.zip"))
    assert count(files) == ArchivedPdfs(count=3, archives=2, unseen=(), enough=False)


def test_counting_stops_where_there_are_enough(tmp_path: Path) -> None:
    files = lay(tmp_path, a__zip=zipped(*(f"{number}.pdf" for number in range(50))), b__zip=b"broken")
    assert count(files, at_most=11) == ArchivedPdfs(count=11, archives=2, unseen=(), enough=True)
    assert count(files, at_most=50).enough
    assert not count(files, at_most=51).enough


class Watched:
    """Opens plain paths; counts the bytes that are read, and waits for `together` files to be open at once."""

    def __init__(self, together: int = 1) -> None:
        self.read_bytes = 0
        self._together = threading.Barrier(together)
        self._met: set[str] = set()

    def open(self, file: DataFile, start: int) -> Any:
        if file.uri not in self._met:
            self._met.add(file.uri)
            self._together.wait(timeout=30)
        source, watched = LocalFiles().open(file, start), self

        class Counted:
            def readinto(self, view: memoryview) -> int:
                got = source.readinto(view)
                watched.read_bytes += got
                return got

            def close(self) -> None:
                source.close()

        return Counted()


def test_no_more_of_an_archive_is_read_than_it_takes(tmp_path: Path) -> None:
    (file,) = lay(tmp_path, a__zip=zipped(*(f"{number}.pdf" for number in range(2000))))
    opener = Watched()
    assert count_in_archives((file,), opener, at_most=1).enough
    assert opener.read_bytes < 67_000, "the end, and one entry"


def test_archives_looked_at_side_by_side_do_not_count_past_enough(tmp_path: Path) -> None:
    names = [f"{number}.pdf" for number in range(8)]
    files = lay(tmp_path, a__zip=zipped(*names), b__zip=zipped(*names))
    assert count_in_archives(files, Watched(together=2), at_most=10).count == 10


def test_an_archive_that_cannot_be_looked_into_is_named_and_what_was_seen_of_it_counts(tmp_path: Path) -> None:
    many = tarred(*(f"{number}.pdf" for number in range(99)))
    files = lay(tmp_path, a__zip=b"no zip", b__tar=b"\0" * 512, c__tgz=many[: len(many) // 2])
    seen = count(files)
    assert 0 < seen.count < 99
    assert (seen.archives, seen.enough) == (3, False)
    assert seen.unseen == (
        Unseen(
            uri=str(tmp_path / "a.zip"), why="it has no directory at its end: it is cut off, or no zip"
        ),
        Unseen(uri=str(tmp_path / "c.tgz"), why="the file ends before its packed content does"),
    )  # fmt: skip


def test_an_archive_beyond_the_budget_is_named(tmp_path: Path) -> None:
    (file,) = lay(tmp_path, a__tgz=tarred(*(f"{number}.pdf" for number in range(9))))
    seen = count((file,), budget_bytes=3000)
    assert seen.count < 9
    assert seen.unseen == (Unseen(uri=file.uri, why="it is too large to be looked at to its end"),)


class Silent:
    """Opens nothing, and says so to nobody."""

    def __init__(self, world: AwsWorld) -> None:
        self._world = world

    def open(self, file: DataFile, start: int) -> Any:
        self._world.release.wait(30)
        raise AssertionError(file, start)


def test_what_was_not_looked_at_in_time_is_unseen_and_not_zero(world: AwsWorld) -> None:
    file = DataFile(uri="/x/a.zip", size_bytes=9)
    late = (Unseen(uri="/x/a.zip", why="it was not looked at in time"),)
    assert count_in_archives((file,), Silent(world), at_most=5, deadline_s=0.1).unseen == late
    assert open_pdfs((file,), Silent(world), deadline_s=0.1) == PdfSample(looked=0, faults={}, unseen=late)


def test_each_fault_of_a_sample_is_named(tmp_path: Path) -> None:
    files = lay(
        tmp_path,
        a_right__pdf=PDF,
        b_half__pdf=PDF[: len(PDF) // 2],
        c_page__pdf=b"<!doctype html>" * 200,
        d_other__pdf=b"words" * 999,
        e_secret__pdf=PDF.replace(b"/Size 0", b"/Encrypt 1 0 R"),
        f_moved__pdf=PDF.replace(b"4009", b"4010"),
        g_half__pdf=PDF[:-7],
    )
    gone = DataFile(uri=str(tmp_path / "gone.pdf"), size_bytes=9)
    seen = open_pdfs((*files, gone), LocalFiles())
    first = {fault: tuple(uri.rpartition("/")[2] for uri in names.first) for fault, names in seen.faults.items()}
    assert first == {
        PdfFault.CUT: ("b_half.pdf", "g_half.pdf"),
        PdfFault.HTML: ("c_page.pdf",),
        PdfFault.NO_PDF: ("d_other.pdf",),
        PdfFault.ENCRYPTED: ("e_secret.pdf",),
        PdfFault.BROKEN: ("f_moved.pdf",),
    }
    assert seen.faults[PdfFault.CUT].count == 2
    assert (seen.looked, seen.unseen) == (7, (Unseen(uri=gone.uri, why=f"{gone.uri} is gone since it was listed"),))


def test_an_empty_pdf_is_told_without_being_opened(world: AwsWorld) -> None:
    file = DataFile(uri="/x/a.pdf", size_bytes=0)
    assert open_pdfs((file,), Silent(world), deadline_s=5.0) == PdfSample(
        looked=1, faults={PdfFault.EMPTY: Names(count=1, first=("/x/a.pdf",))}, unseen=()
    )


# --- In S3


@pytest.fixture
def bucket(world: AwsWorld) -> str:
    name = world.name("bucket")
    world.client("s3").create_bucket(Bucket=name)
    return name


def put(bucket: str, key: str, body: bytes) -> DataFile:
    s3: Any = s3_backends[ACCOUNT]["aws"]
    made = s3.put_object(bucket, key, body)
    return DataFile(uri=f"s3://{bucket}/{key}", size_bytes=len(body), version=made.etag)


def test_in_s3_only_the_ends_of_files_and_zips_are_fetched(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    pdf, archive = put(bucket, "a.pdf", PDF), put(bucket, "a.zip", zipped("a.pdf", "b.pdf"))
    aws = make_aws(user)
    seen = open_pdfs((pdf,), S3Files(aws=aws, span_bytes=EDGE_BYTES))
    assert (seen.looked, seen.faults, seen.unseen) == (1, {}, ())
    assert len([request for request in user.requests if request.startswith("GET")]) == 3
    assert count_in_archives((archive,), S3Files(aws=aws), at_most=9).count == 2


def test_what_may_not_be_read_in_s3_is_unseen(world: AwsWorld, make_aws: MakeAws, bucket: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(403, "AccessDenied", "Access Denied"))
    pdf = put(bucket, "a.pdf", PDF)
    (unseen,) = open_pdfs((pdf,), S3Files(aws=make_aws(user))).unseen
    assert (unseen.uri, "s3:GetObject" in unseen.why) == (pdf.uri, True)
