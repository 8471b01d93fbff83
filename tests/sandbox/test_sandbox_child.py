"""The sandbox's life: it starts when asked, answers or says why not, and never outlives its parent."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.sandbox.child import SandboxChild, SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LINUX = sys.platform.startswith("linux")

PARENT = """
import json, pathlib, sys, time
from pytest_pipeline.sandbox.child import SandboxChild
child = SandboxChild()
child.start(pathlib.Path(sys.argv[1]))
tenant = child.open()
print(json.dumps({"pid": child.pid, "host": dict(tenant.settings["host"])}), flush=True)
time.sleep(600)
"""
CARELESS_PARENT = """
import json, pathlib, subprocess, sys, time
from pytest_pipeline.sandbox.child import SandboxChild
child = SandboxChild()
child.start(pathlib.Path(sys.argv[1]))
child.open()
pipe = child._process.stdin.fileno()
holder = subprocess.Popen(["sleep", "600"], pass_fds=[pipe], stdout=subprocess.DEVNULL)
print(json.dumps({"holder": holder.pid}), flush=True)
time.sleep(600)
"""


@pytest.fixture
def child(tmp_path: Path) -> Iterator[SandboxChild]:
    child = SandboxChild()
    child.start(tmp_path)
    yield child
    child.stop()


def wait_until(true: Callable[[], bool], deadline_s: float) -> bool:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return true()


def processes_naming(text: str) -> list[str]:
    """Return the command lines of living processes that name this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if text in line:  # a zombie has no command line
                found.append(line)
    return found


def test_stop_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    child = SandboxChild()
    child.start(tmp_path)
    pid = child.pid
    child.open()
    assert any(tmp_path.rglob("credentials"))

    child.stop()

    assert not list(tmp_path.iterdir())
    assert not processes_naming(str(tmp_path))
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_stop_may_be_repeated_and_asking_afterwards_says_so(tmp_path: Path) -> None:
    child = SandboxChild()
    child.start(tmp_path)
    child.stop()
    child.stop()

    with pytest.raises(SandboxError, match="not running"):
        child.open()


def test_stop_is_bounded_where_the_sandbox_no_longer_runs_at_all(child: SandboxChild, tmp_path: Path) -> None:
    os.kill(child.pid, signal.SIGSTOP)
    began = time.monotonic()

    child.stop()

    assert time.monotonic() - began < 10
    assert not list(tmp_path.iterdir())


def test_a_client_that_hangs_does_not_hold_up_the_end(child: SandboxChild) -> None:
    tenant = child.open(["ssh-silent", "s3-hang"])
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", tenant.settings["host"]["port"]), 5) as waiting:
        assert wait_until(lambda: child.felt(tenant.id)["ssh-silent"] == 1, 5)

        child.stop()

        waiting.settimeout(5)
        assert waiting.recv(1) == b""
    assert time.monotonic() - began < 5


@pytest.mark.skipif(not LINUX, reason="asks /proc")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_alive_two_seconds_after_its_parent_was_killed(tmp_path: Path, sign: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        pid = json.loads(parent.stdout.readline())["pid"]
        assert Path(f"/proc/{pid}").exists()
        assert len(processes_naming(str(tmp_path))) >= 2

        parent.send_signal(sign)
        parent.wait()

        assert wait_until(lambda: not processes_naming(str(tmp_path)), 2), processes_naming(str(tmp_path))


@pytest.mark.skipif(not LINUX, reason="the kernel's signal is Linux's")
def test_it_dies_with_its_parent_even_if_somebody_else_holds_its_input(tmp_path: Path) -> None:
    """As the proof's forks do, and whatever a user's code starts without closing files."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", CARELESS_PARENT, str(tmp_path)], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout is not None
        holder = json.loads(parent.stdout.readline())["holder"]
        try:
            parent.kill()
            parent.wait()

            assert wait_until(lambda: not processes_naming(str(tmp_path)), 2), processes_naming(str(tmp_path))
            os.kill(holder, 0)  # it still holds the pipe
        finally:
            os.kill(holder, signal.SIGKILL)


def test_it_ends_by_itself_where_its_parent_is_another_than_it_was_told(tmp_path: Path) -> None:
    """The parent may die between starting a child and the child's asking for its death signal."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest_pipeline.sandbox.server", "--folder", str(tmp_path), "--parent", "1"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == b""
    assert not list(tmp_path.iterdir())


def test_start_belongs_to_the_main_thread(tmp_path: Path) -> None:
    raised: list[str] = []

    def start() -> None:
        try:
            SandboxChild().start(tmp_path)
        except RuntimeError as error:
            raised.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert "main thread" in raised[0]


def test_a_missing_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, package=None: None if name == "moto" else real(name, package)
    )

    with pytest.raises(SandboxError) as caught:
        SandboxChild().start(tmp_path)

    assert str(caught.value) == (
        'the sandbox cannot start: moto is not installed; run: pip install "pytest-pipeline-readiness[sandbox]"'
    )


def test_a_sandbox_that_dies_while_starting_says_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "site"
    broken.mkdir()
    (broken / "ctypes.py").write_text("raise RuntimeError('a broken installation')\n")
    monkeypatch.syspath_prepend(str(broken))

    with pytest.raises(SandboxError, match=r"the sandbox ended \(RuntimeError: a broken installation\); run again"):
        SandboxChild().start(tmp_path / "run")


def test_a_sandbox_that_was_killed_is_reported_as_gone(child: SandboxChild) -> None:
    os.kill(child.pid, signal.SIGKILL)

    with pytest.raises(SandboxError, match=r"the sandbox (ended|is gone).*; run again"):
        child.open()


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"faults": ["ebs-rx"]}, "unknown fault 'ebs-rx'; did you mean 'ebs-ro'"),
        ({"variant": "noisy"}, "unknown variant 'noisy'; did you mean 'noisy-host'"),
        ({"faults": ["zzzzz"]}, "unknown fault 'zzzzz'; there are: aws-account,"),
    ],
)
def test_an_unknown_fault_or_variant_is_refused_with_the_nearest(
    sandbox: SandboxChild, asked: dict[str, object], answer: str
) -> None:
    with pytest.raises(SandboxError) as caught:
        sandbox.open(**asked)  # type: ignore[arg-type]  # one of two keywords
    assert str(caught.value).startswith(answer)

    sandbox.close_tenant(sandbox.open().id)  # it serves on


def test_a_tenant_that_is_not_open_is_refused(sandbox: SandboxChild) -> None:
    with pytest.raises(SandboxError, match="no tenant 't0' is open"):
        sandbox.felt("t0")


def test_closing_a_tenant_removes_its_files(child: SandboxChild) -> None:
    tenant = child.open()
    folder = Path(tenant.settings["aws"]["config_file"]).parents[1]
    assert folder.is_dir()

    child.close_tenant(tenant.id)

    assert not folder.exists()


def test_many_threads_may_ask_at_once(sandbox: SandboxChild) -> None:
    opened: list[str] = []

    def ask() -> None:
        tenant = sandbox.open()
        opened.append(tenant.id)
        sandbox.close_tenant(tenant.id)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(set(opened)) == 8
