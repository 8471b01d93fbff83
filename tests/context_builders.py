"""Readings of a healthy context, to be changed by a test in the one thing that it is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_pipeline.observers.context_answer import contexts
from pytest_pipeline.observers.context_readings import (
    ContextReadings,
    Cuda,
    Device,
    Distribution,
    Imported,
    Interpreter,
    Limits,
    SharedMemory,
    Torch,
)
from pytest_pipeline.observers.gpu_readings import Gpu, GpuHealth, GpuProcess, Smi
from pytest_pipeline.observers.host_request import ContextRequest
from pytest_pipeline.outcome import Reading

MIB = 2**20
A10G_UUID = "GPU-5a1d0b10-0000-4000-8000-000000000001"


def interpreter(**changed: Any) -> Interpreter:
    healthy = Interpreter(
        version="3.10.12",
        implementation="cpython",
        executable="/usr/bin/python3",
        real="/usr/bin/python3.10",
        prefix="/usr",
        base_prefix="/usr",
        path=("/usr/lib/python3/dist-packages",),
        environment={},
        pip="/usr/bin/python3",
    )
    return replace(healthy, **changed)


def torch(**changed: Any) -> Torch:
    return replace(Torch(version="2.5.1+cu121", cuda="12.1", hip="", file="/t/torch/__init__.py"), **changed)


def device(**changed: Any) -> Device:
    healthy = Device(
        index=0,
        name="NVIDIA A10G",
        capability="8.6",
        total_bytes=22_593 * MIB,
        free_bytes=Reading.of(22_569 * MIB),
        uuid=A10G_UUID,
        trial=Reading.of(1e-3),
    )
    return replace(healthy, **changed)


def cuda(*devices: Device, **changed: Any) -> Cuda:
    healthy = Cuda(
        available=True,
        why=(),
        arch_list=("sm_75", "sm_80", "sm_86", "sm_90"),
        devices=devices or (device(),),
        bf16=True,
    )
    return replace(healthy, **changed)


def distribution(name: str, version: str, *requires: str) -> Distribution:
    return Distribution(name=name, version=version, location="/usr/lib/python3/dist-packages", requires=requires)


def imported(module: str, version: str = "", *warnings: str) -> Imported:
    return Imported(module=module, version=version, file=f"/t/{module}/__init__.py", warnings=warnings)


def decoded(answers: dict[str, Any], *packages: str, version: str = "3.10.12") -> ContextReadings:
    """What is made of a host's answers for a context, by kind and key."""
    about = {"version": version, "executable": "/usr/bin/python3", "prefix": "/usr"}
    said = {"train": {"value": {"python": about, "answers": answers, "ended": ""}}}
    return contexts(Reading.of(said), (ContextRequest(name="train", packages=packages),))["train"]


def context(**changed: Any) -> ContextReadings:
    healthy = ContextReadings(
        interpreter=Reading.of(interpreter()),
        limits=Reading.of(
            Limits(
                open_files=1024,
                open_files_hard=1_048_576,
                processes=None,
                locked_bytes=None,
                address_space_bytes=None,
                file_bytes=None,
            )
        ),
        shared_memory=Reading.of(SharedMemory(total_bytes=16 * 10**9, available_bytes=16 * 10**9, fs_type="tmpfs")),
        memory_limit_bytes=Reading.of(None),
        torch=Reading.of(torch()),
        cuda=Reading.of(cuda()),
        distributions=Reading.of((distribution("torch", "2.5.1+cu121"),)),
        packages={},
        entry_points={},
    )
    return replace(healthy, **changed)


NO_HEALTH = GpuHealth(
    lost=False,
    recovery=None,
    worn_out=None,
    ecc_uncorrected=None,
    rows_pending=None,
    rows_failed=None,
    rows_uncorrectable=None,
    pages_pending=None,
    throttled=(),
    temperature_c=None,
    power_limit_w=None,
    power_default_w=None,
    pcie_width=None,
    pcie_width_max=None,
)


def card(*processes: GpuProcess, **changed: Any) -> Gpu:
    healthy = Gpu(
        index=0,
        bus_id="00000000:00:1E.0",
        name="NVIDIA A10G",
        uuid=A10G_UUID,
        total_bytes=Reading.of(23_028 * MIB),
        free_bytes=Reading.of(22_569 * MIB),
        mig=False,
        mig_devices=(),
        persistence=True,
        compute_mode="Default",
        health=NO_HEALTH,
        processes=Reading.of(processes),
    )
    return replace(healthy, **changed)


def smi(*cards: Gpu, driver: str = "550.144.03") -> Reading[Smi]:
    return Reading.of(Smi(driver=driver, cuda="12.4", gpus=cards or (card(),)))
