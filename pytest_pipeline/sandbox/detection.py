"""Was a scenario judged as it should be? Pure: a report in JSON goes in, what is wrong with it comes out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pytest_pipeline.sandbox.fault import Fault

_UNFILLED = re.compile(r"\{[a-z_]+\}")
_SAID = ("summary", "diagnostic", "fix", "remedy", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """What became of one scenario. `wrong` is empty when it is proven."""

    id: str
    row: str
    said: str
    verdict: str
    duration_s: float
    wrong: tuple[str, ...]


def detect(fault: Fault, report: Mapping[str, Any], felt: int | None) -> Detection:
    """Judge the report of a run in which the fault was injected; `felt` is how often, None where nothing can tell."""
    rows = {row["id"]: row for row in report["rows"]}
    own = rows.get(fault.row, {"status": "missing", "diagnostic": "", "why": ""})
    said = own["diagnostic"] or own["why"]
    wrong = [*_unfilled(report), *_alarms(fault, rows)]
    if own["status"] != fault.expect.value:
        wrong.append(f"{fault.row} is {own['status']}, not {fault.expect.value}")
    if fault.words not in said:
        wrong.append(f"{fault.row} does not say {fault.words!r}")
    if felt == 0:
        wrong.append("the fault was not felt")
    if report["verdict"] == "READY":
        wrong.append("the verdict is READY")
    return _detection(fault.id, fault.row, said, report, wrong)


def stay_calm(
    world: str, report: Mapping[str, Any], expected_rows: int, *, left_out: Collection[str] = ()
) -> Detection:
    """Judge the report of a healthy world: every row has passed, but for those that have no object; none is missing."""
    rows = report["rows"]
    right = {row["id"]: "not_applicable" if row["id"] in left_out else "passed" for row in rows}
    wrong = [*_unfilled(report)]
    wrong += [f"{row['id']} is {row['status']}: {_said(row)}" for row in rows if row["status"] != right[row["id"]]]
    wrong += [f"{row['id']} noted nothing" for row in rows if not row["evidence"] and row["id"] not in left_out]
    if len(report["rows"]) < expected_rows:
        wrong.append(f"{len(report['rows'])} rows of {expected_rows}")
    if report["verdict"] != "READY":
        wrong.append(f"the verdict is {report['verdict']}")
    return _detection(world, "-", "no alarm", report, wrong)


def _alarms(fault: Fault, rows: Mapping[str, Any]) -> Iterator[str]:
    """Rows that are not right although the fault is none of theirs, and not for its sake."""
    seeing = {fault.row, *fault.also}
    for row in rows.values():
        if row["id"] in seeing or row["status"] in ("passed", "waived", "not_applicable"):
            continue
        if row["status"] == "blocked" and row["blocked_by"] in seeing:
            continue
        yield f"{row['id']} is {row['status']}: {_said(row)}"


def _unfilled(report: Mapping[str, Any]) -> Iterator[str]:
    for row in report["rows"]:
        for column in _SAID:
            for hole in _UNFILLED.findall(row[column]):
                yield f"{row['id']} leaves {hole} in its {column}"


def _said(row: Mapping[str, Any]) -> str:
    return str(row["diagnostic"] or row["why"] or row["summary"])


def _detection(name: str, row: str, said: str, report: Mapping[str, Any], wrong: list[str]) -> Detection:
    return Detection(
        id=name, row=row, said=said, verdict=report["verdict"], duration_s=report["duration_s"], wrong=tuple(wrong)
    )
