"""Faults of what the user's repository pins: the row version-pins must catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.fault import Fault, Variant
from pytest_pipeline.sandbox.plan import FileSpec
from pytest_pipeline.sandbox.repository import BUILD, ENVIRONMENT, PROJECT, REQUIREMENTS, SETUP

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.sandbox.plan import TenantPlan

ROW = "version-pins"


def _edit(file: str, old: str, new: str) -> Callable[[TenantPlan], None]:
    def inject(plan: TenantPlan) -> None:
        text = plan.files[file].text
        if old not in text:
            raise ValueError(f"{file} does not say {old!r}")
        plan.files[file] = FileSpec(text=text.replace(old, new))

    return inject


def _also(file: str, text: str) -> Callable[[TenantPlan], None]:
    """Let the repository have one more file that pins."""

    def inject(plan: TenantPlan) -> None:
        plan.files[file] = FileSpec(text=text)
        plan.settings["requirements"]["pins"].append(str(plan.path(file)))

    return inject


def _included(plan: TenantPlan) -> None:
    plan.files["repository/base.txt"] = FileSpec(text="tokenizers>=0.20\npeft<0.13\n")
    plan.files[REQUIREMENTS] = FileSpec(text=f"-r base.txt\n{plan.files[REQUIREMENTS].text}")


def _commented(plan: TenantPlan) -> None:
    """Let the list begin as lists do: with the command that installs it."""
    _edit(REQUIREMENTS, "==4.46.3", "==4.45.0")(plan)
    text = plan.files[REQUIREMENTS].text
    plan.files[REQUIREMENTS] = FileSpec(text=f"# pip install -r requirements.txt\n{text}")


def _branches(plan: TenantPlan) -> None:
    text = plan.files[SETUP].text
    plan.files[SETUP] = FileSpec(
        text=f"{text}if nvidia-smi; then\n  pip3 install torch==2.5.1+cu121\n"
        "else\n  pip3 install torch==2.5.1+cpu\nfi\n"
        "echo 'next time: pip install transformers==5.0.0'\n# pip install transformers==4.40.0\n"
    )


def _missing(plan: TenantPlan) -> None:
    del plan.files[SETUP]


def _empty(plan: TenantPlan) -> None:
    plan.files[SETUP] = FileSpec(text="#!/bin/bash\npip install torch transformers\n")
    plan.settings["requirements"]["pins"] = [str(plan.path(SETUP))]


_STAGES = """\
FROM python:3.10 AS cpu
RUN pip install torch==2.5.1+cpu
FROM python:3.10 AS gpu
RUN pip install torch==2.5.1+cu121 \\
    # what it is trained with
    transformers==4.46.3
