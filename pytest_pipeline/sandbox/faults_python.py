"""Faults of the interpreter itself: the rows python-version and same-interpreter must catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.host_python import PACKAGES
from pytest_pipeline.sandbox.plan import FileSpec
from pytest_pipeline.sandbox.python_packages import bare_python, training_environment
from pytest_pipeline.sandbox.python_plan import PythonPlan, TorchPlan

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

VERSION_ROW, SAME_ROW = "python-version", "same-interpreter"
ENVIRONMENT = "~/envs/pytorch"
ACTIVATE = f"source {ENVIRONMENT}/bin/activate"
_OLD = "3.8.10"
_OTHER = "~/envs/notebooks"


def further_context(plan: TenantPlan, shell: str, **more: Any) -> None:
    """Let a second shell of the pipeline count."""
    _ = plan.mounts if shell == "login" else None  # without a namespace, this machine's own /etc/profile would be read
    plan.settings["host"]["contexts"].append({"name": "data-prep", "shell": shell, **more})


def set_profile(plan: TenantPlan, text: str) -> None:
    """Set what the account's login shells read."""
    plan.files["home/.profile"] = FileSpec(text=text, mode=0o644)


def _show_old(plan: TenantPlan) -> None:
    plan.simulated.append(f"Python {_OLD}")


def _old(plan: TenantPlan) -> Tally:
    plan.host.system_python.version = _OLD
    _show_old(plan)
    return plan.host.commands


def _none(plan: TenantPlan) -> Tally:
    plan.host.python = False
    return plan.host.commands


def _nowhere(plan: TenantPlan) -> Tally:
    _ = plan.mounts  # without a namespace nothing can be hidden
    plan.host.hidden_pythons = True
    return _none(plan)


def _setup_fails(plan: TenantPlan) -> Tally:
    plan.settings["host"]["contexts"][0]["setup"] = ACTIVATE
    return plan.host.commands


def _dangling(plan: TenantPlan) -> Tally:
    plan.host.environments[ENVIRONMENT] = training_environment()
    plan.host.environments[ENVIRONMENT].base_gone = True
    python = plan.path("home") / ENVIRONMENT.removeprefix("~/") / "bin" / "python3"
    plan.settings["host"]["contexts"][0]["python"] = str(python)
    return plan.host.commands


def _old_at_login(plan: TenantPlan) -> Tally:
    further_context(plan, "login")
    old = plan.host.environments["~/envs/old"] = training_environment()
    old.version = _OLD
    set_profile(plan, 'PATH="$HOME/envs/old/bin:$PATH"\n')
    _show_old(plan)
    return plan.host.commands


def _profile_exits(plan: TenantPlan) -> Tally:
    further_context(plan, "login")
    set_profile(plan, '[ -n "$TMUX" ] || exit 0\n')
    return plan.host.commands


def _other_at_login(plan: TenantPlan) -> Tally:
    further_context(plan, "login")
    plan.host.environments[_OTHER] = training_environment()
    set_profile(plan, f'PATH="$HOME/{_OTHER.removeprefix("~/")}/bin:$PATH"\n')
    return plan.host.commands


def _pythonpath_at_login(plan: TenantPlan, path: Path) -> None:
    further_context(plan, "login")
    set_profile(plan, f"export PYTHONPATH={path}\n")


def _pythonpath(plan: TenantPlan) -> Tally:
    checkout = "src/transformers"
    plan.files[f"home/{checkout}/__init__.py"] = FileSpec(text='__version__ = "4.46.3"\n')
    _pythonpath_at_login(plan, plan.path("home/src"))
    return plan.host.commands


def _torch_of_another(plan: TenantPlan) -> Tally:
    plan.host.environments[_OTHER] = PythonPlan(torch=TorchPlan())
    _pythonpath_at_login(plan, plan.path("home") / _OTHER.removeprefix("~/") / PACKAGES)
    return plan.host.commands


def _activated_in_vain(plan: TenantPlan) -> Tally:
    # A dangling bin/python3 is passed over by the shell: it runs the next one on the PATH, and says nothing.
    plan.host.environments[ENVIRONMENT] = training_environment()
    plan.host.environments[ENVIRONMENT].base_gone = True
    plan.settings["host"]["contexts"][0]["setup"] = ACTIVATE
    return plan.host.commands


def _pip_of_another(plan: TenantPlan) -> Tally:
    # As left by `mv` or `cp` of an environment: its scripts still name the interpreter of the first.
    plan.host.system_python = bare_python()
    plan.host.environments[_OTHER] = training_environment()
    plan.host.environments[ENVIRONMENT] = training_environment()
    plan.host.environments[ENVIRONMENT].pip = _OTHER
    plan.settings["host"]["contexts"][0]["setup"] = ACTIVATE
    return plan.host.commands


PYTHON_FAULTS = (
    Fault(
        id="py-old",
        row=VERSION_ROW,
        kind="gross",
        words=f"Python {_OLD}, need",
        summary="python3 is an old one",
        inject=_old,
    ),
    Fault(
        id="py-none",
        row=VERSION_ROW,
        kind="gross",
        words="python3",
        summary="the host has no python3",
        inject=_none,
    ),
    Fault(
        id="py-nowhere",
        row=VERSION_ROW,
        kind="gross",
        words="python3",
        summary="there is no Python anywhere on the host: what a shell can read is judged all the same",
        also=("disk-space",),  # whether a quota limits it, a shell cannot tell
        inject=_nowhere,
    ),
    Fault(
        id="py-setup-fails",
        row=VERSION_ROW,
        kind="gross",
        words="envs/pytorch/bin/activate",
        summary="the environment that a context activates is not there",
        inject=_setup_fails,
    ),
    Fault(
        id="py-dangling",
        row=VERSION_ROW,
        kind="subtle",
        words="envs/pytorch/bin/python3",
        summary="the interpreter is a link to one that an upgrade has removed",
        inject=_dangling,
    ),
    Fault(
        id="py-old-at-login",
        row=VERSION_ROW,
        kind="subtle",
        words=f"Python {_OLD}, need",
        also=(SAME_ROW,),
        summary="the login profile alone puts an old python3 first",
        inject=_old_at_login,
    ),
    Fault(
        id="py-profile-exits",
        row=VERSION_ROW,
        kind="subtle",
        words="need 3.10+",
        summary="the login profile ends the shell, with status 0",
        inject=_profile_exits,
    ),
    Fault(
        id="same-other-at-login",
        row=SAME_ROW,
        kind="gross",
        words="envs/notebooks/bin/python3",
        summary="the login profile puts another environment first",
        inject=_other_at_login,
    ),
    Fault(
        id="same-pythonpath",
        row=SAME_ROW,
        kind="subtle",
        words="transformers",
        summary="one interpreter, and the login profile's PYTHONPATH has another copy of a package",
        inject=_pythonpath,
    ),
    Fault(
        id="same-torch-elsewhere",
        row=SAME_ROW,
        kind="subtle",
        words="torch",
        summary="one interpreter, and the login profile's PYTHONPATH has another environment's PyTorch",
        inject=_torch_of_another,
    ),
    Fault(
        id="same-activated-in-vain",
        row=SAME_ROW,
        kind="subtle",
        words="envs/pytorch",
        summary="the activated environment's interpreter is gone, and the shell silently runs the system's",
        inject=_activated_in_vain,
    ),
    Fault(
        id="same-pip",
        row=SAME_ROW,
        kind="subtle",
        expect=Status.WARNED,
        words="pip",
        summary="pip installs for another environment than the active one",
        inject=_pip_of_another,
    ),
)
"""Those of the version first."""
