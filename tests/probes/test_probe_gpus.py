"""nvidia-smi is asked once and given up in time; what shows a card is read from trees made like /dev and /sys."""

from __future__ import annotations

import json
import os
import shutil
import time
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from probe_parts import part, parts

if TYPE_CHECKING:
    from pathlib import Path


class Install(Protocol):
    def __call__(self, script: str, name: str = "nvidia-smi") -> None: ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a program first on the PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.defpath}")

    def installer(script: str, name: str = "nvidia-smi") -> None:
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return installer


def asked(deadline_s: float = 20.0) -> Any:
    answer = part("gpus").ask(part("program"), deadline_s)
    assert json.loads(json.dumps(answer)) == answer
    return answer


def test_what_it_prints_comes_back_with_its_status(install: Install, tmp_path: Path) -> None:
    install('[ "$*" = "-q -x" ] || exit 2; echo "<a>é</a>"; echo careful >&2; exit 14')

    assert asked() == {
        "program": str(tmp_path / "bin/nvidia-smi"),
        "status": 14,
        "stdout": "<a>é</a>\n",
        "stderr": "careful\n",
        "cut": False,
    }


def test_the_lists_of_clocks_stay_there(install: Install) -> None:
    install(
        "printf '<a/><supported_clocks>\\n<x>1</x></supported_clocks>\\n<b/><supported_clocks>N/A</supported_clocks>'"
    )

    assert asked()["stdout"] == "<a/><b/>"


def test_one_that_hangs_is_given_up_with_all_that_it_started(install: Install, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    install(f"sleep 600 > {pipe} & echo half; wait")
    start = time.monotonic()

    assert asked(0.5)["late_s"] == 0.5

    assert time.monotonic() - start < 5
    # Every writer of the pipe is dead: its end is read, at once or when the kernel has cleaned up.
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_one_that_leaves_a_process_with_its_output_is_late(install: Install) -> None:
    install("sleep 600 & exit 0")

    assert "late_s" in asked(0.5)


def test_one_that_does_not_stop_printing_is_bounded(install: Install) -> None:
    install("head -c 6000000 /dev/zero | tr '\\0' x")
    answer = asked()

    assert answer["cut"]
    assert len(answer["stdout"]) == 512 * 1024


def test_what_would_blow_the_answer_up_does_not(install: Install) -> None:
    install("head -c 400000 /dev/zero | tr '\\0' '\\1'; head -c 100000 /dev/zero | tr '\\0' '\\377'")

    assert len(json.dumps(asked())) < 600_000


def test_a_signal_is_told_from_a_status(install: Install) -> None:
    install("kill -KILL $$")

    assert asked()["status"] == -9


def test_one_that_is_not_there_is_said_not_to_be(install: Install, tmp_path: Path) -> None:
    install("", name="other")
    gpus = part("gpus")

    assert gpus.find((str(tmp_path),)) == ""
    (tmp_path / "nvidia-smi").touch()
    assert gpus.find(("/nowhere", str(tmp_path))) == str(tmp_path / "nvidia-smi")
    (tmp_path / "nvidia-smi").unlink()
    (tmp_path / "nvidia-smi").symlink_to("/dev/null")
    assert gpus.find((str(tmp_path),)) == ""  # as the sandbox hides this machine's


def test_one_that_may_not_be_executed_is_there_and_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nvidia-smi").touch()
    loaded = parts()
    monkeypatch.setattr(loaded["gpus"], "find", lambda: str(tmp_path / "nvidia-smi"))
    answer = loaded["gpus"].read({"deadline_s": 5}, loaded)

    assert answer["smi"] == {"error": f"Permission denied: {tmp_path / 'nvidia-smi'}"}


class Machine:
    """Folders as /dev and /sys/bus/pci/devices are."""

    def __init__(self, root: Path) -> None:
        self.dev, self.pci = root / "dev", root / "pci"
        self.dev.mkdir()
        self.pci.mkdir()

    def device(self, slot: str, vendor: str, kind: str) -> None:
        (self.pci / slot).mkdir()
        (self.pci / slot / "vendor").write_text(f"{vendor}\n")
        (self.pci / slot / "class").write_text(f"{kind}\n")

    def presence(self) -> Any:
        seen = part("gpus").presence(str(self.dev), str(self.pci))
        return seen["device_files"], seen["cards"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_cards_on_the_bus_are_counted_without_their_audio(machine: Machine) -> None:
    machine.device("0000:00:1e.0", "0x10de", "0x030200")
    machine.device("0000:01:00.0", "0x10de", "0x030000")
    machine.device("0000:01:00.1", "0x10de", "0x040300")  # audio
    machine.device("0000:00:03.0", "0x1d0f", "0x030000")  # Amazon's own display

    assert machine.presence() == (0, 2)


def test_only_device_files_count(machine: Machine) -> None:
    (machine.dev / "nvidia0").touch()
    (machine.dev / "nvidia1").symlink_to("/dev/null")
    (machine.dev / "nvidiactl").symlink_to("/dev/null")
    (machine.dev / "nvidia-uvm").symlink_to("/dev/null")

    assert machine.presence() == (1, 0)


def test_a_machine_without_a_bus_has_no_cards_on_it(machine: Machine) -> None:
    shutil.rmtree(machine.pci)

    assert machine.presence() == (0, 0)


def test_a_hung_nvidia_smi_costs_one_reading(install: Install) -> None:
    install("exec sleep 600")
    loaded = parts()
    answer = loaded["gpus"].read({"deadline_s": 0.5}, loaded)

    assert answer["smi"]["value"]["late_s"] == 0.4
    assert "value" in answer["presence"]
