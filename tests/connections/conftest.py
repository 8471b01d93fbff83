"""SSH servers and keys of a test's own, whichever client is tried on them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from connections.ssh_servers import Host, Keys, make_keys, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return make_keys(tmp_path)


@pytest.fixture
def serve(keys: Keys) -> Iterator[Callable[..., Host]]:
    """Start SSH servers that end with the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> Host:
            host = Host(**{"host_key": keys.host, "authorized": keys.mine, **options})
            return stack.enter_context(serving(host))

        yield start
