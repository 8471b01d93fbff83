"""Interpreters that are odd and healthy: none of them is a reason for an alarm."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.fault import Variant
from pytest_pipeline.sandbox.faults_python import ACTIVATE, ENVIRONMENT, further_context, set_profile
from pytest_pipeline.sandbox.plan import UnavailableError
from pytest_pipeline.sandbox.python_packages import bare_python, training_environment
from pytest_pipeline.sandbox.python_plan import PackagePlan, PythonPlan, TorchPlan

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan

_CONDA = "~/miniconda3"
_DATA = "~/envs/data"
_DASH = "/bin/dash"
_MANY = 200


def _environment(plan: TenantPlan) -> None:
    plan.host.system_python = bare_python()
    plan.host.environments[ENVIRONMENT] = training_environment()
    _set_up(plan, ACTIVATE)


def _uv(plan: TenantPlan) -> None:
    _environment(plan)
    plan.host.system_python.pip = plan.host.environments[ENVIRONMENT].pip = None
    plan.host.environments[ENVIRONMENT].made_by = "uv"


def _conda(plan: TenantPlan) -> None:
    plan.host.system_python = bare_python()
    plan.host.environments[_CONDA] = PythonPlan(made_by="conda", packages=bare_python().packages)
    pytorch = plan.host.environments[f"{_CONDA}/envs/pytorch"] = training_environment()
    pytorch.made_by = "conda"
    pytorch.torch = TorchPlan(version="2.5.1", cuda="12.4")  # conda's builds carry no label
    _set_up(plan, f"source {_CONDA}/bin/activate pytorch")


def _set_up(plan: TenantPlan, command: str) -> None:
    plan.settings["host"]["contexts"][0]["setup"] = command


def _ngc(plan: TenantPlan) -> None:
    plan.host.system_python.torch = TorchPlan(
        version="2.5.0a0+e000abc.nv24.8", cuda="12.6", arch_list=("sm_75", "sm_80", "sm_86", "sm_90", "compute_90")
    )
    plan.settings["requirements"]["torch"] = ">=2.5,<2.6"


def _from_pypi(plan: TenantPlan) -> None:
    plan.host.system_python.torch = TorchPlan(version="2.5.1+cu124", cuda="12.4", distribution="2.5.1")


def _many(plan: TenantPlan) -> None:
    further = (PackagePlan(name=f"further-{n}", version=f"1.{n}", requires=("packaging",)) for n in range(_MANY))
    plan.host.system_python.packages |= {package.name: package for package in further}


def _standing_conflict(plan: TenantPlan) -> None:
    packages = plan.host.system_python.packages
    packages["colorama"] = PackagePlan(name="colorama", version="0.4.6")
    packages["awscli"] = PackagePlan(name="awscli", version="1.36.2", requires=("colorama<0.4.5,>=0.2.5", "docutils"))


def _dash(plan: TenantPlan) -> None:
    if not shutil.which(_DASH):
        raise UnavailableError(f"this world's account has {_DASH} as its shell; install dash")
    _environment(plan)
    plan.host.shell = _DASH
    _set_up(plan, ACTIVATE.replace("source", "."))


def _locale(plan: TenantPlan, *, name: str) -> None:
    plan.host.environment |= {"LANG": name, "LC_ALL": name}


def _read_only_home(plan: TenantPlan) -> None:
    _ = plan.mounts
    plan.host.home_read_only = True
    del plan.settings["requirements"]["disk"]["~"]  # this pipeline does not write there


def _two_environments(plan: TenantPlan) -> None:
    _environment(plan)
    plan.host.environments[_DATA] = training_environment()
    further_context(plan, "login", setup=f"source {_DATA}/bin/activate")


def _noisy_profile(plan: TenantPlan) -> None:
    further_context(plan, "login")
    set_profile(
        plan, 'echo "Welcome to $(hostname)"\necho \'{"python": "2.7"}\'\nprintf "\\033[1m"\necho "W: quota" >&2\n'
    )


PYTHON_VARIANTS = (
    Variant(id="environment", summary="a python3 without PyTorch, and a virtual environment", inject=_environment),
    Variant(id="uv-environment", summary="an environment without pip, as uv makes it", inject=_uv),
    Variant(id="conda-environment", summary="a conda base without PyTorch, and an environment with it", inject=_conda),
    Variant(id="ngc-torch", summary="NVIDIA's own build of PyTorch, by its version a pre-release", inject=_ngc),
    Variant(id="pypi-torch", summary="PyPI's PyTorch, whose metadata names no CUDA", inject=_from_pypi),
    Variant(id="many-packages", summary=f"{_MANY} further packages", inject=_many),
    Variant(
        id="standing-conflict", summary="a conflict among packages that are not required", inject=_standing_conflict
    ),
    Variant(id="dash", summary="dash as the account's shell", inject=_dash),
    Variant(id="posix-locale", summary="a locale that is not UTF-8", inject=partial(_locale, name="POSIX")),
    Variant(id="read-only-home", summary="a home that cannot be written to", inject=_read_only_home),
    Variant(
        id="two-environments", summary="two contexts with an environment each, on purpose", inject=_two_environments
    ),
    Variant(id="noisy-profile", summary="a login profile that writes to standard output", inject=_noisy_profile),
)
"""What naive checks trip over."""
