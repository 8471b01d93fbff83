"""Faults of the host as a machine: who else works there, what a process may use, what an earlier run has left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.accelerator import Tenant
from pytest_pipeline.sandbox.fault import Fault, Variant
from pytest_pipeline.sandbox.host_content import Content
from pytest_pipeline.sandbox.plan import LOCK, FileSpec

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

_COMPANY, _SHM, _LIMITS, _STALE = "co-tenants", "shared-memory", "limits", "stale-processes"
_TRAINER = "train_mistral_simple.py"
_WAITS = "import signal\nsignal.pause()\n"


def _others_on_gpu(plan: TenantPlan) -> Tally:
    _on_gpu(plan, Tenant(pid=4242, name="/opt/flux/bin/python3", used_mib=12_210))
    return plan.host.commands


def _small_on_gpu(plan: TenantPlan) -> Tally:
    """Put a process of the host itself on the GPU, one that hardly holds anything: the first, which is a `cat`."""
    _ = plan.mounts
    _on_gpu(plan, Tenant(pid=1, name="cat", used_mib=310))
    return plan.host.commands


def _display_on_gpu(plan: TenantPlan) -> None:
    _on_gpu(plan, Tenant(pid=1201, name="/usr/lib/xorg/Xorg", used_mib=24, kind="G"))
    _on_gpu(plan, Tenant(pid=1302, name="nvidia-cuda-mps-server", used_mib=30))


def _on_gpu(plan: TenantPlan, tenant: Tenant) -> None:
    assert plan.host.accelerator is not None  # noqa: S101  # for the type checker: a healthy host has one
    card = plan.host.accelerator.cards[0]
    card.processes.append(tenant)
    card.used_mib += tenant.used_mib or 0


def _no_memory(plan: TenantPlan) -> Tally:
    plan.settings["requirements"]["ram_gb"] = 100_000
    return plan.host.commands


def _small_shm(plan: TenantPlan) -> Tally:
    _ = plan.mounts
    plan.host.shm.size_mib = 16
    return plan.host.commands


def _docker_shm(plan: TenantPlan) -> Tally:
    """As Docker's default: enough for one loader, and not for what is required here."""
    _ = plan.mounts
    plan.host.shm.size_mib = 64
    plan.settings["requirements"]["shm_gb"] = 0.1
    return plan.host.commands


def _littered_shm(plan: TenantPlan) -> Tally:
    _ = plan.mounts
    plan.host.shm.size_mib, plan.host.shm.fill_mib = 64, 60
    return plan.host.commands


def _limit(plan: TenantPlan, command: str) -> Tally:
    plan.files["home/.bashrc"] = FileSpec(text=f"{command}\n", mode=0o644)
    return plan.host.commands


def _few_files(plan: TenantPlan) -> Tally:
    return _limit(plan, "ulimit -Sn 256")


def _few_files_for_good(plan: TenantPlan) -> Tally:
    return _limit(plan, "ulimit -n 512")


def _little_address_space(plan: TenantPlan) -> Tally:
    return _limit(plan, "ulimit -Sv 33554432  # KiB")


def _small_files(plan: TenantPlan) -> Tally:
    return _limit(plan, "ulimit -Sf 4194304  # KiB")


def _running_trainer(plan: TenantPlan) -> Tally:
    _runs(plan, _TRAINER, "--batch-size", "1", "--run-id", "mistral-20250801-101500")
    return plan.host.commands


def _running_under_another_name(plan: TenantPlan) -> Tally:
    _runs(plan, "finetune_qwen.py")
    return plan.host.commands


def _running_monitor(plan: TenantPlan) -> Tally:
    _ = plan.mounts
    plan.files["home/monitor_training.sh"] = FileSpec(text="while :; do sleep 30; done\n")
    plan.host.processes.append(["bash", "monitor_training.sh"])
    return plan.host.commands


def _held_lock(plan: TenantPlan) -> Tally:
    """Hold the lock by who is not the one that asked for it, as a script does that called `flock`."""
    _ = plan.mounts
    plan.host.locked.append(LOCK)
    return plan.host.commands


def _left_lock(plan: TenantPlan) -> Tally:
    _ = plan.mounts
    plan.volume.content = {**plan.volume.content, LOCK.rpartition("/")[2]: Content(data=b"99999999\n")}
    return plan.host.commands


