"""Stages of a pipeline as real processes: what is told of them, and that nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from observers.stage_world import StageWorld, is_running, wait_for
from pytest_pipeline.observers import stage_keeper, stage_run
from pytest_pipeline.observers.scratch import scratch_copy
from pytest_pipeline.observers.stage_run import LeftProcess, StageUnknownError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Leaves its parent and its session, as daemons do, and tells its number.
DAEMON = """
import os, signal, sys, time
if os.fork(): sys.exit()
os.setsid()
if os.fork(): os._exit(0)
for number in map(int, sys.argv[1:]): signal.signal(number, signal.SIG_IGN)
open(os.environ["PIDS"], "a").write(f"{os.getpid()}\\n")
time.sleep(600)
"""
WAIT_FOR_IT = 'until [ -s "$PIDS" ]; do sleep 0.01; done'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[StageWorld]:
    source = tmp_path / "pipeline"
    source.mkdir()
    (source / "daemon.py").write_text(DAEMON)
    with scratch_copy(source, parent=tmp_path) as scratch:
        made = StageWorld(scratch=scratch, log=tmp_path / "stage.log", pids=tmp_path / "pids")
        yield made
        for pid in made.told():
            if is_running(pid):
                os.kill(pid, signal.SIGKILL)


def test_a_stage_that_succeeds(world: StageWorld) -> None:
    run = world.run("cat daemon.py | wc -l; echo said >&2; pwd; echo made > output")

    assert (run.exit_status, run.timed_out, run.ok) == (0, False, True)
    assert run.log_head == f"8\nsaid\n{world.scratch.workdir}\n"
    assert (run.log_tail, run.dropped_bytes, run.killed, run.left) == ("", 0, (), ())
    assert 0 < run.duration_s < 5
    assert world.log.read_text() == run.log_head
    assert (world.scratch.workdir / "output").read_text() == "made\n"


def test_a_stage_that_fails(world: StageWorld) -> None:
    run = world.run(["bash", "-c", 'echo "$1"; exit 7', "bash", "a word;"])

    assert (run.exit_status, run.ok, run.log_head) == (7, False, "a word;\n")


def test_a_signal_is_a_status_as_in_a_shell(world: StageWorld) -> None:
    assert world.run("kill -KILL $$").exit_status == 137


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        (["no-such-program"], 127, "no-such-program cannot be run: No such file or directory\n"),
        (["./daemon.py"], 126, "./daemon.py cannot be run: Permission denied\n"),
    ],
)
def test_a_program_that_cannot_be_run_is_a_failure(
    world: StageWorld, command: list[str], status: int, said: str
) -> None:
    run = world.run(command)

    assert (run.exit_status, run.ok, run.log_head) == (status, False, said)


def test_the_deadline_ends_a_stage_and_its_children(world: StageWorld) -> None:
    started = time.monotonic()
    run = world.run('sleep 600 & echo $! $$ > "$PIDS"; wait', timeout_s=1.5)

    assert time.monotonic() - started < 8
    assert (run.exit_status, run.timed_out, run.ok) == (143, True, False)
    assert 1.5 <= run.duration_s < 5
    assert sorted(one.command for one in run.killed) == ["bash", "sleep"]
    assert len(world.told()) == 2
    assert not any(map(is_running, world.told()))


def test_a_stage_may_clean_up_at_the_deadline(world: StageWorld) -> None:
    run = world.run("trap 'echo cleaned up; exit 3' TERM; echo started; sleep 600 & wait", timeout_s=1.5, grace_s=5)

    assert (run.exit_status, run.timed_out, run.log_head) == (3, True, "started\ncleaned up\n")


def test_who_was_too_slow_is_not_right_for_ending_well_when_asked(world: StageWorld) -> None:
    run = world.run("trap 'exit 0' TERM; sleep 600 & wait", timeout_s=1.5, grace_s=5)

    assert (run.exit_status, run.timed_out, run.ok) == (0, True, False)


def test_who_does_not_listen_is_killed(world: StageWorld) -> None:
    run = world.run("trap '' TERM; echo $$ > $PIDS; while :; do sleep 600; done", timeout_s=1.5)

    assert (run.exit_status, run.timed_out) == (137, True)
    assert not any(map(is_running, world.told()))


def test_a_stopped_stage_hears_that_it_is_to_end(world: StageWorld) -> None:
    assert world.run("kill -STOP $$", timeout_s=1.5, grace_s=5).exit_status == 143


@pytest.mark.parametrize("deaf", ["", str(int(signal.SIGTERM))], ids=["listens", "deaf"])
@pytest.mark.parametrize("clean", ["", "env -i PATH=$PATH PIDS=$PIDS"], ids=["marked", "unmarked"])
def test_a_daemon_that_a_stage_leaves_is_ended_and_told_of(world: StageWorld, deaf: str, clean: str) -> None:
    run = world.run(f"{clean} {sys.executable} daemon.py {deaf}; {WAIT_FOR_IT}; echo done")

    (pid,) = world.told()
    assert (run.exit_status, run.log_head) == (0, "done\n")
    assert run.killed == (LeftProcess(pid=pid, command=f"{Path(sys.executable).name} daemon.py"),)
    assert run.left == ()
    assert not is_running(pid)


def test_who_ends_by_itself_soon_after_is_no_leftover(world: StageWorld) -> None:
    started = time.monotonic()
    run = world.run("sleep 0.3 & echo done", settle_s=10)

    assert time.monotonic() - started < 5
    assert (run.killed, run.log_head) == ((), "done\n")


def test_what_others_started_on_the_stages_behalf_is_found_by_its_mark(world: StageWorld) -> None:
    """A server that was there before may start a process with the stage's environment, as tmux does."""
    seen = world.pids.with_name("environ")
    elsewhere: list[subprocess.Popen[bytes]] = []

    def serve() -> None:
        wait_for(seen.exists)
        wait_for(lambda: seen.read_bytes().endswith(b"\0"))
        environment = dict(entry.partition("=")[::2] for entry in seen.read_text().split("\0") if entry)
        elsewhere.append(subprocess.Popen(["sleep", "600"], env=environment))
        world.pids.write_text(str(elsewhere[0].pid))

    server = threading.Thread(target=serve)
    server.start()
    run = world.run(f"cat /proc/$$/environ > {seen}; {WAIT_FOR_IT}")
    server.join()

    assert run.killed == (LeftProcess(pid=elsewhere[0].pid, command="sleep"),)
    assert elsewhere[0].wait() == -signal.SIGTERM


