"""PDF files are counted up to the limit, in folders and archives, and a count that is not complete is none."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from moto.s3.models import s3_backends
from pydantic import TypeAdapter

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, error
from pytest_pipeline.data.listing import Names
from pytest_pipeline.data.pdfs import PdfFault
from pytest_pipeline.observers import s3_files
from pytest_pipeline.observers.local_listing import list_local
from pytest_pipeline.observers.pdf_look import PdfsSeen, look_at_pdfs
from pytest_pipeline.outcome import Reading
from pytest_pipeline.sandbox.data_content import pdf
from pytest_pipeline.settings import Aws, Bucket, Data, Pdfs, Settings, Source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from observers.aws_world import MakeAws

ANSWER: TypeAdapter[Any] = TypeAdapter(Reading[PdfsSeen])
NOTHING = PdfsSeen(count=0, at_least=False, in_archives=0, archives=0, opened=0, faults={}, unseen=())


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """No connection of another test's endpoint."""
    yield
    s3_files._connection.cache_clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "operatives").mkdir()
    return tmp_path / "operatives"


def zipped(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, "words")
    return made.getvalue()


def lay(folder: Path, **files: bytes) -> None:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)


def looked(uri: object, limit: int = 10, aws: Aws | None = None, filters: tuple[str, ...] = (), **pdfs: Any) -> Any:
    """Look, and make sure that what was seen survives being stored."""
    source = Source(name="operatives", uri=str(uri), filters=filters)
    other = Source(name="other", uri="/nobody/looks/here")
    wanted = Pdfs(sources=["operatives"], limit=limit, **pdfs)
    seen = look_at_pdfs(Settings(aws=aws or Aws(), data=Data(sources=[source, other], pdfs=wanted)))
    assert ANSWER.validate_json(ANSWER.dump_json(seen)) == seen
    return seen


def test_without_a_limit_the_settings_are_asked() -> None:
    assert look_at_pdfs(Settings()) == Reading.missing("data.pdfs: sources and limit", by="settings")


def test_pdfs_are_counted_in_any_case_and_in_archives_and_opened(folder: Path) -> None:
    lay(folder, a__pdf=pdf("a"), b__PDF=pdf("b"), c__txt=b"words", d__zip=zipped("e.pdf", "f.Pdf", "g.txt"))

    assert looked(folder).value == PdfsSeen(
        count=4, at_least=False, in_archives=2, archives=1, opened=2, faults={}, unseen=()
    )
    assert looked(folder, archives=False).value.count == 2


def test_what_the_patterns_leave_out_is_not_counted(folder: Path) -> None:
    lay(folder, a__pdf=pdf("a"), b__pdf=pdf("b"))

    assert looked(folder, filters=("-b*",)).value.count == 1


@pytest.mark.parametrize(
    ("limit", "count", "at_least"), [(4, 4, False), (3, 4, True), (2, 3, True), (1, 2, True), (0, 2, True)]
)
def test_counting_goes_one_beyond_the_limit(folder: Path, *, limit: int, count: int, at_least: bool) -> None:
    """All of a listing are known; in archives it stops."""
    lay(folder, a__pdf=pdf("a"), b__pdf=pdf("b"), c__zip=zipped("c.pdf", "d.pdf"))
    seen = looked(folder, limit).value

    assert (seen.count, seen.at_least, seen.count > limit) == (count, at_least, limit < 4)


def test_without_an_archive_the_count_is_exact_beyond_the_limit_too(folder: Path) -> None:
    lay(folder, a__pdf=pdf("a"), b__pdf=pdf("b"), c__pdf=pdf("c"))

    assert (looked(folder, 0).value.count, looked(folder, 0).value.at_least) == (3, False)


def test_files_that_are_no_whole_pdf_are_named(folder: Path) -> None:
    lay(folder, a__pdf=b"<!DOCTYPE html><html>", b__pdf=pdf("b")[:-20], c__pdf=pdf("c"))

    assert looked(folder).value.faults == {
        PdfFault.HTML: Names(count=1, first=(f"{folder}/a.pdf",)),
        PdfFault.CUT: Names(count=1, first=(f"{folder}/b.pdf",)),
    }


def test_of_many_a_few_are_opened(folder: Path) -> None:
    lay(folder, **{f"{number}__pdf": pdf("x") for number in range(60)})

    assert (looked(folder, 100).value.count, looked(folder, 100).value.opened) == (60, 40)


def test_an_archive_that_is_broken_is_unseen_and_not_empty(folder: Path) -> None:
    lay(folder, a__zip=b"PK\3\4 broken")
    seen = looked(folder).value

    assert (seen.count, [one.uri for one in seen.unseen]) == (0, [f"{folder}/a.zip"])


def test_a_folder_without_pdfs_has_none_and_one_that_is_absent_is_unknown(folder: Path) -> None:
    assert looked(folder).value == NOTHING
    assert looked(folder / "absent") == Reading.missing(
        f"{folder}/absent: No such file or directory", by="operatives-limit"
    )


def test_a_listing_without_its_end_is_no_count_unless_it_is_too_many_already(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(folder, a__pdf=pdf("a"), b__pdf=pdf("b"))
    monkeypatch.setattr(list_local, "__kwdefaults__", {"deadline_s": -1.0})

    assert looked(folder, 1) == Reading.missing(f"{folder} was not listed to its end in time", by="operatives-limit")
    assert (looked(folder, 0).value.count, looked(folder, 0).value.at_least) == (1, True)


def test_a_bucket_is_looked_at_like_a_folder_and_what_is_denied_keeps_its_owner(
    world: AwsWorld, make_aws: MakeAws
) -> None:
    bucket, s3 = world.name("bucket"), s3_backends[ACCOUNT]["aws"]
    world.client("s3").create_bucket(Bucket=bucket)
    put: Any = s3.put_object
    for key, body in (("in/a.pdf", pdf("a")), ("in/b.zip", zipped("b.pdf")), ("in/c.pdf", b"")):
        put(bucket, key, body)
    uri, user = f"s3://{bucket}/in/", world.user(EVERYTHING)
    aws = make_aws(user, buckets=(Bucket(name=bucket, read=("in/",), from_=("operator",)),))

    seen = looked(uri, aws=aws).value
    assert (seen.count, seen.in_archives, seen.opened, seen.faults, seen.unseen) == (2, 1, 1, {}, ())

    user.meets(error(403, "AccessDenied", "Access Denied"), service="s3")
    assert looked(uri, aws=aws).by == "s3-read"
    assert looked(uri, aws=make_aws(user)).by == "operatives-limit"