def _unlocked(plan: TenantPlan) -> None:
    _ = plan.mounts
    plan.host.files[LOCK] = 0


def _busy(plan: TenantPlan) -> None:
    _runs(plan, "trainee_portal.py", "--log", "training.log")
    plan.host.processes += [["tail", "-f", "/dev/null"], ["sleep", "1000000"]]


def _runs(plan: TenantPlan, script: str, *arguments: str) -> None:
    _ = plan.mounts
    plan.files[f"home/{script}"] = FileSpec(text=_WAITS)
    plan.host.processes.append(["python3", "-u", script, *arguments])


SYSTEM_FAULTS = (
    Fault(
        id="tenants-gpu",
        row=_COMPANY,
        kind="gross",
        words="pid 4242",
        summary="another service holds half of the GPU's memory, from a container",
        inject=_others_on_gpu,
        also=("gpu-memory",),
    ),
    Fault(
        id="tenants-gpu-small",
        row=_COMPANY,
        kind="subtle",
        words="computes on GPU 0",
        summary="somebody computes on the GPU with hardly any memory: it is shared all the same",
        inject=_small_on_gpu,
    ),
    Fault(
        id="tenants-memory",
        row=_COMPANY,
        kind="subtle",
        words="of main memory available, need",
        summary="the GPU is free, and main memory is less than the run needs",
        inject=_no_memory,
    ),
    Fault(
        id="shm-small",
        row=_SHM,
        kind="gross",
        words="need 0.05GB",
        summary="shared memory of 16 MiB",
        inject=_small_shm,
    ),
    Fault(
        id="shm-docker",
        row=_SHM,
        kind="subtle",
        words="need 0.1GB",
        summary="shared memory of 64 MiB, as Docker makes it",
        inject=_docker_shm,
    ),
    Fault(
        id="shm-littered",
        row=_SHM,
        kind="subtle",
        words="is taken",
        summary="shared memory is large enough, and full of what a killed run has left",
        inject=_littered_shm,
    ),
    Fault(
        id="limits-files",
        row=_LIMITS,
        kind="gross",
        words="is 256, need 1024",
        summary="256 open files, which the user may raise",
        inject=_few_files,
    ),
    Fault(
        id="limits-files-hard",
        row=_LIMITS,
        kind="subtle",
        words="is 512, need 1024",
        summary="512 open files, which the user may not raise",
        inject=_few_files_for_good,
    ),
    Fault(
        id="limits-addresses",
        row=_LIMITS,
        kind="subtle",
        words="ulimit -v",
        summary="32 GiB of address space: Python runs, and CUDA cannot reserve what it needs",
        inject=_little_address_space,
    ),
    Fault(
        id="limits-file-size",
        row=_LIMITS,
        kind="subtle",
        words="ulimit -f",
        summary="files of 4 GiB at most: the first checkpoint ends the run",
        inject=_small_files,
    ),
    Fault(
        id="stale-trainer",
        row=_STALE,
        kind="gross",
        words="train: pid",
        summary="the trainer of an earlier run is alive",
        inject=_running_trainer,
    ),
    Fault(
        id="stale-other-name",
        row=_STALE,
        kind="subtle",
        words="finetune_qwen.py",
        summary="a trainer that the settings do not know",
        inject=_running_under_another_name,
    ),
    Fault(
        id="stale-monitor",
        row=_STALE,
        kind="subtle",
        words="monitor_training.sh",
        summary="the monitor of an earlier run, which nobody stopped",
        inject=_running_monitor,
    ),
    Fault(
        id="stale-lock-held",
        row=_STALE,
        kind="subtle",
        words=f"{LOCK} is locked",
        summary="the lock is held, and who asked for it is gone",
        inject=_held_lock,
    ),
    Fault(
        id="stale-lock-left",
        row=_STALE,
        kind="subtle",
        expect=Status.WARNED,
        words="which is gone",
        summary="a lock file that names a process which is no more",
        inject=_left_lock,
    ),
)
"""Strangers first, then limits, then what is left."""

SYSTEM_VARIANTS = (
    Variant(id="display-on-gpu", summary="a display and the sharing daemon on the GPU", inject=_display_on_gpu),
    Variant(id="unlocked-lock-file", summary="a lock file that nobody holds", inject=_unlocked),
    Variant(id="busy-host", summary="processes that only sound like a trainer", inject=_busy),
)
"""Odd and healthy."""