def test_another_stage_of_the_same_run_is_left_alone(world: StageWorld, tmp_path: Path) -> None:
    with scratch_copy(world.scratch.workdir, parent=tmp_path) as scratch:
        other = StageWorld(scratch=scratch, log=tmp_path / "other.log", pids=tmp_path / "others")
        runs = []
        beside = threading.Thread(target=lambda: runs.append(other.run(f"touch {tmp_path}/there; sleep 1")))
        beside.start()
        wait_for((tmp_path / "there").exists)
        world.run("true")
        beside.join()

    assert (runs[0].exit_status, runs[0].killed) == (0, ())


def test_a_flood_of_output_is_bounded(world: StageWorld) -> None:
    run = world.run("echo first; head -c 30000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo; echo last")

    assert run.ok
    assert run.log_head.startswith("first\nxxx")
    assert run.log_tail.endswith("x\nlast\n")
    assert run.dropped_bytes > 29_000_000
    assert world.log.stat().st_size < 300_000
    total = len("first\n") + 30_000_000 + 30_000_000 // 99 + len("\nlast\n")
    assert len(run.log_head) + len(run.log_tail) + run.dropped_bytes == total
    between = f"\n[... {run.dropped_bytes:,} bytes dropped ...]\n"
    assert world.log.read_text() == run.log_head + between + run.log_tail


def test_secrets_are_in_no_output(world: StageWorld) -> None:
    def redact(text: str) -> str:
        return text.replace("hunter2", "***")

    run = world.run(
        "echo pass: hunter2; echo key: $AWS_SECRET_ACCESS_KEY; exec -a hunter2 sleep 9", timeout_s=1.5, redact=redact
    )

    assert run.log_head == world.log.read_text() == "pass: ***\nkey: ***\n"
    assert [one.command for one in run.killed] == ["***"]


def test_a_stage_has_the_sandboxs_variables_and_not_the_operators(world: StageWorld) -> None:
    operators = {"PATH": os.environ["PATH"], "AWS_PROFILE": "production", "SLACK_WEBHOOK_URL": "https://x", "LANG": "C"}
    run = world.run("env", operators=operators, MINE="1")

    found = dict(line.split("=", 1) for line in run.log_head.splitlines())
    assert {"AWS_PROFILE", "SLACK_WEBHOOK_URL"} & found.keys() == set()
    assert (found["LANG"], found["MINE"], found["PIPELINE_GATE_RUN"]) == ("C", "1", "gate-1")
    assert found["TMPDIR"] == str(world.scratch.temporary)


def test_what_leaves_this_machine_is_refused(world: StageWorld) -> None:
    look = "import urllib.request as u; print(u.getproxies()['https']); u.urlopen('https://example.com', timeout=9)"
    run = world.run([sys.executable, "-c", look])

    assert run.exit_status == 1
    assert "Connection refused" in run.log_head
    assert run.log_head.startswith("http://127.0.0.1:")


def test_a_stage_has_no_input_to_wait_for(world: StageWorld) -> None:
    assert world.run("cat; echo asked").log_head == "asked\n"


GATE = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # where pytest runs, it may be ignored
from pathlib import Path
from observers.stage_world import StageWorld, wait_for
from pytest_pipeline.observers.scratch import scratch_copy
folder, forks = Path(sys.argv[1]), sys.argv[2] == "forks"
def fork():
    wait_for(lambda: len(world.told()) == 3)
    if not os.fork():
        (folder / "forked").write_text(str(os.getpid()))
        time.sleep(600)
