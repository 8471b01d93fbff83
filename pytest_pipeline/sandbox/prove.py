"""The proof: one whole pytest run a scenario, each in a world of its own, and a table of what was caught.

The parent has no threads: it imports once and forks (89 ms a run against 960 ms for a fresh process; runs of pytest
inside one process leak modules into each other, and lie).
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest

from pytest_pipeline.catalogue import CATALOGUE
from pytest_pipeline.sandbox.child import SandboxChild, Tenant
from pytest_pipeline.sandbox.detection import Detection, detect, stay_calm
from pytest_pipeline.sandbox.faults import FAULTS
from pytest_pipeline.sandbox.variants import VARIANTS
from pytest_pipeline.session import GIVEN_TENANT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEALTHY = "healthy"
_LOOKS = ((1, 2), (3,))  # the phases that the suite has rows of; one look at the world serves those of each
_PHASES = tuple(phase for look in _LOOKS for phase in look)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A world to run the rows of some phases in: with a fault, or odd and healthy."""

    id: str
    phases: tuple[int, ...]
    fault: str | None = None
    variant: str | None = None


def scenarios(phase: int | None, only: Sequence[str]) -> list[Scenario]:
    """Return the scenarios: one phase's own, or all, each run with every row that looks at the same world.

    Raises SystemExit for an id that there is not.
    """
    phases = (phase,) if phase else _PHASES
    worlds = [Scenario(id=HEALTHY, phases=phases)]
    worlds += [Scenario(id=name, phases=phases, variant=name) for name in VARIANTS]
    worlds += [
        Scenario(id=fault.id, phases=(phase,) if phase else look, fault=fault.id)
        for fault in FAULTS.values()
        for look in _LOOKS
        if CATALOGUE[fault.row].phase in look and CATALOGUE[fault.row].phase in phases
    ]
    unknown = set(only) - {scenario.id for scenario in worlds}
    if unknown:
        raise SystemExit(
            f"no such fault or healthy world: {', '.join(sorted(unknown))}; "
            f"there are {', '.join(scenario.id for scenario in worlds)}"
        )
    return [scenario for scenario in worlds if not only or scenario.id in only]


def prove(*, phase: int | None, only: Sequence[str], jobs: int, write: Path | None) -> int:
    """Run the scenarios, some at a time, print the detection table, and return 0 when all is proven."""
    _import_once()
    detections: list[Detection] = []
    with tempfile.TemporaryDirectory(prefix="pipeline-proof-") as folder:
        sandbox = SandboxChild()
        sandbox.start(Path(folder))
        try:
            for detection in _run_all(scenarios(phase, only), sandbox, Path(folder), jobs):
                detections.append(detection)
                print(line_of(detection), flush=True)  # noqa: T201 - a command prints
        finally:
            sandbox.stop()
    unproven = [] if only else [row for row in _rows_of(phase) if not any(one.row == row for one in detections)]
    for row in unproven:
        print(f"UNPROVEN {row}: it has no fault")  # noqa: T201
    wrong = sum(bool(detection.wrong) for detection in detections) + len(unproven)
    print(f"{len(detections) - wrong} passed, {wrong} failed")  # noqa: T201
    if write is not None:
        write.write_text(table_of(detections), encoding="utf-8")
    return 1 if wrong else 0


def line_of(detection: Detection) -> str:
    """Return what became of a scenario, in one line, and in further ones what is wrong."""
    word = "WRONG " if detection.wrong else "caught" if detection.row != "-" else "calm  "
    said = detection.said if len(detection.said) <= 100 else f"{detection.said[:97]}..."  # noqa: PLR2004 - a line
    lines = [f"{word} {detection.id:26} {detection.row:18} {detection.duration_s:5.1f} s  {said}"]
    return "\n".join([*lines, *(f"       {what}" for what in detection.wrong)])


