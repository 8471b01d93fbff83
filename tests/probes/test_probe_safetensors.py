"""One safetensors file, as its header, its size and the disk have it. Files are real; weights are noise."""

from __future__ import annotations

import errno
import gzip
import json
import math
import os
import struct
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part, parts

from pytest_pipeline.sandbox.host_model import safetensors as made

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 1024
TENSORS = {f"layer.{number}.weight": [ROWS, 64] for number in range(4)}  # 128 KiB each
WHOLE = made(TENSORS)


def found(path: Path) -> dict[str, Any]:
    answer: dict[str, Any] = part("safetensors").whole(str(path), parts())
    return answer


def findings(path: Path, data: bytes) -> list[tuple[str, str, bool]]:
    """Return defect, reason and whether it is fatal, of a file with these bytes."""
    path.write_bytes(data)
    return [(defect, why, fatal) for defect, _, why, fatal in found(path)["findings"]]


def packed(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(begin: int, end: int, dtype: str = "U8", shape: list[int] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(WHOLE)
    answer = found(tmp_path / "f")

    assert answer["findings"] == []
    assert answer["tensors"]["layer.3.weight"] == ("BF16", [ROWS, 64])
    assert answer["data_bytes"] == 4 * ROWS * 64 * 2


HEALTHY = {
    "no tensors": packed({}),
    "scalars, empty tensors and metadata": packed(
        {"__metadata__": {"format": "pt"}, "s": tensor(0, 4, "F32", []), "e": tensor(4, 4, "F32", [0, 7])}, b"abcd"
    ),
    "a padded header": packed(b'{"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}      ', b"x"),
    "four bits a number": packed({"q": tensor(0, 3, "F4", [2, 3])}, b"xyz"),
    "order is that of the offsets": packed({"b": tensor(1, 2), "a": tensor(0, 1)}, b"xy"),
}


@pytest.mark.parametrize("data", HEALTHY.values(), ids=HEALTHY.keys())
def test_odd_files_that_are_right(tmp_path: Path, data: bytes) -> None:
    assert findings(tmp_path / "f", data) == []


def test_a_header_whose_length_reads_like_a_gzip_file(tmp_path: Path) -> None:
    header = json.dumps({"a": tensor(0, 1)}).encode()
    data = packed(header.ljust(0x8B1F), b"x")

    assert data.startswith(b"\x1f\x8b")
    assert findings(tmp_path / "f", data) == []


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 4949453792\n"
WRONG: dict[str, tuple[bytes, str, str]] = {
    "empty": (b"", "empty", "no bytes"),
    "a few bytes": (b"\x10\0\0", "truncated", "inside its header, after 3 bytes"),
    "cut in the header": (WHOLE[:100], "truncated", "it ends inside its header of"),
    "one byte short": (WHOLE[:-1], "truncated", f"it ends after {len(WHOLE) - 1} of its {len(WHOLE)} bytes"),
    "one byte too many": (WHOLE + b"x", "malformed", "1 more than its tensors"),
    "appended to by a second download": (WHOLE + WHOLE, "malformed", f"{len(WHOLE)} more than its tensors"),
    "an LFS pointer": (POINTER, "LFS pointer", "of a file of 4.9GB"),
    "a web page": (b"\n<!doctype HTML><html>Log in", "HTML page", "'<!doctype HTML><html>Log in'"),
    "an error of S3": (b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied", "HTML page", "AccessDenied"),
    "an error in words": (b"Access to model is restricted.", "malformed", "a text, and no weights: 'Access to model"),
    "an error in JSON": (b'{"error":"Repository not found"}', "malformed", '\'{"error":"Repository not found"}\''),
    "gzip": (gzip.compress(WHOLE), "gzip-encoded", "never decoded"),
    "gzip without time and name": (gzip.compress(WHOLE, mtime=0), "gzip-encoded", "never decoded"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04\0", "compressed", "zstd"),
    "xz": (b"\xfd7zXZ\x00\0\x04", "compressed", "xz"),
    "a zip": (b"PK\x03\x04\x14\0\0\0\0\0", "compressed", "zip"),
    "zeros alone": (bytes(9000), "sparse", "begins with zeros"),
    "noise": (os.urandom(4) + b"\xff" * 300, "malformed", "not safetensors"),
    "no JSON": (packed(b'{"a": nothing}'), "malformed", "no JSON"),
    "nested without end": (packed(b'{"a":' * 100_000), "malformed", "no JSON"),
    "no UTF-8": (packed(b'{"\xff": 1}'), "malformed", "no JSON"),
    "a name twice": (packed(b'{"a":{},"a":{}}'), "malformed", "a name stands in it twice"),
    "a tensor without a shape": (packed({"a": {"dtype": "U8"}}), "malformed", "a has no dtype, shape and offsets"),
    "a negative size": (packed({"a": tensor(0, 1, shape=[-1])}), "malformed", "a has no dtype"),
    "a truth value as a size": (
        packed(b'{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', b"x"),
        "malformed",
        "a has",
    ),
    "offsets the wrong way round": (packed({"a": tensor(2, 1)}), "malformed", "a has no dtype"),
    "shape and bytes disagree": (
        packed({"a": tensor(0, 4, "BF16", [4])}, b"abcd"),
        "malformed",
        "a has the shape [4] in BF16, which needs 8 bytes, and has 4",
    ),
    "a gap": (packed({"a": tensor(0, 1), "b": tensor(2, 3)}, b"xyz"), "malformed", "b begins at byte 2, and not at 1"),
    "an overlap": (
        packed({"a": tensor(0, 2), "b": tensor(1, 3)}, b"xyz"),
        "malformed",
        "b begins at byte 1, and not at 2",
    ),
}


@pytest.mark.parametrize(("data", "defect", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_is_no_whole_file(tmp_path: Path, data: bytes, defect: str, words: str) -> None:
    (only,) = findings(tmp_path / "f", data)

    assert only[0] == defect
    assert words in only[1]
    assert only[2]


def test_a_dtype_that_is_newer_than_this_probe_is_no_reason_to_stop(tmp_path: Path) -> None:
    data = packed({"a": tensor(0, 1, "F3_E1M1")}, b"x")

    assert findings(tmp_path / "f", data) == [("malformed", "dtypes that are not known here: F3_E1M1", False)]


def test_a_header_beyond_the_formats_limit_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(struct.pack("<Q", 100_000_001) + b"{")
    os.truncate(path, 200_000_000)
    (only,) = found(path)["findings"]

    assert (only[0], only[2]) == ("malformed", "it is not safetensors: its header would have 100000001 bytes")


def with_holes(path: Path, *holes: tuple[int, int], data: bytes = WHOLE) -> list[tuple[str, str, bool]]:
    """Write a file but for these stretches, which are never written. Skips where the disk cannot have it so."""
    with path.open("wb") as file:
        file.truncate(len(data))
        at = 0
        for begin, end in [*holes, (len(data), len(data))]:
            file.seek(at)
            file.write(data[at:begin])
            at = end
    with path.open("rb") as file:
        if os.lseek(file.fileno(), 0, os.SEEK_HOLE) == len(data):
            pytest.skip("the file system here has no holes")
    return [(defect, why, fatal) for defect, _, why, fatal in found(path)["findings"]]


def test_room_that_was_reserved_and_never_filled(tmp_path: Path) -> None:
    (only,) = with_holes(tmp_path / "f", (8192, len(WHOLE)))

    assert only[0] == "sparse"
    assert only[1].endswith("from 8192 on were never written (in layer.0.weight)")
    assert only[2]


def test_a_segment_in_the_middle_that_never_came(tmp_path: Path) -> None:
    (only,) = with_holes(tmp_path / "f", (65536, 262144))

    assert (only[0], only[2]) == ("sparse", True)


def test_a_gap_inside_one_tensor_may_be_zeros_that_were_copied_sparsely(tmp_path: Path) -> None:
    (only,) = with_holes(tmp_path / "f", (8192, 16384))

    assert only == ("sparse", "8192 bytes from 8192 on were never written (in layer.0.weight)", False)


def test_zeros_at_the_end_of_the_last_tensor_may_be_padding_that_was_copied_sparsely(tmp_path: Path) -> None:
    begin = len(WHOLE) // 4096 * 4096 - 32768
    (only,) = with_holes(tmp_path / "f", (begin, len(WHOLE)))

    assert (only[0], only[2]) == ("sparse", False)
    assert only[1].endswith("were never written (in layer.3.weight)")


def test_most_of_the_last_tensor_is_no_padding(tmp_path: Path) -> None:
    begin = len(WHOLE) // 4096 * 4096 - 77824
    (only,) = with_holes(tmp_path / "f", (begin, len(WHOLE)))

    assert (only[0], only[2]) == ("sparse", True)


def test_a_gap_in_biases_may_be_zeros_that_were_copied_sparsely(tmp_path: Path) -> None:
    data = made({"a.weight": [256, 64], "b.bias": [9000], "c.bias": [9000], "d.weight": [256, 64]})
    (only,) = with_holes(tmp_path / "f", (36864, 65536), data=data)

    assert (only[0], only[2]) == ("sparse", False)


def test_a_disk_that_calls_written_bytes_a_gap_is_not_believed(tmp_path: Path) -> None:
    """Network file systems and those that fetch a file when it is read say so of healthy files."""
    (tmp_path / "f").write_bytes(WHOLE)
    probe = part("safetensors")
    probe.gaps_in = lambda *_: [(8192, len(WHOLE))]

    assert probe.whole(str(tmp_path / "f"), parts())["findings"] == []


class Os:
    """The real os, with something else in some places."""

    def __init__(self, **instead: Any) -> None:
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead[name] if name in self._instead else getattr(os, name)


def refuse(*_: object) -> int:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@pytest.mark.parametrize("seek", [refuse, lambda *_: len(WHOLE)], ids=["refuses", "says none"])
def test_a_disk_that_knows_no_gaps(tmp_path: Path, seek: Callable[..., int]) -> None:
    (tmp_path / "f").write_bytes(WHOLE)
    probe = part("safetensors")
    probe.os = Os(lseek=seek)

    assert probe.whole(str(tmp_path / "f"), parts())["findings"] == []


def test_room_that_was_filled_with_zeros_beforehand(tmp_path: Path) -> None:
    (only,) = findings(tmp_path / "f", made(TENSORS, zeros=True))

    assert only == ("sparse", "layer.2.weight and layer.3.weight hold nothing but zeros where sampled", True)


def test_zeros_from_the_last_tensors_on(tmp_path: Path) -> None:
    tensors = {f"layer.{number:03}.weight": [ROWS, 8] for number in range(100)}
    data = made(tensors)
    (only,) = findings(tmp_path / "f", data[: -3 * ROWS * 16] + bytes(3 * ROWS * 16))

    assert only[2]
    assert "layer.098.weight and layer.099.weight" in only[1]


def test_one_tensor_of_zeros_is_a_layer_that_was_added_to_be_trained(tmp_path: Path) -> None:
    size = ROWS * 64 * 2
    data = WHOLE[: -2 * size] + bytes(size) + WHOLE[-size:]

    assert findings(tmp_path / "f", data) == [("sparse", "layer.2.weight holds nothing but zeros where sampled", False)]


def test_rows_of_zeros_are_an_embeddings_own_padding(tmp_path: Path) -> None:
    data = WHOLE[:-40_000] + bytes(40_000)

    assert findings(tmp_path / "f", data) == []


def noise(dtype: str, tensors: dict[str, list[int]], zero: str) -> bytes:
    """A file of these tensors, those of zeros whose names hold a word."""
    header, data = {}, b""
    for name, shape in tensors.items():
        size = BYTES[dtype] * math.prod(shape)
        header[name] = tensor(len(data), len(data) + size, dtype, shape)
        data += bytes(size) if zero in name else os.urandom(size)
    return packed(header, data)


BYTES = {"I32": 4, "U8": 1, "BF16": 2, "F32": 4}


@pytest.mark.parametrize(
    ("dtype", "zero"), [("BF16", "bias"), ("I32", "g_idx"), ("I32", "qzeros")], ids=["biases", "orders", "zero points"]
)
def test_what_may_well_be_zero(tmp_path: Path, dtype: str, zero: str) -> None:
    layer = {"a_bias": [9000], "b_bias": [9000], "g_idx": [9000], "h_g_idx": [9000], "qweight": [99, 99]}
    tensors = {f"{number}.{name}": shape for number in range(2) for name, shape in layer.items()}
    tensors |= {"1.qzeros": [99, 99], "1.weight": [99, 99]}

    assert findings(tmp_path / "f", noise(dtype, tensors, zero)) == []


def test_packed_weights_of_zeros_were_never_written(tmp_path: Path) -> None:
    """Models that are quantised with bitsandbytes have next to no others."""
    packed_weights = {f"layer.{number}.weight": [20_000, 1] for number in range(4)}
    (only,) = findings(tmp_path / "f", noise("U8", packed_weights, "weight"))

    assert (only[0], only[2]) == ("sparse", True)


def test_small_tensors_may_be_zero(tmp_path: Path) -> None:
    assert findings(tmp_path / "f", made({f"bias.{n}": [64] for n in range(50)}, zeros=True)) == []


def test_how_much_is_read_does_not_depend_on_the_bytes(tmp_path: Path) -> None:
    many = {f"layer.{number}.weight": [ROWS, 32] for number in range(300)}
    (tmp_path / "f").write_bytes(made(many))
    probe, read = part("safetensors"), []

    def pread(opened: int, size: int, at: int) -> bytes:
        read.append(size)
        return os.pread(opened, size, at)

    probe.os = Os(pread=pread)
    probe.whole(str(tmp_path / "f"), parts())

    assert sum(read) < 200_000 < len(made(many))
