"""An installed distribution of stubs: modules that can be imported, and the metadata that an installer leaves."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pytest_pipeline.sandbox.python_packages import torch_requirements
from pytest_pipeline.sandbox.python_plan import PackagePlan

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_pipeline.sandbox.python_plan import TorchPlan

_TORCH_SOURCES = ("__init__.py", "cuda.py", "tensor.py", "visible.py")


def lay_out(package: PackagePlan, folder: Path, sources: Mapping[str, str] | None = None) -> None:
    """Put a distribution into a folder of packages. `sources` are its files, where they are not plain stubs."""
    name = package.name.replace("-", "_")
    sources = sources or {f"{module}/__init__.py": _module(package) for module in package.modules or (name,)}
    info = f"{name}-{package.version}.dist-info"
    tops = sorted({path.partition("/")[0] for path in sources})
    metadata = {
        f"{info}/METADATA": _metadata(package),
        f"{info}/top_level.txt": "".join(f"{top}\n" for top in tops),
    }
    metadata[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*sources, *metadata, f"{info}/RECORD"))
    written = metadata if package.gone else {**sources, **metadata}
    for path, text in written.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def lay_out_torch(torch: TorchPlan, accelerator: Mapping[str, Any] | None, folder: Path) -> None:
    """Put a build of PyTorch into a folder of packages; its GPUs are those of the accelerator."""
    facts = {
        "version": torch.version,
        "cuda": torch.cuda,
        "arch_list": torch.arch_list,
        "flaw": torch.flaw.value,
        "accelerator": accelerator,
    }
    package = PackagePlan(name="torch", version=torch.distribution or torch.version, requires=torch_requirements(torch))
    sources = {f"torch/{name}": stub(f"torch/{name}") for name in _TORCH_SOURCES}
    sources["torch/at_import.py"] = torch.at_import or stub("torch/at_import.py")
    lay_out(package, folder, {**sources, "torch/facts.json": json.dumps(facts)})


def lay_out_pip(folder: Path) -> None:
    """Put pip into a folder of packages."""
    lay_out(PackagePlan(name="pip", version="24.0"), folder, {"pip/__init__.py": stub("pip.py")})


@cache
def stub(name: str) -> str:
    """Return a source that is copied to the host."""
    return (files("pytest_pipeline.sandbox") / "host_stubs" / name).read_text(encoding="utf-8")


def _module(package: PackagePlan) -> str:
    said = f'"""The sandbox\'s stand-in for {package.name}: it can be imported, and says which version it is."""\n'
    return f'{said}{package.at_import}__version__ = "{package.version}"\n__simulated__ = True\n'


def _metadata(package: PackagePlan) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {package.name}", f"Version: {package.version}"]
    lines += [f"Provides-Extra: {extra}" for extra in package.extras]
    lines += [f"Requires-Dist: {requirement}" for requirement in package.requires]
    return "\n".join([*lines, "", ""])
