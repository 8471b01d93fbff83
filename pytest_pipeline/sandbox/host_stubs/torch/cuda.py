"""`torch.cuda` of the stand-in: the devices that the driver is recorded with, as this process would see them."""

from __future__ import annotations

import os
import signal
import warnings
from dataclasses import dataclass
from typing import Any

from .visible import visible_devices

_MIB = 1 << 20
_OLDEST_DRIVERS = {11: (450, 80), 12: (525, 60), 13: (580, 65)}  # by CUDA release: minor versions are compatible
_NO_DRIVER = (
    "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from "
    "http://www.nvidia.com/Download/index.aspx"
)
_TOO_OLD = (
    "The NVIDIA driver on your system is too old (found version {found}). Please update your GPU driver by downloading "
    "and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx Alternatively, go to: "
    "https://pytorch.org to install a PyTorch version that has been compiled with your version of the CUDA driver."
)
_UNKNOWN = (
    "CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable "
    "CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero."
)
_NO_KERNEL = (
    "CUDA error: no kernel image is available for execution on the device\n"
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be "
    "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
_UNSUPPORTED = (
    "\n{name} with CUDA capability sm_{sm} is not compatible with the current PyTorch installation.\n"
    "The current PyTorch installation supports CUDA capabilities {archs}.\n"
    "If you want to use the {name} GPU with PyTorch, please check the instructions at "
    "https://pytorch.org/get-started/locally/\n"
)


class _State:
    facts: dict[str, Any]
    ready = False


@dataclass(frozen=True)
class _Uuid:
    text: str

    def __str__(self) -> str:
        return self.text.partition("-")[2]  # PyTorch shows it without `GPU-`


@dataclass(frozen=True)
class Properties:
    """What get_device_properties returns."""

    name: str
    major: int
    minor: int
    total_memory: int
    uuid: _Uuid


def record(facts: dict[str, Any]) -> None:
    """Take in what is recorded."""
    _State.facts = facts


def is_available() -> bool:
    """Return whether CUDA starts; where it does not, a warning says why."""
    if _State.facts["flaw"] == "hangs":
        signal.pause()
    if _State.facts["cuda"] is None:
        return False
    trouble = _trouble()
    if trouble:
        warnings.warn(
            f"CUDA initialization: {trouble} (Triggered internally at ../c10/cuda/CUDAFunctions.cpp:108.)",
            stacklevel=2,
        )
    return not trouble and bool(_devices())


def device_count() -> int:
    """Return how many devices NVML lists for this process: also where CUDA does not start."""
    return len(_devices()) if _State.facts["cuda"] is not None else 0


def get_arch_list() -> list[str]:
    """Return the architectures that the build has kernels for."""
    return list(_State.facts["arch_list"]) if is_available() else []


def get_device_properties(index: int) -> Properties:
    """Return what one device is."""
    device = _device(index)
    major, minor = device["capability"].split(".")
    return Properties(device["name"], int(major), int(minor), device["total_mib"] * _MIB, _Uuid(device["uuid"]))


def mem_get_info(index: int) -> tuple[int, int]:
    """Return the free and the total memory of one device, in bytes."""
    device = _device(index)
    return (device["total_mib"] - device["used_mib"]) * _MIB, device["total_mib"] * _MIB


def is_bf16_supported() -> bool:
    """Return whether bf16 works: by emulation it does on every device."""
    _start()
    return True


def synchronize(index: int) -> None:
    """Wait for a device, which has always finished."""
    _device(index)


def named(device: str) -> str:
    """Return the full name of a device that tensors can be on."""
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return "cpu"
    if kind != "cuda":
        raise RuntimeError(f"Expected one of cpu, cuda device type at start of device string: {device}")
    _device(int(number or 0))
    return f"cuda:{number or 0}"


def computed(product: list[list[float]], device: str) -> list[list[float]]:
    """Return a product as this device would compute it."""
    if device == "cpu":
        return product
    flaw, capability = _State.facts["flaw"], _device(int(device.partition(":")[2]))["capability"]
    if flaw == "no kernel" or not _runs_on(capability):
        raise RuntimeError(_NO_KERNEL)
    if flaw == "wrong product":
        return [[0.0 for _ in product[0]], *product[1:]]
    return product


def _trouble() -> str:
    """Return why CUDA does not start."""
    accelerator = _State.facts["accelerator"]
    if accelerator is None:
        return _NO_DRIVER
    wanted = _OLDEST_DRIVERS[int(_State.facts["cuda"].split(".")[0])]
    helped = "/compat" in os.environ.get("LD_LIBRARY_PATH", "")  # cuda-compat brings the libraries of a later driver
    if not helped and tuple(map(int, accelerator["driver"].split(".")[:2])) < wanted:
        major, minor = accelerator["cuda"].split(".")
        return _TOO_OLD.format(found=int(major) * 1000 + int(minor) * 10)
    return "" if accelerator["torch_sees"] else _UNKNOWN


def _devices() -> list[dict[str, Any]]:
    accelerator = _State.facts["accelerator"]
    return visible_devices(accelerator["cards"], os.environ.get("CUDA_VISIBLE_DEVICES")) if accelerator else []


def _start() -> None:
    """Start CUDA for this process. Raises as PyTorch does where it does not start."""
    if _State.facts["cuda"] is None:
        raise AssertionError("Torch not compiled with CUDA enabled")
    trouble = _trouble()
    if trouble:
        raise RuntimeError(trouble)
    devices = _devices()
    if not devices:
        raise RuntimeError("No CUDA GPUs are available")
    if not _State.ready:
        _State.ready = True
        for device in devices:
            if not _runs_on(device["capability"]):
                sm, archs = device["capability"].replace(".", ""), " ".join(_State.facts["arch_list"])
                warnings.warn(_UNSUPPORTED.format(name=device["name"], sm=sm, archs=archs), stacklevel=3)


def _device(index: int) -> dict[str, Any]:
    _start()
    devices = _devices()
    if not 0 <= index < len(devices):
        raise AssertionError("Invalid device id")
    return devices[index]


def _runs_on(capability: str) -> bool:
    """Binaries run on their own major version from their minor one on; PTX (`compute_90`) on everything later."""
    major, minor = map(int, capability.split("."))
    for arch in _State.facts["arch_list"]:
        kind, _, number = arch.partition("_")
        built = (int(number[:-1]), int(number[-1]))
        if (built <= (major, minor)) if kind == "compute" else (built[0] == major and built[1] <= minor):
            return True
    return False