"""
_WAYS = """\
usage() {
  cat <<'EOF'
The release before it, which doesn't train:
  pip install transformers==4.40.0
EOF
}
cpu() {
  pip3 install torch==2.5.1+cpu
}
gpu() {
  pip3 install torch==2.5.1+cu121
}
[[ -n ${1:-} ]] && "$1"
[[ ${CUDA:-} == 11 ]] && pip3 install torch==2.5.1+cu118
python3 -m venv /opt/vllm && /opt/vllm/bin/pip install torch==2.4.0
"""


def _ways(plan: TenantPlan) -> None:
    plan.files[SETUP] = FileSpec(text=f"{plan.files[SETUP].text}{_WAYS}")
    _also(BUILD, _STAGES)(plan)


PINS_FAULTS: tuple[Fault, ...] = (
    Fault(
        id="pins-files",
        row=ROW,
        kind="gross",
        words="transformers: requirements.txt:2 pins ==4.45.0, setup_instance.sh:6 pins ==4.46.3",
        summary="the requirement file and the setup script pin different releases",
        inject=_edit(REQUIREMENTS, "==4.46.3", "==4.45.0"),
    ),
    Fault(
        id="pins-host",
        row=ROW,
        kind="gross",
        words="tqdm: requirements.txt:8 pins ==4.66.1, 4.67.0 is installed in context train",
        summary="the host has another release than the requirement file pins",
        inject=_edit(REQUIREMENTS, "boto3==1.35.60", "boto3==1.35.60\ntqdm==4.66.1"),
    ),
    Fault(
        id="pins-none",
        row=ROW,
        kind="gross",
        words="setup_instance.sh cannot be read: No such file or directory",
        summary="a file of requirements.pins is not there",
        inject=_missing,
    ),
    Fault(
        id="pins-empty",
        row=ROW,
        kind="subtle",
        words="no version is pinned in setup_instance.sh",
        summary="the file that should pin releases names packages alone",
        inject=_empty,
    ),
    Fault(
        id="pins-commented",
        row=ROW,
        kind="subtle",
        words="transformers: requirements.txt:3 pins ==4.45.0, setup_instance.sh:6 pins ==4.46.3",
        summary="the files contradict each other, and the list says in a comment how it is installed",
        inject=_commented,
    ),
    Fault(
        id="pins-included",
        row=ROW,
        kind="subtle",
        words="peft: base.txt:2 pins <0.13, requirements.txt:4 pins ==0.13.2",
        summary="an included file excludes what the including one pins",
        inject=_included,
    ),
    Fault(
        id="pins-settings",
        row=ROW,
        kind="subtle",
        words="torch: setup_instance.sh:5 pins <2.5,>=2.4, the settings require >=2.5.1,<2.6",
        summary="the setup script installs another PyTorch than the settings require",
        inject=_edit(SETUP, "torch>=2.5,<2.6", "torch>=2.4,<2.5"),
    ),
    Fault(
        id="pins-build",
        row=ROW,
        kind="subtle",
        words="torch: setup_instance.sh:5 pins ==2.5.1+cu118, 2.5.1+cu121 is installed in context train",
        summary="the setup script pins a build for another CUDA than the host has",
        inject=_edit(SETUP, "torch>=2.5,<2.6", "torch==2.5.1+cu118"),
    ),
    Fault(
        id="pins-variable",
        row=ROW,
        kind="subtle",
        words="transformers: requirements.txt:2 pins ==4.46.3, setup_instance.sh:6 pins ==4.45.0",
        summary="the setup script keeps the other release in a variable",
        inject=_edit(SETUP, "transformers==4.46.3", '"transformers==${TRANSFORMERS:-4.45.0}"'),
    ),
    Fault(
        id="pins-build-file",
        row=ROW,
        kind="subtle",
        words="transformers: requirements.txt:2 pins ==4.46.3, Dockerfile:2 pins ==4.45.0",
        summary="a Dockerfile installs another release, behind a comment between lines that go on",
        inject=_also(BUILD, "FROM python:3.10\nRUN pip install \\\n    # as tested\n    transformers==4.45.0\n"),
    ),
    Fault(
        id="pins-conda",
        row=ROW,
        kind="subtle",
        words="torch: setup_instance.sh:5 pins <2.6,>=2.5, environment.yml:3 pins ==2.4.0.*",
        summary="a conda environment has another PyTorch, and says in a comment what is installed afterwards",
        inject=_also(ENVIRONMENT, "# afterwards: pip install -e .\ndependencies:\n  - pytorch=2.4.0\n"),
    ),
    Fault(
        id="pins-project",
        row=ROW,
        kind="subtle",
        words="peft: requirements.txt:3 pins ==0.13.2, pyproject.toml:2 pins <0.13,>=0.12",
        summary="Poetry's table in pyproject.toml excludes what the requirement file pins",
        inject=_also(PROJECT, '[tool.poetry.dependencies]\npeft = "^0.12"\n'),
    ),
    Fault(
        id="pins-nothing-read",
        row=ROW,
        kind="subtle",
        words="nothing could be read in Dockerfile: Dockerfile:2: torch==$TORCH",
        summary="what one of the files pins is known only when it runs",
        inject=_also(BUILD, "ARG TORCH\nRUN pip install torch==$TORCH\n"),
    ),
    Fault(
        id="pins-unread",
        row=ROW,
        kind="subtle",
        words="not judged: setup_instance.sh:6: transformers==$1",
        summary="the setup script is told the release when it is started",
        inject=_edit(SETUP, "transformers==4.46.3", "transformers==$1"),
        expect=Status.WARNED,
    ),
)

PINS_VARIANTS: tuple[Variant, ...] = (
    Variant(
        id="pins-branches",
        summary="a setup script that installs one of two builds, and prints what could be installed",
        inject=_branches,
    ),
    Variant(
        id="pins-ways",
        summary="a setup script with functions, tests, help and a second environment, and a Dockerfile of two stages",
        inject=_ways,
    ),
)
