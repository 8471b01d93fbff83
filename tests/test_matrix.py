"""The vocabulary: what a row may say, and how a malformed one is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pytest_pipeline.catalogue import CATALOGUE, EXTENDED, MATRIX, Origin, origin_of
from pytest_pipeline.matrix import Area, FailureMode, Phase, Severity, failure_mode

COLUMNS: dict[str, Any] = {
    "phase": 1,
    "category": "Disk Space",
    "failure": "Insufficient space",
    "diagnostic": "Only {free_gb}GB free",
    "fix": "Resize EBS or cleanup",
}

MALFORMED = {
    "no id": (
        ("Disk Space", {}),
        "failure mode 'Disk Space': an id is lower-case words joined by '-', such as 'disk-space'; rename it",
    ),
    "reserved id": (
        ("settings", {}),
        "failure mode 'settings': the id is taken by the cause 'settings'; choose another",
    ),
    "no such phase": (("a", {"phase": 7}), "failure mode 'a': phase is 1 to 6, got 7"),
    "area needed": (
        ("a", {"phase": 6}),
        "failure mode 'a': no area given; phase 6 has 'Error Handling' or 'Cleanup & Documentation'",
    ),
    "no such area": (
        ("a", {"area": "Infra"}),
        "failure mode 'a': area 'Infra' given; phase 1 has 'Infrastructure Setup'",
    ),
    "area of another phase": (
        ("a", {"area": "Data Pipeline"}),
        "failure mode 'a': area 'Data Pipeline' belongs to phase 3, not to phase 1; give the phase or the area that "
        "you mean",
    ),
    "no such severity": (
        ("a", {"severity": "minor"}),
        "failure mode 'a': severity is 'critical' or 'major', got 'minor'",
    ),
    "nothing to say": (("a", {"diagnostic": " "}), "failure mode 'a': diagnostic is empty; say it in a sentence"),
    "no budget": (("a", {"budget_s": 0}), "failure mode 'a': budget_s must be above 0, got 0"),
    "formatted placeholder": (
        ("a", {"diagnostic": "{free_gb:.1f}GB"}),
        "failure mode 'a': diagnostic '{free_gb:.1f}GB' has a placeholder that is not a bare name; write '{free_gb}' "
        "and note a value that is ready to print",
    ),
    "attribute": (
        ("a", {"fix": "resize {volume.id}"}),
        "failure mode 'a': fix 'resize {volume.id}' has a placeholder that is not a bare name; write '{free_gb}' and "
        "note a value that is ready to print",
    ),
    "positional": (
        ("a", {"healthy": "{}GB"}),
        "failure mode 'a': healthy '{}GB' has a placeholder that is not a bare name; write '{free_gb}' and note a "
        "value that is ready to print",
    ),
    "open brace": (
        ("a", {"diagnostic": "{free_gb"}),
        "failure mode 'a': diagnostic '{free_gb' is no template (expected '}' before end of string); write a literal "
        "brace twice",
    ),
}


@pytest.mark.parametrize(("given", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_row_is_refused_where_python_reads_it(given: tuple[str, dict[str, Any]], message: str) -> None:
    row, changes = given

    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        failure_mode(row, **(COLUMNS | changes))


def test_a_row_needs_only_what_the_matrix_says_of_it() -> None:
    mode = failure_mode("disk-space", **COLUMNS).args[0]

    assert (mode.area, mode.severity, mode.phase.marker) == (Area.INFRASTRUCTURE, Severity.CRITICAL, "phase1")


def test_a_literal_brace_is_written_twice() -> None:
    mode: FailureMode = failure_mode("a", **(COLUMNS | {"remedy": "df | awk '{{print $4}}'"})).args[0]

    assert mode.remedy.format() == "df | awk '{print $4}'"


def test_a_row_survives_the_wire() -> None:
    for mode in CATALOGUE.values():
        assert FailureMode.from_wire(mode.to_wire()) == mode


def test_the_matrix_has_36_rows_in_six_phases() -> None:
    assert [sum(mode.phase is phase for mode in MATRIX.values()) for phase in Phase] == [8, 6, 6, 6, 5, 5]


def test_the_points_of_all_areas_add_up_to_100() -> None:
    assert sum(area.points for area in Area) == 100
    assert {mode.area for mode in MATRIX.values()} == set(Area)


def test_major_rows_are_those_of_the_design() -> None:
    assert [row for row, mode in MATRIX.items() if mode.severity is Severity.MAJOR] == [
        "data-content", "data-volume", "download-speed", "operatives-limit", "learning-rate", "alert-content",
        "state-persistence", "cleanup", "documentation",
    ]  # fmt: skip


def test_origin_tells_the_36_from_those_beside_them() -> None:
    assert [origin_of(row) for row in ("disk-space", *EXTENDED, "my-own")] == [
        Origin.MATRIX,
        *(Origin.EXTENDED for _ in EXTENDED),
        Origin.OWN,
    ]
