"""Signs of broken hardware are told from what cards do not report, from programs' own errors, and from old ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from matrix_tests.gpu_health import judge_health, recent
from pytest_pipeline.observers.gpu_readings import Gpu, GpuHealth, GpuPresence, KernelLog, Smi, Xid
from pytest_pipeline.outcome import Blocked, Evidence, NotApplicable, Reading
from pytest_pipeline.settings import Requirements

if TYPE_CHECKING:
    from collections.abc import Mapping

HOUR_S = 3600
HEALTH = GpuHealth(
    lost=False,
    recovery="",
    ecc_uncorrected=0,
    rows_pending=False,
    rows_failed=False,
    rows_uncorrectable=0,
    pages_pending=None,
    worn_out=None,
    throttled=(),
    temperature_c=29,
    power_limit_w=300.0,
    power_default_w=300.0,
    pcie_width=8,
    pcie_width_max=16,
)
SILENT = GpuHealth(
    lost=False,
    recovery=None,
    ecc_uncorrected=None,
    rows_pending=None,
    rows_failed=None,
    rows_uncorrectable=None,
    pages_pending=None,
    worn_out=None,
    throttled=None,
    temperature_c=None,
    power_limit_w=None,
    power_default_w=None,
    pcie_width=None,
    pcie_width_max=None,
)
A10G = Gpu(
    index=0,
    bus_id="00000000:00:1E.0",
    name="NVIDIA A10G",
    uuid="GPU-1",
    total_bytes=Reading.of(23028 * 2**20),
    free_bytes=Reading.of(22569 * 2**20),
    mig=False,
    mig_devices=(),
    persistence=True,
    compute_mode="Default",
    health=HEALTH,
    processes=Reading.of(()),
)
SECOND = replace(A10G, index=1, bus_id="00000000:00:1F.0", uuid="GPU-2")
HERE = GpuPresence(program="/usr/bin/nvidia-smi", device_files=1, cards=1)
NOWHERE = GpuPresence(program="", device_files=0, cards=0)
QUIET = Reading.of(KernelLog(source="journalctl", xids=()))
CLOSED: Reading[Any] = Reading.missing("the kernel's log: Operation not permitted", by="gpu-health")
NO_SMI: Reading[Any] = Reading.missing("nvidia-smi ended with 9: no driver", by="cuda")


def ill(**health: Any) -> Gpu:
    return replace(A10G, health=replace(HEALTH, **health))


def smi(*cards: Gpu, notes: tuple[str, ...] = ()) -> Reading[Smi]:
    return Reading.of(Smi(driver="550.144.03", cuda="12.4", gpus=cards or (A10G,), notes=notes))


def log(*xids: Xid) -> Reading[KernelLog]:
    return Reading.of(KernelLog(source="journalctl", xids=xids))


def xid(number: int, text: str = "", *, age_s: float | None = 600, **more: Any) -> Xid:
    return Xid(number=number, device="PCI:0000:00:1e", text=text, age_s=age_s, **more)


def judged(
    cards: Reading[Smi] | None = None,
    kernel: Reading[KernelLog] = QUIET,
    *,
    presence: GpuPresence = HERE,
    required: Mapping[str, Any] = {"gpu_memory_gb": 24},  # never changed
) -> Evidence:
    evidence = Evidence()
    judge_health(cards or smi(), kernel, Reading.of(presence), Requirements(**required), evidence)
    return evidence


def failed(cards: Reading[Smi] | None = None, kernel: Reading[KernelLog] = QUIET) -> tuple[str, Evidence]:
    evidence = Evidence()
    with pytest.raises(pytest.fail.Exception) as caught:
        judge_health(cards or smi(), kernel, Reading.of(HERE), Requirements(), evidence)
    assert not isinstance(caught.value, Blocked)
    return str(caught.value), evidence


def test_a_healthy_card_passes_and_says_what_was_looked_at() -> None:
    evidence = judged()

    assert evidence.warnings == []
    assert evidence.noted == {
        "gpus": "NVIDIA A10G",
        "kernel_log": "kernel log read with journalctl",
        "not_reported": "nothing",
    }
    assert judged(smi(A10G, SECOND)).noted["gpus"] == "2 x NVIDIA A10G"


BROKEN: dict[str, tuple[dict[str, Any], str, bool]] = {
    "lost": ({"lost": True}, "it is lost: it no longer answers the driver", True),
    "to be reset": ({"recovery": "reset"}, "the driver asks for: reset", False),
    "ecc": ({"ecc_uncorrected": 1}, "1 uncorrectable ECC errors since the driver was loaded", False),
    "no rows left": ({"rows_failed": True}, "row remapping failed: its memory has no spare rows left", True),
    "worn out": ({"worn_out": True}, "its memory cannot be repaired any more", True),
    "rows": ({"rows_pending": True}, "row remapping is pending: broken memory is in use until it is reset", False),
    "pages": (
        {"pages_pending": True},
        "page retirement is pending: broken memory is in use until the driver is loaded anew",
        False,
    ),
}


@pytest.mark.parametrize(("health", "message", "critical"), BROKEN.values(), ids=BROKEN.keys())
def test_a_sign_of_broken_hardware_fails(health: dict[str, Any], message: str, critical: bool) -> None:  # noqa: FBT001
    said, evidence = failed(smi(ill(**health)))

    assert (said, evidence.raised) == (message, critical)
    assert evidence.noted["gpu"] == "0"


def test_all_that_is_wrong_is_said_and_the_worst_card_is_named() -> None:
    second = replace(SECOND, health=replace(HEALTH, rows_failed=True, ecc_uncorrected=4))
    said, evidence = failed(smi(ill(rows_pending=True), second))

    assert evidence.noted["gpu"] == "1"
    assert said == (
        "4 uncorrectable ECC errors since the driver was loaded; "
        "row remapping failed: its memory has no spare rows left; "
        "GPU 0: row remapping is pending: broken memory is in use until it is reset"
    )
    assert evidence.raised


def test_a_reset_is_offered_where_it_helps() -> None:
    assert failed(smi(ill(rows_pending=True)))[1].command == "on the host: sudo nvidia-smi --gpu-reset -i 0"
    assert failed(smi(ill(recovery="reboot")))[1].command == "on the host: sudo reboot"
    assert failed(smi(ill(rows_failed=True)))[1].command == ""


@pytest.mark.parametrize("number", [48, 62, 64, 74, 79, 95, 119, 120, 140, 143])
def test_an_xid_of_a_broken_card_is_critical(number: int) -> None:
    said, evidence = failed(kernel=log(xid(number)))

    assert said.startswith(f"Xid {number}: ")
    assert said.endswith(", 10 min ago")
    assert evidence.raised
    assert evidence.noted["gpu"] == "0"


@pytest.mark.parametrize("number", [92, 94])
def test_an_xid_of_failing_memory_fails(number: int) -> None:
    said, evidence = failed(kernel=log(xid(number, age_s=3 * HOUR_S)))

    assert said.startswith(f"Xid {number}: ")
    assert said.endswith(", 3 h ago")
    assert not evidence.raised


def test_a_row_that_was_marked_is_a_warning_and_one_that_could_not_be_is_not() -> None:
    marked = xid(63, "Row Remapper: New row marked for remapping, reset gpu to activate.")

    assert judged(kernel=log(marked)).warnings == [f"GPU 0: Xid 63: {marked.text}, 10 min ago"]
    assert "Xid 63" in failed(kernel=log(xid(63, "Row Remapper: Failed to remap row")))[0]


def test_the_driver_takes_its_request_back() -> None:
    asks = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"

    assert f"Xid 154: {asks}" in failed(kernel=log(xid(154, asks)))[0]
    done = xid(154, "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)")
    assert judged(kernel=log(done)).warnings == []


@pytest.mark.parametrize(
    ("number", "text", "warning"),
    [
        (13, "Graphics SM Exception", "GPU 0: Xid 13: exception in a kernel, 10 min ago"),
        (31, "MMU Fault", "GPU 0: Xid 31: page fault, 10 min ago"),
        (43, "", "GPU 0: Xid 43: stopped processing, 10 min ago"),
        (45, "", "GPU 0: Xid 45: work was cut off, 10 min ago"),
        (69, "Class Error", "GPU 0: Xid 69: Class Error, 10 min ago"),
    ],
)
def test_errors_of_programs_and_unknown_ones_are_warnings(number: int, text: str, warning: str) -> None:
    assert judged(kernel=log(xid(number, text))).warnings == [warning]


def test_an_error_that_came_often_says_so() -> None:
    assert judged(kernel=log(xid(31, count=900))).warnings == ["GPU 0: Xid 31 (900 times): page fault, 10 min ago"]


def test_a_reset_puts_an_end_to_what_was_before_it() -> None:
    reset = xid(154, "GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)", age_s=60)
    assert judged(kernel=log(xid(48, age_s=20 * HOUR_S), reset)).warnings == []
    assert "Xid 48" in failed(kernel=log(xid(48, age_s=30), reset))[0], "it came after the reset"
    assert "Xid 48" in failed(kernel=log(xid(48, age_s=None), reset))[0], "it may have come after it"
    other = replace(reset, device="PCI:0000:00:1f")
    assert "Xid 48" in failed(kernel=log(xid(48, age_s=20 * HOUR_S), other))[0], "the reset was another card's"


def test_the_last_day_counts_and_what_is_older_does_not() -> None:
    assert judged(kernel=log(xid(79, age_s=24 * HOUR_S + 1))).warnings == []
    assert "Xid 79" in failed(kernel=log(xid(79, age_s=24 * HOUR_S)))[0]


def test_an_error_without_a_time_may_be_of_today() -> None:
    assert failed(kernel=log(xid(79, age_s=None)))[0].endswith(", at an unknown time")
    assert recent(CLOSED) == []


def test_switches_report_fatal_errors_and_others() -> None:
    fatal = Xid(number=20034, device="PCI:0000:c1:00.0", text="Fatal, Link 30 LTSSM", age_s=60, switch=True)
    mild = replace(fatal, text="Non-fatal, Link 30 CRC")
    said, evidence = failed(kernel=log(fatal))

    assert said == "SXid 20034: Fatal, Link 30 LTSSM, 1 min ago"
    assert evidence.noted["gpu"] == "PCI:0000:c1:00.0"
    assert judged(kernel=log(mild)).warnings == ["GPU PCI:0000:c1:00.0: SXid 20034: Non-fatal, Link 30 CRC, 1 min ago"]


def test_the_number_of_a_switchs_error_is_not_taken_for_a_cards() -> None:
    assert judged(kernel=log(xid(79, "Non-fatal, x", switch=True))).warnings


def test_a_card_that_has_gone_is_found_although_nvidia_smi_fails() -> None:
    said, evidence = failed(NO_SMI, log(xid(79)))

    assert said == "Xid 79: it has fallen off the bus, 10 min ago"
    assert evidence.noted["gpu"] == "PCI:0000:00:1e"


def test_without_nvidia_smi_the_row_is_blocked_by_its_owner() -> None:
    for kernel in (QUIET, CLOSED):
        with pytest.raises(Blocked) as blocked:
            judged(NO_SMI, kernel)
        assert blocked.value.by == "cuda"


def test_a_closed_kernel_log_alone_is_a_note() -> None:
    evidence = judged(kernel=CLOSED)

    assert evidence.warnings == []
    assert evidence.noted["kernel_log"] == "kernel log not readable: the kernel's log: Operation not permitted"


def test_a_card_that_reports_less_is_noted_and_right() -> None:
    card = ill(ecc_uncorrected=None, rows_pending=None, rows_failed=None)
    evidence = judged(smi(card))

    assert evidence.warnings == []
    assert evidence.noted["not_reported"] == "GPU 0: ECC errors, row remapping"


def test_where_nothing_at_all_could_be_looked_at_it_is_not_fine() -> None:
    silent = smi(replace(A10G, health=SILENT))
    with pytest.raises(Blocked) as blocked:
        judged(silent, CLOSED)

    assert blocked.value.by == "gpu-health"
    assert judged(silent, QUIET).noted["not_reported"] == "GPU 0: ECC errors, row remapping, throttling"


@pytest.mark.parametrize(
    ("health", "warning"),
    [
        ({"throttled": ("HW slowdown",), "temperature_c": 96}, "GPU 0 is slowed down: HW slowdown (96 C)"),
        (
            {"throttled": ("SW thermal slowdown",), "temperature_c": None},
            "GPU 0 is slowed down: SW thermal slowdown (temperature not reported)",
        ),
        ({"power_limit_w": 150.0}, "GPU 0 may draw 150 W only, of 300 W: its power limit was lowered"),
        ({"pcie_width": 4}, "GPU 0 has 4 PCIe lanes of 16"),
    ],
)
def test_what_slows_a_card_down_is_a_warning(health: dict[str, Any], warning: str) -> None:
    assert judged(smi(ill(**health))).warnings == [warning]


def test_a_card_narrower_than_its_twin_is_a_warning() -> None:
    twin = replace(SECOND, health=replace(HEALTH, pcie_width=16))
    other = replace(twin, name="Tesla T4")

    assert judged(smi(A10G, twin)).warnings == ["GPU 0 has 8 PCIe lanes of 16"]
    assert judged(smi(A10G, other)).warnings == []


@pytest.mark.parametrize("health", [{"power_limit_w": 298.0}, {"power_default_w": None}, {"pcie_width_max": None}])
def test_what_is_close_or_cannot_be_compared_is_no_warning(health: dict[str, Any]) -> None:
    assert judged(smi(ill(**health))).warnings == []


def test_a_card_that_does_not_show_up_is_a_warning() -> None:
    four = replace(HERE, device_files=4)

    assert judged(presence=four).warnings == ["/dev has 4 NVIDIA GPUs, and nvidia-smi lists 1: one may have been lost"]
    inside = replace(HERE, device_files=0, cards=8, contained=True)
    assert judged(presence=inside).warnings == []  # it shows the bus of the whole machine
    assert judged(presence=replace(HERE, cards=8)).warnings == [
        "the PCI bus has 8 NVIDIA GPUs, and nvidia-smi lists 1: the driver left one out"
    ]


def test_what_nvidia_smi_warns_of_is_handed_on() -> None:
    assert judged(smi(notes=("WARNING: infoROM is corrupted",))).warnings == [
        "nvidia-smi: WARNING: infoROM is corrupted"
    ]


def test_no_gpu_and_none_required_is_not_applicable() -> None:
    with pytest.raises(NotApplicable, match="none is required"):
        judged(NO_SMI, presence=NOWHERE, required={})


@pytest.mark.parametrize(
    ("presence", "required"),
    [
        (NOWHERE, {"gpu_memory_gb": 24}),
        (NOWHERE, {"torch_cuda": ">=12.1"}),
        (NOWHERE, {"gpus": 1}),
        (replace(NOWHERE, cards=1), {}),
        (replace(NOWHERE, device_files=1), {}),
        (replace(NOWHERE, program="/usr/bin/nvidia-smi"), {}),
    ],
)
def test_it_is_applicable_where_one_is_required_or_shows(presence: GpuPresence, required: dict[str, Any]) -> None:
    with pytest.raises((Blocked, NotApplicable)) as ended:  # either: the latter alone would skip this test
        judged(NO_SMI, presence=presence, required=required)
    assert isinstance(ended.value, Blocked)


def test_what_shows_a_gpu_may_be_unknown_too() -> None:
    unknown: Reading[Any] = Reading.missing("no python3", by="python-version")
    evidence = Evidence()
    judge_health(smi(), QUIET, unknown, Requirements(), evidence)
    assert evidence.warnings == []

    with pytest.raises((Blocked, NotApplicable)) as ended:
        judge_health(NO_SMI, QUIET, unknown, Requirements(), Evidence())
    assert isinstance(ended.value, Blocked)
