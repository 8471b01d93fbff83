"""Make a training set of JSON lines in S3: clean them, drop duplicates, split, upload.

Each source is a prefix of `*.jsonl` objects. A record needs a `text`; its place in train or validation is decided by a
hash of that text, so that the same text is never in both, and a second run over the same sources makes the same files.
Needs boto3 only; `AWS_ENDPOINT_URL` and the usual credentials come from the environment.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {"train": "train_dataset.jsonl", "validation": "validation_dataset.jsonl"}
MAX_COMPLAINTS = 5


def main() -> None:
    """Run all stages; a failure is a message and an exit status other than 0."""
    args = arguments()
    bucket, prefix = split_uri(args.output)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    s3 = boto3.client("s3")
    started = time.monotonic()
    write_state(args.work_dir, stage="processing", run_id=args.run_id)
    counts = process(s3, args)
    seconds = time.monotonic() - started
    print("Kept {train} for training, {validation} for validation".format_map(counts))
    print("Dropped {no_text} without text, {duplicates} duplicates, {broken} no JSON objects".format_map(counts))
    if not (counts["train"] and counts["validation"]):
        sys.exit("error: training and validation need one record each at least; add sources, or change the split")
    write_state(args.work_dir, stage="uploading", run_id=args.run_id, **counts)
    for name in FILES.values():
        s3.upload_file(str(args.work_dir / name), bucket, prefix + name)
        print(f"Uploaded s3://{bucket}/{prefix}{name}")
    write_state(args.work_dir, stage="done", run_id=args.run_id, seconds=round(seconds, 3), **counts)
    print(f"Processed {counts['read']} records in {seconds:.3f} s")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", action="append", required=True, help="s3://bucket/prefix/ (repeatable)")
    parser.add_argument("--output", required=True, help="s3://bucket/prefix/ of the datasets")
    parser.add_argument("--work-dir", type=Path, default=Path("data_prep"))
    parser.add_argument("--validation-split", type=float, default=0.2)
    parser.add_argument("--limit", type=int, help="records to read of each source: a quick run")
    parser.add_argument("--run-id", default="manual")
    return parser.parse_args()


def process(s3: Any, args: argparse.Namespace) -> Counter[str]:
    """Write the cleaned records to the two files; return how many were read, kept and dropped, by reason."""
    counts: Counter[str] = Counter()
    seen: set[bytes] = set()
    with (args.work_dir / FILES["train"]).open("wb") as train, (args.work_dir / FILES["validation"]).open("wb") as held:
        for source in args.source:
            before = counts["read"]
            for where, line in lines(s3, source, args.limit):
                counts["read"] += 1
                text = text_of(line)
                digest = hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).digest()
                if text is None:
                    counts["broken"] += 1
                    if counts["broken"] <= MAX_COMPLAINTS:
                        print(f"warning: {where} is no JSON object", file=sys.stderr)
                elif not text or digest in seen:
                    counts["duplicates" if text else "no_text"] += 1
                else:
                    seen.add(digest)
                    for_validation = int.from_bytes(digest[:8], "big") < args.validation_split * 2**64
                    counts["validation" if for_validation else "train"] += 1
                    (held if for_validation else train).write(json.dumps({"text": text}).encode() + b"\n")
            if counts["read"] == before:
                sys.exit(f"error: {source} has no records")
    return counts


def lines(s3: Any, source: str, limit: int | None) -> Iterator[tuple[str, bytes]]:
    """Yield where each line is, and the line, of all objects of a source in the order of their keys."""
    bucket, prefix = split_uri(source)
    count = 0
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page.get("Contents", ()):
            if not entry["Key"].endswith(".jsonl"):
                continue
            with tempfile.TemporaryFile() as file:
                s3.download_fileobj(bucket, entry["Key"], file)
                file.seek(0)
                for number, line in enumerate(file, start=1):
                    if limit is not None and count >= limit:
                        return
                    if line.strip():
                        count += 1
                        yield f"s3://{bucket}/{entry['Key']}:{number}", line


def text_of(line: bytes) -> str | None:
    """Return the text of a record, "" where it has none, None where the line is no record."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    text = record.get("text")
    return text.strip() if isinstance(text, str) else ""


def split_uri(uri: str) -> tuple[str, str]:
    """Return bucket and prefix of s3://bucket/prefix/."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket or (prefix and not prefix.endswith("/")):
        sys.exit(f"error: {uri} is not s3://bucket/prefix/ (the slash at its end included)")
    return bucket, prefix


def write_state(work_dir: Path, **state: object) -> None:
    """Write down how far the run is, whole or not at all."""
    part = work_dir / "pipeline_state.json.part"
    part.write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")
    part.replace(work_dir / "pipeline_state.json")


if __name__ == "__main__":
    main()
