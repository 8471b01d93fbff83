"""What pytest-html says of the run: its table of the environment names the world, where that is not the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_metadata.plugin import metadata_key

if TYPE_CHECKING:
    import pytest


def note_world(config: pytest.Config, header: str) -> None:
    """Add what the run's header says to the metadata that pytest-html shows, if there are any (`-p no:metadata`)."""
    metadata = config.stash.get(metadata_key, None)
    if metadata is not None:
        name, _, world = header.partition(": ")
        metadata[name] = world
