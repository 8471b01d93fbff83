"""Faults of PyTorch and of what it needs to compute on a GPU: the rows pytorch and cuda must catch them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import UnavailableError
from pytest_pipeline.sandbox.python_plan import CRASHES, HANGS, CudaFlaw, TorchPlan

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.accelerator import Accelerator
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

TORCH_ROW, CUDA_ROW = "pytorch", "cuda"
_LIBRARY_MISSING = 'raise OSError("libcudart.so.12: cannot open shared object file: No such file or directory")\n'
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def _none(plan: TenantPlan) -> Tally:
    plan.host.system_python.torch = None
    return plan.host.commands


def _build(plan: TenantPlan, **build: Any) -> Tally:
    plan.host.system_python.torch = TorchPlan(**build)
    return plan.host.commands


def _accelerator(plan: TenantPlan) -> Accelerator:
    if plan.host.accelerator is None:
        raise UnavailableError("this fault is one of a driver, and another has taken the GPU away; leave one out")
    return plan.host.accelerator


def _off(plan: TenantPlan) -> Tally:
    _accelerator(plan).torch_sees = False
    return plan.host.commands


def _driver_old(plan: TenantPlan) -> Tally:
    accelerator = _accelerator(plan)
    accelerator.driver, accelerator.cuda = "470.82.01", "11.4"
    return plan.host.commands


def _visible(plan: TenantPlan, *, devices: str) -> Tally:
    plan.host.environment[_VISIBLE] = devices
    return plan.host.commands


TORCH_FAULTS = (
    Fault(
        id="torch-none",
        row=TORCH_ROW,
        kind="gross",
        words="No module named 'torch'",
        summary="PyTorch is not installed",
        inject=_none,
    ),
    Fault(
        id="torch-ver",
        row=TORCH_ROW,
        kind="gross",
        words="PyTorch 2.1.0",
        summary="an older release",
        inject=partial(_build, version="2.1.0+cu121"),
    ),
    Fault(
        id="torch-cpu",
        row=TORCH_ROW,
        kind="subtle",
        words="the CPU alone",
        summary="the right release, built for the CPU alone",
        inject=partial(_build, version="2.5.1+cpu", cuda=None, arch_list=()),
    ),
    Fault(
        id="torch-cu118",
        row=TORCH_ROW,
        kind="subtle",
        words="11.8",
        summary="the right release, built for an older CUDA",
        inject=partial(_build, version="2.5.1+cu118", cuda="11.8"),
    ),
    Fault(
        id="torch-half-upgraded",
        row=TORCH_ROW,
        kind="subtle",
        words="PyTorch 2.4.1",
        summary="the metadata is of the right release, and what is imported of an older one",
        inject=partial(_build, version="2.4.1+cu121", distribution="2.5.1+cu121"),
    ),
    Fault(
        id="torch-broken",
        row=TORCH_ROW,
        kind="gross",
        words="libcudart.so.12",
        summary="a library that it is linked against is not there",
        inject=partial(_build, at_import=_LIBRARY_MISSING),
    ),
    Fault(
        id="torch-hang",
        row=TORCH_ROW,
        kind="subtle",
        words="PyTorch 2.5.1+cu121 invalid",
        summary="importing it never ends",
        inject=partial(_build, at_import=HANGS),
    ),
    Fault(
        id="torch-crash",
        row=TORCH_ROW,
        kind="subtle",
        words="PyTorch 2.5.1+cu121 invalid",
        summary="importing it takes the interpreter along (SIGSEGV)",
        inject=partial(_build, at_import=CRASHES),
    ),
    Fault(
        id="cuda-off",
        row=CUDA_ROW,
        kind="gross",
        words="CUDA unknown error",
        summary="the driver works, and CUDA does not start",
        inject=_off,
    ),
    Fault(
        id="cuda-driver-old",
        row=CUDA_ROW,
        kind="gross",
        words="too old",
        summary="a driver of CUDA 11 under a PyTorch built for CUDA 12",
        inject=_driver_old,
    ),
    Fault(
        id="cuda-arch",
        row=CUDA_ROW,
        kind="subtle",
        words="sm_90",
        summary="CUDA is available, and PyTorch is built for other GPUs",
        inject=partial(_build, arch_list=("sm_90",)),
    ),
    Fault(
        id="cuda-no-kernel",
        row=CUDA_ROW,
        kind="subtle",
        words="no kernel image is available",
        summary="CUDA is available and the architecture listed, and nothing can be computed",
        inject=partial(_build, flaw=CudaFlaw.NO_KERNEL),
    ),
    Fault(
        id="cuda-wrong-product",
        row=CUDA_ROW,
        kind="subtle",
        words="computes wrongly",
        summary="one row of a product is lost, without an error",
        inject=partial(_build, flaw=CudaFlaw.WRONG_PRODUCT),
    ),
    Fault(
        id="cuda-hang",
        row=CUDA_ROW,
        kind="subtle",
        words="CUDA not available on instance",
        summary="PyTorch imports, and asking for CUDA never ends",
        inject=partial(_build, flaw=CudaFlaw.HANGS),
    ),
    Fault(
        id="cuda-visible-empty",
        row=CUDA_ROW,
        kind="subtle",
        words=_VISIBLE,
        summary="the GPU is there, and an empty variable hides it",
        inject=partial(_visible, devices=""),
    ),
    Fault(
        id="cuda-visible-gone",
        row=CUDA_ROW,
        kind="subtle",
        words=_VISIBLE,
        summary="the variable names the second GPU of a host that has one",
        inject=partial(_visible, devices="1"),
    ),
)
"""PyTorch first, then the GPU."""
