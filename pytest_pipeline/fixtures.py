"""What rows ask for. Thin: a fixture hands out what somebody else made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.outcome import Evidence
from pytest_pipeline.recorder import attempt_key
from pytest_pipeline.session import session_key

if TYPE_CHECKING:
    from pytest_pipeline.settings import Requirements, Settings


@pytest.fixture
def evidence(request: pytest.FixtureRequest) -> Evidence:
    """What the row notes for its diagnostic: `evidence(free_gb=12)`, `.warn(...)`, `.not_applicable(...)`."""
    attempt = request.node.stash.get(attempt_key, None)
    return attempt.evidence if attempt is not None else Evidence()


@pytest.fixture(scope="session")
def pipeline_settings(request: pytest.FixtureRequest) -> Settings:
    """Everything configured."""
    return request.config.stash[session_key].settings


@pytest.fixture(scope="session")
def pipeline_requirements(pipeline_settings: Settings) -> Requirements:
    """What is required of the host: `[requirements]` of the settings."""
    return pipeline_settings.requirements
