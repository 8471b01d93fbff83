"""Processes: which are of the pipeline, which are the gate's own, and what of their command lines leaves the host."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from probe_parts import part

if TYPE_CHECKING:
    from pathlib import Path

NONCE = "n0nce"
ITSELF = 700
TRAIN = {"train": r"train_mistral_simple\.py .*--run-id {run_id}"}
TRAINER = ["python3", "-u", "train_mistral_simple.py", "--batch-size", "1", "--run-id", "mistral-20250801-101500"]


class Proc:
    """A /proc of our own making, in which the probe is process 700, a child of a shell and of sshd."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "uptime").write_text("5000.25 9000.00\n")
        (folder / "self").symlink_to(str(ITSELF))
        self.add(1, argv=["/sbin/init"], parent=0)
        self.add(500, argv=["sshd: ubuntu@notty"], parent=1)
        self.add(600, argv=["bash", "-c", "exec python3 -I -"], parent=500)
        self.add(ITSELF, argv=["python3", "-I", "-"], parent=600)

    def add(self, pid: int, *, argv: list[str], parent: int = 1, **more: Any) -> None:
        folder = self.folder / str(pid)
        (folder / "ns").mkdir(parents=True)
        (folder / "ns" / "pid").symlink_to(more.get("namespace", "pid:[1]"))
        fields = ["0"] * 50
        fields[0], fields[1], fields[6] = more.get("state", "S"), str(parent), str(more.get("flags", 0))
        fields[19], fields[21] = str(more.get("started", 100)), str(more.get("pages", 10))
        (folder / "stat").write_text(f"{pid} ({more.get('name', 'python3')}) {' '.join(fields)}\n")
        (folder / "cmdline").write_text("".join(f"{word}\0" for word in argv))
        (folder / "environ").write_text(more.get("environ", "HOME=/root\0"))

    def look(self, components: dict[str, str] | None = None) -> Any:
        return self.module().look(TRAIN if components is None else components, NONCE, str(self.folder))

    def module(self) -> Any:
        module = part("processes")
        module.os = _Os()
        return module


class _Os:
    """The real os, in a process whose id is the probe's."""

    def __getattr__(self, name: str) -> Any:
        return (lambda: ITSELF) if name == "getpid" else getattr(os, name)


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


def test_a_component_is_matched_by_its_whole_command_line_with_any_run(proc: Proc) -> None:
    proc.add(4000, argv=TRAINER, started=1000, pages=1000)
    proc.add(4001, argv=["python3", "train_mistral_simple.py", "--help"])
    answer = proc.look()
    [found] = answer["components"]
    assert (found["pid"], found["component"], found["gate"], found["state"]) == (4000, "train", False, "S")
    assert found["command"] == "python3 train_mistral_simple.py"
    assert found["resident_bytes"] == 1000 * os.sysconf("SC_PAGE_SIZE")
    assert found["age_s"] == pytest.approx(5000.25 - 1000 / os.sysconf("SC_CLK_TCK"))
    assert [one["pid"] for one in answer["trainers"]] == [4001]


def test_arguments_stay_on_the_host(proc: Proc) -> None:
    proc.add(4000, argv=[*TRAINER, "--hub-token", "hf_secret"])
    proc.add(4001, argv=["curl", "-H", "Authorization: Bearer hf_secret", "https://x"], pages=9999)
    proc.add(4002, argv=["bash", "-c", "TOKEN=hf_secret ./train.sh"], pages=9999)
    proc.add(4003, argv=["bash", "-s", "hf_secret"], pages=9999)
    assert "hf_secret" not in json.dumps(proc.look())


def test_the_gate_itself_and_what_it_started_is_marked(proc: Proc) -> None:
    proc.add(4000, argv=TRAINER, parent=ITSELF)
    proc.add(4001, argv=TRAINER, parent=4000)
    proc.add(4002, argv=TRAINER, environ=f"A=b\0GATE={NONCE}\0")
    proc.add(4003, argv=TRAINER, parent=500)
    assert {one["pid"]: one["gate"] for one in proc.look()["components"]} == {
        4000: True, 4001: True, 4002: True, 4003: False,
    }  # fmt: skip


