"""One safetensors file: whether its header, its size and what was written of it fit together. No weights are loaded.

A file is 8 bytes (the header's length, little endian), the header (JSON), and the tensors without gaps. Its own reader
rejects what is called fatal here; that bytes were never written it cannot see, and loads zeros.
Source: the format's description in huggingface/safetensors, README.md. SEEK_HOLE: lseek(2).
"""

import json
import os
import struct

HEADER_LIMIT_BYTES = 100 * 1000 * 1000  # the format's own
BITS = {
    "F64": 64, "I64": 64, "U64": 64, "C64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16, "I16": 16,
    "U16": 16, "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip

PAGE_BYTES = 4096
LARGE_BYTES = 4 * PAGE_BYTES  # a tensor that is worth sampling: a small one may well be all zero
SAMPLED_TENSORS = 16  # of a file, evenly spread
GAPS_LIMIT = 64


class Odd(Exception):  # noqa: N818  # what the file is
    """Why a file is not whole: a defect, and the reason."""


def whole(path: str, parts: dict) -> dict:
    """Answer {"size", "tensors": {name: (dtype, shape)}, "data_bytes", "findings": [(defect, file, why, fatal)]}.

    Raises OSError where the file cannot be read.
    """
    found = {"size": 0, "tensors": {}, "data_bytes": 0, "findings": []}
    name = os.path.basename(path)
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found["size"] = os.fstat(opened).st_size
        begin, header = read_header(opened, found["size"], parts["imposters"])
        spans, unknown = laid_out(header)
        found["tensors"] = {one: (header[one]["dtype"], header[one]["shape"]) for one in header}
        found["data_bytes"] = spans[-1][1] if spans else 0
        if unknown:
            found["findings"].append(("malformed", name, "dtypes that are not known here: %s" % unknown, False))
        right_size(begin + found["data_bytes"], found["size"])
        spans = [(begin + first, begin + end, one, kind(**header[one])) for first, end, one in spans]
        found["findings"] += [("sparse", name, why, fatal) for why, fatal in unwritten(opened, found["size"], spans)]
    except Odd as odd:
        found["findings"].append((odd.args[0], name, odd.args[1], True))
    finally:
        os.close(opened)
    return found


def read_header(opened: int, size: int, imposters: object) -> tuple:
    """Return where the tensors begin, and the header without its metadata. Raises Odd."""
    first = os.pread(opened, imposters.FIRST_BYTES, 0)
    length = struct.unpack("<Q", first[:8])[0] if len(first) > 8 else 0  # noqa: PLR2004  # the length's own bytes
    # Whether it is safetensors is asked first: a header of 35,615 bytes begins like a gzip file.
    if first[8:9] != b"{" or length > HEADER_LIMIT_BYTES:
        other = imposters.imposter(first)
        if other:
            raise Odd(*other)
        if imposters.is_text(first):
            raise Odd("malformed", "it is a text, and no weights: %s" % imposters.shown(first))
        if not first.strip(b"\0"):
            raise Odd("sparse", "it begins with zeros: its room was reserved, and nothing was written there")
        if len(first) <= 8:  # noqa: PLR2004  # as above
            raise Odd("truncated", "it ends inside its header, after %d bytes" % len(first))
        raise Odd("malformed", "it is not safetensors: its header would have %d bytes" % length)
    if 8 + length > size:
        raise Odd("truncated", "it ends inside its header of %d bytes, after %d" % (length, size))
    raw = os.pread(opened, length, 8)
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=no_name_twice)
    except (ValueError, RecursionError) as error:
        raise Odd("malformed", "its header is no JSON: %s" % str(error)[:120])  # noqa: B904  # the cause is said
    header.pop("__metadata__", None)
    return 8 + length, header


