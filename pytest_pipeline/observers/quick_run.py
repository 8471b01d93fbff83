"""The quick run of a step of the user's pipeline, in the sandbox: how it ended, what it made, and how fast it was."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_pipeline.observers.aws_session import is_loopback, make_session
from pytest_pipeline.observers.record_estimate import records_of_sources
from pytest_pipeline.observers.s3_listing import S3Address
from pytest_pipeline.observers.scratch import ScratchError, scratch_copy
from pytest_pipeline.observers.stage_environment import AwsAccess
from pytest_pipeline.observers.stage_run import LeftProcess, Stage, StageUnknownError, run_stage
from pytest_pipeline.observers.step_outputs import SPEED_ROW, Made, list_outputs, made_of
from pytest_pipeline.observers.untrusted import printable
from pytest_pipeline.outcome import Reading
from pytest_pipeline.settings.redaction import redactor
from pytest_pipeline.templates import TemplateError, fill_argv, fill_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_pipeline.observers.scratch import Scratch
    from pytest_pipeline.observers.stage_run import StageRun
    from pytest_pipeline.settings import Settings, Step

AROUND_S = 120.0
"""Beyond what the step itself may take: the copy of its folder, and what it made, listed and read."""

_TAIL = 2000  # characters of the log that are kept with the answer; its file has the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickRun:
    """What came of a quick run.

    `records` and `seconds` are what the step said of its speed, None where it said nothing that can be read.
    `everything` is about how many records the sources have, None where that cannot be told. `killed` and `left` are as
    in `StageRun`. `outputs` are looked at where all else is right.
    """

    step: str
    exit_status: int
    duration_s: float
    timed_out: bool
    log_tail: str
    records: int | None
    seconds: float | None
    outputs: tuple[Made, ...] = ()
    everything: int | None = None
    killed: tuple[LeftProcess, ...] = ()
    left: tuple[LeftProcess, ...] = ()

    @property
    def records_each_s(self) -> float | None:
        """How fast the step was, None where nobody knows."""
        return self.records / self.seconds if self.records and self.seconds else None

    @property
    def trouble(self) -> str:
        """Why it did not do what a step must do, or ""."""
        if self.timed_out:
            return f"not done after {self.duration_s:.0f} s{self._last_words}"
        if self.exit_status:
            return f"exit status {self.exit_status}{self._last_words}"
        if self.left:
            return f"it left a process that cannot be ended: {_named(self.left)}"
        if self.killed:
            return f"it left a process behind: {_named(self.killed)}"
        return "; ".join(made.trouble for made in self.outputs if made.trouble)

    @property
    def _last_words(self) -> str:
        lines = self.log_tail.strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ""


def look_at_quick_run(settings: Settings, step: Step, folder: Path) -> Reading[QuickRun]:
    """Run a step once, in a copy of its folder, with the sandbox's credentials. The log stays in the run's folder.

    What it makes stays where it made it, so that it can be judged, and goes with the sandbox.
    """
    if settings.world != "sandbox":
        return Reading.missing("so far quick runs are made with --sandbox only", by="settings")
    if not is_loopback(settings.aws.endpoint_url):  # a user's settings can stand above the sandbox's
        return Reading.missing(
            "aws.endpoint_url leads out of the sandbox, where alone quick runs are made", by="settings"
        )
    if settings.pipeline.workdir is None:
        return Reading.missing("pipeline.workdir: the folder that steps run in", by="settings")
    try:
        with scratch_copy(settings.pipeline.workdir, exclude=settings.pipeline.exclude) as scratch:
            return _look(settings, step, scratch, folder)
    except (ScratchError, TemplateError) as error:
        return Reading.missing(str(error), by="settings")
    except StageUnknownError as error:
        return Reading.missing(str(error), by=SPEED_ROW)


def _look(settings: Settings, step: Step, scratch: Scratch, folder: Path) -> Reading[QuickRun]:
    stage = _stage(settings, step, workdir=str(scratch.workdir), run_id=folder.name)
    before = list_outputs(settings, step)
    if not before.is_known:
        return before.hand_on()
    came = run_stage(
        stage,
        scratch=scratch,
        access=_access(settings),
        run_id=folder.name,
        log=folder / f"quick-run-{re.sub('[^A-Za-z0-9_-]', '_', step.name)}.log",
        redact=redactor(settings, os.environ),
        operators=os.environ,
    )
    ended = _ended(step, came)
    if ended.trouble:
        return Reading.of(ended)
    after = list_outputs(settings, step)
    if not after.is_known:
        return after.hand_on()
    outputs = []
    for output in step.outputs:
        made = made_of(settings, output, before.value[output.uri], after.value[output.uri])
        if not made.is_known:
            return made.hand_on()
        outputs.append(made.value)
    return Reading.of(replace(ended, outputs=tuple(outputs), everything=records_of_sources(settings)))


def _stage(settings: Settings, step: Step, *, workdir: str, run_id: str) -> Stage:
    """Return the step with its templates filled, as a quick run. Raises TemplateError."""
    first = S3Address.of(step.outputs[0].uri)
    values = {
        "run_id": run_id,
        "step": step.name,
        "workdir": workdir,
        "bucket": first.bucket,
        "prefix": first.key[: first.key.rfind("/") + 1],
        "region": settings.aws.region or "us-east-1",
    }
    further = fill_argv(step.quick, values)
    command: str | Sequence[str]
    if isinstance(step.command, str):
        command = " ".join([fill_command(step.command, values), *map(shlex.quote, further)])
    else:
        command = [*fill_argv(step.command, values), *further]
    return Stage(
        name=step.name,
        command=command,
        timeout_s=step.timeout_s,
        environment=step.environment,
        settle_s=step.settle_s,
        grace_s=step.grace_s,
    )


def _access(settings: Settings) -> AwsAccess:
    """Return the operator's credentials of the sandbox, which open nothing else."""
    held = make_session(settings.aws).get_credentials().get_frozen_credentials()
    return AwsAccess(
        endpoint_url=str(settings.aws.endpoint_url),
        region=settings.aws.region or "us-east-1",
        access_key=held.access_key,
        secret_key=held.secret_key,
        session_token=held.token or "",
    )


def _ended(step: Step, came: StageRun) -> QuickRun:
    log = came.log_head + came.log_tail
    records, seconds = _speed(step, log)
    return QuickRun(
        step=step.name,
        exit_status=came.exit_status,
        duration_s=came.duration_s,
        timed_out=came.timed_out,
        log_tail="\n".join(map(printable, log[-_TAIL:].splitlines())),
        records=records,
        seconds=seconds,
        killed=came.killed,
        left=came.left,
    )


def _speed(step: Step, log: str) -> tuple[int | None, float | None]:
    """Return the records and seconds of the last line that tells them."""
    pattern = re.compile(step.speed)
    found = next((match for line in reversed(log.splitlines()) if (match := pattern.search(line))), None)
    if found is None:
        return None, None
    try:
        return int(found["records"].replace(",", "")), float(found["seconds"].replace(",", ""))
    except (AttributeError, ValueError):  # a group that took no part, or no number
        return None, None


def _named(processes: tuple[LeftProcess, ...]) -> str:
    more = f" and {len(processes) - 1} more" if len(processes) > 1 else ""
    return f"{processes[0].command}{more}"