def test_the_launcher_that_runs_the_gate_is_the_gates_own(proc: Proc, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "600")
    proc.add(600, argv=["bash", "launch_training.sh"], parent=500)
    [launcher] = proc.look()["trainers"]
    assert launcher["gate"] is True


def test_the_dead_and_the_kernels_own_match_nothing(proc: Proc) -> None:
    proc.add(4000, argv=[], state="Z", name="train.py")
    proc.add(4001, argv=[], flags=0x00200000, name="kworker/0:1-train")
    answer = proc.look()
    assert (answer["components"], answer["trainers"], answer["total"]) == ([], [], 5)


def test_a_name_with_brackets_and_blanks(proc: Proc) -> None:
    proc.add(4000, argv=[], name="a) S 1 (b", pages=99999)
    assert proc.look()["largest"][0]["command"] == "a) S 1 (b"


def test_what_ends_while_it_is_read_is_left_out(proc: Proc, tmp_path: Path) -> None:
    proc.add(4000, argv=TRAINER)
    (tmp_path / "4000" / "cmdline").unlink()
    assert proc.look()["components"] == []


def test_hidden_processes_are_said_to_be_hidden(proc: Proc, tmp_path: Path) -> None:
    assert proc.look()["hidden"] is False
    module = proc.module()

    def forbidding(path: str, *more: Any, **options: Any) -> Any:
        if "/4000/" in path:
            raise PermissionError(13, "Operation not permitted", path)
        return open(path, *more, **options)  # noqa: PTH123  # stands for the built-in one

    proc.add(4000, argv=TRAINER)
    module.open = forbidding
    answer = module.look(TRAIN, NONCE, str(tmp_path))
    assert (answer["hidden"], answer["components"]) == (True, [])
    shutil.rmtree(tmp_path / "1")  # with hidepid=2 they are not even listed
    shutil.rmtree(tmp_path / "4000")
    assert proc.look()["hidden"] is True


def test_in_a_proc_of_another_namespace_only_our_own_processes_count(proc: Proc, tmp_path: Path) -> None:
    proc.add(4000, argv=TRAINER, namespace="pid:[2]")
    proc.add(4001, argv=TRAINER)
    (tmp_path / "self").unlink()
    (tmp_path / "self").symlink_to("600")
    assert [one["pid"] for one in proc.look()["components"]] == [4001]


def test_a_pattern_that_the_hosts_python_does_not_know_is_an_error_and_no_answer(proc: Proc) -> None:
    with pytest.raises(Exception, match="unterminated"):
        proc.look({"train": "tra(in"})


def test_whose_a_process_on_a_gpu_is(proc: Proc, tmp_path: Path) -> None:
    proc.add(4000, argv=["python3", "serve.py"])
    proc.add(4001, argv=["python3", "-I", "-"], parent=ITSELF)
    proc.add(4002, argv=["python3", "-B", "-c", "import sys", NONCE])  # in a container it descends from its daemon
    proc.add(4003, argv=["python3", "-B"], environ=f"A=b\0GATE={NONCE}\0")
    owners = proc.module().owners([4000, 4001, 4002, 4003, 99999], NONCE, complete=False, proc=str(tmp_path))
    assert {one["pid"]: one["gate"] for one in owners} == {4000: False, 4001: True, 4002: True, 4003: True}
    assert part("processes").owners([], NONCE, complete=True, proc="/nowhere") == []


