"""Files that nobody would write, held against the oracle: `cd tests; python -m data.fuzz --files 100000 --seed 1`.

A file is good lines with a few that are broken in one of many ways, under a spec, a longest line and span sizes of its
own. Counts, reasons, lines, offsets and fields must be the same as the oracle's; a difference is printed with the seed
of its file, and `--files 1 --seed THAT` makes it again.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from typing import TYPE_CHECKING, Any

from data.oracle import tell
from data.places import told
from pytest_pipeline.data.result import DEFECTS_KEPT
from pytest_pipeline.data.spec import Field, Kind, RecordSpec

if TYPE_CHECKING:
    from pytest_pipeline.data.result import FileResult

SPECS = (
    (("text", "text"),),
    (("prompt", "text"), ("completion", "text")),
    (("messages", "messages"),),
    (("text", "string"), ("score", "number"), ("ok", "boolean")),
    (("tags", "list"), ("meta", "object"), ("id", "any")),
    (("text", "text"), ("créé", "any")),
    (),
)
TEXTS = (
    "plain words", "café", "数据 😀", 'he said "no"', "back\\slash", "a\nb\tc", "\x00", "text", "messages", " ", "",
    "}\n{", "[[[", "x" * 300, '{"text": 1}', "\u2028", "\ufeff", "\x7f",
)  # fmt: skip
WHOLE = (
    b"", b" ", b"\t", b"\r", b"plain text", b"5", b"null", b"true", b'"text"', b"[]", b'["a"]', b"[1,]", b"{}",
    b"{", b"}", b"{}{}", b"{} {}", b"{},", b"{},{}", b"{}\\n{}", b"{}\\r\\n{}", b"{} x", b"-", b"01", b"1.", b"1e+",
    b"nul", b"NaN", b"-Infinity", b"\xef\xbb\xbf{}", b"\xff\xfe", b"\x00", b"'a'", b"{'text': 'x'}",
    b'{"text": NaN}', b"[" * 511, b'{"text": "a", "deep": ' + b"[" * 511 + b"]" * 511 + b"}",
    b'{"text": "a", "deep": ' + b"[" * 512 + b"]" * 512 + b"}",
    b'{"text": "a", "deep": ' + b'{"a":' * 600 + b"1" + b"}" * 600 + b', "deep": 1}',
    b'{"text": "a", "x": "\xe9", "x": 1}', b'{"text": "a", "x": "\\ud800", "x": 1}',
    b'{"text": 1e999, "score": 1e999}', b'{"score": ' + b"9" * 5000 + b', "ok": true, "text": ""}',
    b'{"te\\u0078t": "a"}', b'{"text": "a", "te\\u0078t": "b"}', b'{"text": "a", "text": "b"}',
    b'{"text": "a", "x": {"text": "b"}}', b'{"text": "a", "x": "text"}', b'{"text": "' + b"x" * 20_000 + b'"}',
    b'{"text": "' + b"x\\n" * 9_000 + b'"]', b'{"text" :"a"}', b'{\t"text":\r"a" }', b'{"text": "\\ud83d\\ude00"}',
    b'{"text": "\\ude00\\ud83d"}', b'{"text": "\\\\ud800"}', b'{"text": "\\ud83dx"}', b'{"text": "\\ud83d\\u0041"}',
    b'{"text": "\\ud83d\\ud83d\\ude00"}',
)  # fmt: skip
PIECES = (
    b"\n", b"\r", b"\r\n", b"\n\n", b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"'", b" ", b"\t", b"0", b"1",
    b".", b"e", b"-", b"\x00", b"\x0b", b"\x1f", b"\x7f", b"\x80", b"\xc3", b"\xff", b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80", b"\xc0\xaf", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"NaN", b"Infinity", b"null", b"true",
    b"\\u", b"\\u00", b"\\ud83d", b"\\ude00", b"\\n", b'"text"', b'"text":1', b'"a":1,', b"}\n{", b"}{",
    b"\\u0074ext",
)  # fmt: skip


def good_value(rng: random.Random, kind: str) -> Any:
    """A value of a kind; text at times is blank, as no rule forbids a file to say so."""
    text = rng.choice(TEXTS)
    return {
        "text": text,
        "string": text,
        "number": rng.choice((0, -1, 1.5, 1e300, 10**30)),
        "boolean": rng.random() < 0.5,
        "list": [text] * rng.choice((1, 1, 1, 0)),
        "object": {text: 1} if rng.random() < 0.9 else {},
        "messages": [
            {
                "role": rng.choice(("user", "assistant", "messages")),
                "content": text,
                **({"name": text} if rng.random() < 0.2 else {}),
            }
            for _ in range(rng.randint(1, 3))
        ],
        "any": rng.choice((text, 0, [], {})),
    }[kind]


def good_line(rng: random.Random, fields: tuple[tuple[str, str], ...]) -> bytes:
    record = {name: good_value(rng, kind) for name, kind in fields}
    for name in rng.sample(("id", "meta", "source", "content", "ü"), rng.choice((0, 0, 1, 2))):
        record.setdefault(name, rng.choice((None, 1, rng.choice(TEXTS), [rng.choice(TEXTS)], {"text": 1})))
    separators = rng.choice(((",", ":"), (", ", ": ")))
    return json.dumps(record, ensure_ascii=rng.random() < 0.3, separators=separators).encode()


def bad_value(rng: random.Random, fields: tuple[tuple[str, str], ...]) -> bytes:
    record = {name: good_value(rng, kind) for name, kind in fields}
    for name in rng.sample([*record], min(len(record), rng.randint(0, 2))):
        if rng.random() < 0.3:
            del record[name]
        else:
            record[name] = rng.choice(
                (None, "", " \n", 1, 1.5, True, [], {}, ["a"], {"a": 1}, "x", [None], [1], [{}], [{"role": "user"}],
                 [{"role": "user", "content": None}], [{"role": "", "content": "x"}], [{"role": "u", "content": ["x"]}])
            )  # fmt: skip
    return json.dumps(record).encode()


def mutated(rng: random.Random, line: bytes) -> bytes:
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randint(0, len(line))
        upto = min(len(line), at + rng.choice((0, 0, 1, 2, 5)))
        piece = rng.choice(PIECES)
        ways = (
            line[:at],
            line[:at] + piece + line[upto:],
            line[:at] + line[upto:],
            line + line,
            line[:upto] + line[at:],
            line + piece,
            piece + line,
        )
        line = rng.choice(ways)
    return line


def make(seed: int) -> tuple[bytes, tuple[tuple[str, str], ...], int, random.Random]:
    rng = random.Random(seed)  # noqa: S311  # no secret
    fields = rng.choice(SPECS)
    badness = rng.choice((0.0, 0.02, 0.1, 0.5, 1.0))
    lines = []
    for _ in range(rng.choice((0, 1, 2, 5, 20, 60))):
        line = good_line(rng, fields)
        if rng.random() < badness:
            way = rng.random()
            line = mutated(rng, line) if way < 0.6 else bad_value(rng, fields) if way < 0.8 else rng.choice(WHOLE)
        lines.append(line + rng.choice((b"\n",) * 12 + (b"\r\n",)))
    content = b"".join(lines)
    if rng.random() < 0.3:
        content = content.removesuffix(b"\n")
    return content, fields, rng.choice((1 << 20, 1 << 20, 400, 60)), rng


def seen(result: FileResult) -> dict[str, Any]:
    return {
        "lines": result.lines,
        "records": result.records,
        "valid": result.valid,
        "counts": {str(reason): number for reason, number in result.reasons.items()},
        "found": [(one.line, one.offset, str(one.reason), one.field) for one in result.defects],
    }


def difference(seed: int) -> str:
    """Return how a file reads differently here and there, or ""."""
    content, fields, longest_bytes, rng = make(seed)
    oracle = tell(content, [*fields], longest_bytes)
    kept: dict[str, int] = {}
    found = []
    for one in oracle.found:
        kept[one[2]] = kept.get(one[2], 0) + 1
        if kept[one[2]] <= DEFECTS_KEPT:
            found.append(one)
    wanted = {
        "lines": oracle.lines,
        "records": oracle.records,
        "valid": oracle.valid,
        "counts": oracle.counts,
        "found": found,
    }
    spec = RecordSpec(
        fields=tuple(Field(name=name, kind=Kind(kind)) for name, kind in fields),
        max_line_bytes=longest_bytes,
        digests=bool(fields),
    )
    whole = told(content, spec)
    span_bytes = rng.choice((1 + len(content) // 40, 1 + len(content) // 7, 333, 4096))
    pieces = told(content, spec, span_bytes=span_bytes, most_bytes=rng.choice((13, 100, 1 << 20)))
    for name, result in (("in one span", whole), ("in pieces", pieces)):
        if seen(result) != wanted:
            return f"seed {seed} {name}\n{content!r}\n{fields}\nhere   {seen(result)}\noracle {wanted}"
    if whole != pieces:
        return f"seed {seed}: {whole} {pieces}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    differences = 0
    for seed in range(options.seed, options.seed + options.files):
        if text := difference(seed):
            differences += 1
            print(text, flush=True)
            if differences >= 5:
                break
    print(f"{options.files:,} files from seed {options.seed}: {differences} differences")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
