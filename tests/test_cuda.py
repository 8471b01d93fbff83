"""How the devices that a context sees are judged: can they compute, and have they enough memory."""

from __future__ import annotations

from typing import Any

import pytest
from context_builders import MIB, NO_HEALTH, card, context, cuda, decoded, device, interpreter, smi, torch

from matrix_tests.cuda import arch_fits, driver_too_old, judge_cuda, judge_room, rooms_in
from pytest_pipeline import Blocked
from pytest_pipeline.observers.gpu_readings import GpuProcess
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Requirements

NEEDS = Requirements(torch=">=2.5.1", torch_cuda=">=12.1", precision="bf16", gpu_memory_gb=24)
T4 = {"name": "Tesla T4", "capability": "7.5", "total_bytes": 15_102 * MIB, "free_bytes": Reading.of(15_000 * MIB)}


def gap(by: str, reason: str = "nobody knows") -> Reading[Any]:
    return Reading.missing(reason, by=by)


def judged(required: Requirements = NEEDS, nvidia_smi: Any = None, **changed: Any) -> Evidence:
    evidence = Evidence()
    judge_cuda(context(**changed), nvidia_smi or smi(), required, evidence)
    return evidence


def visible(value: str, **changed: Any) -> dict[str, Any]:
    return {"interpreter": Reading.of(interpreter(environment={"CUDA_VISIBLE_DEVICES": value})), **changed}


def test_a_gpu_that_computes_is_right_and_shown_by_what_it_is_sold_as() -> None:
    evidence = judged()

    assert evidence.warnings == []
    assert (evidence.noted["gpus"], evidence.noted["driver"]) == ("24GB GPU", "550.144.03")


def test_two_gpus_are_both_shown() -> None:
    assert judged(cuda=Reading.of(cuda(device(), device(index=1)))).noted["gpus"] == "2 GPUs of 24GB, 24GB"


OLD = smi(driver="470.57.02")
TOO_OLD = "driver 470.57.02 is too old for PyTorch's CUDA 12.1, which needs 525 or later"
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "hidden": (
        visible("", cuda=Reading.of(cuda(available=False, devices=()))),
        "PyTorch finds no device (CUDA_VISIBLE_DEVICES is '')",
    ),
    "an old driver, by its warning": (
        {"cuda": Reading.of(cuda(available=False, devices=(), why=("The NVIDIA driver on your system is too old",)))},
        "The NVIDIA driver on your system is too old",
    ),
    "an old driver": (
        {"cuda": Reading.of(cuda(available=False, devices=(), why=("it is off",))), "nvidia_smi": OLD},
        f"{TOO_OLD}: it is off",
    ),
    "an old driver, and a product that is wrong": (
        {"cuda": Reading.of(cuda(device(trial=Reading.of(0.3)))), "nvidia_smi": OLD},
        f"{TOO_OLD}: NVIDIA A10G computes wrongly",
    ),
    "an old driver, and a question that hung": (
        {"cuda": gap("cuda", "asking for CUDA did not end within 45 s"), "nvidia_smi": OLD},
        f"{TOO_OLD}: asking for CUDA did not end within 45 s",
    ),
    "no nvidia-smi either": (
        {
            "cuda": Reading.of(cuda(available=False, devices=())),
            "nvidia_smi": gap("cuda", "nvidia-smi ended with 9: driver not loaded"),
        },
        "nvidia-smi ended with 9: driver not loaded",
    ),
    "available without a device": ({"cuda": Reading.of(cuda(available=True, devices=()))}, "PyTorch finds no device"),
    "too few": ({"required": NEEDS.model_copy(update={"gpus": 2})}, "PyTorch sees 1 GPU, need 2"),
    "no code for it": (
        {"cuda": Reading.of(cuda(arch_list=("sm_90",)))},
        "PyTorch 2.5.1+cu121 has code for sm_90, and NVIDIA A10G is sm_86",
    ),
    "no kernel image": (
        {"cuda": Reading.of(cuda(device(trial=gap("cuda", "CUDA error: no kernel image is available"))))},
        "NVIDIA A10G: CUDA error: no kernel image is available",
    ),
    "wrong products": (
        {"cuda": Reading.of(cuda(device(trial=Reading.of(0.3))))},
        "NVIDIA A10G computes wrongly: a product in bf16 is off by 0.3 of its size",
    ),
    "products that are no numbers": (
        {"cuda": Reading.of(cuda(device(trial=Reading.of(float("nan")))))},
        "is off by nan",
    ),
    "one element of a product is lost": (
        {"cuda": Reading.of(cuda(device(trial=Reading.of(0.024))))},
        "NVIDIA A10G computes wrongly: a product in bf16 is off by 0.024 of its size",
    ),
    "the second one": ({"cuda": Reading.of(cuda(device(), device(trial=Reading.of(9.0))))}, "computes wrongly"),
    "a question that hung": (
        {"cuda": gap("cuda", "asking for CUDA did not end within 45 s")},
        "did not end within 45 s",
    ),
}


