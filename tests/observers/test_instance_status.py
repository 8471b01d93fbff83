"""EC2's own checks of an instance, and what AWS plans for it, as DescribeInstanceStatus says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pytest_pipeline.observers.instance_facts import InstanceStatus, PlannedEvent, statuses_in

BEGINS = datetime(2026, 12, 1, tzinfo=UTC)
OK: dict[str, Any] = {"Status": "ok", "Details": [{"Name": "reachability", "Status": "passed"}]}
EVENT: dict[str, Any] = {"Code": "instance-retirement", "Description": "degraded hardware", "NotBefore": BEGINS}


def impaired(since: datetime) -> dict[str, Any]:
    return {"Status": "impaired", "Details": [{"Name": "reachability", "Status": "failed", "ImpairedSince": since}]}


def status(**changed: Any) -> InstanceStatus:
    one = {"InstanceId": "i-1", "SystemStatus": OK, "InstanceStatus": OK} | changed
    return statuses_in({"InstanceStatuses": [one]})["i-1"]


def test_both_checks_are_right() -> None:
    assert status().checks == {"system": "ok", "instance": "ok"}
    assert (status().failing_since, status().events) == ("", ())


def test_the_check_of_the_volumes_is_one_of_them_where_it_is_made() -> None:
    seen = status(AttachedEbsStatus={"Status": "impaired"})
    assert seen.checks == {"system": "ok", "instance": "ok", "attached EBS": "impaired"}


def test_since_when_it_fails_is_the_earliest_of_them() -> None:
    later = datetime(2026, 12, 2, tzinfo=UTC)
    seen = status(SystemStatus=impaired(later), InstanceStatus=impaired(BEGINS))
    assert seen.checks == {"system": "impaired", "instance": "impaired"}
    assert seen.failing_since == "2026-12-01T00:00:00+00:00"


def test_an_event_is_planned() -> None:
    planned = PlannedEvent(
        code="instance-retirement", not_before="2026-12-01T00:00:00+00:00", description="degraded hardware"
    )
    assert status(Events=[EVENT]).events == (planned,)


@pytest.mark.parametrize("over", ["[Completed] degraded hardware", "[Canceled] degraded hardware"])
def test_an_event_that_is_over_is_none(over: str) -> None:
    assert status(Events=[EVENT | {"Description": over}]).events == ()


def test_an_event_may_lack_a_time_and_a_description() -> None:
    (event,) = status(Events=[{"Code": "instance-stop"}]).events
    assert (event.code, event.not_before, event.description) == ("instance-stop", "", "")


def test_an_answer_without_a_check_is_no_answer() -> None:
    with pytest.raises(KeyError):
        statuses_in({"InstanceStatuses": [{"InstanceId": "i-1", "SystemStatus": OK}]})
