"""Faults of the GPU and its driver: the rows cuda, gpu-memory and gpu-health must catch them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.accelerator import Accelerator, Slice, Tenant, a10g_card, a100, t4, two_gpus
from pytest_pipeline.sandbox.accelerator_hidden import machine_has_gpu
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.host_kernel_log import Message, kernel_log_programs
from pytest_pipeline.sandbox.plan import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.accelerator import Card
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

CUDA_ROW, MEMORY_ROW, HEALTH_ROW = "cuda", "gpu-memory", "gpu-health"
_IMPATIENT_S = 15.0  # the whole answer must come before this, and a hung nvidia-smi is given up a little earlier
_NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)
_MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 550.163"
_LOST = "Unable to determine the device handle for GPU0: 0000:00:1E.0: GPU is lost.  Reboot the system to recover."
_A10G = "NVRM: Xid (PCI:0000:00:1e)"


def _accelerator(plan: TenantPlan) -> Accelerator:
    if plan.host.accelerator is None:
        raise UnavailableError("this fault is one of a GPU, and another has taken the GPU away; leave one out")
    return plan.host.accelerator


def _card(plan: TenantPlan) -> Card:
    return _accelerator(plan).cards[0]


def _smi_refuses(plan: TenantPlan, *, text: str, status: int) -> Tally:
    accelerator = _accelerator(plan)
    accelerator.smi_refusal, accelerator.torch_sees = (text, status), False
    return plan.host.commands


def _smi_absent(plan: TenantPlan) -> Tally:
    if "volume" in plan.simulated and machine_has_gpu():
        raise UnavailableError(
            "this machine has a GPU, which cannot be hidden without mount namespaces; "
            "run the sandbox where `unshare -Urm true` works"
        )
    plan.host.accelerator = None
    return plan.host.commands


def _smi_hangs(plan: TenantPlan) -> Tally:
    accelerator = _accelerator(plan)
    accelerator.smi_hangs, accelerator.torch_sees = True, False
    plan.settings["host"]["command_timeout_s"] = _IMPATIENT_S
    return plan.host.commands


def _has(plan: TenantPlan, *, make: Callable[[], Accelerator]) -> Tally:
    plan.host.accelerator = make()
    return plan.host.commands


def _slices(plan: TenantPlan) -> Tally:
    _has(plan, make=a100)
    _card(plan).slices = [Slice(total_mib=4864, used_mib=13) for _ in range(7)]
    return plan.host.commands


def _busy(plan: TenantPlan) -> Tally:
    _held(_card(plan))
    return plan.host.commands


def _held(card: Card) -> None:
    card.processes.append(Tenant(pid=48211, name="/opt/vllm/bin/python3", used_mib=20_480))
    card.used_mib += 20_480


def _second_busy(plan: TenantPlan) -> Tally:
    accelerator = _accelerator(plan)
    accelerator.cards.append(a10g_card(2))
    _held(accelerator.cards[1])
    plan.settings["requirements"]["gpus"] = 2
    return plan.host.commands


def _second_only(plan: TenantPlan) -> Tally:
    _has(plan, make=two_gpus)
    sees(plan, "1")
    return plan.host.commands


def _untold(plan: TenantPlan) -> Tally:
    _accelerator(plan).torch_sees = False
    _card(plan).tells_memory = False
    return plan.host.commands


def sees(plan: TenantPlan, devices: str) -> None:
    """Let the pipeline's context see these devices alone."""
    for context in plan.settings["host"]["contexts"]:
        context["environment"] = {**context.get("environment", {}), "CUDA_VISIBLE_DEVICES": devices}


def _says(plan: TenantPlan, **health: Any) -> Tally:
    for name, value in health.items():
        setattr(_card(plan).health, name, value)
    return plan.host.commands


def _second_lost(plan: TenantPlan) -> Tally:
    accelerator = _accelerator(plan)
    accelerator.cards.append(a10g_card(2))
    accelerator.cards[1].health.lost = True
    sees(plan, "0")
    return plan.host.commands


def _kernel_says(plan: TenantPlan, *texts: str, age_s: int = 600, journal: bool = True) -> Tally:
    messages = (Message(text=text, age_s=age_s) for text in texts)
    plan.host.programs |= kernel_log_programs(*messages, journal=journal)
    return plan.host.commands


def _storm(plan: TenantPlan) -> Tally:
    """Bury a broken card's message under those of the processes that it took down."""
    faults = [f"{_A10G}: 31, pid={pid}, name=python3, Ch 00000008, MMU Fault" for pid in range(900)]
    return _kernel_says(plan, f"{_A10G}: 48, pid='<unknown>', name=<unknown>, DBE (double bit error)", *faults)


