"""What the interpreters of a simulated host are to be: their environments, the packages in them, and their PyTorch."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

HANGS = "import signal\nsignal.pause()\n"
"""What a module does that hangs while it is imported."""

CRASHES = "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n"
"""What a module does that takes its interpreter along."""


class CudaFlaw(Enum):
    """How a PyTorch that can be imported fails on the GPU."""

    NONE = ""
    HANGS = "hangs"  # asking for the devices never ends
    NO_KERNEL = "no kernel"  # the architecture is listed, and its kernels are not in the build
    WRONG_PRODUCT = "wrong product"  # one row of a matrix product is not what it should be


@dataclass(kw_only=True)
class PackagePlan:
    """An installed distribution of stubs, with real metadata. `modules` are its folders; left out: its own name.

    `at_import` is source that its modules run when they are imported. `gone`: they were removed, their metadata not.
    `sources` are its files by path and text, where they are not plain stubs.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    at_import: str = ""
    gone: bool = False
    sources: dict[str, str] = field(default_factory=dict)


def at_start(name: str, source: str) -> PackagePlan:
    """Return a package that runs source whenever its interpreter starts.

    By a .pth file: Debian's Python has a sitecustomize of its own, which hides all others.
    """
    return PackagePlan(name=name, version="1", sources={f"{name}.py": source, f"{name}.pth": f"import {name}\n"})


@dataclass(kw_only=True)
class TorchPlan:
    """A build of PyTorch. `cuda` is what it was built for, None on a build for the CPU alone.

    `distribution` is the version in its metadata, where that is not `version`: PyPI's metadata has no `+cu124`.
    """

    version: str = "2.5.1+cu121"
    cuda: str | None = "12.1"
    arch_list: tuple[str, ...] = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
    distribution: str = ""
    at_import: str = ""
    flaw: CudaFlaw = CudaFlaw.NONE


@dataclass(kw_only=True)
class PythonPlan:
    """An interpreter with packages of its own. Beneath each is this machine's interpreter.

    `version` is shown instead of the real one: simulated, whatever else the interpreter is asked. `pip` is whose
    interpreter `pip` installs for: "" its own, a place another's, None where there is no pip. `base_gone`: the
    interpreter that it was made from was removed since.
    """

    packages: dict[str, PackagePlan] = field(default_factory=dict)
    torch: TorchPlan | None = None
    version: str = ""
    made_by: Literal["system", "venv", "uv", "conda"] = "venv"
    pip: str | None = ""
    base_gone: bool = False
