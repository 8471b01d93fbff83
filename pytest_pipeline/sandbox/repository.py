"""The user's own repository, as far as the sandbox has one: what it pins."""

from __future__ import annotations

from pytest_pipeline.sandbox.plan import FileSpec

REQUIREMENTS = "repository/requirements.txt"
SETUP = "repository/setup_instance.sh"
BUILD = "repository/Dockerfile"
ENVIRONMENT = "repository/environment.yml"
PROJECT = "repository/pyproject.toml"

_REQUIREMENTS = """\
# what the training is developed with
transformers==4.46.3
peft==0.13.2
accelerate>=1.1,<2
datasets>=3.0  # streaming
numpy<2; python_version < "3.15"
boto3==1.35.60
"""
_SETUP = """\
#!/bin/bash
set -euo pipefail
TOOLS="hf-transfer wandb"
sudo apt-get update && sudo apt-get install -y unzip
pip3 install --index-url https://packages.example/whl/cu121 "torch>=2.5,<2.6"
pip3 install transformers==4.46.3 \\
    "peft>=0.13" $TOOLS
"""


def pins_files() -> dict[str, FileSpec]:
    """Return a requirement file and a setup script that agree with each other and with a healthy host."""
    return {REQUIREMENTS: FileSpec(text=_REQUIREMENTS), SETUP: FileSpec(text=_SETUP)}
