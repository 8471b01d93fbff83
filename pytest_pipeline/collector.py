"""From tests to rows: stamps markers, refuses what is malformed, and writes down what was planned."""

from __future__ import annotations

import inspect
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pytest_pipeline.attempt import mode_key, mode_of
from pytest_pipeline.matrix import FailureMode, Planned, Severity
from pytest_pipeline.options import OPTIMIZED
from pytest_pipeline.session import may_wake
from pytest_pipeline.stage import STAGES
from pytest_pipeline.urls import without_secrets

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from pytest_pipeline.session import PipelineSession
    from pytest_pipeline.settings import Settings


_NAMED = {"pipeline_package", "pipeline_source"}
_CASES = {"pipeline_instance", "pipeline_context", "pipeline_package", "pipeline_source"}


class Collector:
    """Lives wherever tests are collected."""

    def __init__(self, config: pytest.Config, session: PipelineSession) -> None:
        self._awake = may_wake(config)
        self._read_only = bool(config.getoption("pipeline_read_only"))
        stage = config.getoption("pipeline_stage")
        self._stage = STAGES[stage] if stage else None
        self._session = session
        self._declared: dict[str, tuple[FailureMode, str]] = {}
        self._made: list[pytest.Item] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_pycollect_makeitem(
        self, collector: pytest.Collector, name: str, obj: object
    ) -> Generator[None, object, object]:
        """Make rows of the tests that say so. What is raised here is an ordinary collection error, also under xdist."""
        made = yield
        if made is None and _is_marked(obj):
            raise pytest.Collector.CollectError(
                f"{name} in {collector.nodeid} is declared a row, and pytest does not collect it; name it test_{name}"
            )
        for item in made if isinstance(made, list) else [made]:
            if isinstance(item, pytest.Item):
                self._make_row(item)
            elif isinstance(item, pytest.Class) and hasattr(item.obj, "setUp"):
                self._refuse_unittest(item)
        return made

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give a row one case for each of several hosts, contexts, packages.

        Cases come from settings, never from what was seen: all workers collect alike.
        """
        if not self._awake or not _CASES & {*metafunc.fixturenames}:
            return
        settings = self._settings_or_collect_error()
        cases = {
            "pipeline_instance": settings.host.instance_ids,
            "pipeline_context": [context.name for context in settings.host.contexts],
            "pipeline_package": settings.requirements.packages,
            "pipeline_source": [source.name for source in settings.data.sources],
        }
        for fixture, values in cases.items():
            several = [*dict.fromkeys(values)]
            fewest = 0 if fixture in _NAMED else 1  # one context or host needs no name of a case
            if fixture in metafunc.fixturenames and len(several) > fewest:
                metafunc.parametrize(fixture, several, indirect=True, ids=map(without_secrets, several))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect the rows that write, where nothing may be written, and those of other stages."""
        left_out = [item for item in items if (mode := mode_of(item)) is not None and self._left_out(mode)]
        if left_out:
            items[:] = [item for item in items if item not in left_out]
            config.hook.pytest_deselected(items=left_out)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Write down what this process planned, before xdist hears that it has collected."""
        if not self._awake:
            return
        selected = {*session.items}
        left_out = [item for item in self._made if item not in selected]  # by whatever means; not all tell of it
        planned = [*self._plan(left_out, selected=False), *self._plan(session.items, selected=True)]
        if any(case.selected for case in planned):
            self._session.begin()
            self._session.run.folder.write_plan(self._session.process, planned)
            self._session.start_early(session.items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        """Run no further row when the time is up; it is then planned, and not run."""
        mode, deadline = mode_of(item), self._session.run.deadline
        if mode is not None and deadline is not None and time.time() + (mode.budget_s or 0) >= deadline:
            return True
        return None

    def _left_out(self, mode: FailureMode) -> bool:
        return (self._read_only and bool(mode.effects)) or (
            self._stage is not None and mode.phase not in self._stage.phases
        )

    def _refuse_unittest(self, made: pytest.Class) -> None:
        for name, method in vars(made.obj).items():
            if _is_marked(method):
                raise pytest.Collector.CollectError(
                    f"{made.nodeid}::{name} is declared a row in a unittest.TestCase, which has no fixtures; "
                    "make it a function"
                )

    def _make_row(self, item: pytest.Item) -> None:
        marked = [mark.args[0] if mark.args else None for mark in item.iter_markers("failure_mode")]
        if not marked:
            return
        modes = {mode for mode in marked if isinstance(mode, FailureMode)}
        if len(modes) < len({*map(id, marked)}) and not modes:
            raise pytest.Collector.CollectError(
                f"{item.nodeid} has the mark failure_mode without a row; write @failure_mode(...) of pytest_pipeline"
            )
        mode: FailureMode = modes.pop()
        if modes:
            raise pytest.Collector.CollectError(
                f"{item.nodeid} is a case of two rows, {mode.id!r} and {modes.pop().id!r}; make it one test for each"
            )
        first, where = self._declared.setdefault(mode.id, (mode, item.nodeid))
        if first != mode:
            raise pytest.Collector.CollectError(
                f"failure mode {mode.id!r} is declared twice, and differently: {where} and {item.nodeid}; rename one"
            )
        from pytest_pipeline.catalogue import CATALOGUE  # noqa: PLC0415 - asleep, nobody asks for it

        entry = CATALOGUE.get(mode.id)
        if entry is not None and _columns(entry) != _columns(mode):
            raise pytest.Collector.CollectError(
                f"{item.nodeid} takes the id {mode.id!r} of a shipped row and says something else; choose another id"
            )
        if sys.flags.optimize:
            raise pytest.Collector.CollectError(OPTIMIZED)
        if self._awake:
            self._session.met_a_row = True  # whatever becomes of it, the verdict is asked for
            self._settings_or_collect_error()
        item.stash[mode_key] = mode
        self._made.append(item)
        item.add_marker(mode.phase.marker)
        # An assertion that fails in a thread of the row is one that failed.
        item.add_marker(pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning"))
        item.extra_keyword_matches.add(mode.id)  # so that `-k disk-space` selects it
        if item.module.__name__.startswith("matrix_tests") if isinstance(item, pytest.Function) else False:
            item.add_marker(pytest.mark.filterwarnings("default"))  # a user's `-W error` must not bend the gate

    def _settings_or_collect_error(self) -> Settings:
        from pytest_pipeline.settings import SettingsError  # noqa: PLC0415 - asleep, pydantic is not imported

        try:
            return self._session.settings
        except SettingsError as error:
            raise pytest.Collector.CollectError(str(error)) from None

    def _plan(self, items: Iterable[pytest.Item], *, selected: bool) -> Generator[Planned]:
        for item in items:
            mode = mode_of(item)
            if mode is not None:
                yield Planned(nodeid=item.nodeid, mode=self._with_severity(mode), selected=selected)

    def _with_severity(self, mode: FailureMode) -> FailureMode:
        severity = self._session.settings.rows.severity.get(mode.id)
        return mode if severity is None else replace(mode, severity=Severity(severity))


def _is_marked(obj: object) -> bool:
    """Whether `@failure_mode` stands on a function or class itself."""
    marks = getattr(obj, "pytestmark", ()) if inspect.isfunction(obj) or inspect.isclass(obj) else ()
    return any(getattr(mark, "name", "") == "failure_mode" for mark in marks if marks)


def _columns(mode: FailureMode) -> tuple[object, ...]:
    return (mode.phase, mode.area, mode.category, mode.failure, mode.diagnostic, mode.fix, mode.severity)
