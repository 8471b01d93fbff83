"""The figures of docs/benchmarks.md on data: `python tests/benchmarks/data_rates.py [--runs N] [--megabytes N]`.

Each measurement is a process of its own, in pairs, one after the other in one run; the ratios are medians over pairs.
A rate is of the bytes of the file by the seconds from the first to the last record; imports do not count. On one core
it is by the processor's seconds, which others on the machine disturb less than the clock; with workers by the clock.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

OURS = """
import json, multiprocessing, os, pathlib, sys, time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pytest_pipeline.data.merge import merge
from pytest_pipeline.data.opening import LocalFiles
from pytest_pipeline.data.shape import examined
from pytest_pipeline.data.spans import DataFile, spans_of
from pytest_pipeline.data.spec import Field, RecordSpec
from pytest_pipeline.data.validate import validate

def peak_mb():  # not ru_maxrss, which keeps the peak of the process that this one was forked from
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6

def ready(_):
    return os.getpid()

def main():
    path, names, digests, workers = sys.argv[1], sys.argv[2].split(","), sys.argv[3] == "digests", int(sys.argv[4])
    file = DataFile(uri=path, size_bytes=os.path.getsize(path))
    spec = RecordSpec(fields=tuple(Field(name=name) for name in names), digests=digests)
    judge = partial(validate, spec=spec)
    spans = spans_of([examined(file, LocalFiles())], 16 << 20)
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        if workers > 1:
            list(pool.map(ready, range(64)))
        started, cpu = time.perf_counter(), time.process_time()
        result, = merge((pool.map if workers > 1 else map)(judge, spans), spans)
        took = time.perf_counter() - started, time.process_time() - cpu
    print(json.dumps({"wall_s": took[0], "cpu_s": took[1], "records": result.records, "valid": result.valid,
                      "rss_mb": peak_mb()}))

if __name__ == "__main__":
    main()
"""
ORJSON = """
import json, sys, time, orjson
started, cpu = time.perf_counter(), time.process_time()
records = 0
with open(sys.argv[1], "rb") as file:
    for line in file:
        orjson.loads(line)
        records += 1
print(json.dumps({"wall_s": time.perf_counter() - started, "cpu_s": time.process_time() - cpu, "records": records}))
"""


def make(path: Path, kind: str, size_bytes: int) -> None:
    """`real`: 5 KB of prompt and completion, a tenth of the words with an accent, lines of 80; `short`: 300 bytes."""
    rng = random.Random(7)  # noqa: S311  # the same file each time
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 10))) for _ in range(5_000)]
    words += ["café", "naïve", "“so”", "—", "数据", '"said"', "f(x[1])", "C:\\data"] * 12

    def text(length: int) -> str:
        lines, long = [], 0
        while long < length:
            lines.append(" ".join(rng.choices(words, k=11)))
            long += len(lines[-1]) + 1
        return "\n".join(lines)

    texts = [text(rng.choice((2_000, 4_000, 8_000))) for _ in range(2_000)]
    written = 0
    with path.open("wb") as file:
        for number in range(sys.maxsize):
            if written >= size_bytes:
                return
            meta = {"source": f"s{number % 99}", "tags": ["a", "b"], "score": rng.random()}
            start = rng.randrange(1_000)
            record: dict[str, Any] = (
                {"prompt": rng.choice(texts)[:200], "completion": rng.choice(texts), "meta": meta}
                if kind == "real"
                else {"text": rng.choice(texts)[start : start + 250], "id": number, "source": "web"}
            )
            written += file.write(json.dumps(record, ensure_ascii=False).encode() + b"\n")


def measure(program: str, *arguments: str) -> dict[str, float]:
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:  # a worker must find what it runs in a file
        file.write(program)
        file.flush()
        ran = subprocess.run([sys.executable, file.name, *arguments], capture_output=True, text=True, check=True)
    seen: dict[str, float] = json.loads(ran.stdout)
    return seen


def against_orjson(path: Path, fields: str, digests: str, runs: int) -> str:
    ratios, rates, rss_mb = [], [], 0.0
    for _ in range(runs):
        ours, raw = measure(OURS, str(path), fields, digests, "1"), measure(ORJSON, str(path))
        assert ours["valid"] == raw["records"]
        ratios.append(raw["cpu_s"] / ours["cpu_s"])
        rates.append((path.stat().st_size / ours["cpu_s"] / 1e6, path.stat().st_size / raw["cpu_s"] / 1e6))
        rss_mb = max(rss_mb, ours["rss_mb"])
    mine, theirs = (statistics.median(rate) for rate in zip(*rates, strict=True))
    return (
        f"{path.stem}, all checks{', digests' if digests == 'digests' else ''} | {mine:.0f} MB/s, orjson's raw parse "
        f"{theirs:.0f} MB/s: {statistics.median(ratios):.2f} times ({min(ratios):.2f}-{max(ratios):.2f}), "
        f"{rss_mb:.0f} MB | 1.1 times, 100 MB"
    )


def two_workers(path: Path, fields: str, runs: int) -> str:
    ratios = []
    for _ in range(runs):
        one, two = (measure(OURS, str(path), fields, "digests", workers) for workers in ("1", "2"))
        ratios.append(one["wall_s"] / two["wall_s"])
    middle = statistics.median(ratios)
    return f"{path.stem}, two workers | {middle:.2f} times one ({min(ratios):.2f}-{max(ratios):.2f}) | 1.6 times"


def memory(folder: Path) -> str:
    """One line of 100 MB, and lines of the longest allowed with one wide character each, good and broken."""
    longest = 8 * 1024 * 1024
    wide = '{"text": "😀' + "x" * (longest - 100) + '"'
    contents = {
        "a line of 100 MB": b'{"text": "' + b"x" * 100_000_000 + b'"}\n',
        "longest lines": (wide + "}\n").encode() * 3,
        "longest lines, broken": (wide + "]\n").encode() * 3,
        "longest lines of escapes": b'{"text": "' + b"\\u00e9" * ((longest - 100) // 6) + b'"}\n',
    }
    peaks = []
    for name, content in contents.items():
        path = folder / "long.jsonl"
        path.write_bytes(content)
        peaks.append(f"{name} {measure(OURS, str(path), 'text', 'digests', '1')['rss_mb']:.0f} MB")
    return f"peak memory | {'; '.join(peaks)} | 100 MB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=300)
    options = parser.parse_args()
    print("| what | measured | must reach |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, fields in (("real", "prompt,completion"), ("short", "text")):
            path = folder / f"{kind}.jsonl"
            make(path, kind, options.megabytes * 10**6)
            for digests in ("plain", "digests"):
                print(f"| {against_orjson(path, fields, digests, options.runs)} |", flush=True)
            print(f"| {two_workers(path, fields, options.runs)} |", flush=True)
        print(f"| {memory(folder)} |", flush=True)


if __name__ == "__main__":
    main()
