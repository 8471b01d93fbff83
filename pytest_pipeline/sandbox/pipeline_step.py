"""The step of a tenant's pipeline that makes its dataset: the reference pipeline's own, with an output of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pytest_pipeline.sandbox.data_content import FOLDERS
from pytest_pipeline.sandbox.plan import CACHE_BUCKET, POLICY_BUCKET

PIPELINE = Path(__file__).parent / "pipeline"
STEP = "prepare"
MADE = "datasets/mistral-verbosity/quick/"
MADE_TRAIN, MADE_VALIDATION = f"{MADE}train_dataset.jsonl", f"{MADE}validation_dataset.jsonl"


def prepare_step() -> dict[str, Any]:
    """Return the step as settings have it."""
    sources = [word for folder in FOLDERS for word in ("--source", f"s3://{POLICY_BUCKET}/{folder}/")]
    return {
        "name": STEP,
        "command": [
            *(sys.executable, "prepare.py", *sources),
            *("--output", "s3://{bucket}/{prefix}", "--run-id", "{run_id}"),
        ],
        "quick": ["--limit", "6"],
        "timeout_s": 60.0,
        "outputs": [
            {"uri": f"s3://{CACHE_BUCKET}/{MADE_TRAIN}", "min_records": 20},
            {"uri": f"s3://{CACHE_BUCKET}/{MADE_VALIDATION}", "min_records": 3},
        ],
    }
