"""What a process of a context may use: from which point on it is too little, and what is done about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from matrix_tests.limits import judge_limits, judge_shared_memory, judge_unit
from pytest_pipeline.observers.context_readings import Limits, SharedMemory
from pytest_pipeline.observers.system_readings import UnitLimits
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Context, Requirements

GB = 10**9
TRAIN = Context(name="train")
DOCKER = Context(name="image", wrap=("docker", "run", "--rm", "IMAGE"))
UNLIMITED = Limits(
    open_files=1024, open_files_hard=4096, processes=None, locked_bytes=None, address_space_bytes=None, file_bytes=None
)


def shared(total: float, available: float, required_gb: float = 1.0, context: Context = TRAIN, **more: Any) -> Evidence:
    evidence = Evidence()
    found = SharedMemory(total_bytes=int(total), available_bytes=int(available), **{"fs_type": "tmpfs", **more})
    try:
        judge_shared_memory(found, context, required_gb, evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_enough_shared_memory() -> None:
    seen = shared(8 * GB, 1 * GB)
    assert (seen.warnings, "failed" in seen.noted, seen.noted["shm_gb"]) == ([], False, 1.0)
    assert "failed" not in shared(0, 0, required_gb=0.0).noted


def test_too_little_of_it() -> None:
    seen = shared(64 * 2**20, 64 * 2**20, required_gb=1.5)
    assert (seen.noted["failed"], seen.command) == (
        "its size is 0.06GB in context train", "on the host: sudo mount -o remount,size=2G /dev/shm"
    )  # fmt: skip


def test_in_a_container_it_is_the_containers_to_enlarge() -> None:
    assert shared(64 * 2**20, 64 * 2**20, 8.0, DOCKER).command == "docker run --shm-size=8g ..."


@pytest.mark.parametrize(
    ("wrap", "command"),
    [
        (("sudo", "docker", "run", "IMAGE"), "sudo docker run --shm-size=8g ..."),
        (("/usr/bin/podman", "run", "IMAGE"), "/usr/bin/podman run --shm-size=8g ..."),
        (("docker", "exec", "trainer"), ""),
        (("conda", "run", "-n", "x"), ""),
        (("srun",), ""),
    ],
)
def test_only_what_starts_a_container_can_enlarge_it(wrap: tuple[str, ...], command: str) -> None:
    assert shared(64 * 2**20, 64 * 2**20, 8.0, Context(name="image", wrap=wrap)).command == command


def test_what_a_killed_run_has_left_in_it() -> None:
    seen = shared(8 * GB, GB - 1)
    assert "the rest of its 8.0GB is taken" in str(seen.noted["failed"])
    assert seen.command == "on the host: ls -lA /dev/shm"


def test_a_disk_is_no_shared_memory() -> None:
    assert shared(8 * GB, 8 * GB, fs_type="overlay").warnings == [
        "/dev/shm is overlay, which is no memory: loaders are slow"
    ]


def limits(context: Context = TRAIN, required: Requirements | None = None, **changed: Any) -> Evidence:
    evidence = Evidence()
    try:
        judge_limits(replace(UNLIMITED, **changed), context, required or Requirements(), evidence)
    except pytest.fail.Exception as failed:
        evidence(failed=str(failed))
    return evidence


def test_limits_that_suffice() -> None:
    for changed in ({}, {"open_files": None, "open_files_hard": None}, {"processes": 2048}, {"locked_bytes": 65536}):
        seen = limits(**changed)
        assert (seen.warnings, "failed" in seen.noted) == ([], False)


def test_open_files_that_the_user_may_raise() -> None:
    seen = limits(open_files=1023)
    assert (seen.noted["limit"], seen.noted["value"], seen.noted["required"], seen.noted["failed"], seen.command) == (
        "open files (ulimit -n)", "1023", "1024", "in context train", "ulimit -n 1024  # in the setup of context train",
    )  # fmt: skip


def test_open_files_that_the_user_may_not_raise() -> None:
    few: dict[str, Any] = {"open_files": 512, "open_files_hard": 512}
    assert "/etc/security/limits.d" in limits(**few).command
    assert limits(DOCKER, **few).command == "docker run --ulimit nofile=1024 ..."


def test_processes() -> None:
    seen = limits(processes=2047)
    assert (seen.noted["limit"], seen.command) == ("processes (ulimit -u)", "")
    assert "failed" not in limits(required=Requirements(processes=2000), processes=2047).noted


@pytest.mark.parametrize(("name", "least"), [("address_space_bytes", 2**40), ("file_bytes", 10**11)])
def test_sizes_that_cuda_and_checkpoints_need(name: str, least: int) -> None:
    changed: dict[str, Any] = {name: least}
    enough = limits(**changed)
    changed[name] -= 1
    assert "failed" in limits(**changed).noted
    assert ("failed" in enough.noted, len(enough.warnings)) == (False, 1)


def test_all_that_is_too_low_is_said_at_once() -> None:
    seen = limits(open_files=256, file_bytes=4 * GB)
    assert (seen.noted["limit"], seen.noted["failed"]) == (
        "open files (ulimit -n)", "in context train; file size (ulimit -f) is 4.0GB, need 100.0GB"
    )  # fmt: skip


UNIT = Context(name="unit", shell="systemd")


def unit(units: Reading[UnitLimits], **required: Any) -> Evidence:
    evidence = Evidence()
    judge_unit(units, UNIT, Requirements(**required), evidence)
    return evidence


def test_a_unit_that_gets_what_it_needs_without_a_word() -> None:
    assert unit(Reading.of(UnitLimits(open_files=1024, processes=None))).warnings == []
    assert unit(Reading.of(UnitLimits(open_files=None, processes=None)), open_files=65536).warnings == []


def test_a_unit_that_must_say_what_it_needs_is_a_warning() -> None:
    assert unit(Reading.of(UnitLimits(open_files=1024, processes=100)), open_files=65536).warnings == [
        "systemd gives the unit of context unit 1024, need 65536, unless it says LimitNOFILE=65536",
        "systemd gives the unit of context unit 100, need 2048, unless it says LimitNPROC=2048",
    ]


def test_the_limits_of_a_unit_that_were_not_read_are_not_fine() -> None:
    assert unit(Reading.missing("systemctl: it does not say", by="limits")).warnings == [
        "the limits of context unit are those of its unit, and were not read: systemctl: it does not say"
    ]
