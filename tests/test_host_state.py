"""The host's clock, credentials and names: from which point on they are wrong, and what is only worth a word."""

from __future__ import annotations

from typing import Any

import pytest

from matrix_tests.host_state import judge_clock, judge_credentials, judge_names
from pytest_pipeline.observers.system_readings import ClockSync, HostCredentials, ResolvedName
from pytest_pipeline.outcome import Blocked, Evidence, Reading

KEPT = Reading.of(ClockSync(synchronized=True, source="chronyc"))
HOUR_S = 3600.0


def clock(offset_s: float, ours_s: float = 0.0, sync: Reading[ClockSync] = KEPT, *, uses_aws: bool = True) -> Evidence:
    evidence = Evidence()
    try:
        judge_clock(offset_s, ours_s, sync, evidence, uses_aws=uses_aws)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


@pytest.mark.parametrize("offset_s", [0.0, 3.0, -60.0])
def test_a_clock_that_is_right_enough(offset_s: float) -> None:
    seen = clock(offset_s)
    assert (seen.warnings, seen.noted.get("failed"), seen.noted["offset_s"]) == ([], None, abs(offset_s))


def test_a_minute_and_more_is_worth_a_warning() -> None:
    assert clock(-61.0).warnings == ["the host's clock is behind by 61 s; AWS refuses signatures from 300 s on"]
    assert "failed" not in clock(299.0).noted


def test_five_minutes_are_refused() -> None:
    seen = clock(300.0)
    assert (seen.noted["failed"], seen.noted["offset_s"], seen.raised, seen.command) == (
        "it is ahead; AWS refuses signatures from 300 s on", 300, True, "on the host: sudo chronyc makestep"
    )  # fmt: skip
    assert clock(-300.0, uses_aws=False).raised is False
    assert "failed" in clock(-300.0, uses_aws=False).noted


def test_the_host_does_not_answer_for_our_own_clock() -> None:
    assert clock(-400.0, ours_s=400.0).noted["offset_s"] == 0
    assert clock(0.0, ours_s=-400.0).noted["failed"].startswith("it is behind")  # type: ignore[union-attr]
    assert clock(0.0, ours_s=2.0).noted["offset_s"] == 0, "a header has whole seconds"


def test_a_clock_that_nobody_keeps() -> None:
    unkept = Reading.of(ClockSync(synchronized=False, source="kernel"))
    assert clock(0.0, sync=unkept).warnings == ["nobody keeps the host's clock (kernel): sudo timedatectl set-ntp true"]
    assert clock(900.0, sync=unkept).command == "on the host: sudo timedatectl set-ntp true"


@pytest.mark.parametrize(
    "sync",
    [Reading.of(ClockSync(synchronized=None, source="")), Reading[ClockSync].missing("late", by="host-clock")],
)
def test_that_nobody_can_tell_is_noted(sync: Reading[ClockSync]) -> None:
    seen = clock(0.0, sync=sync)
    assert (seen.noted["synchronized"], seen.warnings) == ("not known", [])


def credentials(run_hours: float | None = 12.0, **of: Any) -> Evidence:
    evidence = Evidence()
    try:
        judge_credentials(HostCredentials(**{"source": "s", "lasting": False, **of}), run_hours, evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_lasting_credentials_need_no_length_of_the_run() -> None:
    seen = credentials(None, lasting=True, source="instance role training")
    assert (seen.warnings, seen.noted.get("failed"), seen.noted["source"]) == ([], None, "instance role training")


@pytest.mark.parametrize("of", [{"expires_in_s": HOUR_S}, {"at_most_s": HOUR_S}])
def test_an_end_needs_the_length_of_the_run(of: dict[str, Any]) -> None:
    with pytest.raises(Blocked, match=r"requirements\.run_hours") as blocked:
        judge_credentials(HostCredentials(source="s", lasting=False, **of), None, Evidence())
    assert blocked.value.by == "settings"


def test_an_end_before_that_of_the_run() -> None:
    seen = credentials(expires_in_s=12 * HOUR_S - 1)
    assert (seen.noted["failed"], seen.noted["hours"], seen.noted["required_hours"]) == (
        "nobody renews them: s", 11.9, 12.0
    )  # fmt: skip
    assert "failed" not in credentials(expires_in_s=12 * HOUR_S).noted
    assert credentials(expires_in_s=12 * HOUR_S).warnings == []
    assert credentials(expires_in_s=-60.0).noted["hours"] == 0.0


def test_an_end_at_which_others_are_fetched() -> None:
    seen = credentials(expires_in_s=HOUR_S, renewed=True)
    assert "failed" not in seen.noted
    assert len(seen.warnings) == 1
    assert credentials(expires_in_s=13 * HOUR_S, renewed=True).warnings == []


def test_an_end_that_is_not_written_down() -> None:
    seen = credentials(at_most_s=36 * HOUR_S)
    assert "failed" not in seen.noted
    assert "not written down: 36.0 h at most" in seen.warnings[0]
    late = credentials(at_most_s=11 * HOUR_S)
    assert (late.noted["hours"], late.noted["failed"]) == (
        "at most 11.0", "they are those of a session, and nobody renews them: s"
    )  # fmt: skip


def names(**found: Reading[ResolvedName] | tuple[str, ...]) -> Evidence:
    evidence = Evidence()
    readings = {
        name.replace("_", "."): Reading.of(ResolvedName(addresses=one, took_s=0.01)) if isinstance(one, tuple) else one
        for name, one in found.items()
    }
    try:
        judge_names(readings, evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_names_that_have_addresses() -> None:
    seen = names(hub_example=("10.0.0.7", "fd00::7"), localhost=("127.0.0.1",), a_localhost=("::1",))
    assert (seen.warnings, seen.noted.get("failed")) == ([], None)
    assert seen.noted["names"] == "hub.example, localhost, a.localhost"


def test_all_names_that_have_none_are_said_at_once() -> None:
    lost = Reading[ResolvedName].missing("hub.example: Name or service not known", by="name-resolution")
    seen = names(hub_example=lost)
    assert (seen.noted["name"], seen.noted["failed"]) == ("hub.example", "Name or service not known")
    assert seen.command == "on the host: getent ahosts hub.example; cat /etc/resolv.conf"
    seen = names(hub_example=lost, s3_example=("0.0.0.0",))  # noqa: S104  # what a blocker answers
    assert seen.noted["name"] == "hub.example, s3.example"
    assert "s3.example: it is 0.0.0.0" in str(seen.noted["failed"])


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "garbage"])  # noqa: S104  # what a blocker answers
def test_an_address_that_is_none(address: str) -> None:
    assert "no address" in str(names(hub_example=(address,)).noted["failed"])
    assert "failed" not in names(hub_example=(address, "10.0.0.7")).noted


def test_a_name_that_leads_back_to_the_host() -> None:
    assert names(hub_example=("127.0.0.1",)).warnings == ["hub.example is 127.0.0.1, the host itself (/etc/hosts?)"]


def test_a_name_that_takes_long() -> None:
    slow = Reading.of(ResolvedName(addresses=("10.0.0.7",), took_s=5.02))
    assert names(hub_example=slow).warnings == ["hub.example took 5.0 s: the first name server does not answer"]


def test_a_host_that_did_not_answer_is_not_the_names_fault() -> None:
    with pytest.raises(Blocked) as blocked:
        judge_names({"hub.example": Reading.missing("gone", by="ssh-access")}, Evidence())
    assert blocked.value.by == "ssh-access"