def test_what_was_on_a_gpu_and_has_ended_is_said_to_have_ended(proc: Proc, tmp_path: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    ask = proc.module().owners
    [gone] = ask([child.pid], NONCE, complete=True, proc=str(tmp_path))
    assert (gone["pid"], gone["state"]) == (child.pid, "X")
    assert ask([child.pid], NONCE, complete=False, proc=str(tmp_path)) == [], "it may be one of another container"
    assert ask([os.getppid()], NONCE, complete=True, proc=str(tmp_path)) == [], "it lives, and is hidden"


def test_who_looks_at_a_components_script_is_no_component(proc: Proc) -> None:
    proc.add(4000, argv=["tail", "-f", "train.py"])
    proc.add(4001, argv=["vim", "/srv/train.py"])
    assert proc.look({"train": r"train\.py"})["components"] == []
    assert [one["pid"] for one in proc.look({"ship": r"tail -f .*\.py"})["components"]] == [4000]


@pytest.mark.parametrize(
    "argv",
    [
        ["python3", "train.py"],
        ["python3.11", "-u", "-X", "dev", "/srv/app/run_pretraining.py"],
        ["/usr/bin/python", "-m", "torch.distributed.run", "x.py"],
        ["python", "-um", "axolotl.cli.train", "c.yml"],
        ["/opt/bin/python3", "/opt/bin/torchrun", "--nproc-per-node", "8", "x.py"],
        ["accelerate", "launch", "x.py"],
        ["python3", "/usr/local/bin/accelerate", "launch", "x.py"],
        ["deepspeed", "x.py"],
        ["/bin/bash", "launch_training.sh"],
        ["python3", "finetune_qwen.py"],
        ["python3", "fine-tune.py"],
        ["./train"],
        ["python3", "-O", "train.py"],
        ["python3", "-Xfrozen_modules=off", "-Wonce", "train.py"],
        ["python3", "-X", "importtime", "-W", "error", "train.py"],
        ["bash", "-euo", "pipefail", "train.sh"],
        ["bash", "+o", "posix", "-O", "extglob", "train.sh"],
        ["sh", "--", "train.sh"],
        ["python3", "-m", "cProfile", "-o", "out.prof", "train.py"],
        ["python3", "-m", "debugpy", "--listen", "5678", "-m", "sft_train"],
    ],
)
def test_what_looks_like_a_training_run(argv: list[str]) -> None:
    assert part("processes").is_trainer(argv)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        [""],
        ["vim", "train.py"],
        ["tail", "-f", "training.log"],
        ["python3", "serve.py", "--train"],
        ["python3", "trainee_portal.py"],
        ["python3", "trains_timetable.py"],
        ["python3", "constrain.py"],
        ["python3", "-c", "import train"],
        ["bash", "-lc", "python3 train.py"],
        ["bash", "-euo", "train", "serve.sh"],
        ["python3", "-m", "cProfile", "serve.py", "train.py"],
        ["accelerate", "config"],
        ["python3", "-m", "pytest", "tests/test_training.py"],
        ["sshd: train@pts/0"],
        ["/usr/sbin/cron", "-f"],
    ],
)
def test_what_does_not(argv: list[str]) -> None:
    assert not part("processes").is_trainer(argv)


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ([], "comm"),
        (["/usr/bin/python3", "-u", "/srv/train.py", "--token", "x"], "python3 train.py"),
        (["python3", "-m", "http.server", "8000"], "python3 -m http.server"),
        (["python3", "-"], "python3 -"),
        (["bash", "-c", "secret"], "bash -c"),
        (["torchrun", "--nproc-per-node", "8", "/srv/x.py", "--key", "x"], "torchrun x.py"),
        (["nginx: worker process"], "nginx:"),
        (["x" * 100], "x" * 60),
    ],
)
def test_how_a_process_is_shown(argv: list[str], shown: str) -> None:
    assert part("processes").command(argv, "comm") == shown


def test_a_real_process_that_nobody_of_ours_started(tmp_path: Path) -> None:
    script = tmp_path / "train_real.py"
    script.write_text("import signal\nprint(flush=True)\nsignal.pause()\n")
    # The shell ends at once, so that the process descends from nobody of the test's.
    begin = f'(exec setsid "{sys.executable}" "{script}" & echo $! >&2)'
    started = subprocess.Popen(["sh", "-c", begin], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stderr is not None
    pid = int(started.stderr.readline())
    try:
        assert started.stdout.readline() == "\n"
        found = {one["pid"]: one for one in part("processes").look({}, NONCE)["trainers"]}
        assert found[pid]["gate"] is False
        assert found[pid]["command"].endswith("train_real.py")
    finally:
        os.kill(pid, signal.SIGKILL)
        started.communicate()
    assert pid not in {one["pid"] for one in part("processes").look({}, NONCE)["trainers"]}
