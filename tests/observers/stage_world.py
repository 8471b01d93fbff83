"""A pipeline of a few files to run stages of, and a look at which processes are still there."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.stage_environment import AwsAccess
from pytest_pipeline.observers.stage_run import Stage, StageRun, run_stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pytest_pipeline.observers.scratch import Scratch

ACCESS = AwsAccess(
    endpoint_url="http://127.0.0.1:9",
    region="us-east-1",
    access_key="AKIASANDBOX",
    secret_key="sandbox-secret",  # noqa: S106  # of nobody
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageWorld:
    scratch: Scratch
    log: Path
    pids: Path  # where scripts write the number of a process, one a line

    def run(
        self,
        command: str | Sequence[str],
        *,
        timeout_s: float = 20.0,
        settle_s: float = 0.1,
        grace_s: float = 0.3,
        redact: Callable[[str], str] = str,
        operators: dict[str, str] | None = None,
        **environment: str,
    ) -> StageRun:
        stage = Stage(
            name="prepare",
            command=command,
            timeout_s=timeout_s,
            settle_s=settle_s,
            grace_s=grace_s,
            environment={"PIDS": str(self.pids), **environment},
        )
        ways: Any = {"scratch": self.scratch, "access": ACCESS, "run_id": "gate-1", "log": self.log, "redact": redact}
        return run_stage(stage, operators=operators or {"PATH": os.environ["PATH"]}, **ways)

    def told(self) -> list[int]:
        """Return the numbers that scripts have written."""
        return [int(line) for line in self.pids.read_text().split()] if self.pids.exists() else []


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_for(what: Callable[[], object], patience_s: float = 15.0) -> None:
    """Wait until something is so; it fails where that takes too long."""
    end = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
