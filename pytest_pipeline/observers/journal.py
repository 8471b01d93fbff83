"""The run's journal of effects: what was made outside this machine, and whether it is gone again.

Every process appends to the one file; a line is written whole, before the effect and after its removal.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from pytest_pipeline.observers.effects import Effect

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_pipeline.observers.effects import Journal


def journal_in(folder: Path) -> Journal:
    """Return what notes an effect in the run's folder."""

    def note(effect: Effect) -> None:
        line = json.dumps(asdict(effect)) + "\n"
        file = os.open(folder / "effects.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)

    return note


def effects_in(folder: Path) -> tuple[Effect, ...]:
    """Return each effect of the run once, as it was last noted."""
    try:
        lines = (folder / "effects.jsonl").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    last = {(effect.what, effect.where): effect for effect in (Effect(**json.loads(line)) for line in lines)}
    return tuple(last.values())
