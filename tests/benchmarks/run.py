"""The figures of docs/benchmarks.md: `python tests/benchmarks/run.py [--runs N]`.

Whole processes, in pairs, one after the other in one run, medians: the machines this runs on share their cores, so a
single absolute time says little. Nothing here is an assertion; the tests hold no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROWS = """
import pytest
from pytest_pipeline import failure_mode
@pytest.mark.parametrize("n", range(10_000))
@failure_mode("my-row", phase=1, category="c", failure="f", diagnostic="d", fix="x")
def test_it(n, evidence): evidence(n=n)
"""
PLAIN = """
import pytest
@pytest.mark.parametrize("n", range(10_000))
def test_it(n): pass
"""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-pno:cacheprovider", "-pno:randomly")


def seconds(command: Sequence[str], folder: Path, **environment: str) -> float:
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False)
    return time.perf_counter() - started


def pairs(runs: int, first: Callable[[], float], second: Callable[[], float]) -> tuple[float, float, float]:
    """Return the medians of both, and of their differences pair by pair."""
    seen = [(first(), second()) for _ in range(runs)]
    return (
        statistics.median(one for one, _ in seen),
        statistics.median(two for _, two in seen),
        statistics.median(one - two for one, two in seen),
    )


OBSERVED = """
import json, pathlib, time
from pytest_pipeline.observers.observation import Observations
plain, seen = Observations._look, []
def look(self, observation):
    started = time.perf_counter()
    try:
        return plain(self, observation)
    finally:
        seen.append([observation.name, observation.needs, observation.effects, time.perf_counter() - started])
Observations._look = look
def pytest_unconfigure(): pathlib.Path("observed.json").write_text(json.dumps(seen))
"""


def preflight(folder: Path, runs: int) -> str:
    """Phases 1 and 2 beside the longest chain of observations, each behind those that it needs.

    The two that write come last, one after the other: a row starts them, and they share a key.
    """
    (folder / "observed.py").write_text(OBSERVED, encoding="utf-8")
    suite = (*PYTEST, "-pobserved", "--sandbox", "--stage=preflight", "--pyargs", "matrix_tests")
    here = {"PYTHONPATH": str(folder)}
    took, chains, ratios = [], [], []
    for _ in range(runs):
        start_up = seconds((*PYTEST, "--sandbox", "-mphase6", "--pyargs", "matrix_tests"), folder)
        wall = seconds(suite, folder, **here)
        observed = json.loads((folder / "observed.json").read_text(encoding="utf-8"))
        looking = {name: (needs, took_s) for name, needs, effects, took_s in observed if not effects}
        chain = longest_chain(looking) + sum(took_s for *_, effects, took_s in observed if effects)
        took.append(wall)
        chains.append(chain)
        ratios.append((wall - start_up) / chain)
    return (
        f"`pytest --sandbox --stage preflight` | {statistics.median(took):.2f} s; without start-up "
        f"{statistics.median(ratios):.2f} times its longest chain of {statistics.median(chains):.2f} s | 1.3 times"
    )


def longest_chain(observed: dict[str, tuple[list[str], float]]) -> float:
    def until(name: str) -> float:
        needs, took_s = observed[name]
        return took_s + max((until(need) for need in needs), default=0.0)

    return max(map(until, observed))


def phase_1(folder: Path, runs: int) -> str:
    suite = (*PYTEST, "--sandbox", "-mphase1", "--pyargs", "matrix_tests")
    empty = (*PYTEST, "-mphase1", "empty")
    (folder / "empty").mkdir()
    one, two, more = pairs(runs, lambda: seconds(suite, folder), lambda: seconds(empty, folder))
    return f"`pytest --sandbox -m phase1` | {one:.2f} s, an empty suite {two:.2f} s: {more:.2f} s more | 4 s more"


def rows(folder: Path, runs: int) -> str:
    (folder / "test_rows.py").write_text(ROWS, encoding="utf-8")
    (folder / "test_plain.py").write_text(PLAIN, encoding="utf-8")
    one, two, more = pairs(
        runs,
        lambda: seconds((*PYTEST, "test_rows.py"), folder),
        lambda: seconds((*PYTEST, "-pno:pipeline", "test_plain.py"), folder),
    )
    return f"10,000 trivial rows | {one:.2f} s, bare pytest {two:.2f} s: {more / 10:.2f} ms a row | 0.5 ms a row"


def asleep(folder: Path, runs: int) -> str:
    (folder / "test_one.py").write_text("def test_one(): pass\n", encoding="utf-8")
    one, two, more = pairs(
        4 * runs,
        lambda: seconds((*PYTEST, "test_one.py"), folder),
        lambda: seconds((*PYTEST, "-pno:pipeline", "test_one.py"), folder),
    )
    return f"asleep | {one * 1000:.0f} ms, without the plugin {two * 1000:.0f} ms: {more * 1000:.0f} ms more | 20 ms"


def black_hole(folder: Path, runs: int) -> str:
    """Cloud and host swallow every packet: a listener whose queue is full, which answers to no SYN."""
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        dead.listen(0)
        address = dead.getsockname()
        fillers = [socket.socket() for _ in range(3)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(address)
        port = address[1]
        command = (
            *PYTEST, "-mphase1", "--pyargs", "matrix_tests", "--instance-id=i-0123456789abcdef0",
            "--instance-ip=127.0.0.1", f"--pipeline-set=host.port={port}",
            f"--pipeline-set=aws.endpoint_url=http://127.0.0.1:{port}", "--pipeline-set=aws.region=us-east-1",
            '--pipeline-set=aws.buckets=[{name = "b", read = [""], from = ["operator"]}]',
            '--pipeline-set=requirements.disk."/mnt/training"={free_gb = 1, kinds = ["ebs"]}',
            f"--readiness-json={folder / 'r.json'}",
        )  # fmt: skip
        keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x"}
        took = statistics.median(seconds(command, folder, **keys) for _ in range(runs))
        for filler in fillers:
            filler.close()
    failed = (folder / "r.json").read_text(encoding="utf-8").split('"rows":')[1].count('"status": "failed"') // 2
    return f"cloud and host black-holed | verdict after {took:.1f} s, {failed} failed rows | 15 s, 2 rows"


LOOK = """
import sys
from pytest_pipeline.connections.local import open_local
from pytest_pipeline.observers.host import look_at_host
from pytest_pipeline.observers.host_request import HostRequest
for _ in range(int(sys.argv[2])):
    seen = look_at_host(open_local(), HostRequest(model=sys.argv[1], write_test=False), 30.0).model.value
    assert not [one for one in seen.findings if one.fatal], seen.findings
    print(seen.took_s)
