"""What a few bytes of a PDF tell."""

from __future__ import annotations

import pytest

from pytest_pipeline.data.pdfs import EDGE_BYTES, PdfFault, drawn, fault_of, is_pdf, table_place

BODY = b"1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n" + b"% padding\n" * 300


def made(*, header: bytes = b"%PDF-1.4\n", trailer: bytes = b"", end: bytes = b"%%EOF\n", off: int = 0) -> bytes:
    """Make a PDF that is right but for what is asked."""
    table = b"xref\n0 1\n0000000000 65535 f \n"
    place = len(header) + len(BODY) + off
    said = b"trailer\n<< /Size 3 /Root 1 0 R %s>>\nstartxref\n%d\n" % (trailer, place)
    return header + BODY + table + said + end


def judged(pdf: bytes) -> PdfFault | None:
    head, tail = pdf[:EDGE_BYTES], pdf[-EDGE_BYTES:]
    place = table_place(head, tail)
    return fault_of(head, tail, None if place is None else pdf[place : place + EDGE_BYTES])


def test_names_are_taken_in_any_case() -> None:
    assert [name for name in ("a.pdf", "b.PDF", "c.Pdf", "pdf", "d.pdf.txt", ".pdf") if is_pdf(name)] == [
        "a.pdf", "b.PDF", "c.Pdf", ".pdf"
    ]  # fmt: skip


CASES: dict[str, tuple[bytes, PdfFault | None]] = {
    "right": (made(), None),
    "padded at the end": (made(end=b"%%EOF\n" + b"\0" * 900), None),
    "junk in front": (b"junk\n" + made(), None),
    "BOM in front": (made(header=b"\xef\xbb\xbf%PDF-1.7\n"), None),
    "metadata in the clear": (made(trailer=b"/EncryptMetadata false "), None),
    "empty": (b"", PdfFault.EMPTY),
    "page": (b"\n <!DOCTYPE html><html>404", PdfFault.HTML),
    "page with a BOM": (b"\xef\xbb\xbf<HTML><body>%PDF-", PdfFault.HTML),
    "zip": (b"PK\3\4" + BODY, PdfFault.NO_PDF),
    "half": (made()[: len(made()) // 2], PdfFault.CUT),
    "header alone": (made()[:9], PdfFault.CUT),
    "bytes lost": (made(off=7), PdfFault.BROKEN),
    "place out of the file": (made(off=10**9), PdfFault.BROKEN),
    "encrypted": (made(trailer=b"/Encrypt 9 0 R "), PdfFault.ENCRYPTED),
    "encrypted here": (made(trailer=b"/Encrypt<</Filter/Standard>> "), PdfFault.ENCRYPTED),
}


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_told(case: str) -> None:
    pdf, fault = CASES[case]
    assert judged(pdf) == fault


def test_encryption_is_seen_in_a_table_that_is_a_stream() -> None:
    stream = b"7 0 obj\n<< /Type /XRef /Encrypt 6 0 R >>\nstream\n"
    assert fault_of(b"%PDF-1.5\n", b"startxref\n9000\n%%EOF\n", stream) == PdfFault.ENCRYPTED


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    files = range(1000)
    assert drawn(files, 5, 7) == drawn(files, 5, 7) != drawn(files, 5, 8)
    assert sorted(drawn(range(3), 5, 7)) == [0, 1, 2]
