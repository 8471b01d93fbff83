"""The folder of one run: who runs it, what each process planned, what was observed. Shared by all its processes.

It lies under the XDG cache and is gone when the run ends well; what a killed run left is removed by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_pipeline.matrix import FailureMode, Planned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


EFFECTS = "effects.jsonl"
INHERITED = "inherited-effects.jsonl"


def runs_folder(environ: Mapping[str, str]) -> Path:
    """Return where the folders of all runs lie (XDG Base Directory Specification).

    Where the cache cannot be written (a container's user without a home), they lie in the folder for temporary files.
    """
    cache = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "/nonexistent") / ".cache")
    there = next(folder for folder in (cache, *cache.parents) if folder.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        cache = Path(tempfile.gettempdir()) / f"pytest-pipeline-{os.getuid()}"
    return cache / "pytest-pipeline" / "runs"


def new_run_id() -> str:
    """Return a run id that sorts by time and is good in file names, S3 keys and unit names."""
    return f"gate-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.urandom(3).hex()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFolder:
    """The folder of one run. Nothing is made on disk before there is something to write."""

    path: Path

    def hold(self, process: str) -> int:
        """Make the folder, readable by its owner only, and hold it for the life of this process.

        While one process holds it, no other run takes it for dead. Returns the lock's file descriptor. Raises
        BlockingIOError where a run with the same id holds it.
        """
        for folder in (self.path / "planned", self.path / "observations"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self.path / f"{process}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise
        return lock

    def remove(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def write_plan(self, process: str, planned: Iterable[Planned]) -> None:
        """Write down what one process planned; whole or not at all."""
        cases = list(planned)
        modes = {row: mode.to_wire() for row, mode in {case.mode.id: case.mode for case in cases}.items()}
        rows = [[case.nodeid, case.mode.id, case.host, case.selected] for case in cases]
        write_whole(self.path / "planned" / f"{process}.json", json.dumps({"modes": modes, "cases": rows}))

    def read_plan(self) -> tuple[Planned, ...]:
        """Read what all processes planned, each node id once; a case that any process selected is selected."""
        planned: dict[str, Planned] = {}
        for file in sorted((self.path / "planned").glob("*.json")):
            plan = json.loads(file.read_text(encoding="utf-8"))
            modes = {row: FailureMode.from_wire(wire) for row, wire in plan["modes"].items()}
            for nodeid, row, host, selected in plan["cases"]:
                if selected or nodeid not in planned:
                    planned[nodeid] = Planned(nodeid=nodeid, mode=modes[row], host=host, selected=selected)
        return tuple(planned.values())


def write_whole(path: Path, text: str) -> None:
    """Write a file so that a reader sees all of it or none. The folder must be there: one that is gone stays gone."""
    part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def inherit_from_dead_runs(heir: Path) -> None:
    """Remove the folders that no process holds any more: theirs were killed before they could do so themselves.

    What their journals say was made outside this machine is handed to `heir`, the folder of a run that is held.
    """
    for folder in heir.parent.iterdir():
        locks = [*folder.glob("*.lock")]
        if folder != heir and locks and not any(_is_held(lock) for lock in locks):
            dead = heir / f"dead-{folder.name}"
            with contextlib.suppress(FileNotFoundError):  # another run took it: it has one heir
                folder.rename(dead)
                for journal in (dead / INHERITED, dead / EFFECTS):
                    if journal.exists():
                        with (heir / INHERITED).open("ab") as inherited:
                            inherited.write(journal.read_bytes())
                shutil.rmtree(dead, ignore_errors=True)


def _is_held(lock_file: Path) -> bool:
    try:
        lock = os.open(lock_file, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:  # another run is removing the same folder
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
