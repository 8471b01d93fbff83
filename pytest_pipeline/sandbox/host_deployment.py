"""What the pipeline has deployed on a simulated host: scripts, and the modules that they share."""

from __future__ import annotations

from pytest_pipeline.sandbox.plan import FileSpec

FOLDER = "home/mistral_training"
TRAIN, PREPARE = "~/mistral_training/train.py", "~/mistral_training/prepare.py"

_TRAIN = """\
import argparse
import os
import sys
from typing import TYPE_CHECKING

import peft
import torch
import transformers

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from shared.dataset_utils import load_records
from shared.heartbeat_manager import HeartbeatManager

if TYPE_CHECKING:
    from a_module_of_type_checkers import Batch

try:
    import flash_attn
except ImportError:
    flash_attn = None


def main():
    import datasets

    with HeartbeatManager() as heartbeat:
        print(load_records, heartbeat, datasets, peft, transformers, torch)


if __name__ == "__main__":
    argparse.ArgumentParser().parse_args()
    main()
"""
_PREPARE = """\
import json
import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from shared import dataset_utils

print(json, tomllib, dataset_utils.load_records)
"""
_DATASET_UTILS = """\
import json

from . import heartbeat_manager


def load_records(path):
    heartbeat_manager.beat()
    with open(path) as file:
        return [json.loads(line) for line in file]
"""
_HEARTBEAT = """\
import threading


def beat():
    return threading.active_count()


class HeartbeatManager:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None
"""


def deployed_files() -> dict[str, FileSpec]:
    """Return the files of a whole deployment, below the tenant's folder."""
    texts = {
        "train.py": _TRAIN,
        "prepare.py": _PREPARE,
        "shared/__init__.py": "",
        "shared/dataset_utils.py": _DATASET_UTILS,
        "shared/heartbeat_manager.py": _HEARTBEAT,
    }
    return {f"{FOLDER}/{name}": FileSpec(text=text, mode=0o644) for name, text in texts.items()}