GPU_FAULTS = (
    Fault(
        id="smi-driver",
        row=CUDA_ROW,
        kind="gross",
        words="nvidia-smi ended with 9",
        summary="the driver is not loaded",
        inject=partial(_smi_refuses, text=_NO_DRIVER, status=9),
    ),
    Fault(
        id="smi-mismatch",
        row=CUDA_ROW,
        kind="subtle",
        words="Driver/library version mismatch",
        summary="the driver's libraries were upgraded, and its kernel module is still the old one",
        inject=partial(_smi_refuses, text=_MISMATCH, status=18),
    ),
    Fault(
        id="smi-absent",
        row=CUDA_ROW,
        kind="gross",
        words="nvidia-smi is not installed",
        summary="no GPU, and no driver",
        inject=_smi_absent,
    ),
    Fault(
        id="smi-lost",
        row=CUDA_ROW,
        kind="subtle",
        words="GPU is lost",
        summary="the GPU has fallen off the bus",
        inject=partial(_smi_refuses, text=_LOST, status=15),
    ),
    Fault(
        id="smi-hang",
        row=CUDA_ROW,
        kind="subtle",
        words="gave no answer within",
        summary="nvidia-smi does not come back",
        inject=_smi_hangs,
    ),
    Fault(
        id="vram-small",
        row=MEMORY_ROW,
        kind="gross",
        words="GPU has 16",
        summary="a T4 where 24 GB are needed",
        inject=partial(_has, make=t4),
        also=(CUDA_ROW,),  # a T4 computes bf16 by emulation only
    ),
    Fault(
        id="vram-busy",
        row=MEMORY_ROW,
        kind="subtle",
        words="/opt/vllm/bin/python3 (pid 48211",
        summary="a GPU of the right size, and another process holds most of it",
        inject=_busy,
        also=("co-tenants",),
    ),
    Fault(
        id="vram-second-busy",
        row=MEMORY_ROW,
        kind="subtle",
        words="/opt/vllm/bin/python3 (pid 48211",
        summary="of two GPUs that are used the second is held by another process",
        inject=_second_busy,
        also=("co-tenants",),
    ),
    Fault(
        id="vram-second-small",
        row=MEMORY_ROW,
        kind="subtle",
        words="GPU has 16",
        summary="the first GPU has enough memory, and the context sees the second alone",
        inject=_second_only,
        also=(CUDA_ROW,),
    ),
    Fault(
        id="vram-mig-slice",
        row=MEMORY_ROW,
        kind="subtle",
        words="GPU has 5",
        summary="a large GPU, of which a process gets a slice",
        inject=_slices,
    ),
    Fault(
        id="vram-na",
        row=MEMORY_ROW,
        kind="subtle",
        words="[N/A]",
        summary="nvidia-smi says [N/A] for the memory, and PyTorch cannot tell",
        inject=_untold,
        expect=Status.BLOCKED,
        also=(CUDA_ROW,),
    ),
    Fault(
        id="gpu-ecc",
        row=HEALTH_ROW,
        kind="gross",
        words="2 uncorrectable ECC errors",
        summary="memory errors that ECC could not correct",
        inject=partial(_says, ecc_uncorrected=2),
    ),
    Fault(
        id="gpu-remap-pending",
        row=HEALTH_ROW,
        kind="subtle",
        words="row remapping is pending",
        summary="broken memory is in use until the GPU is reset",
        inject=partial(_says, rows_pending=True),
    ),
    Fault(
        id="gpu-remap-failed",
        row=HEALTH_ROW,
        kind="gross",
        words="row remapping failed",
        summary="broken memory, and nothing left to replace it",
        inject=partial(_says, rows_failed=True),
    ),
    Fault(
        id="gpu-needs-reset",
        row=HEALTH_ROW,
        kind="subtle",
        words="the driver asks for: reset",
        summary="the driver works on with a GPU that needs a reset",
        inject=partial(_says, needs="Reset"),
    ),
    Fault(
        id="gpu-second-lost",
        row=HEALTH_ROW,
        kind="subtle",
        words="GPU 1 is not healthy: it is lost",
        summary="the second of two GPUs is listed, and no longer answers",
        inject=_second_lost,
    ),
    Fault(
        id="gpu-xid-79",
        row=HEALTH_ROW,
        kind="gross",
        words="Xid 79: it has fallen off the bus",
        summary="the kernel's log says that the GPU was gone, ten minutes ago",
        inject=lambda plan: _kernel_says(plan, f"{_A10G}: 79, pid='<unknown>', GPU has fallen off the bus."),
    ),
    Fault(
        id="gpu-xid-dmesg",
        row=HEALTH_ROW,
        kind="subtle",
        words="Xid 119",
        summary="the journal may not be read, and the kernel's own buffer tells of a firmware that hangs",
        inject=lambda plan: _kernel_says(
            plan, f"{_A10G}: 119, pid=811, name=python3, Timeout after 6s of waiting for RPC response", journal=False
        ),
    ),
    Fault(
        id="gpu-xid-storm",
        row=HEALTH_ROW,
        kind="subtle",
        words="Xid 48: uncorrectable memory error",
        summary="one message of a broken GPU among hundreds of harmless ones",
        inject=_storm,
    ),
    Fault(
        id="gpu-xid-31",
        row=HEALTH_ROW,
        kind="subtle",
        words="Xid 31: page fault",
        summary="a program read memory that was not its own, an hour ago",
        inject=lambda plan: _kernel_says(plan, f"{_A10G}: 31, pid=811, name=python3, MMU Fault", age_s=3600),
        expect=Status.WARNED,
    ),
    Fault(
        id="gpu-slowed",
        row=HEALTH_ROW,
        kind="subtle",
        words="HW thermal slowdown",
        summary="the GPU is too hot, and slows itself down",
        inject=partial(_says, slowed_by=["hw_slowdown", "hw_thermal_slowdown"], temperature_c=93),
        expect=Status.WARNED,
    ),
    Fault(
        id="gpu-power-cap",
        row=HEALTH_ROW,
        kind="subtle",
        words="150 W only, of 300 W",
        summary="the GPU's power limit was lowered",
        inject=partial(_says, power_limit_w=150.0),
        expect=Status.WARNED,
    ),
    Fault(
        id="gpu-one-lane",
        row=HEALTH_ROW,
        kind="subtle",
        words="1 PCIe lanes of 16",
        summary="the link to the GPU was trained down to one lane",
        inject=partial(_says, pcie_width=1),
        expect=Status.WARNED,
    ),
)
"""The driver first, then the memory, then the hardware."""
