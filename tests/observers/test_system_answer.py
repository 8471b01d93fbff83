"""What a host says of itself as a machine: read strictly, every gap with its owner, whoever answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_pipeline.observers.host_request import SystemRequest
from pytest_pipeline.observers.system_answer import nothing_of_system, system
from pytest_pipeline.observers.system_readings import (
    ClockSync,
    HostCredentials,
    LockFile,
    Memory,
    Notices,
    Process,
    Processes,
    ResolvedName,
    UnitLimits,
)
from pytest_pipeline.outcome import Reading

LOCK = "/var/lock/train.lock"
ASKED = SystemRequest(names=("hub.example",), locks=(LOCK,), credentials=True, metadata=True)
PROCESS = {
    "pid": 4242, "user": "bob", "command": "python3 train.py", "resident_bytes": 10**9, "age_s": 61.5,
    "component": "", "gate": False, "state": "S",
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "memory": {"total_bytes": 64, "available_bytes": 60, "swap_total_bytes": 0, "swap_free_bytes": 0},
    "processes": {
        "largest": [PROCESS], "components": [], "trainers": [PROCESS], "total": 120, "hidden": False,
    },
    "clock_sync": {"synchronized": True, "source": "chronyc"},
    "credentials": {
        "source": "~/.aws/credentials", "lasting": False, "renewed": False, "ends_in_s": 90.0, "at_most_s": None,
    },
    "notices": {"life_cycle": "spot", "spot_action": "", "rebalance": "", "maintenance": ["system-reboot"]},
}  # fmt: skip
NAMES = {"hub.example": {"value": {"addresses": ["10.0.0.7"], "took_s": 0.01}}}
LOCKS = {
    LOCK: {
        "value": {
            "exists": True, "held": True, "holder": 4242, "age_s": 3.0, "made": False, "maker": 0, "maker_lives": False,
        }
    }
}  # fmt: skip
GPUS = Reading.of({"owners": {"value": [PROCESS]}})


def said(**changed: Any) -> Reading[Any]:
    answer = {name: {"value": value} for name, value in ANSWER.items()}
    return Reading.of({**answer, "names": NAMES, "locks": LOCKS, **changed})


def test_all_of_it() -> None:
    readings = system(said(), ASKED, GPUS)
    process = Process(pid=4242, user="bob", command="python3 train.py", resident_bytes=10**9, age_s=61.5, state="S")
    assert readings.memory.value == Memory(total_bytes=64, available_bytes=60, swap_total_bytes=0, swap_free_bytes=0)
    assert readings.processes.value == Processes(largest=(process,), components=(), trainers=(process,), total=120)
    assert readings.clock_sync.value == ClockSync(synchronized=True, source="chronyc")
    assert readings.names["hub.example"].value == ResolvedName(addresses=("10.0.0.7",), took_s=0.01)
    assert readings.locks[LOCK].value == LockFile(path=LOCK, exists=True, held=True, holder=4242, age_s=3.0)
    assert readings.credentials.value == HostCredentials(source="~/.aws/credentials", lasting=False, expires_in_s=90.0)
    assert readings.notices.value == Notices(life_cycle="spot", maintenance=("system-reboot",))
    assert readings.gpu_owners.value == (process,)


@pytest.mark.parametrize(
    ("part", "owner"),
    [
        ("memory", "co-tenants"), ("processes", "stale-processes"), ("clock_sync", "host-clock"),
        ("credentials", "credential-lifetime"), ("notices", "instance-stays-up"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("answer", [{"error": "no answer within 9 s"}, {"value": None}, {"value": {}}, {}, None, []])
def test_a_part_that_is_missing_or_senseless_costs_itself_alone(part: str, owner: str, answer: object) -> None:
    readings = system(said(**{part: answer}), ASKED, GPUS)
    gaps = {name for name in ANSWER if not getattr(readings, name).is_known}
    assert gaps == {part}
    assert getattr(readings, part).by == owner


def test_every_name_and_lock_that_was_asked_for_comes_back() -> None:
    readings = system(said(names={}, locks=None), ASKED, GPUS)
    assert (readings.names["hub.example"].by, readings.names["hub.example"].reason) == (
        "ssh-access", "the host did not answer for hub.example"
    )  # fmt: skip
    assert readings.locks[LOCK].by == "ssh-access"


def test_a_name_that_is_not_resolved_is_the_rows_own_finding() -> None:
    names = {"hub.example": {"error": "Name or service not known"}}
    reading = system(said(names=names), ASKED, GPUS).names["hub.example"]
    assert (reading.by, reading.reason) == ("name-resolution", "hub.example: Name or service not known")


@pytest.mark.parametrize("addresses", [[], None, "10.0.0.7"])
def test_a_name_without_an_address_is_not_resolved(addresses: object) -> None:
    names = {"hub.example": {"value": {"addresses": addresses, "took_s": 0.1}}}
    assert system(said(names=names), ASKED, GPUS).names["hub.example"].by == "name-resolution"


def test_what_was_not_asked_for_is_not_known_whatever_the_host_says() -> None:
    readings = system(said(), SystemRequest(), GPUS)
    assert (readings.credentials.by, readings.notices.by) == ("settings", "instance-stays-up")
    assert (readings.names, readings.locks) == ({}, {})


def test_no_credentials_at_all_are_the_finding_of_the_row_that_uses_them() -> None:
    reading = system(said(credentials={"value": {"none": "no credentials"}}), ASKED, GPUS).credentials
    assert (reading.by, reading.reason) == ("s3-read", "no credentials")


@pytest.mark.parametrize("change", [
    {"pid": -1}, {"pid": True}, {"pid": "1"}, {"user": None}, {"resident_bytes": 2**70}, {"age_s": "old"},
    {"gate": "no"}, {"component": 7}, {"command": []},
])  # fmt: skip
def test_one_senseless_process_makes_the_list_worthless(change: dict[str, Any]) -> None:
    processes = {**ANSWER["processes"], "trainers": [{**PROCESS, **change}]}
    reading = system(said(processes={"value": processes}), ASKED, GPUS).processes
    assert (reading.is_known, reading.by) == (False, "stale-processes")


def test_a_command_cannot_act_on_the_terminal() -> None:
    processes = {**ANSWER["processes"], "trainers": [{**PROCESS, "command": "\x1b[2Jtrain\u202e\n.py"}]}
    found = system(said(processes={"value": processes}), ASKED, GPUS).processes.value.trainers[0]
    assert found.command == "train? .py"


def test_what_a_unit_gets_is_read_where_it_was_asked_for() -> None:
    given = {"value": {"open_files": 1024, "processes": None}}
    asked = replace(ASKED, units=True)
    assert system(said(unit_limits=given), asked, GPUS).unit_limits.value == UnitLimits(open_files=1024, processes=None)
    answers: tuple[Any, ...] = ({"value": {"open_files": -1}}, {"value": {}}, {"error": "no systemctl"}, None)
    for senseless in answers:
        assert system(said(unit_limits=senseless), asked, GPUS).unit_limits.by == "limits"
    assert system(said(unit_limits=given), ASKED, GPUS).unit_limits.by == "limits"


def test_nobody_knows_whether_the_clock_is_kept() -> None:
    answer = {"value": {"synchronized": None, "source": ""}}
    assert system(said(clock_sync=answer), ASKED, GPUS).clock_sync.value.synchronized is None
    assert not system(said(clock_sync={"value": {"source": ""}}), ASKED, GPUS).clock_sync.is_known


@pytest.mark.parametrize("gpus", [Reading.of(None), Reading.of({}), Reading.missing("hangs", by="ssh-access")])
def test_whose_the_gpus_are_may_be_missing(gpus: Reading[Any]) -> None:
    readings = system(said(), ASKED, gpus)
    assert not readings.gpu_owners.is_known
    assert readings.processes.is_known


def test_one_reason_for_all() -> None:
    why = Reading[Any].missing("the host is gone", by="ssh-access")
    readings = system(why, ASKED, GPUS)
    assert readings == nothing_of_system(why, ASKED)
    assert {readings.memory.by, readings.names["hub.example"].by, readings.locks[LOCK].by, readings.gpu_owners.by} == {
        "ssh-access"
    }
    assert system(Reading.of([]), ASKED, GPUS).memory.by == "ssh-access"


def test_what_is_alive_of_a_run_is_neither_dead_nor_the_gates() -> None:
    def process(pid: int, **more: Any) -> Process:
        return Process(pid=pid, user="u", command="c", resident_bytes=1, **{"age_s": 1.0, "state": "S", **more})

    processes = Processes(
        largest=(process(9),),
        components=(process(1, age_s=5.0), process(2, state="Z")),
        trainers=(process(3, gate=True), process(4, age_s=50.0, state="T")),
        total=5,
    )
    assert [one.pid for one in processes.runs] == [4, 1]
