"""What a plain client meets in what the user pins and deploys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.meets_python import runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import World

    Meet = tuple[Callable[[World], object], str]

TRAIN, PREPARE = runs("cd ~/mistral_training && python3 train.py --help"), runs("python3 ~/mistral_training/prepare.py")


def pinned(w: World) -> object:
    """Return what the files pin; pip of the host is not asked, as nothing is felt in a file that only we read."""
    return [Path(file).read_text(encoding="utf-8") for file in w.settings["requirements"]["pins"]]


REPOSITORY_MEETS: dict[str, Meet] = {
    "pins-files": (pinned, r"transformers==4\.45\.0.*transformers==4\.46\.3"),
    "pins-host": (
        lambda w: (pinned(w), w.run("ls -d ~/../lib/python3*/site-packages/tqdm-*")),
        r"tqdm==4\.66\.1.*tqdm-4\.67",
    ),
    "pins-none": (pinned, "FileNotFoundError"),
    "pins-empty": (pinned, r"pip install torch transformers\\n"),
    "pins-commented": (pinned, r"# pip install -r requirements\.txt.*==4\.45\.0.*==4\.46\.3"),
    "pins-included": (pinned, r"-r base\.txt.*peft==0\.13\.2"),
    "pins-settings": (pinned, r"torch>=2\.4,<2\.5"),
    "pins-build": (pinned, r"torch==2\.5\.1\+cu118"),
    "pins-variable": (pinned, r"transformers==4\.46\.3.*transformers==\$\{TRANSFORMERS:-4\.45\.0\}"),
    "pins-build-file": (pinned, r"transformers==4\.46\.3.*# as tested\\n    transformers==4\.45\.0"),
    "pins-conda": (pinned, r"# afterwards: pip install.*pytorch=2\.4\.0"),
    "pins-project": (pinned, r'peft==0\.13\.2.*peft = "\^0\.12"'),
    "pins-nothing-read": (pinned, r"ARG TORCH\\nRUN pip install torch==\$TORCH"),
    "pins-unread": (pinned, r"transformers==\$1"),
    "deploy-none": (TRAIN, "No such file"),
    "deploy-shared": (TRAIN, "No module named .*shared"),
    "deploy-module": (TRAIN, "cannot import name .*heartbeat_manager|No module named .*heartbeat_manager"),
    "deploy-swallowed": (TRAIN, r"\(0, 'usage: train\.py"),
    "deploy-elsewhere": (TRAIN, r"\(0, 'usage: train\.py"),
    "deploy-old-module": (TRAIN, "cannot import name .*load_records"),
    "deploy-half": (TRAIN, "SyntaxError"),
    "deploy-package": (PREPARE, "No module named .*pypdf"),
    "deploy-folder": (PREPARE, "module 'wandb' .*[Nn]amespace"),
}
