"""The simulated host as a machine: its names, its processes, its locks and its shared memory are its own."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.sandbox.host_namespace import why_not
from pytest_pipeline.sandbox.plan import LOCK

if TYPE_CHECKING:
    from sandbox.conftest import OpenWorld

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"this machine has no namespaces for us: {why_not()}")


def test_nobody_outside_is_asked_for_a_name(open_world: OpenWorld) -> None:
    world = open_world()
    assert world.run("getent hosts localhost")[1].split()[0] in ("127.0.0.1", "::1")
    assert world.run("getent ahosts sandbox.invalid huggingface.co")[0] == 2
    assert "dns" not in world.run("grep ^hosts /etc/nsswitch.conf")[1]
    assert world.run("grep -c nameserver /etc/resolv.conf")[1].strip() == "0"


def test_its_processes_end_with_it(open_world: OpenWorld) -> None:
    world = open_world("stale-trainer")
    assert "train_mistral_simple.py" in world.run("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")[1]
    folder = world.run("readlink -f ~")[1].strip()
    world.close()
    seen = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert folder not in seen
    assert "train_mistral_simple.py" not in seen


def test_this_machines_processes_are_not_seen_on_it(open_world: OpenWorld) -> None:
    world = open_world()
    assert int(world.run("ls -d /proc/[0-9]* | wc -l")[1]) < 10


def test_a_lock_is_really_held(open_world: OpenWorld) -> None:
    assert open_world("stale-lock-held").run(f"flock -n {LOCK} true")[0] == 1
    assert open_world(variant="unlocked-lock-file").run(f"flock -n {LOCK} true")[0] == 0


def test_shared_memory_of_its_own(open_world: OpenWorld) -> None:
    assert open_world("shm-small").run("df -m --output=size /dev/shm | tail -1")[1].strip() == "16"
    code, _, errors = open_world("shm-littered").run("head -c 8M /dev/zero > /dev/shm/x")
    assert code != 0
    assert "No space left" in errors


def test_its_clock_is_off_for_its_interpreter(open_world: OpenWorld) -> None:
    ask = "python3 -I -c 'import time; print(int(time.time()), time.gmtime().tm_hour)'; date -u +'%s %H'"
    lines = open_world("clock-local-time").run(ask)[1].splitlines()
    (seen_s, seen_hour), (real_s, real_hour) = (map(int, line.split()) for line in lines)
    assert real_s - seen_s == pytest.approx(7 * 3600, abs=5)
    assert (real_hour - seen_hour) % 24 == 7
