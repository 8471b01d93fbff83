"""The proof, a part of it: faults are caught by their own row in its own words; odd worlds are no alarm.

A row that loses its assertion, or an observation that no longer looks, turns these red.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_pipeline.catalogue import CATALOGUE
from pytest_pipeline.sandbox.faults import FAULTS
from pytest_pipeline.sandbox.prove import HEALTHY, scenarios

ODD = ("noisy-host", "conda-environment", "two-gpus", "model-hub-cache", "cpu-only", "data-gzip", "data-folder")
ROWS = [row for row, mode in CATALOGUE.items() if mode.phase <= 3]  # those that the suite has so far


def prove(*ids: str) -> list[str]:
    command = [sys.executable, "-m", "pytest_pipeline.sandbox", "prove", "--jobs=2"]
    ran = subprocess.run(
        [*command, *(f"--fault={one}" for one in ids)], capture_output=True, text=True, check=False, timeout=280
    )
    lines = ran.stdout.splitlines()
    assert lines, ran.stderr
    assert ran.returncode == 0, "\n".join(line for line in lines if not line.startswith(("caught", "calm")))
    assert lines[-1] == f"{len(ids)} passed, 0 failed"
    return lines


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_faults_one_of_them_easily_passed_over(row: str) -> None:
    kinds = [fault.kind for fault in FAULTS.values() if fault.row == row]
    assert len(kinds) >= 3
    assert "subtle" in kinds


@pytest.mark.parametrize("phase", [1, 2, 3])
def test_a_subtle_fault_of_each_row_is_caught_by_it(phase: int) -> None:
    """The whole proof has an env of its own, which CI runs too: it takes minutes."""
    first = {fault.row: fault.id for fault in reversed([*FAULTS.values()]) if fault.kind == "subtle"}
    faults = [fault for row, fault in first.items() if CATALOGUE[row].phase == phase]

    prove(*faults)


def test_healthy_worlds_raise_no_alarm() -> None:
    prove(HEALTHY, *ODD)


@pytest.mark.parametrize(("phase", "fewest"), [(1, 35), (2, 50), (3, 40)])
def test_there_are_enough_faults_gross_and_subtle(phase: int, fewest: int) -> None:
    kinds = [fault.kind for fault in FAULTS.values() if CATALOGUE[fault.row].phase == phase]

    assert len(kinds) >= fewest
    assert {*kinds} == {"gross", "subtle"}


def test_a_scenario_that_there_is_not_is_named() -> None:
    with pytest.raises(SystemExit, match="no such fault or healthy world: ebs-r0; there are healthy, "):
        scenarios(1, ["ebs-r0"])
