"""The run's journal of effects: what was made outside this machine, and whether it is gone again.

Every process appends to the one file; a line is written whole, before the effect and after its removal. What a killed
run left undone is handed to the next run, which removes it; the sandbox's effects went with the sandbox.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from pytest_pipeline.observers.effects import Effect
from pytest_pipeline.run_folder import EFFECTS, INHERITED

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.observers.effects import Journal

_IN_SANDBOX = "sandbox-effects.jsonl"


def journal_in(folder: Path, *, world: str) -> Journal:
    """Return what notes an effect in the run's folder."""
    file = folder / (_IN_SANDBOX if world == "sandbox" else EFFECTS)

    def note(effect: Effect) -> None:
        line = json.dumps(asdict(effect)) + "\n"
        opened = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(opened, line.encode())
        finally:
            os.close(opened)

    return note


def effects_in(folder: Path) -> tuple[Effect, ...]:
    """Return each effect of the run once, as it was last noted."""
    return tuple(_last_words(folder / EFFECTS) | _last_words(folder / _IN_SANDBOX))


def inherited_in(folder: Path, *, world: str) -> tuple[Effect, ...]:
    """Return what killed runs left in the world of this one."""
    if world == "sandbox":
        return ()
    return tuple(effect for effect in _last_words(folder / INHERITED) if not effect.removed)


def _last_words(file: Path) -> dict[Effect, None]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    last = {(effect.what, effect.where): effect for effect in (Effect(**json.loads(line)) for line in lines)}
    return dict.fromkeys(last.values())
