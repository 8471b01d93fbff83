"""The simulated nvidia-smi and kernel log answer what was recorded, and this machine's own are never reached."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.observers.gpu_document import smi_of
from pytest_pipeline.sandbox import accelerator as cards
from pytest_pipeline.sandbox.accelerator import Tenant
from pytest_pipeline.sandbox.accelerator_hidden import hide_gpu, machine_has_gpu
from pytest_pipeline.sandbox.accelerator_smi import smi_programs, smi_script
from pytest_pipeline.sandbox.host_kernel_log import Message, kernel_log_programs
from pytest_pipeline.sandbox.host_namespace import why_not

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_pipeline.sandbox.accelerator import Accelerator
    from sandbox.conftest import OpenWorld, World

MIB = 2**20
HEALTHY = [cards.a10g, cards.l4, cards.t4, cards.a100, cards.two_gpus, cards.mig, cards.gaming]
JOURNAL = "--no-pager -k -o json --since=-24h"
CSV = "--query-gpu=name,memory.total,memory.free,driver_version --format=csv,noheader,nounits"
needs_namespaces = pytest.mark.skipif(bool(why_not()), reason=f"no namespaces here: {why_not()}")


def ask(accelerator: Accelerator, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "-c", smi_script(accelerator), "nvidia-smi", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("make", HEALTHY)
def test_every_accelerator_is_read_back_as_it_was_recorded(make: Callable[[], Accelerator]) -> None:
    recorded = make()
    smi = smi_of(ask(recorded, "-q", "-x").stdout)

    assert smi.simulated
    assert (smi.driver, smi.cuda, smi.notes) == (recorded.driver, recorded.cuda, ())
    for gpu, card in zip(smi.gpus, recorded.cards, strict=True):
        assert (gpu.name, gpu.uuid, gpu.total_bytes.value) == (card.name, card.uuid, card.total_mib * MIB)
        assert gpu.free_bytes.value == (card.total_mib - card.reserved_mib - card.used_mib) * MIB
        assert gpu.mig == bool(card.slices)
        assert [part.total_bytes for part in gpu.mig_devices] == [part.total_mib * MIB for part in card.slices]
        assert gpu.health.ecc_uncorrected == card.health.ecc_uncorrected
        assert (gpu.health.rows_pending, gpu.health.pages_pending) == (
            card.health.rows_pending,
            card.health.pages_pending,
        )
        assert (gpu.health.lost, gpu.health.recovery, gpu.health.throttled) == (False, "", ())
        assert gpu.health.power_limit_w == card.health.power_limit_w


def test_each_thing_that_a_card_may_say_is_heard() -> None:
    recorded = cards.a10g()
    health = recorded.cards[0].health
    health.ecc_uncorrected, health.rows_pending, health.rows_failed, health.pages_pending = 3, True, True, True
    health.needs, health.slowed_by, health.pcie_width = "Reset", ["hw_power_brake_slowdown"], 1
    recorded.cards[0].processes = [Tenant(pid=7, name="python3", used_mib=None)]
    (gpu,) = smi_of(ask(recorded, "-q", "-x").stdout).gpus

    heard = gpu.health
    assert (heard.ecc_uncorrected, heard.rows_pending, heard.rows_failed, heard.pages_pending) == (3, True, True, True)
    assert (heard.recovery, heard.throttled, heard.pcie_width) == ("reset", ("HW power brake",), 1)
    assert [(one.pid, one.name, one.used_bytes) for one in gpu.processes.value] == [(7, "python3", None)]


def test_a_lost_card_and_an_untold_memory() -> None:
    recorded = cards.two_gpus()
    recorded.cards[0].tells_memory = False
    recorded.cards[1].health.lost = True
    untold, lost = smi_of(ask(recorded, "-q", "-x").stdout).gpus

    assert "[N/A]" in untold.total_bytes.reason
    assert (untold.health.lost, lost.health.lost) == (False, True)
    assert "[N/A], [N/A]" in ask(recorded, *CSV.split()).stdout


def test_the_other_recorded_questions() -> None:
    assert ask(cards.a10g(), *CSV.split()).stdout == "NVIDIA A10G, 23028, 22569, 550.144.03\n"
    assert "NVIDIA A10G" in ask(cards.a10g()).stdout
    listed = ask(cards.mig(), "-L").stdout.splitlines()
    assert listed[0].startswith("GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-")
    assert len(listed) == 3


@pytest.mark.parametrize("arguments", [["-q"], ["--query-gpu=name", "--format=csv"], ["--gpu-reset"], ["topo", "-m"]])
def test_what_was_not_recorded_is_not_invented(arguments: list[str]) -> None:
    answer = ask(cards.a10g(), *arguments)

    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"not recorded in this simulated nvidia-smi: {' '.join(arguments)}\n"


def test_a_refusal_is_the_answer_to_everything() -> None:
    broken = cards.a10g()
    broken.smi_refusal = ("Failed to initialize NVML: it's $HOME `broken`", 18)

    assert [ask(broken, *one).returncode for one in ([], ["-L"], ["-q", "-x"])] == [18, 18, 18]
    assert ask(broken).stdout == "Failed to initialize NVML: it's $HOME `broken`\n"


def test_without_a_driver_there_is_no_program() -> None:
    assert smi_programs(None) == {}


def test_a_host_answers_with_its_own_accelerator_and_log(world: World) -> None:
    status, out, _ = world.run("nvidia-smi -q -x")

    assert status == 0
    assert smi_of(out).simulated
    assert world.run(f"journalctl {JOURNAL}") == (0, "", "")
    assert "Linux version" in world.run("dmesg")[1]


@needs_namespaces
def test_a_host_without_an_accelerator_has_nothing_of_one(open_world: OpenWorld) -> None:
    world = open_world("smi-absent")

    assert world.run("command -v nvidia-smi")[:2] == (1, "")
    assert world.run("test -f /usr/bin/nvidia-smi")[0] == 1
    assert world.run("for f in /dev/nvidia[0-9]*; do test -c $f && echo $f; done")[1] == ""


@needs_namespaces
def test_what_a_machine_has_can_be_hidden(tmp_path: Path) -> None:
    for name in ("usr/bin/nvidia-smi", "opt/bin/nvidia-smi", "dev/nvidia0", "dev/nvidia1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    bus = tmp_path / "sys/bus/pci/devices"
    (bus / "0000:00:1e.0").mkdir(parents=True)
    (bus / "0000:00:1e.0/vendor").write_text("0x10de\n")
    assert machine_has_gpu(tmp_path)
    shown = f"cd {tmp_path} && ls sys/bus/pci/devices && stat -Lc %F usr/bin/* opt/bin/* dev/*"
    script = "\n".join(["set -e", *hide_gpu(tmp_path), shown])

    hidden = subprocess.run(["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, check=True)

    assert hidden.stdout.splitlines() == ["character special file"] * 2 + ["regular file"] * 2


def test_a_machine_without_one_has_nothing_to_hide(tmp_path: Path) -> None:
    assert not machine_has_gpu(tmp_path)
    assert list(hide_gpu(tmp_path)) == []


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", script, "x", *arguments], capture_output=True, text=True, check=False)


def test_the_kernel_log_says_what_it_is_told_to_the_letter() -> None:
    text = 'NVRM: Xid (PCI:0000:00:1e): 31, name=`id` $HOME \\n "x"'
    programs = kernel_log_programs(Message(text=text))

    assert text in run(programs["dmesg"]).stdout
    entry = run(programs["journalctl"], *JOURNAL.split()).stdout
    assert entry.count("\n") == 1
    assert run(programs["journalctl"], "-f").returncode == 2


def test_only_the_last_day_is_in_the_journals_answer() -> None:
    programs = kernel_log_programs(Message(text="old", age_s=100_000), Message(text="new", age_s=60))
    entry = run(programs["journalctl"], *JOURNAL.split()).stdout

    assert "new" in entry
    assert "old" not in entry


def test_a_closed_log_speaks_as_the_real_one() -> None:
    programs = kernel_log_programs(journal=False, buffer=False)

    assert (run(programs["dmesg"]).returncode, run(programs["journalctl"]).returncode) == (1, 1)
    assert "Operation not permitted" in run(programs["dmesg"]).stderr
