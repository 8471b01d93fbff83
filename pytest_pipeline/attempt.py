"""Which row an item is a case of, and what one attempt at it gathers while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pytest_pipeline.matrix import FailureMode
from pytest_pipeline.outcome import Blocked, Evidence, Outcome, Waiver

mode_key = pytest.StashKey[FailureMode]()
attempt_key = pytest.StashKey["Attempt"]()


@dataclass(slots=True, kw_only=True)
class Attempt:
    """What one attempt at a case gathers while it runs: new for each attempt, so that nothing leaks into a rerun."""

    number: int
    evidence: Evidence = field(default_factory=Evidence)
    blocks: list[Blocked] = field(default_factory=list)
    waiver: Waiver | None = None
    calling: bool = False
    subtests: list[Outcome] = field(default_factory=list)

    def take_blocks(self) -> list[Blocked]:
        """Return the blocks raised since they were last taken, so that each subtest answers for its own."""
        taken = [*self.blocks]
        self.blocks.clear()
        return taken

    def take_warnings(self) -> list[str]:
        """Return the warnings noted since they were last taken."""
        taken = [*self.evidence.warnings]
        self.evidence.warnings.clear()
        return taken


def mode_of(item: pytest.Item) -> FailureMode | None:
    """Return the row an item is a case of, if it is one."""
    return item.stash.get(mode_key, None)


class Waived(pytest.skip.Exception):  # type: ignore[misc,name-defined]  # pytest types it as a class variable
    """A row is left out by a waiver."""