def table_of(detections: Sequence[Detection]) -> str:
    """Return the detection table as Markdown."""
    lines = ["| fault or world | row | what it said | proven |", "|---|---|---|---|"]
    for one in detections:
        said = one.said.replace("|", "\\|")
        proven = "; ".join(one.wrong).replace("|", "\\|") if one.wrong else "yes"
        lines.append(f"| {one.id} | {one.row} | {said} | {proven} |")
    return "\n".join(lines) + "\n"


def _rows_of(phase: int | None) -> list[str]:
    return [row for row, mode in CATALOGUE.items() if mode.phase in ([phase] if phase else _PHASES)]


def _run_all(todo: Sequence[Scenario], sandbox: SandboxChild, folder: Path, jobs: int) -> Iterator[Detection]:
    waiting = [*todo]
    running: dict[int, tuple[Scenario, Tenant]] = {}
    while waiting or running:
        while waiting and len(running) < jobs:
            scenario = waiting.pop(0)
            tenant = sandbox.open([scenario.fault] if scenario.fault else [], scenario.variant)
            running[_fork(scenario, tenant, folder)] = (scenario, tenant)
        pid, _ = os.wait()
        if pid in running:
            scenario, tenant = running.pop(pid)
            yield _detection(scenario, tenant, sandbox, folder)
            sandbox.close_tenant(tenant.id)


def _detection(scenario: Scenario, tenant: Tenant, sandbox: SandboxChild, folder: Path) -> Detection:
    report_file = folder / f"{scenario.id}.json"
    if not report_file.exists():
        printed = (folder / f"{scenario.id}.txt").read_text(encoding="utf-8", errors="replace")
        last = "; ".join(printed.strip().splitlines()[-3:])
        return Detection(
            id=scenario.id, row="-", said=last, verdict="", duration_s=0.0, wrong=(f"no report came: {last}",)
        )
    report = json.loads(report_file.read_text(encoding="utf-8"))
    if scenario.fault is None:
        expected = sum(mode.phase in scenario.phases for mode in CATALOGUE.values())
        left_out = VARIANTS[scenario.variant].left_out if scenario.variant else ()
        return stay_calm(scenario.id, report, expected, left_out=left_out)
    return detect(FAULTS[scenario.fault], report, sandbox.felt(tenant.id).get(scenario.fault))


def _fork(scenario: Scenario, tenant: Tenant, folder: Path) -> int:
    """Run pytest in a child of its own, and return its process id."""
    pid = os.fork()
    if pid == 0:
        _run_pytest(scenario, tenant, folder)
    return pid


def _run_pytest(scenario: Scenario, tenant: Tenant, folder: Path) -> NoReturn:
    status = 70  # of sysexits.h: an internal error, should pytest not get as far as a status of its own
    try:
        with (folder / f"{scenario.id}.txt").open("w", encoding="utf-8") as printed:
            os.dup2(printed.fileno(), 1)
            os.dup2(printed.fileno(), 2)
        ini = folder / "pytest.ini"
        ini.write_text("[pytest]\n", encoding="utf-8")
        phases = " or ".join(f"phase{phase}" for phase in scenario.phases)
        options = [f"-m{phases}", f"--readiness-json={folder / f'{scenario.id}.json'}", f"-c{ini}"]
        options += [f"--rootdir={folder}", "-pno:cacheprovider", "-pno:randomly", "-pno:xdist", "--sandbox"]
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        status = int(pytest.main([*options, "--pyargs", "matrix_tests"], plugins=[_Given(tenant)]))
    except BaseException:  # noqa: BLE001 - the parent reads what was printed; nothing may return into its own run
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class _Given:
    """Gives a run its tenant before anything else is configured."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    @pytest.hookimpl(tryfirst=True)
    def pytest_addoption(self, pluginmanager: pytest.PytestPluginManager) -> None:
        pluginmanager.register(self._tenant, GIVEN_TENANT)


def _import_once() -> None:
    """Import what every run needs before the first fork, so that none pays for it."""
    for module in ("gate", "settings", "observers.world", "observers.gpu_host", "connections.ssh", "reports.terminal"):
        importlib.import_module(f"pytest_pipeline.{module}")
