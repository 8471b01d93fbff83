"""What loads a host has it to itself: one gate a host, no live run, no stranger on its GPUs; nothing is left there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from context_builders import A10G_UUID, card, smi
from test_company import machine, on_gpu, process, running

from pytest_pipeline.observers.gpu_readings import GpuPresence, Smi
from pytest_pipeline.observers.host_answer import Printed, decode_company
from pytest_pipeline.observers.host_readings import Company, HostLock
from pytest_pipeline.observers.host_request import SystemRequest
from pytest_pipeline.observers.interlock import require_alone, turn
from pytest_pipeline.outcome import Blocked, Reading
from pytest_pipeline.sandbox.host_namespace import why_not

if TYPE_CHECKING:
    from pathlib import Path

    from runner import Runner

HERE = Reading.of(GpuPresence(program="/usr/bin/nvidia-smi", device_files=1, cards=1))
NOBODY = Company(lock=Reading.of(HostLock(taken=True)), gpu_presence=HERE, gpus=smi(card()), system=machine())
needs_namespaces = pytest.mark.skipif(bool(why_not()), reason=f"no namespaces here: {why_not()}")


def blocked(company: Company, *, share: bool = False, used: set[str] | None = None) -> tuple[str, str, str]:
    with pytest.raises(Blocked) as caught:
        require_alone(company, used, share=share)
    return caught.value.reason, caught.value.by, caught.value.remedy


def test_nobody_else_is_there() -> None:
    require_alone(NOBODY, None, share=False)


def test_another_gate_is_there_also_for_those_who_insist() -> None:
    locked = HostLock(taken=False, pid=812, holder="laptop, run gate-1")
    for share in (False, True):
        assert blocked(replace(NOBODY, lock=Reading.of(locked)), share=share) == (
            "the gate of laptop, run gate-1 (pid 812) has the host to itself", "co-tenants", "on the host: ps -fp 812"
        )  # fmt: skip
    unseen = replace(NOBODY, lock=Reading.of(HostLock(taken=False)))
    for share in (False, True):
        assert blocked(unseen, share=share) == ("somebody who cannot be seen has the host to itself", "co-tenants", "")


def test_somebody_who_locks_and_is_no_gate_may_be_insisted_on() -> None:
    locked = replace(NOBODY, lock=Reading.of(HostLock(taken=False, pid=7, folder="/dev/shm")))
    assert blocked(locked) == (
        "pid 7, which is no gate, holds a lock on /dev/shm; --share-host to insist",
        "co-tenants",
        "on the host: fuser -v /dev/shm",
    )
    require_alone(locked, None, share=True)


def test_a_run_is_alive_there() -> None:
    alive = replace(NOBODY, system=machine(processes=running(process(7, "python3 train.py"))))
    assert blocked(alive) == (
        "a run is alive on the host: pid 7 (bob, python3 train.py); --share-host to insist",
        "stale-processes",
        "on the host: ps -fp 7",
    )
    require_alone(alive, None, share=True)


def test_somebody_computes_on_a_gpu_that_the_pipeline_uses() -> None:
    shared = replace(NOBODY, gpus=smi(card(), card(on_gpu(9), index=1, uuid="GPU-other")))
    assert blocked(shared) == (
        "pid 9 (/usr/bin/python3) computes on GPU 1, holding 12.8GB; --share-host to insist",
        "co-tenants",
        "on the host: ps -fp 9",
    )
    require_alone(shared, {A10G_UUID.removeprefix("GPU-")}, share=False)
    require_alone(shared, None, share=True)


def test_a_host_without_a_gpu_has_nobody_on_it() -> None:
    none = Reading.of(GpuPresence(program="", device_files=0, cards=0))
    require_alone(replace(NOBODY, gpu_presence=none, gpus=Reading.missing("none", by="cuda")), None, share=False)


@pytest.mark.parametrize(
    ("changed", "owner"),
    [
        ({"lock": Reading.missing("Permission denied", by="co-tenants")}, "co-tenants"),
        ({"system": replace(machine(), processes=Reading.missing("late", by="stale-processes"))}, "stale-processes"),
        ({"gpus": Reading[Smi].missing("nvidia-smi ended with 9", by="cuda")}, "cuda"),
    ],
)
def test_what_cannot_be_told_is_not_nobody(changed: dict[str, Any], owner: str) -> None:
    assert blocked(replace(NOBODY, **changed))[1] == owner


@pytest.mark.parametrize("stdout", [b"", b"@@pipeline-shell n@@\n", b'@@pipeline-facts n@@{"value": {}}@@end n@@'])
def test_a_host_that_does_not_answer_is_not_ours(stdout: bytes) -> None:
    company = decode_company(Printed(nonce="n", stdout=stdout), SystemRequest())
    assert not company.lock.is_known
    assert not company.system.processes.is_known


def test_rows_of_one_run_wait_for_each_other(tmp_path: Path) -> None:
    file = tmp_path / "alone.lock"
    with (
        turn(file, patience_s=9),
        pytest.raises(Blocked, match=r"other rows of this run have had the host to themselves for 0\.1 s"),
        turn(file, patience_s=0.1),
    ):
        pytest.fail("two rows had it at once")
    with turn(file, patience_s=0.1):
        pass


ASKED = """
import fcntl, glob, os
names = [open(path, "rb").read().split(b"\\0")[-2:-1] for path in glob.glob("/proc/[0-9]*/cmdline")]
holders = [name[0].decode() for name in names if name and name[0].startswith(b"pipeline-gate")]
try:
    fcntl.flock(os.open("/dev/shm", os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print(holders, "free", os.listdir("/dev/shm"))
except BlockingIOError:
    print(holders, "held", os.listdir("/dev/shm"))
"""
ROWS = f"""
ASKED = {ASKED!r}

@row("load", fix="Wait")
@pytest.mark.parametrize("part", ["one", "two"])
def test_load(gpu_host, evidence, part):
    with gpu_host.alone() as host:
        evidence(meanwhile=host.probe(ASKED).stdout.decode())
    evidence(afterwards=gpu_host.probe(ASKED).stdout.decode())
"""
LOST = """
import glob, os, signal
for path in glob.glob("/proc/[0-9]*/cmdline"):
    if b"\\0pipeline-gate of " in open(path, "rb").read():
        os.kill(int(path.split("/")[2]), signal.SIGKILL)
"""
OTHER_GATE = """
import fcntl, os, subprocess, sys
again = "import fcntl, os, time; fcntl.flock(os.open('/dev/shm', 0), 2); print('locked', flush=True); time.sleep(99)"
argv = [sys.executable, "-c", again, "pipeline-gate of laptop, run gate-1"]
child = subprocess.Popen(argv, stdin=-3, stdout=-1, stderr=-3, start_new_session=True)
assert child.stdout.readline() == b"locked\\n"
"""


@needs_namespaces
def test_the_host_is_held_while_a_row_loads_it_and_nothing_is_left_there(pipeline: Runner) -> None:
    made = replace(pipeline, subprocess=True).run(ROWS, "--sandbox")

    assert made.statuses == {"load": "passed"}
    cases = made.rows["load"]["cases"]
    assert len(cases) == 2
    for case in cases:
        assert case["evidence"]["meanwhile"].startswith("['pipeline-gate of ")
        assert made.report["run_id"] in case["evidence"]["meanwhile"]
        assert case["evidence"]["meanwhile"].endswith("] held []\n")
        assert "] free []" in case["evidence"]["afterwards"] or "] held []" in case["evidence"]["afterwards"]


@needs_namespaces
def test_a_lock_that_was_lost_meanwhile_is_not_passed_over(one_process: Runner) -> None:
    """The kernel may kill its holder, as it does where a row fills the memory."""
    made = replace(one_process, subprocess=True).run(ROWS.replace("probe(ASKED)", f"probe({LOST!r})", 1), "--sandbox")

    assert made.rows["load"]["status"] == "blocked"
    assert "the lock on the host was lost meanwhile" in made.rows["load"]["why"]


@needs_namespaces
def test_a_holder_of_the_lock_is_no_run_whatever_the_components_are_called(one_process: Runner) -> None:
    components = '--pipeline-set=pipeline.components=[{name = "any", match = "train|torchrun|gate|launch"}]'
    made = replace(one_process, subprocess=True).run(
        """
@row("look")
def test_look(gpu_host, evidence):
    with gpu_host.alone():
        pass

@row("other")
def test_other(gpu_host, evidence):
    from pytest_pipeline.observers.host import locked_host
    from pytest_pipeline.observers.host_request import SystemRequest
    connection, asked = gpu_host._open().connection, SystemRequest(components={"any": "train|torchrun|gate|launch"})
    with locked_host(connection, asked, 20.0, name="laptop"), locked_host(connection, asked, 20.0, name="me") as seen:
        evidence(runs=len(seen.system.processes.value.runs), taken=seen.lock.value.taken, who=seen.lock.value.holder)
""",
        "--sandbox",
        components,
    )

    assert made.rows["look"]["status"] == "passed"
    assert made.rows["other"]["cases"][0]["evidence"] == {"runs": 0, "taken": False, "who": "laptop"}


def test_it_is_not_taken_twice(one_process: Runner) -> None:
    made = one_process.run("""
@row("twice")
def test_twice(gpu_host):
    gpu_host._mine.acquire()
    with gpu_host.alone():
        pass
""", "--pipeline-set=host.connection=local", "--pipeline-set=host.kind=other")  # fmt: skip

    assert "gpu_host.alone() inside of another one: the host is ours already" in made.text


@needs_namespaces
def test_another_gate_on_the_host_blocks_the_row_and_is_named(one_process: Runner) -> None:
    starts = f"    gpu_host.probe({OTHER_GATE!r})\n    with gpu_host.alone() as host:"
    made = replace(one_process, subprocess=True).run(
        ROWS.replace("    with gpu_host.alone() as host:", starts), "--sandbox", "--share-host"
    )

    assert made.rows["load"]["blocked_by"] == "co-tenants"
    assert "the gate of laptop, run gate-1 (pid " in made.rows["load"]["why"]


@needs_namespaces
@pytest.mark.parametrize(
    ("fault", "by", "words"),
    [
        ("tenants-gpu", "co-tenants", "computes on GPU 0"),
        ("stale-trainer", "stale-processes", "a run is alive on the host"),
    ],
)
def test_strangers_and_live_runs_block_the_row_unless_somebody_insists(
    one_process: Runner, fault: str, by: str, words: str
) -> None:
    alone = replace(one_process, subprocess=True)
    made = alone.run(ROWS, f"--inject={fault}")
    assert (made.rows["load"]["status"], made.rows["load"]["blocked_by"]) == ("blocked", by)
    assert words in made.rows["load"]["why"]
    assert "--share-host to insist" in made.rows["load"]["why"]

    assert alone.again(f"--inject={fault}", "--share-host").statuses == {"load": "passed"}
