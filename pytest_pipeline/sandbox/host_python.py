"""The interpreters of a simulated host, as folders: this machine's interpreter beneath, packages of the host's own.

Each is a virtual environment (PEP 405), the system's python3 too: so it sees nothing that is installed on this machine.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.host_package import lay_out, lay_out_pip, lay_out_torch, stub

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import HostPlan
    from pytest_pipeline.sandbox.python_plan import PythonPlan

_REAL = Path(sys.executable).resolve()  # out of any environment that the sandbox itself runs in
_SHORT = f"{sys.version_info[0]}.{sys.version_info[1]}"
PACKAGES = f"lib/python{_SHORT}/site-packages"
"""Where an interpreter has its packages: named by its real version, also where it shows another."""

_PIP = "import sys\n\nimport pip\n\nsys.exit(pip.main(sys.argv[1:]))\n"


def make_pythons(plan: HostPlan, *, root: Path, home: Path) -> None:
    """Make all interpreters of a host: the system's in `root`, whose `bin` is on its PATH, the others below `home`."""
    system = {"": plan.system_python} if plan.python else {}
    for place, python in {**system, **plan.environments}.items():
        _Maker(plan, root=root, home=home).make(place, python)


class _Maker:
    """Makes interpreters of one host."""

    def __init__(self, plan: HostPlan, *, root: Path, home: Path) -> None:
        self._accelerator = asdict(plan.accelerator) if plan.accelerator else None
        self._root = root
        self._home = home

    def make(self, place: str, python: PythonPlan) -> None:
        """Make the interpreter that is to be at a place, with all that is installed for it."""
        prefix = self._prefix(place)
        packages = prefix / PACKAGES
        packages.mkdir(parents=True)
        (prefix / "bin").mkdir(exist_ok=True)
        self._programs(prefix / "bin", place, python)
        (prefix / "pyvenv.cfg").write_text(_configuration(python, prefix))
        if python.made_by == "conda":
            (prefix / "conda-meta").mkdir()
            (prefix / "conda-meta" / "history").touch()
        for package in python.packages.values():
            lay_out(package, packages, package.sources)
        if python.torch:
            lay_out_torch(python.torch, self._accelerator, packages)
        if python.pip is not None:
            lay_out_pip(packages)
        if python.version:
            (packages / "simulated_version.py").write_text(stub("simulated_version.py"))
            (packages / "simulated_version.txt").write_text(python.version)
            (packages / "simulated_version.pth").write_text("import simulated_version\n")

    def _programs(self, folder: Path, place: str, python: PythonPlan) -> None:
        interpreter = folder / "python3"
        if python.version:
            _write_program(interpreter, _launcher(python.version))
        else:
            interpreter.symlink_to(_removed(folder.parent) if python.base_gone else _REAL)
        if place:
            for name in ("python", f"python{_SHORT}"):
                (folder / name).symlink_to("python3")
            activate = _conda_activate if python.made_by == "conda" else _activate
            (folder / "activate").write_text(activate(self._prefix(place)))
        if python.pip is not None:
            whose = self._prefix(python.pip or place) / "bin" / "python3"
            for name in ("pip", "pip3"):
                _write_program(folder / name, f"#!{whose}\n{_PIP}")

    def _prefix(self, place: str) -> Path:
        return self._home / place.removeprefix("~/") if place else self._root


def _configuration(python: PythonPlan, prefix: Path) -> str:
    base = _removed(prefix) if python.base_gone else _REAL
    lines = [f"home = {base.parent}", "include-system-site-packages = false", f"version = {_SHORT}"]
    if python.made_by == "uv":
        lines.append("uv = 0.5.4")
    return "\n".join([*lines, ""])


def _removed(prefix: Path) -> Path:
    return prefix / "removed" / "bin" / f"python{_SHORT}"


def _launcher(version: str) -> str:
    """Return what starts the interpreter, but says itself what the interpreter's own binary would say."""
    return (
        "#!/bin/bash\n# The version is simulated: this machine's interpreter runs beneath.\n"
        f'case "$1" in -V | --version) echo "Python {version}"; exit;; esac\n'
        f'exec -a "$0" {quote(str(_REAL))} "$@"\n'
    )


def _activate(prefix: Path) -> str:
    return (
        "# To be sourced.\n"
        f"VIRTUAL_ENV={quote(str(prefix))}\nexport VIRTUAL_ENV\n"
        'PATH="$VIRTUAL_ENV/bin:$PATH"\nexport PATH\nunset PYTHONHOME\n'
    )


def _conda_activate(prefix: Path) -> str:
    """Return what activates the environment that it is given the name of, or else the base."""
    return (
        "# To be sourced, with the name of an environment.\n"
        f"CONDA_PREFIX={quote(str(prefix))}${{1:+/envs/$1}}\nCONDA_DEFAULT_ENV=${{1:-base}}\n"
        "export CONDA_PREFIX CONDA_DEFAULT_ENV\n"
        'PATH="$CONDA_PREFIX/bin:$PATH"\nexport PATH\n'
    )


def _write_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)
