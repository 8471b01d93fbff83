"""The command line's options: what they are called, where they are stored, and which do not go together."""

from __future__ import annotations

import argparse
import math
import re
import sys
from typing import TYPE_CHECKING

from pytest_pipeline.stage import STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

OPTIMIZED = (
    "python -O (PYTHONOPTIMIZE) removes the assertions of every module that pytest does not rewrite: "
    "rows could pass without having judged; run without it"
)
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_REPORTS = {"--readiness-json": "pipeline_readiness_json"}


def add_options(parser: pytest.Parser) -> None:
    """Add the group "pipeline". Every dest begins with `pipeline_`: an equal one kills pytest for everybody."""
    add = parser.getgroup("pipeline", "readiness of a fine-tuning pipeline").addoption
    add(
        "--instance-id",
        action="append",
        metavar="ID",
        dest="pipeline_instance_id",
        help="EC2 instance to look at (repeat for several).",
    )
    add("--instance-ip", metavar="ADDRESS", dest="pipeline_instance_ip", help="Address of the GPU host.")
    add("--ssh-key", metavar="FILE", dest="pipeline_ssh_key", help="Private key for the GPU host.")
    add(
        "--stage",
        choices=[*STAGES],
        dest="pipeline_stage",
        help="Judge every row of a stage; without a path, the shipped suite is run.",
    )
    add(
        "--sample-size",
        type=_records,
        metavar="N",
        dest="pipeline_sample_size",
        help="Look at about N records of the data instead of all.",
    )
    add(
        "--data-executor",
        metavar="URL",
        dest="pipeline_data_executor",
        help="Look at the data on a Dask cluster, dask://host:port, instead of in processes here.",
    )
    add(
        "--run-id",
        type=_run_id,
        metavar="ID",
        dest="pipeline_run_id",
        help="Id of this run (default: a new one).",
    )
    add(
        "--read-only",
        action="store_true",
        dest="pipeline_read_only",
        help="Deselect the rows that write something; they are not judged.",
    )
    add(
        "--share-host",
        action="store_true",
        dest="pipeline_share_host",
        help="Run rows that load the host although somebody else works on it.",
    )
    add(
        "--fail-under",
        type=_percentage,
        metavar="SCORE",
        dest="pipeline_fail_under",
        help="Fail if the low end of the score, in percent, is below SCORE.",
    )
    add(
        "--max-seconds",
        type=_seconds,
        metavar="N",
        dest="pipeline_max_seconds",
        help="Run no further row after N seconds; those left are reported as not run.",
    )
    add("--readiness-json", metavar="FILE", dest="pipeline_readiness_json", help="Write the result to FILE as JSON.")
    add(
        "--sandbox",
        action="store_const",
        const=True,
        dest="pipeline_sandbox",
        help="Look at the embedded stand-in for AWS, GPU host and Slack; needs no account, GPU or network.",
    )
    add(
        "--inject",
        action="append",
        metavar="FAULT",
        dest="pipeline_inject",
        help="Break the sandbox with a fault (repeat for several; implies --sandbox).",
    )
    add("--pipeline-config", metavar="FILE", dest="pipeline_config_file", help="Read the settings from this TOML file.")
    add(
        "--pipeline-set",
        action="append",
        metavar="KEY=VALUE",
        dest="pipeline_set",
        help="Set one setting, such as host.user=ec2-user (repeatable; VALUE as in TOML, else a string).",
    )


def report_files(args: Sequence[str], known: argparse.Namespace | None = None) -> list[str]:
    """Return the files that reports are to be written to, also where the rest of the command line is wrong."""
    named = [getattr(known, dest, None) for dest in _REPORTS.values()]
    for option in _REPORTS:
        named += [arg.partition("=")[2] for arg in args if arg.startswith(f"{option}=")]
        named += [args[at + 1] for at, arg in enumerate(args[:-1]) if arg == option]
    return [*dict.fromkeys(file for file in named if file)]


def usage_error_in(config: pytest.Config, *, awake: bool) -> str:
    """Say what does not go together, what to do, or nothing. `awake`: an option asks for the gate."""
    option = config.getoption
    if option("pipeline_sandbox") or option("pipeline_inject"):
        real = [
            name
            for name, dest in (("--instance-id", "id"), ("--instance-ip", "ip"))
            if option(f"pipeline_instance_{dest}")
        ]
        real += ["--ssh-key"] if option("pipeline_ssh_key") else []
        if real:
            return (
                f"--sandbox looks at a stand-in, and {' and '.join(real)} names the real thing; give one or the other"
            )
    return OPTIMIZED if sys.flags.optimize and awake else ""


def _run_id(text: str) -> str:
    """A run id becomes the name of a folder that is removed in the end: it must not lead anywhere else."""
    if not _RUN_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no run id: letters, digits, '.', '_' and '-', 100 at most, the first a letter or digit"
        )
    return text


def _percentage(text: str) -> float:
    score = _number(text)
    if not 0 <= score <= 100:  # noqa: PLR2004 - percent
        raise argparse.ArgumentTypeError(f"{text!r} is no score from 0 to 100")
    return score


def _records(text: str) -> int:
    records = _number(text)
    if records < 1 or not records.is_integer():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of records, 1 or more")
    return int(records)


def _seconds(text: str) -> float:
    seconds = _number(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return number
