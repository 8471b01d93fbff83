"""From what the contexts' interpreters answered to readings; pure and strict.

Each missing reading names its root: whatever needs PyTorch is owned by `pytorch` where that does not import.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_pipeline.observers.context_readings import (
    ContextReadings,
    Cuda,
    Device,
    Distribution,
    EntryPoint,
    Imported,
    Interpreter,
    Limits,
    MissingName,
    SharedMemory,
    Torch,
    nothing_of,
)
from pytest_pipeline.observers.untrusted import (
    Unreadable,
    flag,
    items,
    mapping,
    number,
    printable,
    reading,
    text,
    whole,
)
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.observers.host_request import ContextRequest

T = TypeVar("T")

_PYTHON, _TORCH, _CUDA, _MEMORY = "python-version", "pytorch", "cuda", "gpu-memory"
_LIMITS, _SHARED, _PACKAGES, _ENTRY_POINTS = "limits", "shared-memory", "dependencies", "deployed-imports"
_OWNERS = {"torch": _TORCH, "cuda": _CUDA, "trial": _CUDA, "package": _PACKAGES}
"""By the kind of a step."""
_OLDEST = (3, 7)
_VARIABLE_LIMIT = 4000  # a PATH is long
_REQUIREMENT_LIMIT = 4000  # so may be the marker of a requirement


def contexts(answer: Reading[Any], asked: tuple[ContextRequest, ...]) -> dict[str, ContextReadings]:
    """Return the readings of every context that was asked for, by name."""
    answers = answer.or_none if isinstance(answer.or_none, dict) else {}
    found = {}
    for one in asked:
        if not answer.is_known:
            found[one.name] = nothing_of(answer, one.packages, one.entry_points)
        elif one.name not in answers:
            silent: Reading[Any] = Reading.missing(f"the host did not answer for the context {one.name}", by=_PYTHON)
            found[one.name] = nothing_of(silent, one.packages, one.entry_points)
        else:
            found[one.name] = _context(answers[one.name], one)
    return found


def _context(answer: object, asked: ContextRequest) -> ContextReadings:
    heard = reading(answer, f"context {asked.name} ({asked.shell})", by=_PYTHON, read=_Said)
    if not heard.is_known:
        return nothing_of(heard, asked.packages, asked.entry_points)
    said = heard.value
    if _release(said.about.version) < _OLDEST:
        why: Reading[Any] = Reading.missing(
            f"{said.about.executable} is Python {said.about.version}, and can be asked nothing else (3.7 or later can)",
            by=_PYTHON,
        )
        nothing = nothing_of(why, asked.packages, asked.entry_points)
        return replace(nothing, interpreter=Reading.of(said.about))
    torch = said.of("torch", what="import of torch", by=_TORCH, read=_torch)
    cuda = said.of("cuda", what="CUDA", by=_CUDA, read=lambda value: _cuda(value, said))
    installed = said.of("distributions", what="the installed packages", by=_PACKAGES, read=_distributions)
    return ContextReadings(
        interpreter=said.of("interpreter", what="the interpreter", by=_PYTHON, read=_interpreter),
        limits=said.of("limits", what="the limits of a process", by=_LIMITS, read=_limits),
        shared_memory=said.of("shared_memory", what="shared memory", by=_SHARED, read=_shared_memory),
        memory_limit_bytes=said.of("memory_limit", what="the memory limit", by=_LIMITS, read=_whole_or_none),
        torch=torch,
        cuda=cuda if torch.is_known else torch.hand_on(),
        distributions=installed,
        packages={one: _package(one, said, torch, installed.or_none or ()) for one in asked.packages},
        entry_points={
            path: said.of("entry_point", path, what=path, by=_ENTRY_POINTS, read=_entry_point)
            for path in asked.entry_points
        },
    )


class _Said:
    """What came of a context: who its interpreter is, its answers by kind and key, and why there are no more."""

    def __init__(self, value: object) -> None:
        of = mapping(value, "the context's answer")
        self.about = _about(of.get("python"))
        self._answers = mapping(of.get("answers"), "its answers")
        self._ended = text(of, "ended")

    def answer(self, kind: str, key: str = "") -> Any:
        """Return what was answered, undecoded; None where nothing was."""
        of_kind = self._answers.get(kind)
        return of_kind.get(key) if isinstance(of_kind, dict) else None

    def of(self, kind: str, key: str = "", *, what: str, by: str, read: Callable[[Any], T]) -> Reading[T]:
        """Return the reading of one answer. Everything that was asked for must have come."""
        answer = self.answer(kind, key)
        if isinstance(answer, dict):
            by = _OWNERS.get(str(answer.get("hung")), by)  # not tried, as that step had used up the time
        if answer is not None:
            return reading(answer, what, by=by, read=read)
        steps = self.answer("steps")
        broken = f": {printable(steps['error'])}" if isinstance(steps, dict) and "error" in steps else ""
        ended = f": {self._ended}" if self._ended else broken
        return Reading.missing(f"the interpreter gave no answer for {what}{ended}", by=by)


def _about(value: object) -> Interpreter:
    """Read what every Python says of itself, however old it is."""
    of = mapping(value, "the interpreter")
    return Interpreter(
        version=_version(of),
        implementation="",
        executable=text(of, "executable"),
        real="",
        prefix=text(of, "prefix"),
        base_prefix="",
        path=(),
        environment={},
    )


def _version(of: dict[str, Any]) -> str:
    """Return a version that `packaging` can read: builds between releases (`3.12.1+`) say it with a sign at the end."""
    found = re.match(r"\d{1,3}\.\d{1,3}(\.\d{1,3})?((a|b|rc)\d{1,3})?", text(of, "version"), re.ASCII)
    if found is None:
        raise Unreadable(f"{text(of, 'version')!r} is no version of Python")
    return found[0]


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


def _interpreter(value: object) -> Interpreter:
    of = mapping(value, "the interpreter")
    variables = mapping(of.get("environment"), "environment")
    return Interpreter(
        version=_version(of),
        implementation=text(of, "implementation"),
        executable=text(of, "executable"),
        real=text(of, "real"),
        prefix=text(of, "prefix"),
        base_prefix=text(of, "base_prefix"),
        path=_texts(of, "path"),
        environment={printable(name): printable(value, _VARIABLE_LIMIT) for name, value in variables.items()},
        pip=text(of, "pip"),
    )


def _limits(value: object) -> Limits:
    of = mapping(value, "limits")
    return Limits(
        open_files=_limit(of, "open_files"),
        open_files_hard=_limit(of, "open_files_hard"),
        processes=_limit(of, "processes"),
        locked_bytes=_limit(of, "locked_bytes"),
        address_space_bytes=_limit(of, "address_space_bytes"),
        file_bytes=_limit(of, "file_bytes"),
    )


def _limit(of: dict[str, Any], name: str) -> int | None:
    if name not in of:
        raise Unreadable(f"{name} is not there")
    return _whole_or_none(of[name])


def _whole_or_none(value: object) -> int | None:
    return None if value is None else whole({"limit": value}, "limit")


def _shared_memory(value: object) -> SharedMemory:
    of = mapping(value, "shared memory")
    return SharedMemory(
        total_bytes=whole(of, "total_bytes"), available_bytes=whole(of, "available_bytes"), fs_type=text(of, "fs_type")
    )


def _torch(value: object) -> Torch:
    of = mapping(value, "PyTorch")
    return Torch(
        version=text(of, "version"),
        cuda=text(of, "cuda"),
        hip=text(of, "hip"),
        file=text(of, "file"),
        cudnn=_whole_or_none(of.get("cudnn")),
        took_s=number(of, "took_s"),
        simulated=flag(of, "simulated"),
        warnings=_texts(of, "warnings"),
    )


def _cuda(value: object, said: _Said) -> Cuda:
    of = mapping(value, "CUDA")
    return Cuda(
        available=flag(of, "available"),
        why=(*_texts(of, "why"), *_texts(of, "warnings")),
        arch_list=_texts(of, "arch_list"),
        devices=tuple(_device(mapping(one, "device"), said) for one in items(of.get("devices"), "devices")),
        bf16=None if of.get("bf16") is None else flag(of, "bf16"),
    )


def _device(of: dict[str, Any], said: _Said) -> Device:
    index, name = whole(of, "index"), text(of, "name")
    capability = text(of, "capability")
    if not re.fullmatch(r"\d{1,3}\.\d{1,2}", capability, re.ASCII):
        raise Unreadable(f"{capability!r} is no compute capability")
    trial = said.answer("trial", str(index))
    not_tried = isinstance(trial, dict) and trial.get("not_tried") is True
    return Device(
        index=index,
        name=name,
        capability=capability,
        total_bytes=whole(of, "total_bytes"),
        free_bytes=reading(of.get("free"), f"the free memory of {name} ({index})", by=_MEMORY, read=_size),
        uuid=text(of, "uuid"),
        trial=said.of(
            "trial",
            str(index),
            what=f"the trial on {name} ({index})",
            by=_MEMORY if not_tried else _CUDA,
            read=_relative_error,
        ),
    )


def _size(value: object) -> int:
    return whole({"size": value}, "size")


def _relative_error(value: object) -> float:
    error = number({"error": value}, "error")
    if error < 0:
        raise Unreadable("an error below zero")
    return error


def _distributions(value: object) -> tuple[Distribution, ...]:
    return tuple(_distribution(mapping(one, "distribution")) for one in items(value, "the installed packages"))


def _distribution(of: dict[str, Any]) -> Distribution:
    read = of.get("requires") is not None
    # One character more, so that a line that had to be cut is told from one that just fits.
    requires = [printable(one, _REQUIREMENT_LIMIT + 1) for one in items(of["requires"], "requires")] if read else []
    return Distribution(
        name=text(of, "name"),
        version=text(of, "version"),
        location=text(of, "location"),
        requires=tuple(requires),
        requires_python=text(of, "requires_python"),
        requires_read=read and all(len(line) <= _REQUIREMENT_LIMIT for line in requires),
    )


def _package(
    required: str, said: _Said, torch: Reading[Torch], installed: tuple[Distribution, ...]
) -> Reading[Imported]:
    seen = said.of("package", required, what=f"import of {_name(required)}", by=_PACKAGES, read=_imported)
    if seen.is_known or torch.is_known:
        return seen
    needs_torch = "torch" in _closure(required, installed) or re.search(r"\btorch\b", seen.reason)
    return torch.hand_on() if needs_torch else seen


def _closure(required: str, installed: tuple[Distribution, ...]) -> set[str]:
    """Return the names of all that a requirement leads to."""
    requires = {_name(one.name): one.requires for one in installed}
    found: set[str] = set()
    waiting = [_name(required)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [_name(line) for line in requires.get(name, ())]
    return found


def _name(requirement: str) -> str:
    """Return the name that a requirement begins with, as names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]).lower()


def _imported(value: object) -> Imported:
    of = mapping(value, "package")
    return Imported(
        module=text(of, "module"),
        version=text(of, "version"),
        file=text(of, "file"),
        took_s=number(of, "took_s"),
        warnings=_texts(of, "warnings"),
        guess=text(of, "guess"),
    )


def _entry_point(value: object) -> EntryPoint:
    of = mapping(value, "entry point")
    return EntryPoint(
        path=text(of, "path"),
        files_read=whole(of, "files_read"),
        imports=whole(of, "imports"),
        missing=tuple(_missing_name(mapping(one, "import")) for one in items(of.get("missing"), "missing")),
        problems=_texts(of, "problems"),
    )


def _missing_name(of: dict[str, Any]) -> MissingName:
    return MissingName(
        name=text(of, "name"),
        file=text(of, "file"),
        line=whole(of, "line"),
        silent=flag(of, "silent"),
        local=flag(of, "local"),
        why=text(of, "why"),
    )


def _texts(of: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple(printable(one) for one in items(of.get(name), name))
