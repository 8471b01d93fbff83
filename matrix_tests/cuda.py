"""Is CUDA there, and can it be used: the rows cuda and gpu-memory judge the devices that a context sees."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import pytest

from matrix_tests.interpreters import needs_gpu
from pytest_pipeline import Blocked, on_host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_pipeline import Evidence, Reading
    from pytest_pipeline.observers.context_readings import ContextReadings, Cuda, Device, Torch
    from pytest_pipeline.observers.gpu_readings import Gpu, Smi
    from pytest_pipeline.settings import Requirements

_GB = 10**9
_OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""By CUDA's major version (NVIDIA: "CUDA Compatibility", minor version compatibility)."""

_TOLERATED_ERROR = {"fp32": 5e-3, "fp16": 2e-2, "bf16": 2e-2}
"""Relative, of the trial product. TF32 rounds like fp16; in bf16 a healthy one is off by 2e-3, and one lost element is
as much as 2e-2."""

_BF16_SINCE = (8, 0)
_NOMINAL = 0.975  # of what it is sold as, a card may have: an older T4 shows 15,109 MiB of its 16 GB
_FREE_ENOUGH = 0.9  # of what is required: driver and display keep some for themselves on every card


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a used GPU has, in bytes, and who holds what is not free."""

    name: str
    total_bytes: int
    free_bytes: Reading[int]
    holders: tuple[str, ...]


def judge_cuda(context: ContextReadings, smi: Reading[Smi], required: Requirements, evidence: Evidence) -> None:
    """Fail where PyTorch cannot compute on the GPUs that it is to use."""
    driver = smi.or_none.driver if smi.or_none else ""
    evidence(driver=driver or "unknown")
    torch = context.torch.value
    if context.cuda.by == "cuda":
        _fail(context.cuda.reason, driver, torch)
    cuda = context.cuda.value
    if not torch.cuda and needs_gpu(required):
        raise Blocked("PyTorch is not built for CUDA", by="pytorch")
    used = used_devices(cuda.devices, required)
    wrong = _not_there(context, cuda, smi, required)
    for device in used:
        wrong = wrong or _cannot_run(device, cuda, torch) or _computes_wrongly(device, required.precision)
    if wrong:
        _fail(wrong, driver, torch)
    if required.precision == "bf16":
        for device in used:
            if _numbers(device.capability) < _BF16_SINCE:
                evidence.warn(f"{device.name} computes bf16 by emulation only, many times slower; use fp16")
    sizes = [_shown_size(device, smi) for device in used]
    evidence(devices=", ".join(device.name for device in used), gpus=_in_words(sizes), cuda=torch.cuda)


def _fail(wrong: str, driver: str, torch: Torch) -> NoReturn:
    """Fail, and lead with the driver where it may be why. Never for it alone: CUDA's compatibility package helps it."""
    pytest.fail(": ".join(filter(None, (driver_too_old(driver, torch), wrong))), pytrace=False)


def used_devices(devices: Sequence[Device], required: Requirements) -> Sequence[Device]:
    """Return the visible devices that the training uses: the first so many, or all."""
    return devices if required.gpus is None else devices[: required.gpus]


def driver_too_old(driver: str, torch: Torch) -> str:
    """Say that a driver alone cannot run what PyTorch was built for; nothing where it can, or one is not known."""
    built, found = _numbers(torch.cuda), _numbers(driver)
    oldest = _OLDEST_DRIVER.get(built[0]) if built else None
    if oldest is None or not found or found[0] >= oldest:
        return ""
    return f"driver {driver} is too old for PyTorch's CUDA {torch.cuda}, which needs {oldest} or later"


def arch_fits(capability: str, arch_list: Sequence[str]) -> bool:
    """Whether PyTorch holds code for a device: of its own major version and no later, or to be compiled (PTX).

    NVIDIA: "CUDA C++ Programming Guide", Binary Compatibility and PTX Compatibility. An `a` at the end (sm_90a) is for
    that device alone. An empty list tells nothing, and nothing is held against the device.
    """
    major, minor = _numbers(capability)[:2]
    for arch in arch_list:
        found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([af]?)", arch)
        if not found:
            continue
        kind, of_major, of_minor, only = found[1], int(found[2]), int(found[3]), found[4]
        if only:
            fits = (of_major, of_minor) == (major, minor)
        elif kind == "sm":
            fits = of_major == major and of_minor <= minor
        else:
            fits = (of_major, of_minor) <= (major, minor)
        if fits:
            return True
    return not arch_list


def _cannot_run(device: Device, cuda: Cuda, torch: Torch) -> str:
    if arch_fits(device.capability, cuda.arch_list):
        return ""
    own = f"sm_{device.capability.replace('.', '')}"
    return f"PyTorch {torch.version} has code for {' '.join(cuda.arch_list)}, and {device.name} is {own}"


def _computes_wrongly(device: Device, precision: str) -> str:
    if device.trial.by == "cuda":
        return f"{device.name}: {device.trial.reason}"
    error = device.trial.value
    if math.isfinite(error) and error <= _TOLERATED_ERROR[precision]:
        return ""
    return f"{device.name} computes wrongly: a product in {precision} is off by {error:.2g} of its size"


