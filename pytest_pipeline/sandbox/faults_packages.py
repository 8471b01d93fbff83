"""Faults of the packages beside PyTorch: the row dependencies must catch them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import FileSpec
from pytest_pipeline.sandbox.python_plan import CRASHES, HANGS, PackagePlan

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

ROW = "dependencies"
_DISABLES = "[transformers] Disabling PyTorch because PyTorch >= 2.6 is required but found 2.5.1+cu121"
_NOT_LOADED = "bitsandbytes library load error: Configured CUDA binary not found at libbitsandbytes_cuda121.so"
_LIBRARY_MISSING = 'raise ImportError("libarrow.so.1800: cannot open shared object file: No such file or directory")\n'


def _missing(plan: TenantPlan) -> Tally:
    del plan.host.system_python.packages["peft"]
    return plan.host.commands


def _changed(plan: TenantPlan, *, name: str, **changes: Any) -> Tally:
    package = plan.host.system_python.packages[name]
    for field, value in changes.items():
        setattr(package, field, value)
    return plan.host.commands


def _too_old(plan: TenantPlan) -> Tally:
    _require(plan, "transformers", ">=4.46")
    return _changed(plan, name="transformers", version="4.30.2")


def _shadowed(plan: TenantPlan) -> Tally:
    _require(plan, "peft", ">=0.13")
    plan.files["home/src/peft/__init__.py"] = FileSpec(text='__version__ = "0.4.0"\n')
    plan.host.environment["PYTHONPATH"] = str(plan.path("home/src"))
    return plan.host.commands


def _says(text: str) -> str:
    return f"import sys\nsys.stderr.write({text + chr(10)!r})\n"


def _load_error(plan: TenantPlan) -> Tally:
    # Who requires it imports it first: the import that is its own then says nothing.
    packages = plan.host.system_python.packages
    packages["bitsandbytes"] = PackagePlan(name="bitsandbytes", version="0.44.1", at_import=_says(_NOT_LOADED))
    packages["peft"].at_import += "import bitsandbytes\n"
    plan.settings["requirements"]["packages"].append("bitsandbytes")
    return plan.host.commands


def _no_init(plan: TenantPlan) -> Tally:
    loop = PackagePlan(name="acme-loop", version="1.0", sources={"acme/loop/train.py": _LIBRARY_MISSING})
    plan.host.system_python.packages["acme-loop"] = loop
    plan.settings["requirements"]["packages"].append("acme-loop")
    return plan.host.commands


def _require(plan: TenantPlan, name: str, specifier: str) -> None:
    packages = plan.settings["requirements"]["packages"]
    packages[packages.index(name)] = name + specifier


PACKAGE_FAULTS = (
    Fault(
        id="dep-missing",
        row=ROW,
        kind="gross",
        words="Missing package: peft",
        summary="a required package is not installed",
        inject=_missing,
    ),
    Fault(
        id="dep-broken",
        row=ROW,
        kind="gross",
        words="libarrow",
        summary="a package is installed, and raises when it is imported",
        inject=partial(_changed, name="datasets", at_import=_LIBRARY_MISSING),
    ),
    Fault(
        id="dep-version",
        row=ROW,
        kind="gross",
        words="4.30.2",
        summary="a package is older than required",
        inject=_too_old,
    ),
    Fault(
        id="dep-conflict",
        row=ROW,
        kind="subtle",
        words="huggingface-hub",
        summary="all import, and one is older than the others' metadata requires",
        inject=partial(_changed, name="huggingface-hub", version="0.16.4"),
    ),
    Fault(
        id="dep-pair",
        row=ROW,
        kind="subtle",
        words="accelerate 0.25.0",
        summary="two packages that import together and do not train together",
        inject=partial(_changed, name="accelerate", version="0.25.0"),
        also=("version-pins",),  # the repository pins a later one
    ),
    Fault(
        id="dep-half-removed",
        row=ROW,
        kind="subtle",
        words="Missing package: accelerate",
        summary="the package's folder was removed, and its metadata stayed: pip calls it installed",
        inject=partial(_changed, name="accelerate", gone=True),
    ),
    Fault(
        id="dep-shadowed",
        row=ROW,
        kind="subtle",
        words="0.4.0",
        summary="the right version is installed, and PYTHONPATH has an old checkout of it",
        inject=_shadowed,
    ),
    Fault(
        id="dep-without-torch",
        row=ROW,
        kind="subtle",
        words="Disabling PyTorch",
        summary="a package imports, and says in passing that it will not use this PyTorch: it has no models",
        inject=partial(_changed, name="transformers", at_import=_says(_DISABLES)),
    ),
    Fault(
        id="dep-not-loaded",
        row=ROW,
        kind="subtle",
        words="Missing package: bitsandbytes",
        summary="a package imports without its native library, and another one's import is told so",
        inject=_load_error,
    ),
    Fault(
        id="dep-no-init",
        row=ROW,
        kind="subtle",
        words="libarrow",
        summary="a package without any __init__.py, whose modules raise when they are imported",
        inject=_no_init,
    ),
    Fault(
        id="dep-hang",
        row=ROW,
        kind="subtle",
        words="Missing package: datasets",
        summary="importing a package never ends",
        inject=partial(_changed, name="datasets", at_import=HANGS),
    ),
    Fault(
        id="dep-crash",
        row=ROW,
        kind="subtle",
        words="Missing package: datasets",
        summary="importing a package takes the interpreter along (SIGSEGV)",
        inject=partial(_changed, name="datasets", at_import=CRASHES),
    ),
)
"""From what is not there to what only looks right."""
