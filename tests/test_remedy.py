"""Where a command to paste runs."""

from __future__ import annotations

from pytest_pipeline.remedy import meant_for_host, on_host


def test_a_command_for_the_host_says_so() -> None:
    assert on_host("kill 21") == "on the host: kill 21"
    assert on_host("") == "", "what nobody knows to do is done nowhere"


def test_only_a_command_for_the_host_is_meant_for_it() -> None:
    assert meant_for_host(on_host("kill 21")) == "kill 21"
    assert meant_for_host("kill 21") == ""