def _not_there(context: ContextReadings, cuda: Cuda, smi: Reading[Smi], required: Requirements) -> str:
    if cuda.available and len(cuda.devices) >= (required.gpus or 1):
        return ""
    visible = _visible(context)
    if cuda.available and cuda.devices:
        return f"PyTorch sees {len(cuda.devices)} GPU, need {required.gpus}{visible}"
    if not smi.is_known:
        return smi.reason
    return f"{'; '.join(cuda.why) or 'PyTorch finds no device'}{visible}"


def _visible(context: ContextReadings) -> str:
    """Say what hides devices from the context, if anything does."""
    interpreter = context.interpreter.or_none
    environment = interpreter.environment if interpreter else {}
    if "CUDA_VISIBLE_DEVICES" not in environment:
        return ""
    return f" (CUDA_VISIBLE_DEVICES is {environment['CUDA_VISIBLE_DEVICES']!r})"


def rooms_in(context: ContextReadings, smi: Reading[Smi], required: Requirements) -> list[Room]:
    """Return what the GPUs have that the context uses. Raises Blocked where neither PyTorch nor nvidia-smi can tell."""
    cuda = context.cuda.or_none
    if cuda is not None and cuda.devices:
        return [_room_of(device, smi) for device in used_devices(cuda.devices, required)]
    cards = smi.value.gpus  # PyTorch sees none, or is not there; what the cards have is known all the same
    chosen = _chosen(cards, context)
    return [
        Room(name=card.name, total_bytes=card.total_bytes.value, free_bytes=card.free_bytes, holders=_holders(card))
        for card in (chosen if required.gpus is None else chosen[: required.gpus])
    ]


def judge_room(rooms: Sequence[Room], required_gb: float, evidence: Evidence) -> None:
    """Fail where a used GPU has less than is required, or others hold too much of it."""
    evidence(required_gb=_plain(required_gb))
    if not rooms:
        raise Blocked("no GPU is visible to the context", by="cuda")
    smallest = min(rooms, key=lambda room: room.total_bytes)
    evidence(gpu_gb=_tenths(smallest.total_bytes), gpu=smallest.name)
    if smallest.total_bytes < required_gb * _GB * _NOMINAL:
        pytest.fail(f"it is {smallest.name}", pytrace=False)
    fullest = min(rooms, key=lambda room: room.free_bytes.value)
    free_bytes = fullest.free_bytes.value
    evidence(gpu_gb=_tenths(fullest.total_bytes), gpu=fullest.name, free_gb=_tenths(free_bytes))
    held = f", held by {', '.join(fullest.holders)}" if fullest.holders else ", and no process is named as the holder"
    if free_bytes < required_gb * _GB * _FREE_ENOUGH:
        evidence.remedy(on_host("nvidia-smi --query-compute-apps=pid,used_memory,name --format=csv"))
        pytest.fail(f"only {_tenths(free_bytes)}GB of it free{held}", pytrace=False)


def _room_of(device: Device, smi: Reading[Smi]) -> Room:
    card = _card_of(device, smi)
    return Room(
        name=device.name,
        total_bytes=_total_bytes(device, card),
        free_bytes=device.free_bytes,
        holders=_holders(card) if card else (),
    )


def _card_of(device: Device, smi: Reading[Smi]) -> Gpu | None:
    """Return the card that a device is, as far as that is sure: PyTorch numbers them otherwise than nvidia-smi."""
    cards = smi.or_none.gpus if smi.or_none else ()
    same = [
        card for card in cards if device.uuid and card.uuid.removeprefix("GPU-") == device.uuid.removeprefix("GPU-")
    ]
    named = [card for card in cards if card.name.endswith(device.name)]
    return same[0] if same else named[0] if len(named) == 1 and len(cards) == 1 else None


def _total_bytes(device: Device, card: Gpu | None) -> int:
    """Return what the card has, where it is known and used as a whole; a process can get a little less."""
    whole = card.total_bytes.or_none if card is not None and not card.mig else None
    return max(device.total_bytes, whole or 0)


def _chosen(cards: Sequence[Gpu], context: ContextReadings) -> Sequence[Gpu]:
    """Return the cards that CUDA_VISIBLE_DEVICES leaves to the context (NVIDIA: "CUDA Environment Variables")."""
    interpreter = context.interpreter.or_none
    given = interpreter.environment.get("CUDA_VISIBLE_DEVICES") if interpreter else None
    if given is None:
        return cards
    found: list[Gpu] = []
    for name in given.split(","):
        matching = [
            card for card in cards if name.strip() == str(card.index) or card.uuid.startswith(name.strip() or "-")
        ]
        if not matching:
            break  # what follows a device that is not there is not seen either
        found += matching[:1]
    return found


def _holders(card: Gpu) -> tuple[str, ...]:
    return tuple(
        f"{one.name} (pid {one.pid}{f', {_tenths(one.used_bytes)}GB' if one.used_bytes is not None else ''})"
        for one in card.processes.or_none or ()
    )


def _shown_size(device: Device, smi: Reading[Smi]) -> int:
    return _total_bytes(device, _card_of(device, smi)) // _GB


def _in_words(sizes_gb: Sequence[int]) -> str:
    if len(sizes_gb) == 1:
        return f"{sizes_gb[0]}GB GPU"
    return f"{len(sizes_gb)} GPUs of {', '.join(f'{size}GB' for size in sizes_gb)}"


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _plain(number: float) -> str:
    return f"{number:g}"


def _tenths(size_bytes: float) -> float:
    return size_bytes * 10 // _GB / 10
