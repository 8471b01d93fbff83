"""Faults of the sources of data: the rows data-sources and operatives-limit must catch them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.data_content import pdf
from pytest_pipeline.sandbox.fault import Fault, Kind
from pytest_pipeline.sandbox.plan import POLICY_BUCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

SOURCES_ROW = "data-sources"
PDFS_ROW = "operatives-limit"
_LAST = "education"
_ARN = f"arn:aws:s3:::{POLICY_BUCKET}"
_MANY = 30


def _listed(plan: TenantPlan) -> Tally:
    return plan.rule("s3:ListBucket", resources=(_ARN,))


def _read(plan: TenantPlan, key: str) -> Tally:
    return plan.rule("s3:GetObject", resources=(f"{_ARN}/{key}",))


def _empty(plan: TenantPlan, folder: str = _LAST) -> Tally:
    objects = plan.buckets[POLICY_BUCKET].objects
    for key in [key for key in objects if key.startswith(f"{folder}/")]:
        del objects[key]
    return _listed(plan)


def _marker_only(plan: TenantPlan) -> Tally:
    plan.buckets[POLICY_BUCKET].objects[f"{_LAST}/"] = b""
    return _empty_but_markers(plan)


def _empty_but_markers(plan: TenantPlan) -> Tally:
    objects = plan.buckets[POLICY_BUCKET].objects
    for key in [key for key in objects if key.startswith(f"{_LAST}/") and not key.endswith("/")]:
        del objects[key]
    return _listed(plan)


def _emptied_files(plan: TenantPlan) -> Tally:
    objects = plan.buckets[POLICY_BUCKET].objects
    for key in [key for key in objects if key.startswith(f"{_LAST}/")]:
        objects[key] = b""
    return _listed(plan)


def _one_emptied_file(plan: TenantPlan) -> Tally:
    plan.buckets[POLICY_BUCKET].objects[f"{_LAST}/chunk_1.jsonl"] = b""
    return _listed(plan)


def _beside(plan: TenantPlan) -> Tally:
    """Move the folder's content to a folder whose name begins alike: a prefix without its slash would find it."""
    objects = plan.buckets[POLICY_BUCKET].objects
    for key in [key for key in objects if key.startswith(f"{_LAST}/")]:
        objects[key.replace(_LAST, f"{_LAST}-archive")] = objects.pop(key)
    return _listed(plan)


def _other_case(plan: TenantPlan) -> Tally:
    objects = plan.buckets[POLICY_BUCKET].objects
    for key in [key for key in objects if key.startswith(f"{_LAST}/")]:
        objects[key.replace(".jsonl", ".JSONL")] = objects.pop(key)
    return _listed(plan)


def _filters(plan: TenantPlan, filters: list[str]) -> Tally:
    source = next(one for one in plan.settings["data"]["sources"] if one["name"] == _LAST)
    source["filters"] = filters
    return _listed(plan)


def _archived(plan: TenantPlan, tier: str) -> Tally:
    bucket = plan.buckets[POLICY_BUCKET]
    bucket.tiers |= {key: tier for key in bucket.objects if key.startswith(f"{_LAST}/")}
    return _listed(plan)


def _processed(plan: TenantPlan) -> Tally:
    """Let the pipeline's own output lie in its source, where an include that comes later takes it in again."""
    plan.buckets[POLICY_BUCKET].objects[f"{_LAST}/processed/old.jsonl"] = b'{"text": "old"}\n'
    return _filters(plan, ["-*", "-processed/*", "+*.jsonl"])


def _no_folder_here(plan: TenantPlan) -> None:
    plan.settings["data"]["sources"].append({"name": "local", "uri": str(plan.path("no-such-folder"))})


