"""What a plain client meets in the sources of data and in the dataset."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.data_content import TRAIN_KEY, VALIDATION_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.conftest import World

    Meet = tuple[Callable[[World], object], str]

READ, WRITE = "policy-database", "asoba-llm-cache"
MORE_KEY = "datasets/mistral-verbosity/train_more.jsonl"


def get(w: World, key: str = TRAIN_KEY, bucket: str = WRITE) -> bytes:
    body: bytes = w.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def line(at: int) -> Callable[[World], object]:
    return lambda w: get(w).splitlines()[at - 1][:200]


def start(w: World) -> object:
    return get(w)[:60]


def end(w: World) -> object:
    return get(w)[-60:]


def lines(w: World, key: str = TRAIN_KEY) -> list[dict[str, object]]:
    return [json.loads(line) for line in get(w, key).splitlines()]


def values(field: str, key: str = TRAIN_KEY) -> Callable[[World], object]:
    """How often a field has each value that is no ordinary text; what is absent is 'absent'."""

    def meet(w: World) -> object:
        found = [record.get(field, "absent") for record in lines(w, key)]
        return Counter(repr(one) for one in found if not isinstance(one, str) or len(one) < 20)

    return meet


def how_many(key: str = TRAIN_KEY) -> Callable[[World], object]:
    """How many records there are, and how many texts."""
    return lambda w: (len(lines(w, key)), len({str(record.get("text")) for record in lines(w, key)}))


def shared(w: World) -> object:
    texts = {record["text"] for record in lines(w)}
    return sum(record["text"] in texts for record in lines(w, VALIDATION_KEY))


def keys_of(key: str) -> Callable[[World], object]:
    return lambda w: lines(w, key)[0]


def holding(words: str) -> Callable[[World], object]:
    """How many texts hold some words, and one of them."""

    def meet(w: World) -> object:
        found = [str(record["text"]) for record in lines(w) if words in str(record["text"])]
        return len(found), found[0]

    return meet


def written(key: str = TRAIN_KEY) -> Callable[[World], object]:
    """How many minutes before a source a file was written."""

    def meet(w: World) -> object:
        get(w, key)
        source = w.client("s3").head_object(Bucket=READ, Key="trade/chunk_0.jsonl")["LastModified"]
        made = w.client("s3").head_object(Bucket=WRITE, Key=key)["LastModified"]
        return (source - made).total_seconds() // 60

    return meet


def listed(prefix: str) -> Callable[[World], object]:
    def meet(w: World) -> object:
        found: Iterable[dict[str, object]] = (
            w.client("s3").list_objects_v2(Bucket=READ, Prefix=prefix).get("Contents", ())
        )
        return [(one["Key"], one["Size"], one["StorageClass"]) for one in found]

    return meet


def filters(w: World) -> object:
    w.client("s3").list_objects_v2(Bucket=READ)
    return w.settings["data"]["sources"][-1]


def dataset(w: World) -> object:
    return w.client("s3").list_objects_v2(Bucket=WRITE, Prefix=TRAIN_KEY).get("Contents", "none")


DATA_MEETS: dict[str, Meet] = {
    "src-empty": (listed("education/"), r"^\[\]$"),
    "src-marker": (listed("education/"), r"^\[\('education/', 0, 'STANDARD'\)\]$"),
    "src-emptied": (listed("education/"), r"chunk_0.jsonl', 0, .*chunk_2.jsonl', 0,"),
    "src-one-emptied": (listed("education/"), r"chunk_1.jsonl', 0, "),
    "src-beside": (listed("education"), r"^\[\('education-archive/"),
    "src-case": (listed("education/"), r"chunk_0\.JSONL"),
    "src-order": (filters, r"\['\+\*.jsonl', '-\*'\]"),
    "src-pattern": (filters, r"\+\*.parquet"),
    "src-brought-back": (listed("education/"), r"education/processed/old.jsonl"),
    "src-glacier": (listed("education/"), r"'GLACIER'"),
    "src-deep": (listed("education/"), r"'DEEP_ARCHIVE'"),
    "src-denied": (listed("education/"), r"AccessDenied.*s3:ListBucket"),
    "src-no-folder": (filters, r"no-such-folder"),
    "pdf-many": (listed("operatives/more_"), r"more_9\.pdf"),
    "pdf-upper": (listed("operatives/more_"), r"more_9\.PDF"),
    "pdf-zipped": (lambda w: get(w, "operatives/all.zip", READ).count(b".PDF"), r"^60$"),  # each is named twice
    "pdf-tarred": (lambda w: gzip.decompress(get(w, "operatives/all.tar.gz", READ)).count(b".pdf"), r"^30$"),
    "pdf-html": (lambda w: get(w, "operatives/report_1.pdf", READ), r"<!DOCTYPE html>"),
    "pdf-cut": (lambda w: get(w, "operatives/report_1.pdf", READ), r"%PDF-1\.4(?!.*%%EOF)"),
    "pdf-encrypted": (lambda w: get(w, "operatives/report_1.pdf", READ), r"/Encrypt"),
    "pdf-broken-zip": (lambda w: get(w, "operatives/all.zip", READ).count(b"PK\5\6"), r"^0$"),
    "fmt-absent": (dataset, r"^'none'$"),
    "fmt-emptied": (dataset, r"'Size': 0\b"),
    "fmt-cut": (end, r"[^}]'$"),
    "fmt-truncated": (line(437), r"in the midd'$"),
    "fmt-malformed": (line(437), r'"no comma" "source"'),
    "fmt-latin1": (line(437), r"caf\\xe9"),
    "fmt-latin1-elsewhere": (line(437), r'"text": "fine".*caf\\xe9'),
    "fmt-bom": (line(437), r"^b'\\xef\\xbb\\xbf"),
    "fmt-concatenated": (line(437), r"\}\{"),
    "fmt-literal-newline": (line(437), r"\}\\\\n\{"),
    "fmt-garbage": (line(437), r"\} #'$"),
    "fmt-comma": (line(437), r",\}'$"),
    "fmt-python": (line(437), r"\{'text'"),
    "fmt-control": (line(437), r"tab\\there"),
    "fmt-nan": (line(437), r"NaN"),
    "fmt-twice": (line(437), r'"text".*"text"'),
    "fmt-surrogate": (line(437), r"ud83d of"),
    "fmt-list": (line(437), r"^b'\[\"text\""),
    "fmt-deep": (line(437), r"\[\[\[\["),
    "fmt-array": (start, r"^b'\[\{"),
    "fmt-pretty": (start, r"^b'\{\\n "),
    "fmt-utf16": (start, r"^b'\\xff\\xfe"),
    "fmt-html": (start, r"<html>"),
    "fmt-gzip-cut": (lambda w: gzip.decompress(get(w)), r"EOFError"),
    "fmt-crlf": (lambda w: get(w).count(b"\r\n"), r"^600$"),
    "fmt-blank": (end, r"\}\\n\\n\\n'$"),
    "cnt-missing": (values("text"), r"'absent'\"?: 12\b"),
    "cnt-null": (values("text"), r"'None': 12\b"),
    "cnt-empty": (values("text"), r"\"''\": 12\b"),
    "cnt-whitespace": (values("text"), r"\\n\\+t .*: 12\b"),
    "cnt-list": (values("text"), r"\['a', 'b'\].*: 12\b"),
    "cnt-number": (values("text"), r"'42': 12\b"),
    "cnt-renamed": (values("text"), r"'absent'\"?: 163\b"),
    "cnt-nested": (values("text"), r"'absent'\"?: 1\b"),
    "cnt-last-validation": (lambda w: "text" in lines(w, VALIDATION_KEY)[-1], "^False$"),
    "vol-few": (how_many(), r"\(120, 120\)"),
    "vol-same": (how_many(), r"\(600, 60\)"),
    "vol-numbered": (how_many(), r"\(600, 450\)"),
    "sch-extra": (keys_of(MORE_KEY), r"'extra': 1"),
    "sch-type": (keys_of(MORE_KEY), r"'number': \{'value': 1\}"),
    "sch-validation": (keys_of(VALIDATION_KEY), r"'score': 1"),
    "dup-some": (how_many(), r"\(700, 600\)"),
    "dup-across": (how_many(MORE_KEY), r"\(90, 90\)"),
    "dup-few": (how_many(), r"\(605, 600\)"),
    "leak-all": (shared, r"^60$"),
    "leak-one": (shared, r"^1$"),
    "leak-other-columns": (shared, r"^1$"),
    "ph-most": (holding("Processed content from"), r"\(540, "),
    "ph-half": (holding("Processed content from"), r"\(400, "),
    "ph-errors": (holding("could not be read"), r"\(600, "),
    "len-all": (lambda w: min(len(str(record["text"])) for record in lines(w)), r"^\d{4,}$"),
    "enc-mojibake": (holding("Ã©"), r"\(300, "),
    "enc-some": (holding("Ã©"), r"\(10, "),
    "enc-replaced": (holding("\ufffd"), r"\(60, "),
    "sec-aws": (holding("aws_secret_access_key"), r"\(1, "),
    "sec-pem": (holding("PRIVATE KEY"), r"\(1, "),
    "sec-token": (holding("ghp_"), r"\(1, "),
    "len-quarter": (lambda w: sum(len(str(record["text"])) > 2500 for record in lines(w)), r"^150$"),
    "len-setting": (lambda w: (len(get(w)), w.settings["data"]["sequence_length"]), r", 16\)$"),
    "old-validation": (written(VALIDATION_KEY), r"^1(799|800)\.0$"),
    "old-day": (written(), r"^14(39|40)\.0$"),
    "old-hour": (written(), r"^(59|60)\.0$"),
}