with scratch_copy(folder / "pipeline", parent=folder / "copies") as scratch:
    world = StageWorld(scratch=scratch, log=folder / "log", pids=folder / "pids")
    if forks:
        threading.Thread(target=fork).start()
    daemons = f"{sys.executable} daemon.py 15; {sys.executable} daemon.py"
    until = 'until [ "$(wc -l < $PIDS)" = 2 ]; do sleep 0.01; done 2> /dev/null'
    command = f"trap 'echo last words; exit' TERM; {daemons}; {until}; echo $$ >> $PIDS; sleep 600 & wait"
    world.run(command, timeout_s=600)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A gate in the middle of a stage, which has two daemons."""

    process: subprocess.Popen[bytes]
    folder: Path
    world: StageWorld

    def is_gone(self) -> bool:
        """Whether nothing of the stage is left."""
        return not any(map(is_running, self.world.told())) and not [*(self.folder / "copies").iterdir()]


@pytest.fixture
def start_gate(tmp_path: Path) -> Iterator[Callable[[str], Gate]]:
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "copies").mkdir()
    (tmp_path / "pipeline" / "daemon.py").write_text(DAEMON)
    world = StageWorld(scratch=None, log=tmp_path / "log", pids=tmp_path / "pids")  # type: ignore[arg-type]  # the gate's
    gates = []

    def start(kind: str) -> Gate:
        path = os.pathsep.join((str(Path(__file__).parents[1]), *filter(None, sys.path)))
        argv = [sys.executable, "-c", GATE, str(tmp_path), kind]
        gates.append(subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": path}, start_new_session=True))
        wait_for(lambda: len(world.told()) == 3)
        return Gate(process=gates[0], folder=tmp_path, world=world)

    yield start
    for pid in (gates[0].pid, *world.told()):
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)
    gates[0].wait()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_nothing_outlives_a_gate_that_is_ended(start_gate: Callable[[str], Gate], number: int) -> None:
    gate = start_gate("alone")
    os.kill(gate.process.pid, number)

    wait_for(gate.is_gone)
    assert gate.process.wait() == -number


def test_an_interrupted_gate_still_takes_the_last_words(start_gate: Callable[[str], Gate]) -> None:
    gate = start_gate("alone")
    gate.process.send_signal(signal.SIGINT)
    gate.process.wait()

    assert gate.world.log.read_text() == "last words\n"


def test_what_a_killed_gate_has_forked_does_not_keep_the_stage_alive(start_gate: Callable[[str], Gate]) -> None:
    gate = start_gate("forks")
    wait_for(lambda: (gate.folder / "forked").exists() and (gate.folder / "forked").read_text())
    forked = int((gate.folder / "forked").read_text())
    try:
        gate.process.kill()
        wait_for(gate.is_gone)
        assert is_running(forked)
    finally:
        os.kill(forked, signal.SIGKILL)


def test_a_stage_dies_also_with_gate_and_keeper_both(start_gate: Callable[[str], Gate]) -> None:
    gate = start_gate("alone")
    own = gate.world.told()[2]
    keeper = keeper_of(own)
    gate.process.send_signal(signal.SIGSTOP)  # so that it can do nothing about it
    os.kill(keeper, signal.SIGKILL)
    wait_for(lambda: not is_running(own))
    gate.process.send_signal(signal.SIGCONT)

    wait_for(gate.is_gone)


def keeper_of(pid: int) -> int:
    """Return the parent of a stage's own process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_killed_keeper_is_unknown_and_the_stage_is_ended(world: StageWorld) -> None:
    said: list[str] = []

    def kill() -> None:
        wait_for(lambda: len(world.told()) == 2)
        os.kill(keeper_of(world.told()[1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        world.run(f"{sys.executable} daemon.py; {WAIT_FOR_IT}; echo $$ >> $PIDS; sleep 600")
    except StageUnknownError as error:
        said.append(str(error))
    killer.join()

    assert said == ["what ran stage prepare was killed (out of memory?); the stage was ended"]
    wait_for(lambda: not any(map(is_running, world.told())), patience_s=1)


def test_a_keeper_that_is_stopped_is_not_waited_for_without_end(
    world: StageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_run, "_KEEPER_S", 0.2)
    monkeypatch.setattr(stage_keeper, "KILL_S", 0.2)

    with pytest.raises(StageUnknownError):
        world.run("echo $$ > $PIDS; kill -STOP $PPID; sleep 600", timeout_s=0.5)
    wait_for(lambda: not any(map(is_running, world.told())), patience_s=1)


def test_elsewhere_than_on_linux_nothing_is_run(world: StageWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    with pytest.raises(StageUnknownError) as caught:
        world.run("touch ran")
    assert str(caught.value) == "stage prepare was not run: what it starts can be found and ended on Linux only"
    assert not (world.scratch.workdir / "ran").exists()
