"""One AWS for all tests of the observers that look at AWS, and settings that lead there."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import pytest

from observers.aws_world import REGION, AwsWorld, MakeAws, Tenant, scrub
from pytest_pipeline.settings import Aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def world() -> Iterator[AwsWorld]:
    """One server for the whole run of tests: EC2's import alone takes seconds."""
    world = AwsWorld()
    yield world
    world.close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and an environment without AWS in it."""
    folder = tmp_path / "home"
    folder.mkdir()
    scrub(monkeypatch, folder)
    return folder


@pytest.fixture
def make_aws(world: AwsWorld, home: Path, tmp_path: Path) -> MakeAws:
    """Make settings for the test's AWS, with files of their own."""
    assert home.exists()

    def make(tenant: Tenant, **more: Any) -> Aws:
        credentials = tmp_path / "credentials"
        credentials.write_text(f"[default]\naws_access_key_id={tenant.key}\naws_secret_access_key={tenant.secret}\n")
        given: dict[str, Any] = {
            "endpoint_url": world.url,
            "region": REGION,
            "credentials_file": credentials,
            "connect_timeout_s": 2.0,
            "read_timeout_s": 20.0,
            "attempts": 1,
        }
        return Aws(**(given | more))

    return make


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Botocore waits up to a second and two between attempts; a test of retries does not."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port where nobody listens. It stays bound, so that no other test gets it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full: a new connection is neither taken up nor refused, as behind a silent firewall."""
    with contextlib.ExitStack() as held:
        listener = held.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = held.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