def no_name_twice(pairs: list) -> dict:
    """Make an object of JSON; the format allows no name twice in one."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name stands in it twice")
    return made


def laid_out(header: dict) -> tuple:
    """Return each tensor's (first byte, end, name) in the file's order, and dtypes unknown to us. Raises Odd."""
    spans, unknown = [], set()
    for name, tensor in header.items():
        if not is_tensor(tensor):
            raise Odd("malformed", "%s has no dtype, shape and offsets" % name[:100])
        first, end = tensor["data_offsets"]
        bits = BITS.get(tensor["dtype"])
        if bits is None:
            unknown.add(tensor["dtype"][:20])
        else:
            for size in tensor["shape"]:
                bits *= size
            if bits != 8 * (end - first):
                said = (name[:100], tensor["shape"], tensor["dtype"], bits // 8, end - first)
                raise Odd("malformed", "%s has the shape %s in %s, which needs %d bytes, and has %d" % said)
        spans.append((first, end, name))
    spans.sort()
    at = 0
    for first, end, name in spans:
        if first != at:
            raise Odd("malformed", "%s begins at byte %d, and not at %d where it must" % (name[:100], first, at))
        at = end
    return spans, ", ".join(sorted(unknown)[:3])


def is_tensor(value: object) -> bool:
    """Whether an entry of a header is one of a tensor, values in bounds."""
    if not isinstance(value, dict) or not isinstance(value.get("dtype"), str):
        return False
    shape, offsets = value.get("shape"), value.get("data_offsets")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:  # noqa: PLR2004  # a pair
        return False
    whole_numbers = all(type(one) is int and 0 <= one < 2**48 for one in shape + offsets)
    return whole_numbers and len(shape) <= 64 and offsets[0] <= offsets[1]  # noqa: PLR2004  # far above any real one


def right_size(needed: int, size: int) -> None:
    """Compare a file's size with the end of its last tensor. Raises Odd."""
    if size < needed:
        raise Odd("truncated", "it ends after %d of its %d bytes" % (size, needed))
    if size > needed:
        raise Odd("malformed", "it has %d bytes, %d more than its tensors" % (size, size - needed))


def kind(dtype: str, shape: list, **_: object) -> str:
    """Return "float" or "packed" for a matrix, "" for a vector: biases and orders of groups may well be zero."""
    if len(shape) < 2:  # noqa: PLR2004  # rows and columns
        return ""
    return "float" if dtype.startswith(("F", "BF")) else "packed"


def unwritten(opened: int, size: int, spans: list) -> list:
    """Return (why, fatal) for room that was reserved and never filled, by a download that broke off.

    A span is (first byte, end, name, kind). Few blocks on disk prove nothing (compressing file systems, overlays), nor
    does a matrix of zeros (a layer that was added, to be trained; zero points, where it is packed). A gap that takes
    most of a matrix or reaches over the end of one, and two neighbours of zeros, do.
    """
    gaps = [gap for gap in gaps_in(opened, size) if is_zero(opened, *gap)]
    said = []
    for begin, end in gaps:
        where = next((name for first, last, name, _ in spans if first <= begin < last), "the header")
        why = "%d bytes from %d on were never written (in %s)" % (end - begin, begin, where[:100])
        said.append((why, takes_much(begin, end, spans)))
    large = [span for span in spans if span[3] and span[1] - span[0] >= LARGE_BYTES]
    step = max(1, len(large) // SAMPLED_TENSORS)
    zero = [number for number in range(len(large) - 1, -1, -step) if is_zero(opened, *large[number][:2])]
    for number in zero:
        beside = [n for n in (number - 1, number + 1) if 0 <= n < len(large) and is_zero(opened, *large[n][:2])]
        if beside or large[number][3] == "float":
            names = " and ".join(large[n][2][:100] for n in sorted([number] + beside))  # noqa: RUF005  # as in 3.7
            said.append(("%s hold%s nothing but zeros where sampled" % (names, "" if beside else "s"), bool(beside)))
    return sorted(said, key=lambda one: not one[1])[:1]


def takes_much(begin: int, end: int, spans: list) -> bool:
    """Whether a gap is more than the zeros of one matrix, as padding has them at its end, that were copied sparsely."""
    touched = [(first, last, kind) for first, last, _, kind in spans if first < end and begin < last]
    matrices = [(first, last) for first, last, kind in touched if kind]
    most = any(2 * (min(end, last) - max(begin, first)) > last - first for first, last in matrices)
    return most or len(matrices) > 1 or not touched


def gaps_in(opened: int, size: int) -> list:
    """Return the stretches of a file that have no room on disk; none where the file system does not say."""
    gaps, at = [], 0
    while at < size and len(gaps) < GAPS_LIMIT:
        try:
            begin = os.lseek(opened, at, os.SEEK_HOLE)
        except OSError:
            return []
        if begin >= size:
            break
        try:
            at = os.lseek(opened, begin, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing more was written
            at = size
        gaps.append((begin, at))
    return gaps


def is_zero(opened: int, begin: int, end: int) -> bool:
    """Whether five pages between two places hold nothing but zeros."""
    room = max(0, end - begin - PAGE_BYTES)
    places = sorted({begin + room * part // 4 for part in range(5)})
    return not any(os.pread(opened, min(PAGE_BYTES, end - place), place).strip(b"\0") for place in places)
