"""The plugin's own hooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.matrix import FailureMode
    from pytest_pipeline.outcome import Scalar
    from pytest_pipeline.report import Report


@pytest.hookspec(firstresult=True)
def pytest_pipeline_diagnose(
    failure_mode: FailureMode, evidence: Mapping[str, Scalar], error: BaseException
) -> tuple[str, str] | None:
    """Say what a failed row found, and what to do about it: (diagnostic, fix).

    Called in the process where the row ran. The first answer that is not None counts; without one, the row's own
    templates are filled from its evidence.

    :param failure_mode: the row.
    :param evidence: what the row noted until it failed.
    :param error: what it raised.
    """


@pytest.hookspec
def pytest_pipeline_verdict(report: Report) -> None:
    """Hear the verdict. Called once, on the controller, after the last test and before pytest exits.

    A report of your own is one implementation of this hook; it need not know whether tests ran in one process.
    """
