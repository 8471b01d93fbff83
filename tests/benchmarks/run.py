"""The figures of docs/benchmarks.md: `python tests/benchmarks/run.py [--runs N]`.

Whole processes, in pairs, one after the other in one run, medians: the machines this runs on share their cores, so a
single absolute time says little. Nothing here is an assertion; the tests hold no figure.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import statistics
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
    for measure in (preflight, phase_1, rows, asleep, black_hole, sandbox):
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
            os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
            print(f"| {measure(Path(folder), runs)} |", flush=True)


if __name__ == "__main__":
    main()
