"""Healthy hosts with other GPUs than the usual one, or that say less of theirs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.accelerator import a100, gaming, l4, mig, two_gpus
from pytest_pipeline.sandbox.fault import Variant
from pytest_pipeline.sandbox.faults_gpu import sees
from pytest_pipeline.sandbox.host_kernel_log import Message, kernel_log_programs
from pytest_pipeline.sandbox.python_plan import TorchPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.accelerator import Accelerator
    from pytest_pipeline.sandbox.plan import TenantPlan


_OF_GPUS = ("cuda", "gpu-memory")


def _has(plan: TenantPlan, *, make: Callable[[], Accelerator]) -> None:
    plan.host.accelerator = make()


def _first_of_two(plan: TenantPlan) -> None:
    _has(plan, make=two_gpus)
    sees(plan, "0")


def _cpu_only(plan: TenantPlan) -> None:
    """Train on the CPU: nothing that is required is about a GPU, and the settings say so of the rows that are."""
    plan.host.accelerator = None
    plan.host.system_python.torch = TorchPlan(version="2.5.1+cpu", cuda=None, arch_list=())
    required = plan.settings["requirements"]
    del required["torch_cuda"], required["gpu_memory_gb"]
    required["precision"] = "fp32"
    plan.settings["rows"] = {"not_applicable": dict.fromkeys(_OF_GPUS, "it trains on the CPU")}


def _log_closed(plan: TenantPlan) -> None:
    plan.host.programs |= kernel_log_programs(journal=False, buffer=False)


def _log_of_days(plan: TenantPlan) -> None:
    """Let old troubles stand in the kernel's buffer, and the name of a process look like one of today."""
    old = Message(text="NVRM: Xid (PCI:0000:00:1e): 79, GPU has fallen off the bus.", age_s=3 * 86_400)
    named = Message(text="traps: NVRM: Xid (PCI:0) general protection fault", age_s=60)
    plan.host.programs |= kernel_log_programs(old, named)


GPU_VARIANTS = (
    Variant(
        id="cpu-only", summary="no GPU, and none is required", inject=_cpu_only, left_out=(*_OF_GPUS, "gpu-health")
    ),
    Variant(id="l4", summary="an L4, sold as 24 GB: 23,034 MiB", inject=partial(_has, make=l4)),
    Variant(id="a100", summary="an A100 of 40 GB", inject=partial(_has, make=a100)),
    Variant(id="two-gpus", summary="two GPUs, of which the large one is used", inject=_first_of_two),
    Variant(id="mig", summary="a slice of a GPU that is large enough", inject=partial(_has, make=mig)),
    Variant(id="no-ecc", summary="a GPU without ECC, and all that depends on it", inject=partial(_has, make=gaming)),
    Variant(id="kernel-log-closed", summary="a user who may not read the kernel's log", inject=_log_closed),
    Variant(id="kernel-log-of-days", summary="a GPU error of three days ago in the log", inject=_log_of_days),
)
"""The A10G of the healthy host itself is one too: 23,028 MiB are 24 GB."""