def _operator_denied(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:ListBucket*", _ARN, of=plan.operator)


def _add_pdfs(plan: TenantPlan, suffix: str) -> Tally:
    objects = plan.buckets[POLICY_BUCKET].objects
    objects |= {f"operatives/more_{n}{suffix}": pdf(f"More {n}") for n in range(_MANY)}
    source = next(one for one in plan.settings["data"]["sources"] if one["name"] == "operatives")
    source["filters"] = []
    return _listed(plan)


def _archive(plan: TenantPlan, name: str, content: bytes) -> Tally:
    plan.buckets[POLICY_BUCKET].objects[f"operatives/{name}"] = content
    source = next(one for one in plan.settings["data"]["sources"] if one["name"] == "operatives")
    source["filters"] = []
    return _read(plan, f"operatives/{name}")


def _zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for n in range(_MANY):
            archive.writestr(f"reports/r{n}.PDF", pdf(f"Zipped {n}"))
    return packed.getvalue()


def _tarred() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for n in range(_MANY):
            content = pdf(f"Tarred {n}")
            info = tarfile.TarInfo(f"reports/r{n}.pdf")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def _replaced(plan: TenantPlan, content: bytes) -> Tally:
    plan.buckets[POLICY_BUCKET].objects["operatives/report_1.pdf"] = content
    return _read(plan, "operatives/report_1.pdf")


def _fault(
    row: str,
    name: str,
    inject: Callable[[TenantPlan], Tally | None],
    words: str,
    summary: str,
    *,
    gross: bool = False,
    expect: Status = Status.FAILED,
    also: tuple[str, ...] = (),
) -> Fault:
    kind: Kind = "gross" if gross else "subtle"
    return Fault(id=name, row=row, kind=kind, words=words, summary=summary, inject=inject, expect=expect, also=also)


_sources = partial(_fault, SOURCES_ROW)
_pdfs = partial(_fault, PDFS_ROW)

SOURCES_FAULTS = (
    _sources("src-empty", _empty, "Source education has 0 files", "a folder without a file", gross=True),
    _sources("src-marker", _marker_only, "1 folder markers", "a folder that holds nothing but its marker"),
    _sources("src-emptied", _emptied_files, "3 without content", "files that are all empty"),
    _sources(
        "src-one-emptied",
        _one_emptied_file,
        "chunk_1.jsonl of education have no content",
        "one file of three that is empty",
        expect=Status.WARNED,
    ),
    _sources("src-beside", _beside, "nothing to read", "the files lie in a folder whose name only begins alike"),
    _sources("src-case", _other_case, "3 left out by the patterns", "names end in .JSONL, and patterns heed case"),
    _sources(
        "src-order",
        partial(_filters, filters=["+*.jsonl", "-*"]),
        "left out by the patterns",
        "patterns in wrong order",
    ),
    _sources(
        "src-pattern",
        partial(_filters, filters=["-*", "+*.jsonl", "+*.parquet"]),
        "the pattern '+*.parquet' of education matches nothing",
        "a pattern that matches nothing",
        expect=Status.WARNED,
    ),
    _sources(
        "src-brought-back",
        _processed,
        "takes in again",
        "a later include takes in what an earlier pattern leaves out",
        expect=Status.WARNED,
    ),
    _sources("src-glacier", partial(_archived, tier="GLACIER"), "must be restored", "files in an archive tier"),
    _sources("src-deep", partial(_archived, tier="DEEP_ARCHIVE"), "DEEP_ARCHIVE", "files in the deepest archive tier"),
    _sources(
        "src-denied",
        _operator_denied,
        "let the operator read it too",
        "the host may list the sources, and who runs the gate may not",
        expect=Status.BLOCKED,
        also=(PDFS_ROW, "processing-speed", "stale-dataset"),
    ),
    _sources(
        "src-no-folder", _no_folder_here, "No such file or directory", "a folder of this machine that is not there"
    ),
)

PDFS_FAULTS = (
    _pdfs(
        "pdf-many", partial(_add_pdfs, suffix=".pdf"), "Found 33 PDFs, limit is 20", "more than the limit", gross=True
    ),
    _pdfs("pdf-upper", partial(_add_pdfs, suffix=".PDF"), "Found 33 PDFs", "more than the limit, named .PDF"),
    _pdfs(
        "pdf-zipped",
        lambda plan: _archive(plan, "all.zip", _zipped()),
        "Found 21+ PDFs",
        "more than the limit, most of them in a zip archive",
    ),
    _pdfs(
        "pdf-tarred",
        lambda plan: _archive(plan, "all.tar.gz", _tarred()),
        "Found 21+ PDFs",
        "more than the limit, most of them in a packed tar archive",
    ),
    _pdfs(
        "pdf-html",
        partial(_replaced, content=b"<!DOCTYPE html><html><body>403 Forbidden</body></html>\n"),
        "an HTML page named .pdf",
        "an error page that was saved as a PDF",
        expect=Status.WARNED,
    ),
    _pdfs(
        "pdf-cut",
        lambda plan: _replaced(plan, pdf("Cut")[:-20]),
        "cut off",
        "a PDF whose download was cut off",
        expect=Status.WARNED,
    ),
    _pdfs(
        "pdf-encrypted",
        lambda plan: _replaced(plan, pdf("Locked").replace(b"/Root 1 0 R", b"/Encrypt 9 0 R /Root 1 0 R")),
        "encrypted",
        "a PDF that needs a password",
        expect=Status.WARNED,
    ),
    _pdfs(
        "pdf-broken-zip",
        lambda plan: _archive(plan, "all.zip", _zipped()[:200]),
        "could not be looked at",
        "an archive that is cut off, so that nobody knows what it holds",
    ),
)
