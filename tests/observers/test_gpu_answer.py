"""What nvidia-smi prints, of all its formats and of broken hosts; facts/nvidia-smi holds it raw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_pipeline.observers.gpu_answer import gpu_presence, gpus
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pytest_pipeline.observers.gpu_readings import Gpu, Smi

FACTS = Path(__file__).parent / "facts" / "nvidia-smi"
MIB = 2**20
HERE = {"program": "/usr/bin/nvidia-smi", "device_files": 1, "cards": 1, "contained": False}
NOWHERE = {"program": "", "device_files": 0, "cards": 0, "contained": False}


def answered(smi: Any, presence: Any = HERE) -> Reading[Smi]:
    return gpus(Reading.of({"presence": {"value": presence}, "smi": {"value": smi}}))


def printed(name: str, *, status: int = 0, stderr: str = "", cut: bool = False) -> Reading[Smi]:
    """Decode what was recorded, as a probe sends it."""
    stdout = (FACTS / name).read_text(encoding="utf-8")
    return answered({"program": HERE["program"], "status": status, "stdout": stdout, "stderr": stderr, "cut": cut})


def card(name: str, index: int = 0) -> Gpu:
    return printed(name).value.gpus[index]


@pytest.mark.parametrize(
    ("name", "versions", "model", "mib"),
    [
        ("v100-v10.xml", ("418.226.00", "10.1"), "Tesla V100-SXM2-16GB", (16130, 16130)),
        ("t4-v11.xml", ("510.108.03", "11.6"), "Tesla T4", (15360, 14967)),
        ("a10g-v11.xml", ("515.105.01", "11.7"), "NVIDIA A10G", (23028, 22569)),
        ("a10g-v12.xml", ("550.144.03", "12.4"), "NVIDIA A10G", (23028, 22569)),
        ("a100-v12.xml", ("535.183.01", "12.2"), "NVIDIA A100-SXM4-40GB", (40960, 40346)),
        ("l4-v13.xml", ("580.95.05", "13.0"), "NVIDIA L4", (23034, 22577)),
        ("h100-v13.xml", ("570.172.08", "12.8"), "NVIDIA H100 80GB HBM3", (81559, 9805)),
        ("gaming-v13.xml", ("590.44.01", "13.1"), "NVIDIA GeForce RTX 3090", (24576, 24120)),
    ],
)
def test_every_format_is_read(name: str, versions: tuple[str, str], model: str, mib: tuple[int, int]) -> None:
    smi = printed(name).value

    assert (smi.driver, smi.cuda) == versions
    assert (smi.notes, smi.simulated) == ((), False)
    assert [(gpu.index, gpu.name) for gpu in smi.gpus] == [(0, model)]
    assert (smi.gpus[0].total_bytes.value, smi.gpus[0].free_bytes.value) == tuple(size * MIB for size in mib)


@pytest.mark.parametrize("name", ["a10g-v11.xml", "a10g-v12.xml", "a100-v12.xml", "l4-v13.xml", "h100-v13.xml"])
def test_a_healthy_card_has_nothing_to_say(name: str) -> None:
    health = card(name).health

    assert (health.lost, health.recovery or "") == (False, "")
    assert (health.ecc_uncorrected, health.rows_pending, health.rows_failed) == (0, False, False)
    assert health.throttled == ()
    assert health.power_limit_w == health.power_default_w is not None


def test_each_format_reports_what_it_has() -> None:
    assert [card(name).health.recovery for name in ("a10g-v11.xml", "a10g-v12.xml", "l4-v13.xml")] == [None, "", ""]
    assert [card(name).health.worn_out for name in ("a10g-v12.xml", "l4-v13.xml")] == [None, False]
    assert [card(name).persistence for name in ("a10g-v11.xml", "a10g-v12.xml")] == [False, True]


def test_turing_retires_pages_and_ampere_remaps_rows() -> None:
    turing, ampere = card("t4-v11.xml").health, card("a10g-v12.xml").health

    assert (turing.pages_pending, turing.rows_pending) == (False, None)
    assert (ampere.pages_pending, ampere.rows_pending) == (None, False)


def test_the_counters_of_older_cards_are_read_and_those_of_a_lifetime_are_not() -> None:
    assert card("v100-v10.xml").health.ecc_uncorrected == 0  # 7 in its life
    assert card("v100-v10.xml").health.pages_pending is True
    a100 = card("a100-v12.xml").health
    assert (a100.ecc_uncorrected, a100.rows_uncorrectable, a100.rows_pending) == (0, 2, False)


def test_a_sick_card_is_heard_in_v12() -> None:
    health = card("a10g-ill-v12.xml").health

    assert health.ecc_uncorrected == 4
    assert (health.recovery, health.rows_pending, health.rows_failed) == ("reset", True, False)
    assert health.throttled == ("HW slowdown", "HW thermal slowdown")
    assert (health.temperature_c, health.power_limit_w, health.power_default_w) == (96, 150.0, 300.0)
    assert (health.pcie_width, health.pcie_width_max) == (1, 16)


def test_a_sick_card_is_heard_in_v13() -> None:
    health = card("a10g-ill-v13.xml").health

    assert (health.ecc_uncorrected, health.recovery, health.worn_out) == (2, "drain and reset", True)
    assert (health.rows_pending, health.rows_failed) == (False, True)


@pytest.mark.parametrize("name", ["gaming-v13.xml", "vgpu-v12.xml"])
def test_what_a_card_does_not_report_is_unknown_and_never_zero(name: str) -> None:
    health = card(name).health

    assert health.ecc_uncorrected is None
    assert (health.rows_pending, health.rows_failed, health.pages_pending) == (None, None, None)


def test_a_virtual_gpu_that_tells_nothing_is_unknown() -> None:
    vgpu = card("vgpu-v12.xml")

    assert vgpu.total_bytes.value == 24576 * MIB
    assert (vgpu.free_bytes.by, vgpu.free_bytes.reason) == (
        "cuda",
        "nvidia-smi says '[N/A]' for the free memory of GPU 0",
    )
    assert vgpu.processes.reason == "nvidia-smi says 'N/A' of the processes of GPU 0"
    health = vgpu.health
    assert (health.recovery, health.throttled, health.temperature_c) == (None, None, None)
    assert (health.power_limit_w, health.pcie_width) == (None, None)


def test_an_unknown_error_is_no_size() -> None:
    broken = card("unknown-error-v12.xml")

    assert broken.total_bytes.reason == "nvidia-smi says '[Unknown Error]' for the memory of GPU 0"
    assert not broken.free_bytes.is_known
    assert broken.processes.by == "cuda"


def test_a_power_cap_of_software_is_no_throttling() -> None:
    assert card("h100-v13.xml").health.throttled == ()


def test_processes_are_named_with_what_they_hold() -> None:
    listed = card("h100-v13.xml").processes.value

    assert [(one.pid, one.kind, one.name, one.used_bytes) for one in listed] == [
        (48211, "C", "/opt/vllm/bin/python3", 70642 * MIB),
        (1201, "G", "/usr/lib/xorg/Xorg", 24 * MIB),
        (50007, "C", "[Not Found]", None),
    ]
    assert card("a10g-v12.xml").processes.value == ()


def test_slices_are_read_where_the_card_itself_may_not_be() -> None:
    mig = card("mig-v12.xml")

    assert mig.mig
    assert [(one.index, one.total_bytes, one.free_bytes) for one in mig.mig_devices] == [
        (0, 40192 * MIB, 40180 * MIB),
        (1, 19968 * MIB, 968 * MIB),
    ]
    assert mig.free_bytes.reason == "nvidia-smi says 'Insufficient Permissions' for the free memory of GPU 0"
    assert mig.health.ecc_uncorrected == 1  # in a slice


def test_two_cards_are_told_apart() -> None:
    first, second = printed("two-v12.xml").value.gpus

    assert [(gpu.index, gpu.name, gpu.bus_id) for gpu in (first, second)] == [
        (0, "NVIDIA A10G", "00000000:00:1E.0"),
        (1, "Tesla T4", "00000000:00:1F.0"),
    ]
    assert second.processes.value[0].pid == 777


def test_a_lost_card_is_seen_beside_a_good_one() -> None:
    good, lost = printed("lost-v12.xml").value.gpus

    assert (good.health.lost, lost.health.lost) == (False, True)
    assert not lost.total_bytes.is_known


def test_a_warning_after_the_document_is_kept() -> None:
    smi = printed("inforom-v12.xml", status=14).value

    assert smi.notes == ("WARNING: infoROM is corrupted at gpu 0000:00:1E.0",)
    assert len(smi.gpus) == 1


def test_a_simulated_accelerator_says_so() -> None:
    real = (FACTS / "a10g-v12.xml").read_text(encoding="utf-8")
    marked = real.replace("<nvidia_smi_log>", "<!-- simulated -->\n<nvidia_smi_log>", 1)
    inside = real.replace("<product_name>", "<!-- simulated --><product_name>", 1)

    assert answered({"program": "x", "status": 0, "stdout": marked, "stderr": "", "cut": False}).value.simulated
    assert not answered({"program": "x", "status": 0, "stdout": inside, "stderr": "", "cut": False}).value.simulated


@pytest.mark.parametrize(
    ("name", "status", "reason", "remedy"),
    [
        (
            "no-driver.txt",
            9,
            "nvidia-smi ended with 9: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.",
            "on the host: sudo modprobe nvidia",
        ),
        (
            "mismatch.txt",
            18,
            "nvidia-smi ended with 18: Failed to initialize NVML: Driver/library version mismatch",
            "on the host: sudo reboot",
        ),
        ("no-nvml.txt", 12, "nvidia-smi ended with 12: NVIDIA-SMI couldn't find libnvidia-ml.so library", ""),
        ("no-devices.txt", 6, "nvidia-smi ended with 6: No devices were found", ""),
        (
            "lost.txt",
            15,
            "nvidia-smi ended with 15: Unable to determine the device handle for GPU0",
            "on the host: sudo reboot",
        ),
        ("a10g-v12.xml", 15, "nvidia-smi ended with 15: <?xml", "on the host: sudo reboot"),
    ],
)
def test_a_status_and_its_words_are_passed_on(name: str, status: int, reason: str, remedy: str) -> None:
    smi = printed(name, status=status)

    assert smi.reason.startswith(reason)
    assert (smi.by, smi.remedy) == ("cuda", remedy)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("fewer-v12.xml", "it lists 1 GPU(s), and says that 2 are attached"),
        ("none-v12.xml", "it lists 0 GPU(s), and says that 0 are attached"),
        ("countless-v12.xml", "it does not say how many GPUs are attached"),
        ("torn-v12.xml", "it is no whole document"),
        ("no-devices.txt", "it is no whole document: No devices were found"),
        ("entities.xml", "it is no XML: undefined entity"),
    ],
)
def test_what_is_no_answer_is_not_taken_for_one_whatever_the_status(name: str, reason: str) -> None:
    smi = printed(name)

    assert smi.reason.startswith(f"what nvidia-smi printed makes no sense: {reason}")
    assert smi.by == "cuda"


def test_an_answer_that_was_cut_off_is_none() -> None:
    assert "it is too long" in printed("a10g-v12.xml", cut=True).reason


def test_a_program_that_is_late_or_killed_says_so() -> None:
    assert answered({"program": "x", "late_s": 21.6}).reason == "nvidia-smi gave no answer within 21.6 s"
    killed = {"program": "x", "status": -9, "stdout": "", "stderr": "", "cut": False}
    assert answered(killed).reason == "nvidia-smi was ended by SIGKILL"
    assert answered({**killed, "status": 3}).reason == "nvidia-smi ended with 3: it said nothing"
    assert answered({**killed, "status": 3, "stderr": "no\n"}).reason == "nvidia-smi ended with 3: no"


@pytest.mark.parametrize(
    ("presence", "words"),
    [
        (NOWHERE, "neither /dev nor the PCI bus shows an NVIDIA GPU"),
        ({**NOWHERE, "cards": 1}, "the PCI bus has 1 NVIDIA GPU(s): the driver is missing"),
        ({**NOWHERE, "device_files": 1}, "although /dev has a file of an NVIDIA GPU"),
    ],
)
def test_why_there_is_no_nvidia_smi(presence: dict[str, Any], words: str) -> None:
    smi = answered({"program": ""}, presence)

    assert smi.reason.startswith("nvidia-smi is not installed")
    assert words in smi.reason


def test_presence() -> None:
    def seen(value: Any) -> Reading[Any]:
        return gpu_presence(Reading.of({"presence": value}))

    assert seen({"value": HERE}).value.any
    assert not seen({"value": NOWHERE}).value.any
    assert seen({"value": {**NOWHERE, "cards": 1}}).value.any
    assert seen({"error": "Permission denied: /sys"}).by == "cuda"
    assert seen({"value": {**NOWHERE, "cards": -1}}).by == "cuda"


def test_a_probe_that_did_not_come_through_hands_its_reason_on() -> None:
    gone: Reading[Any] = Reading.missing("connection lost", by="ssh-access")

    assert (gpus(gone).by, gpu_presence(gone).by) == ("ssh-access", "ssh-access")


GOOD = {"program": "x", "status": 0, "stdout": "", "stderr": "", "cut": False}


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        {},
        {"smi": None},
        {"smi": {"error": 3}},
        {"smi": {"value": []}},
        {"smi": {"value": {}}},
        {"smi": {"value": {"program": 7}}},
        {"smi": {"value": {**GOOD, "status": True}}},
        {"smi": {"value": {**GOOD, "status": "0"}}},
        {"smi": {"value": {**GOOD, "stdout": None}}},
        {"smi": {"value": {**GOOD, "cut": "no"}}},
        {"smi": {"value": GOOD}},
        {"smi": {"value": {**GOOD, "stdout": "<nvidia_smi_log></nvidia_smi_log>"}}},
        {"smi": {"value": {**GOOD, "stdout": "</nvidia_smi_log><nvidia_smi_log>"}}},
        {"smi": {"value": {**GOOD, "stdout": "<nvidia_smi_log>" + "<gpu>" * 100_000 + "</nvidia_smi_log>"}}},
        {"smi": {"value": {**GOOD, "stdout": "<nvidia_smi_log>\x00</nvidia_smi_log>"}}},
        {"smi": {"value": {"program": "x", "late_s": "long"}}},
    ],
)
def test_senseless_answers_are_missing_readings(answer: Any) -> None:
    assert gpus(Reading.of(answer)).by == "cuda"


def test_a_deep_document_is_read_without_harm() -> None:
    depth = 100_000
    deep = (FACTS / "a10g-v12.xml").read_text(encoding="utf-8")
    deep = deep.replace("<fan_speed>", "<a>" * depth + "</a>" * depth + "<fan_speed>", 1)

    assert answered({**GOOD, "stdout": deep}).value.gpus[0].name == "NVIDIA A10G"


def test_names_lose_what_would_act_on_a_terminal() -> None:
    evil = (FACTS / "two-v12.xml").read_text(encoding="utf-8").replace(">python3<", ">\u202eevil\u200b<")

    assert answered({**GOOD, "stdout": evil}).value.gpus[1].processes.value[0].name == "?evil?"
