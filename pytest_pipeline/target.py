"""What was looked at and what was changed, as far as the run's observations say."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from pytest_pipeline.report import Effect, Instance, Target

if TYPE_CHECKING:
    from pytest_pipeline.session import PipelineSession

_GIT_S = 2.0


def target_of(session: PipelineSession) -> Target:
    """Return the target as observed by any process of the run. Nothing is looked at for it."""
    settings = session.settings_or_none
    if settings is None:
        return Target()
    from pytest_pipeline.observers.names import IDENTITY, INSTANCES  # noqa: PLC0415 - see PipelineSession

    identity = session.world.observations.stored(IDENTITY)
    who = identity.or_none if identity else None
    looked_up = session.world.observations.stored(INSTANCES)
    found = looked_up.or_none if looked_up else None
    known = {one.id: one.instance.or_none for one in found.instances} if found else {}
    return Target(
        world=settings.world,
        account=who.account if who else "",
        identity=who.arn if who else "",
        instances=tuple(
            Instance(
                id=instance_id,
                name=instance.name if (instance := known.get(instance_id)) else "",
                address=settings.host.address or (instance.public_ip or instance.private_ip if instance else ""),
            )
            for instance_id in settings.host.instance_ids
        ),
        contexts=tuple(context.name for context in settings.host.contexts),
        simulated=session.simulated,
    )


def commit_of(session: PipelineSession) -> str:
    """Return the commit of the repository that is judged, "-dirty" if it was changed, "" where there is none."""
    git = ["git", "-C", str(session.rootdir), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        ran = subprocess.run(git, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=_GIT_S)  # noqa: S603 - no input
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout.strip()


def effects_of(session: PipelineSession) -> tuple[Effect, ...]:
    """Return what the run's journal says was changed."""
    from pytest_pipeline.observers.journal import effects_in  # noqa: PLC0415 - see PipelineSession

    return tuple(
        Effect(what=effect.what, where=effect.where, removed=effect.removed)
        for effect in effects_in(session.run.folder.path)
    )
