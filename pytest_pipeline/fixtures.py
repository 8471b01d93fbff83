"""What rows ask for. Thin: a fixture hands out at once what somebody else made, and never waits or raises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.attempt import attempt_key
from pytest_pipeline.outcome import Evidence
from pytest_pipeline.session import session_key

if TYPE_CHECKING:
    import boto3
    import fabric

    from pytest_pipeline.observers.aws_view import PipelineAws
    from pytest_pipeline.observers.data_view import PipelineData
    from pytest_pipeline.observers.gpu_host import GpuHost
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


@pytest.fixture(scope="session")
def pipeline_aws(request: pytest.FixtureRequest) -> PipelineAws:
    """AWS as it was observed: `.facts.identity`, `.facts.instances`, ...; `.readings.x` where it may be missing."""
    from pytest_pipeline.observers.aws_view import PipelineAws as View  # noqa: PLC0415 - asleep, boto3 is not imported

    return View(request.config.stash[session_key].world.observations)


@pytest.fixture(scope="session")
def pipeline_data(request: pytest.FixtureRequest) -> PipelineData:
    """The data as it was observed: `.sources`, `.records.train`, `.records.validation`, `.pdfs`."""
    from pytest_pipeline.observers.data_view import PipelineData as View  # noqa: PLC0415 - likewise

    return View(request.config.stash[session_key].world.observations)


@pytest.fixture(scope="session")
def pipeline_source(request: pytest.FixtureRequest) -> str:
    """The name of a source of `data.sources`: each is a case; "" where none is configured."""
    given: str = getattr(request, "param", "")
    return given


@pytest.fixture(scope="session")
def pipeline_instance(request: pytest.FixtureRequest, pipeline_settings: Settings) -> str:
    """The id of the EC2 instance that is judged, "" where none is configured; with several, each is a case."""
    given: str | None = getattr(request, "param", None)
    return given or next(iter(pipeline_settings.host.instance_ids), "")


@pytest.fixture(scope="session")
def pipeline_context(request: pytest.FixtureRequest, pipeline_settings: Settings) -> str:
    """The name of the context that is judged: a shell of the pipeline on the host; with several, each is a case."""
    given: str | None = getattr(request, "param", None)
    return given or pipeline_settings.host.used_contexts[0].name


@pytest.fixture(scope="session")
def pipeline_package(request: pytest.FixtureRequest) -> str:
    """A requirement of `requirements.packages`: each is a case; "" where none is configured."""
    given: str = getattr(request, "param", "")
    return given


@pytest.fixture(scope="session")
def gpu_host(request: pytest.FixtureRequest, pipeline_instance: str) -> GpuHost:
    """The GPU host: `.facts.volumes`, ..., `.readings.x` where it may be missing, `.run(command)`, `.probe(source)`."""
    return request.config.stash[session_key].world.host(pipeline_instance)


@pytest.fixture
def ssh_connection(gpu_host: GpuHost) -> fabric.Connection:
    """An open `fabric.Connection` to the GPU host: host key checked, key file checked. Blocked where there is none."""
    return gpu_host.fabric_connection()


@pytest.fixture
def aws_session(pipeline_settings: Settings) -> boto3.Session:
    """A `boto3.Session` with region, profile, endpoint, timeouts and attempts set, as the gate's own."""
    from pytest_pipeline.observers.aws_session import make_session  # noqa: PLC0415 - asleep, boto3 is not imported

    return make_session(pipeline_settings.aws)
