"""Interpreters that are odd and healthy: none of them is a reason for an alarm."""

from __future__ import annotations

import shutil
from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.fault import Variant
from pytest_pipeline.sandbox.faults_python import ACTIVATE, ENVIRONMENT, further_context, set_profile
from pytest_pipeline.sandbox.plan import FileSpec, UnavailableError
from pytest_pipeline.sandbox.python_packages import bare_python, training_environment
from pytest_pipeline.sandbox.python_plan import PackagePlan, PythonPlan, TorchPlan

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan

_CONDA = "~/miniconda3"
_BELOW = "~/mistral_training/.venv"
_DOES_WITHOUT = "try:\n    from ._speedups import fast\nexcept ImportError:\n    fast = None\n"
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


def _below_scripts(plan: TenantPlan) -> None:
    """Let the environment lie where the scripts do, with a package that does without a part of its own."""
    plan.host.system_python = bare_python()
    below = plan.host.environments[_BELOW] = training_environment()
    below.packages["peft"].at_import += _DOES_WITHOUT
    _set_up(plan, f"source {_BELOW}/bin/activate")


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


def _cuda_compat(plan: TenantPlan) -> None:
    if plan.host.accelerator is None:
        raise UnavailableError("this world is one of a driver, and a fault has taken the GPU away; leave one out")
    plan.host.accelerator.driver, plan.host.accelerator.cuda = "470.82.01", "11.4"
    plan.host.environment["LD_LIBRARY_PATH"] = "/usr/local/cuda/compat"


def _editable(plan: TenantPlan) -> None:
    plan.files["home/src/trainlib/__init__.py"] = FileSpec(text="")
    pointer = {"_editable_impl_acme_training.pth": f"{plan.path('home/src')}\n"}
    weights = {"lpips/__init__.py": "", "lpips/weights/alex.pth": "weights of a model"}
    _install(plan, PackagePlan(name="acme-training", version="1.0", sources=pointer), "acme-training")
    _install(plan, PackagePlan(name="perceptual-loss", version="0.1", sources=weights), "perceptual-loss")


def _odd_requirements(plan: TenantPlan) -> None:
    opencv = {"cv2/__init__.py": '__version__ = "4.10.0"\n'}
    psycopg = {"psycopg2/__init__.py": '__version__ = "2.9.10 (dt dec pq3 ext lo64)"\n'}
    release = "4.10.0.84"
    _install(plan, PackagePlan(name="opencv-python", version=release, sources=opencv), f"opencv-python=={release}")
    _install(plan, PackagePlan(name="psycopg2-binary", version="2.9.10", sources=psycopg), "psycopg2-binary>=2.9")
    plan.settings["requirements"]["packages"].append('pywin32; sys_platform == "win32"')


def _install(plan: TenantPlan, package: PackagePlan, required: str) -> None:
    plan.host.system_python.packages[package.name] = package
    plan.settings["requirements"]["packages"].append(required)


def _noisy_profile(plan: TenantPlan) -> None:
    further_context(plan, "login")
    set_profile(
        plan, 'echo "Welcome to $(hostname)"\necho \'{"python": "2.7"}\'\nprintf "\\033[1m"\necho "W: quota" >&2\n'
    )


PYTHON_VARIANTS = (
    Variant(id="environment", summary="a python3 without PyTorch, and a virtual environment", inject=_environment),
    Variant(id="uv-environment", summary="an environment without pip, as uv makes it", inject=_uv),
    Variant(id="env-below-scripts", summary="an environment in the folder of the scripts", inject=_below_scripts),
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
    Variant(id="cuda-compat", summary="an old driver, and NVIDIA's compatibility package for it", inject=_cuda_compat),
    Variant(
        id="editable-package",
        summary="a package that is worked on in place, and one that brings weights (.pth)",
        inject=_editable,
    ),
    Variant(
        id="odd-requirements",
        summary="modules that say another version than their release, and a package that is required elsewhere alone",
        inject=_odd_requirements,
    ),
    Variant(id="noisy-profile", summary="a login profile that writes to standard output", inject=_noisy_profile),
)
"""What naive checks trip over."""
