"""Faults of what was deployed on the host: the row deployed-imports must catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.fault import Fault, Variant
from pytest_pipeline.sandbox.host_deployment import FOLDER
from pytest_pipeline.sandbox.plan import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

ROW = "deployed-imports"
_TRAIN = f"{FOLDER}/train.py"
_HEARTBEAT = "from shared.heartbeat_manager import HeartbeatManager\n"
_SWALLOWED = f"try:\n    {_HEARTBEAT}except ImportError:\n    HeartbeatManager = None\n"


def _without(*names: str) -> Callable[[TenantPlan], Tally]:
    def inject(plan: TenantPlan) -> Tally:
        for file in [file for file in plan.files if file.startswith(tuple(f"{FOLDER}/{name}" for name in names))]:
            del plan.files[file]
        return plan.host.commands

    return inject


def _edit(name: str, old: str, new: str) -> Callable[[TenantPlan], Tally]:
    def inject(plan: TenantPlan) -> Tally:
        text = plan.files[f"{FOLDER}/{name}"].text
        if old not in text:
            raise ValueError(f"{name} does not say {old!r}")
        plan.files[f"{FOLDER}/{name}"] = FileSpec(text=text.replace(old, new), mode=0o644)
        return plan.host.commands

    return inject


def _swallowed(plan: TenantPlan) -> Tally:
    _edit("train.py", _HEARTBEAT, _SWALLOWED)(plan)
    _edit("shared/dataset_utils.py", "from . import heartbeat_manager\n", "heartbeat_manager = None\n")(plan)
    return _without("shared/heartbeat_manager.py")(plan)


def _elsewhere(plan: TenantPlan) -> Tally:
    """Let the script look for the module beside itself, where it does not lie."""
    flat = _SWALLOWED.replace("shared.heartbeat_manager", "heartbeat_manager")
    return _edit("train.py", _HEARTBEAT, flat)(plan)


def _folder_alone(plan: TenantPlan) -> Tally:
    """Let a run's records lie where the package would be looked for that is not installed."""
    plan.files[f"{FOLDER}/wandb/run-20250101_1/files/config.yaml"] = FileSpec(text="{}\n", mode=0o644)
    return _edit("prepare.py", "print(json,", "import wandb\nprint(wandb, json,")(plan)


def _half_copied(plan: TenantPlan) -> Tally:
    text = plan.files[f"{FOLDER}/shared/heartbeat_manager.py"].text
    plan.files[f"{FOLDER}/shared/heartbeat_manager.py"] = FileSpec(text=text[: text.index("self):") + 3], mode=0o644)
    return plan.host.commands


DEPLOYMENT_FAULTS: tuple[Fault, ...] = (
    Fault(
        id="deploy-none",
        row=ROW,
        kind="gross",
        words="No such file or directory",
        summary="an entry point is not on the host",
        inject=_without("train.py"),
    ),
    Fault(
        id="deploy-shared",
        row=ROW,
        kind="gross",
        words="train.py:11: No module named 'shared'",
        summary="the scripts were copied, the package that they share was not",
        inject=_without("shared/"),
    ),
    Fault(
        id="deploy-module",
        row=ROW,
        kind="gross",
        words="there is no heartbeat_manager in shared",
        summary="one module of the shared package was not copied",
        inject=_without("shared/heartbeat_manager.py"),
    ),
    Fault(
        id="deploy-swallowed",
        row=ROW,
        kind="subtle",
        words="swallows the ImportError and goes on without shared.heartbeat_manager",
        summary="a module was not copied, and the script goes on without it and says nothing",
        inject=_swallowed,
    ),
    Fault(
        id="deploy-elsewhere",
        row=ROW,
        kind="subtle",
        words="shared/heartbeat_manager.py was deployed, and is not where it looks",
        summary="a module was copied to another folder than the script looks in, and it goes on without",
        inject=_elsewhere,
    ),
    Fault(
        id="deploy-old-module",
        row=ROW,
        kind="subtle",
        words="shared.dataset_utils has no load_records",
        summary="a module of an earlier deployment lacks what the script imports from it",
        inject=_edit("shared/dataset_utils.py", "def load_records(", "def load_dataset("),
    ),
    Fault(
        id="deploy-half",
        row=ROW,
        kind="subtle",
        words="SyntaxError",
        summary="a copy of a module ended half-way",
        inject=_half_copied,
    ),
    Fault(
        id="deploy-package",
        row=ROW,
        kind="subtle",
        words="prepare.py:11: No module named 'pypdf'",
        summary="a package that only one entry point imports is not installed, and no list requires it",
        inject=_edit("prepare.py", "print(json,", "import pypdf\nprint(pypdf, json,"),
    ),
    Fault(
        id="deploy-folder",
        row=ROW,
        kind="subtle",
        words="only a folder of that name was found, without a module in it: wandb",
        summary="a package is not installed, and a folder of its name, with an earlier run's records, passes for it",
        inject=_folder_alone,
    ),
)


def _optional(plan: TenantPlan) -> None:
    optional = (
        "try:\n    import wandb\nexcept ImportError:\n    wandb = None\n"
        "try:\n    import orjson as fast_json\nexcept ModuleNotFoundError:\n    import json as fast_json\n"
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import uvloop\n"
        "try:\n    import deepspeed\nexcept ImportError:\n"
        "    def deepspeed(*_):\n        raise RuntimeError('pip install deepspeed')\n"
        "import importlib.util\nif importlib.util.find_spec('apex'):\n    import apex\n"
    )
    text = plan.files[_TRAIN].text
    plan.files[_TRAIN] = FileSpec(text=optional + text, mode=0o644)


_PUTS_ON_PATH = {
    "train": "import sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).resolve().parent / 'lib'))\n",
    "prepare": "import os, sys\nHERE = os.path.dirname(os.path.abspath(__file__))\nLIB = os.path.join(HERE, 'lib')\n"
    "if LIB not in sys.path:\n    sys.path.append(LIB)\n",
}


def _own_folder(plan: TenantPlan) -> None:
    """Let the modules lie in a folder that the script puts on its path."""
    for name in ("__init__", "dataset_utils", "heartbeat_manager"):
        plan.files[f"{FOLDER}/lib/shared/{name}.py"] = plan.files.pop(f"{FOLDER}/shared/{name}.py")
    for name in ("train", "prepare"):
        text = plan.files[f"{FOLDER}/{name}.py"].text
        plan.files[f"{FOLDER}/{name}.py"] = FileSpec(text=_PUTS_ON_PATH[name] + text, mode=0o644)


DEPLOYMENT_VARIANTS: tuple[Variant, ...] = (
    Variant(id="optional-imports", summary="optional packages that are not installed", inject=_optional),
    Variant(id="own-import-path", summary="modules in a folder that scripts put on their path", inject=_own_folder),
)
