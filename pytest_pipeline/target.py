"""What was looked at and what was changed, as far as the run's observations say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.report import Effect, Target

if TYPE_CHECKING:
    from pytest_pipeline.session import PipelineSession


def target_of(session: PipelineSession) -> Target:
    """Return the target as observed. Nothing is looked at for it."""
    settings = session.settings_or_none
    return Target(world=settings.world if settings else "target")


def effects_of(session: PipelineSession) -> tuple[Effect, ...]:
    """Return what the run's journal says was changed."""
    return ()
