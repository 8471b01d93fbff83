"""What a plain client meets that runs the step of the pipeline by hand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.pipeline_step import MADE, MADE_TRAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.conftest import World

    Meet = tuple[Callable[[World], object], str]

WRITE = "asoba-llm-cache"


def ran(w: World) -> object:
    """The exit status of the step (None: it did not end in 3 s), its last words, and what it made: key, lines, age."""
    step = w.settings["pipeline"]["steps"][0]
    told = {"{bucket}": WRITE, "{prefix}": MADE, "{run_id}": "by-hand"}
    words = [told.get(word, word) for word in (*step["command"], *step["quick"])]
    words = [word.replace("{bucket}", WRITE).replace("{prefix}", MADE) for word in words]
    key = w.session().get_credentials()
    environment = os.environ | {
        "AWS_ENDPOINT_URL": w.settings["aws"]["endpoint_url"],
        "AWS_ACCESS_KEY_ID": key.access_key,
        "AWS_SECRET_ACCESS_KEY": key.secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "PYTHONUNBUFFERED": "1",
    }
    with subprocess.Popen(
        words,
        cwd=w.settings["pipeline"]["workdir"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    ) as step_process:
        try:
            said, status = step_process.communicate(timeout=3)[0], step_process.returncode
        except subprocess.TimeoutExpired:
            step_process.kill()
            said, status = step_process.communicate()[0], None
    return status, said[-900:], made(w)


def made(w: World) -> list[tuple[str, int]]:
    s3 = w.client("s3")
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=WRITE, Prefix=MADE).get("Contents", ())]
    return [(key, s3.get_object(Bucket=WRITE, Key=key)["Body"].read().count(b"\n")) for key in keys]


def first_line(w: World) -> object:
    ran(w)
    return w.client("s3").get_object(Bucket=WRITE, Key=MADE_TRAIN)["Body"].read().splitlines()[0]


def program(words: str) -> Callable[[World], object]:
    """Whether some words stand in the tenant's own program."""

    def meet(w: World) -> object:
        return words in Path(w.settings["pipeline"]["workdir"], "prepare.py").read_text(encoding="utf-8")

    return meet


QUICK_RUN_MEETS: dict[str, Meet] = {
    "run-exits": (ran, r"^\(1, .*out of luck"),
    "run-nothing": (ran, r"^\(0, .*, \[\]\)$"),
    "run-old": (ran, r"^\(0, .*train_dataset.jsonl', 600\)"),
    "run-one-of-two": (ran, r"\[\('[^']*train_dataset\.jsonl', \d+\)\]\)$"),
    "run-few": (ran, r"train_dataset\.jsonl', 1\d\)"),
    "run-python": (first_line, r"\{'text'"),
    "run-empty": (ran, r"train_dataset.jsonl', 0\)"),
    "run-late": (ran, r"^\(None, "),
    "run-asks": (ran, r"^\(None, .*Overwrite the dataset"),
    "run-daemon": (program("start_new_session=True"), "True"),
    "run-denied": (ran, r"^\(1, .*AccessDenied"),
    "run-source-gone": (ran, r"^\(1, .*taxes/"),
    "run-own-path": (ran, r"^\(1, .*stopwords.txt"),
    "run-silent": (ran, r"^\(0, (?!.*Processed)"),
    "run-no-time": (ran, r"in 0\.000 s"),
    "run-first-fails": (ran, r"^\(1, .*out of luck"),
    "run-first-of-little": (ran, r"^\(0, .*train_dataset.jsonl', \d\d\)"),
}
