"""What a file is as a whole, by its first bytes."""

from __future__ import annotations

import pytest

from pytest_pipeline.data.shape import compression_of, shape_of
from pytest_pipeline.data.spans import Compression, Shape

RECORD = '{"text": "a"}\n'


@pytest.mark.parametrize(
    ("head", "shape"),
    [
        (b"", Shape.LINES),
        (b"\n", Shape.LINES),
        (b"x", Shape.LINES),
        (RECORD.encode(), Shape.LINES),
        (b"\xef\xbb\xbf" + RECORD.encode(), Shape.LINES),
        (b'{"text": "cut\n{"text": "a"}\n', Shape.LINES),
        (b'{"text": "a",\n{"text": "a"}\n', Shape.LINES),
        (b'[1, 2]\n{"text": "a"}\n', Shape.LINES),
        (b'[{"text": "a"}]\n{"text": "a"}\n', Shape.LINES),
        (b'"[{"', Shape.LINES),
        (RECORD.encode("utf-16"), Shape.UTF16),
        (RECORD.encode("utf-16-le"), Shape.UTF16),
        (RECORD.encode("utf-16-be"), Shape.UTF16),
        (b"\xff\xfe", Shape.UTF16),
        (RECORD.encode("utf-32"), Shape.UTF32),
        (RECORD.encode("utf-32-le"), Shape.UTF32),
        (RECORD.encode("utf-32-be"), Shape.UTF32),
        (b'[{"text": "a"}, {"text": "b"}]', Shape.ARRAY),
        (b'[{"text": "a"},\n {"text": "b"}]\n', Shape.ARRAY),
        (b'[\n{"text": "a"}\n]\n', Shape.ARRAY),
        (b'\xef\xbb\xbf\n [ {"text": "a"}', Shape.ARRAY),
        (b"[", Shape.ARRAY),
        (b'{\n  "text": "a"\n}\n', Shape.PRETTY_PRINTED),
        (b'{\r\n"text": ', Shape.PRETTY_PRINTED),
        (b'{"text": "a",\n "meta": {\n}}', Shape.PRETTY_PRINTED),
        (b"{\n}", Shape.PRETTY_PRINTED),
    ],
)
def test_a_shape_is_told_by_the_first_bytes(head: bytes, shape: Shape) -> None:
    assert shape_of(head, complete=True) is shape


def test_a_long_array_is_one_although_no_line_ends_in_its_first_bytes() -> None:
    assert shape_of(b'[{"text": "' + b"x" * 1000, complete=False) is Shape.ARRAY


@pytest.mark.parametrize(
    ("head", "compression"),
    [
        (b"\x1f\x8b\x08\0", Compression.GZIP),
        (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
        (b"\x1f", Compression.NONE),
        (b'{"text": "a"}', Compression.NONE),
    ],
)
def test_a_packed_file_is_told_by_its_magic_bytes(head: bytes, compression: Compression) -> None:
    assert compression_of(head) is compression