@pytest.mark.parametrize(("changed", "said"), WRONG.values(), ids=[*WRONG])
def test_a_gpu_that_cannot_be_used_is_named_with_the_reason(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(pytest.fail.Exception) as failed:
        judged(**changed)
    assert said in str(failed.value)


def test_an_old_driver_that_computes_all_the_same_is_no_alarm() -> None:
    """NVIDIA's compatibility package lets the drivers of data centres run a later CUDA."""
    assert judged(nvidia_smi=OLD).warnings == []


@pytest.mark.parametrize("capability", ["٨.٦", "8.x", "8"])
def test_a_capability_that_is_none_is_no_answer(capability: str) -> None:
    one = {"index": 0, "name": "GPU", "capability": capability, "total_bytes": 1, "free": {"value": 1}, "uuid": ""}
    value = {"available": True, "why": [], "warnings": [], "arch_list": [], "devices": [one], "bf16": None}
    built = {"version": "2.5.1", "cuda": "12.1", "hip": "", "file": "/t", "cudnn": None, "took_s": 1.0}
    answers = {
        "torch": {"": {"value": {**built, "simulated": False, "warnings": []}}},
        "cuda": {"": {"value": value}},
    }

    assert "no compute capability" in decoded(answers).cuda.reason


def test_nothing_is_said_of_a_gpu_that_the_training_does_not_use() -> None:
    broken = device(index=1, trial=Reading.of(9.0))

    judged(NEEDS.model_copy(update={"gpus": 1}), cuda=Reading.of(cuda(device(), broken)))


@pytest.mark.parametrize(
    ("changed", "root"),
    [
        ({"cuda": gap("pytorch")}, "pytorch"),
        ({"torch": Reading.of(torch(version="2.5.1+cpu", cuda=""))}, "pytorch"),
        ({"cuda": Reading.of(cuda(device(trial=gap("gpu-memory"))))}, "gpu-memory"),
        ({"cuda": gap("ssh-access"), "torch": gap("ssh-access")}, "ssh-access"),
    ],
)
def test_what_somebody_else_owns_is_blocked_by_them(changed: dict[str, Any], root: str) -> None:
    with pytest.raises(Blocked) as blocked:
        judged(**changed)
    assert blocked.value.by == root


def test_bf16_on_an_old_card_is_looked_at_by_somebody() -> None:
    evidence = judged(cuda=Reading.of(cuda(device(**T4), arch_list=("sm_75",))))

    assert evidence.warnings == ["Tesla T4 computes bf16 by emulation only, many times slower; use fp16"]


@pytest.mark.parametrize(
    ("capability", "arch_list", "fits"),
    [
        ("8.6", ("sm_80",), True),  # binary compatible within the major version
        ("8.6", ("sm_86",), True),
        ("8.6", ("sm_89",), False),
        ("8.6", ("sm_75",), False),
        ("8.6", ("sm_90", "compute_80"), True),  # PTX is compiled for any later one
        ("7.5", ("compute_80",), False),
        ("9.0", ("sm_90a",), True),
        ("10.0", ("sm_90a",), False),
        ("10.0", ("sm_100",), True),
        ("12.0", ("sm_100", "sm_120"), True),
        ("12.0", ("sm_100",), False),
        ("8.6", (), True),
    ],
)
def test_code_fits_a_device_by_nvidias_rules(capability: str, arch_list: tuple[str, ...], *, fits: bool) -> None:
    assert arch_fits(capability, arch_list) is fits


@pytest.mark.parametrize(
    ("driver", "built", "old"),
    [
        ("525.60.13", "12.1", False),
        ("515.105.01", "12.1", True),
        ("450.80.02", "11.8", False),
        ("570.86", "13.0", True),
        ("", "12.1", False),
        ("550.1", "", False),
        ("550.1", "14.0", False),
    ],
)
def test_a_driver_is_old_by_the_major_version_of_cuda(driver: str, built: str, *, old: bool) -> None:
    assert bool(driver_too_old(driver, torch(cuda=built))) is old


def memory_of(nvidia_smi: Any = None, required_gb: float = 24, gpus: int | None = None, **changed: Any) -> Evidence:
    evidence = Evidence()
    required = NEEDS.model_copy(update={"gpus": gpus})
    judge_room(rooms_in(context(**changed), nvidia_smi or smi(), required), required_gb, evidence)
    return evidence


def test_an_idle_24_gb_card_has_24_gb() -> None:
    noted = memory_of().noted

    assert (noted["gpu_gb"], noted["free_gb"], noted["required_gb"]) == (24.1, 23.6, "24")


def test_what_pytorch_alone_says_of_a_24_gb_card_is_enough() -> None:
    memory_of(gap("cuda"))


def test_what_nvidia_smi_alone_says_of_a_24_gb_card_is_enough() -> None:
    memory_of(cuda=gap("pytorch"), torch=gap("pytorch"))


TRAINER = GpuProcess(pid=4242, name="python3", kind="C", used_bytes=20_000 * MIB)
LITTLE = Reading.of(2_500 * MIB)
TOO_LITTLE: dict[str, tuple[dict[str, Any], str, float]] = {
    "a small card": (
        {
            "cuda": Reading.of(cuda(device(**T4))),
            "nvidia_smi": smi(card(name="Tesla T4", uuid="GPU-t4", total_bytes=Reading.of(15_360 * MIB))),
        },
        "it is Tesla T4",
        16.1,
    ),
    "a card that another holds": (
        {"cuda": Reading.of(cuda(device(free_bytes=LITTLE))), "nvidia_smi": smi(card(TRAINER, free_bytes=LITTLE))},
        "only 2.6GB of it free, held by python3 (pid 4242, 20.9GB)",
        24.1,
    ),
    "a card that somebody unseen holds": (
        {"cuda": Reading.of(cuda(device(free_bytes=LITTLE)))},
        "only 2.6GB of it free, and no process is named as the holder",
        24.1,
    ),
    "the second of two": (
        {"cuda": Reading.of(cuda(device(uuid=""), device(index=1, **T4))), "nvidia_smi": gap("cuda")},
        "it is Tesla T4",
        15.8,
    ),
    "a slice of a large one": (
        {
            "cuda": Reading.of(cuda(device(total_bytes=9_800 * MIB, free_bytes=Reading.of(9_700 * MIB)))),
            "nvidia_smi": smi(card(mig=True, total_bytes=Reading.of(40_960 * MIB))),
        },
        "it is NVIDIA A10G",
        10.2,
    ),
}


@pytest.mark.parametrize(("changed", "said", "gpu_gb"), TOO_LITTLE.values(), ids=[*TOO_LITTLE])
def test_too_little_memory_is_said_with_who_holds_it(changed: dict[str, Any], said: str, gpu_gb: float) -> None:
    evidence = Evidence()
    with pytest.raises(pytest.fail.Exception) as failed:
        judge_room(rooms_in(context(cuda=changed["cuda"]), changed.get("nvidia_smi", smi()), NEEDS), 24, evidence)
    assert (str(failed.value), evidence.noted["gpu_gb"]) == (said, gpu_gb)


def test_a_16_gb_card_of_an_old_driver_has_16_gb() -> None:
    memory_of(gap("cuda"), required_gb=16, cuda=Reading.of(cuda(device(**T4))))


def test_a_busy_card_that_is_not_used_is_no_alarm() -> None:
    busy = device(index=1, free_bytes=LITTLE)

    memory_of(gap("cuda"), gpus=1, cuda=Reading.of(cuda(device(), busy)))


@pytest.mark.parametrize(
    ("value", "names"), [("0", ["a"]), ("1", ["b"]), ("GPU-b", ["b"]), ("1,0", ["b", "a"]), ("7", [])]
)
def test_without_pytorch_the_cards_are_those_that_the_environment_leaves(value: str, names: list[str]) -> None:
    cards = card(name="a", uuid="GPU-a"), card(name="b", uuid="GPU-b", index=1)
    blind = visible(value, cuda=gap("pytorch"))

    assert [room.name for room in rooms_in(context(**blind), smi(*cards), NEEDS)] == names


def test_no_visible_card_is_cudas_to_say() -> None:
    with pytest.raises(Blocked) as blocked:
        memory_of(**visible("", cuda=Reading.of(cuda(available=False, devices=()))))
    assert blocked.value.by == "cuda"


def test_memory_that_neither_can_tell_is_unknown() -> None:
    unknown = card(total_bytes=gap("cuda", "[N/A]"), free_bytes=gap("cuda", "[N/A]"), health=NO_HEALTH)
    with pytest.raises(Blocked) as blocked:
        memory_of(smi(unknown), cuda=gap("pytorch"))
    assert (blocked.value.by, blocked.value.reason) == ("cuda", "[N/A]")


def test_free_memory_that_is_not_known_is_not_taken_for_enough() -> None:
    with pytest.raises(Blocked) as blocked:
        memory_of(cuda=Reading.of(cuda(device(free_bytes=gap("cuda")))))
    assert blocked.value.by == "cuda"


def test_what_holds_a_card_is_looked_at_on_the_host() -> None:
    evidence = Evidence()
    held = {"cuda": Reading.of(cuda(device(free_bytes=LITTLE)))}
    with pytest.raises(pytest.fail.Exception):
        judge_room(rooms_in(context(**held), smi(card(TRAINER, free_bytes=LITTLE)), NEEDS), 24, evidence)
    assert evidence.command == "on the host: nvidia-smi --query-compute-apps=pid,used_memory,name --format=csv"
