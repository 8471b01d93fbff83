"""Loading files with `datasets` itself, as training will: their first lines, in the order that it reads them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pytest_pipeline.data.columns import HEAD_BYTES
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.lines import Block
from pytest_pipeline.data.records import pieces_of
from pytest_pipeline.data.secrets import masked
from pytest_pipeline.data.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pytest_pipeline.data.opening import Opener
    from pytest_pipeline.data.spans import DataFile
    from pytest_pipeline.data.spec import RecordSpec

TIMEOUT_S = 120.0
OTHER_HEAD_BYTES = 1024 * 1024
"""Of the files after the first, whose first 10 MiB fix the types."""

_PROGRAM = files("pytest_pipeline") / "probes" / "load_dataset.py"
_SHOWN_CHARACTERS = 300
# What a child needs to find its libraries; keys of clouds and hubs it does not.
_HANDED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SYSTEMROOT", "VIRTUAL_ENV")


class Came(StrEnum):
    """What came of loading."""

    LOADED = "loaded"
    REFUSED = "refused"
    ABSENT = "absent"  # the library is not installed
    BROKEN = "broken"  # it is, and cannot be imported, or it took the process with it
    LATE = "late"
    NOTHING = "nothing"  # there was nothing to load


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first lines of a file, whole, and how many of them are not blank."""

    file: DataFile
    content: bytes
    records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What came of loading heads: `rows` of `records`, or `why` not, and which line of which file it is."""

    came: Came
    version: str = ""
    files: int = 0
    records: int = 0
    rows: int = 0
    uri: str = ""
    line: int = 0
    why: str = ""


def heads_of(files: Iterable[DataFile], spec: RecordSpec, opener: Opener | None = None) -> tuple[Head, ...]:
    """Return the heads of files, in their order: 10 MiB of the first that has a record, 1 MiB of those after it.

    Raises as `validate` does.
    """
    heads: list[Head] = []
    most_bytes = HEAD_BYTES
    for file in files:
        heads.append(head(file, spec, most_bytes, opener))
        if heads[-1].records:
            most_bytes = OTHER_HEAD_BYTES
    return tuple(heads)


def head(file: DataFile, spec: RecordSpec, most_bytes: int = HEAD_BYTES, opener: Opener | None = None) -> Head:
    """Return the first lines of a file: those that start in its first bytes, as `datasets` reads them.

    A line that is too long is a blank one here, so that the lines behind it keep their numbers. Raises as `validate`
    does.
    """
    content = bytearray()
    for piece in pieces_of(Span(file=file, start=0, end=file.size_bytes), spec, opener):
        content += piece.view if isinstance(piece, Block) else b"\n"
        if len(content) > most_bytes:
            break
    end = content.find(b"\n", most_bytes) + 1
    kept = bytes(content[:end] if end else content)
    return Head(file=file, content=kept, records=sum(1 for line in kept.split(b"\n") if line.strip()))


def load(heads: Sequence[Head], python: str = sys.executable, timeout_s: float = TIMEOUT_S) -> Loading:
    """Load heads in the order that training reads the files in, in a process of `python` that goes on no network.

    Raises OSError where the process cannot be started.
    """
    told = [one for one in heads if one.records]
    if not told:
        return Loading(came=Came.NOTHING)
    with TemporaryDirectory(prefix="pipeline-loading-") as scratch:
        paths = [Path(scratch, f"{number}.jsonl") for number in range(len(told))]
        for path, one in zip(paths, told, strict=True):
            path.write_bytes(one.content)
        request, answer = Path(scratch, "request.json"), Path(scratch, "answer.json")
        request.write_text(json.dumps({"files": list(map(str, paths)), "scratch": scratch}), encoding="utf-8")
        command = [python, "-c", _PROGRAM.read_text(encoding="utf-8"), str(request), str(answer)]
        said, late = _run(command, scratch, timeout_s)
        came = _answer(answer)
    whole = Loading(came=Came.LATE, files=len(told), records=sum(one.records for one in told))
    if late:
        return whole
    return _loading(whole, told, came or {"broken": said or "it ended without an answer"})


def _run(command: Sequence[str], scratch: str, timeout_s: float) -> tuple[str, bool]:
    """Run a command; return the last that it said, and whether it was late, when it is ended with all its children."""
    environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ} | {
        "HF_HOME": scratch,
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
        "DO_NOT_TRACK": "1",
        "TMPDIR": scratch,
    }
    errors = Path(scratch, "errors")
    with errors.open("wb") as sink:
        child = subprocess.Popen(  # noqa: S603  # our own program, run by the interpreter that was named
            command,
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=sink,
            start_new_session=True,
        )
        try:
            child.wait(timeout_s)
            late = False
        except subprocess.TimeoutExpired:
            late = True
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    with errors.open("rb") as source:
        source.seek(max(0, errors.stat().st_size - _SHOWN_CHARACTERS))
        last = source.read().decode("utf-8", "replace").strip().splitlines()
    return (last[-1] if last else f"exit status {child.returncode}"), late


def _answer(path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _loading(whole: Loading, heads: Sequence[Head], answer: Mapping[str, Any]) -> Loading:
    match answer:
        case {"absent": True}:
            return Loading(came=Came.ABSENT)
        case {"version": str(version), "rows": int(rows)}:
            return Loading(came=Came.LOADED, version=version, files=whole.files, records=whole.records, rows=rows)
        case {"version": str(version), "error": str(why), "file": int(number), "line": int(line)} if (
            0 <= number < len(heads)
        ):
            return Loading(
                came=Came.REFUSED,
                version=version,
                files=whole.files,
                records=whole.records,
                uri=heads[number].file.uri,
                line=line,
                why=_shown(why),
            )
        case {"broken": str(why)}:
            return Loading(came=Came.BROKEN, why=_shown(why))
    return Loading(came=Came.BROKEN, why="its answer makes no sense")


def _shown(why: str) -> str:
    line = " ".join(masked(why).split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}..."


def findings(of: Loading) -> tuple[Finding, ...]:
    """Return what a user reads of loading."""
    match of.came:
        case Came.LOADED if of.rows == of.records:
            return ()
        case Came.LOADED:
            sentence = f"datasets {of.version} makes {of.rows:,} rows of {of.records:,} records"
            return (Finding(gravity=Gravity.WRONG, sentence=sentence),)
        case Came.REFUSED:
            sentence = f"{of.uri} line {of.line:,}: datasets {of.version} does not load it: {of.why}"
            return (Finding(gravity=Gravity.WRONG, sentence=sentence),)
        case Came.ABSENT:
            sentence = "datasets is not installed: whether the files load was not tried"
        case Came.BROKEN:
            sentence = f"datasets could not be tried: {of.why}"
        case Came.LATE:
            sentence = f"datasets did not load the first lines of {of.files:,} files in time"
        case Came.NOTHING:
            sentence = "no file has a record to load"
    return (Finding(gravity=Gravity.UNKNOWN, sentence=sentence),)
