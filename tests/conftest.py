"""Fixtures of our own tests: a runner of whole pytest runs, and a cache folder of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from runner import Runner


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or leaves anything in the user's cache, home or account."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def one_process(pytester: pytest.Pytester) -> Runner:
    """Runs pytest in one process."""
    return Runner(pytester)


@pytest.fixture(params=[(), ("-n2",), ("-p", "no:xdist")], ids=["serial", "xdist", "without-xdist"])
def pipeline(request: pytest.FixtureRequest, pytester: pytest.Pytester) -> Runner:
    """Runs pytest in one process, in several, and with xdist switched off: what it says must be the same."""
    return Runner(pytester, request.param)


@pytest.fixture
def two_processes(pytester: pytest.Pytester) -> Runner:
    """Runs pytest with two workers."""
    return Runner(pytester, ("-n2",))


@pytest.fixture
def cache() -> Path:
    """The cache folder of this test."""
    return Path(os.environ["XDG_CACHE_HOME"])
