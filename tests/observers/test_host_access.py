"""The way to a host."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_pipeline.observers.host_access import SshSession, to_paste
from pytest_pipeline.settings import Host

SESSION = SshSession(address="10.0.1.5", port=22, user="ubuntu", opened_s=0.1)


@pytest.mark.parametrize(
    ("host", "session", "line"),
    [
        ({}, SESSION, "ssh ubuntu@10.0.1.5 'kill 21'"),
        ({"key": "/k/my key.pem"}, SESSION, "ssh -i '/k/my key.pem' ubuntu@10.0.1.5 'kill 21'"),
        (
            {"port": 2222},
            SshSession(address="::1", port=2222, user="e c2", opened_s=0.1),
            "ssh -p 2222 'e c2@::1' 'kill 21'",
        ),
        ({"connection": "local"}, None, "kill 21"),
        ({}, None, "on the host: kill 21"),
    ],
    ids=["as usual", "a key with a blank", "another port", "the gate runs on the host", "no connection"],
)
def test_a_command_for_the_host_becomes_a_line_for_this_machine(
    host: dict[str, Any], session: SshSession | None, line: str
) -> None:
    assert to_paste("kill 21", Host(**host), session) == line