"""


def model_files(folder: Path, runs: int) -> str:
    """Whole folders of real bytes with a tokenizer of Mistral's size; what the host itself needed to look at one."""
    took = {}
    for shards, size_gb in ((2, 0.07), (2, 1.0), (8, 1.0)):
        place = folder / f"{shards}-{size_gb}"
        make_model(place, shards, int(size_gb * 10**9))
        ran = subprocess.run(
            [sys.executable, "-c", LOOK, str(place), str(4 * runs)], capture_output=True, text=True, check=True
        )
        took[shards, size_gb] = statistics.median(map(float, ran.stdout.split()))
        shutil.rmtree(place)
    each = "; ".join(f"{shards} shards of {gb:g} GB together {s * 1000:.0f} ms" for (shards, gb), s in took.items())
    return f"model-files, on the host | {each} | 100 ms for 1 GB"


def make_model(place: Path, shards: int, size_bytes: int) -> None:
    place.mkdir()
    tensors = 291 // shards  # as many as Mistral 7B has
    each_bytes = size_bytes // shards // tensors // 2 * 2
    block = os.urandom(each_bytes)
    names = [f"model-{number:05}-of-{shards:05}.safetensors" for number in range(1, shards + 1)]
    places: dict[str, str] = {}
    for name in names:
        header = {
            f"{name}.{number}.weight": {
                "dtype": "BF16",
                "shape": [each_bytes // 2],
                "data_offsets": [number * each_bytes, (number + 1) * each_bytes],
            }
            for number in range(tensors)
        }
        places |= dict.fromkeys(header, name)
        text = json.dumps(header).encode()
        with (place / name).open("wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            for _ in range(tensors):
                file.write(block)
    index = {"metadata": {"total_size": each_bytes * tensors * shards}, "weight_map": places}
    (place / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    (place / "config.json").write_text('{"architectures": ["AnyForCausalLM"], "vocab_size": 32768}', encoding="utf-8")
    vocabulary = {f"token{number:05}": number for number in range(32768)}
    merges = [[f"tok{number:05}", "en"] for number in range(58980)]
    tokenizer = {"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}, "added_tokens": []}
    (place / "tokenizer.json").write_text(json.dumps(tokenizer, indent=2), encoding="utf-8")


START = """
import sys, time, pathlib
started = time.perf_counter()
from pytest_pipeline.sandbox.child import SandboxChild
child = SandboxChild()
child.start(pathlib.Path(sys.argv[1]))
ready = time.perf_counter() - started
child.open()
print(ready, time.perf_counter() - started, child.pid, flush=True)
sys.stdin.read()
"""


def sandbox(folder: Path, runs: int) -> str:
    ready, opened, gone = [], [], []
    for _ in range(runs):
        process = subprocess.Popen(
            [sys.executable, "-c", START, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        first, second, pid = process.stdout.readline().split()
        ready.append(float(first))
        opened.append(float(second))
        processes = family(int(pid))
        process.send_signal(signal.SIGKILL)
        killed = time.perf_counter()
        process.wait()
        while any(alive(one) for one in processes):
            time.sleep(0.005)  # nobody tells us of the end of a stranger's children
        gone.append(time.perf_counter() - killed)
    return (
        f"sandbox ready | {statistics.median(ready):.2f} s, a tenant open after {statistics.median(opened):.2f} s, "
        f"all gone {statistics.median(gone):.2f} s after SIGKILL | 1.0 s, 2 s"
    )


def family(pid: int) -> list[int]:
    children = [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]
    return [pid, *(one for child in children for one in family(child))]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print("| what | measured | must reach |\n|---|---|---|")
    for measure in (preflight, phase_1, model_files, rows, asleep, black_hole, sandbox):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
            print(f"| {measure(Path(folder), runs)} |", flush=True)


if __name__ == "__main__":
    main()
