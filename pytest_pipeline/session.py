"""What one pytest process knows of the pipeline run it is part of: run folder, settings, waivers, deadline.

Nothing is read before somebody asks, so that a pytest run that is none of our business pays nothing.
"""

from __future__ import annotations

import datetime as dt
import functools
import inspect
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest

from pytest_pipeline.outcome import Waiver
from pytest_pipeline.run_folder import RunFolder, inherit_from_dead_runs, new_run_id, runs_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pytest_pipeline.observers.world import World
    from pytest_pipeline.sandbox.child import SandboxChild, Tenant
    from pytest_pipeline.settings import Settings

OUR_FIXTURES = frozenset({"aws_session", "ssh_connection", "gpu_host", "evidence"})
GIVEN_TENANT = "pipeline-given-tenant"
"""Under this plugin name, the proof gives a run the tenant to look at; the run then starts no sandbox of its own."""

_PREFIX = "pipeline_"
_ASLEEP_OPTIONS = ("collectonly", "setupplan", "setuponly", "showfixtures", "show_fixtures_per_test", "markers")
_AWAKE_OPTIONS = (
    "pipeline_stage",
    "pipeline_fail_under",
    "pipeline_sandbox",
    "pipeline_inject",
    "pipeline_readiness_json",
)

session_key = pytest.StashKey["PipelineSession"]()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What all processes of one run share; the controller makes it and hands it on."""

    id: str
    folder: RunFolder
    started: float  # seconds since the epoch
    deadline: float | None  # likewise; after it, rows are not run
    today: dt.date  # UTC; the same in all processes, also over midnight
    workers: int = 0

    def to_wire(self) -> dict[str, Any]:
        """Return the run as JSON builtins."""
        return {
            "id": self.id,
            "folder": str(self.folder.path),
            "started": self.started,
            "deadline": self.deadline,
            "today": self.today.isoformat(),
            "workers": self.workers,
        }

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Read what `to_wire` wrote."""
        folder, today = RunFolder(path=Path(wire["folder"])), dt.date.fromisoformat(wire["today"])
        return cls(**{**wire, "folder": folder, "today": today})


def may_wake(config: pytest.Config) -> bool:
    """Whether this pytest run runs tests at all, and does not merely list something."""
    return not any(config.getoption(option, default=False) for option in _ASLEEP_OPTIONS)


def awake_by_option(config: pytest.Config) -> bool:
    """Whether an option asks for the gate, whatever is collected."""
    return may_wake(config) and any(config.getoption(option, default=None) is not None for option in _AWAKE_OPTIONS)


class PipelineSession:
    """One process's view of the run."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        handed: Mapping[str, Any] | None = getattr(config, "workerinput", {}).get("pipeline")
        self.is_controller = not hasattr(config, "workerinput")
        self.process: str = "main" if self.is_controller else config.workerinput["workerid"]  # type: ignore[attr-defined]  # xdist's
        self.run = Run.from_wire(handed["run"]) if handed else _new_run(config)
        self._handed_settings = handed["settings"] if handed else None
        self._handed_simulated = tuple(handed["simulated"]) if handed else ()
        self.met_a_row = False
        self._sandbox: SandboxChild | None = None
        self._tenant: Tenant | None = None
        self._lock: int | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings: handed over by the controller, else read here. Raises SettingsError."""
        from pytest_pipeline.settings import Settings  # noqa: PLC0415 - asleep, pydantic is not imported

        if self._handed_settings is not None:
            return Settings.from_wire(self._handed_settings)
        option = self._config.getoption
        given = {"host.instance_ids": option("pipeline_instance_id"), "host.address": option("pipeline_instance_ip")}
        given["host.key"] = option("pipeline_ssh_key")
        given["host.share"] = option("pipeline_share_host")
        given["data.sample_records"] = option("pipeline_sample_size")
        given["data.executor"] = option("pipeline_data_executor")
        config_file = option("pipeline_config_file")
        from pytest_pipeline.settings import load  # noqa: PLC0415 - likewise

        return load(
            rootdir=self._config.rootpath,
            config_file=Path(config_file) if config_file else None,
            command_line={key: value for key, value in given.items() if value},
            assignments=option("pipeline_set") or (),
            environ=os.environ,
            tenant=self._tenant.settings if self._tenant else None,
        )

    @property
    def rootdir(self) -> Path:
        """Pytest's root folder."""
        return self._config.rootpath

    @property
    def settings_or_none(self) -> Settings | None:
        """The settings, or None where they cannot be read: that was said where they were needed."""
        from pytest_pipeline.settings import SettingsError  # noqa: PLC0415 - asleep, pydantic is not imported

        try:
            return self.settings
        except SettingsError:
            return None

    @functools.cached_property
    def world(self) -> World:
        """What this process sees of the world. Nothing is looked at before somebody asks."""
        from pytest_pipeline.observers.world import World  # noqa: PLC0415 - asleep, boto3 is not imported

        self.begin()
        return World(self.settings, self.run.folder.path)

    def wake(self) -> None:
        """An option asks for the gate: start the sandbox, and read the settings now, for all processes of the run.

        Raises pytest.UsageError where that cannot be done.
        """
        from pytest_pipeline.settings import SettingsError  # noqa: PLC0415 - asleep, pydantic is not imported

        self.begin()
        if self._config.getoption("pipeline_sandbox") or self._config.getoption("pipeline_inject"):
            self._tenant = self._open_sandbox()
        try:
            _ = self.settings
        except SettingsError as error:
            raise pytest.UsageError(str(error)) from None

    def _open_sandbox(self) -> Tenant:
        given: Tenant | None = self._config.pluginmanager.get_plugin(GIVEN_TENANT)
        if given is not None:
            return given
        from pytest_pipeline.sandbox.child import SandboxChild, SandboxError  # noqa: PLC0415 - only here

        self._sandbox = SandboxChild()
        try:
            self._sandbox.start(self.run.folder.path)
            return self._sandbox.open(self._config.getoption("pipeline_inject") or ())
        except SandboxError as error:
            raise pytest.UsageError(str(error)) from None

    def begin(self) -> None:
        """There are rows to judge: make the run's folder, hold it, and end politely when asked to.

        Raises pytest.UsageError where another run has the same id.
        """
        if self._lock is None:
            try:
                self._lock = self.run.folder.hold(self.process)
            except BlockingIOError:
                raise pytest.UsageError(
                    f"a run with the id {self.run.id!r} is under way; give another --run-id"
                ) from None
            if self.is_controller:
                stop_on_sigterm(self._config)
            if self.process in ("main", "gw0"):
                inherit_from_dead_runs(self.run.folder.path)

    def start_early(self, items: Iterable[pytest.Item]) -> None:
        """Begin to look at what the planned rows will ask for; with several workers, nobody looks before a row asks."""
        asked = {name for item in items for name in getattr(item, "fixturenames", ())}
        if self.run.workers == 0 and any(name.startswith(("pipeline_aws", "gpu_host", "ssh_")) for name in asked):
            self.world.observations.start_early(self.world.names_for(asked))

    @property
    def simulated(self) -> tuple[str, ...]:
        """What of the world is not even a stand-in that really runs, but recorded."""
        return self._tenant.simulated if self._tenant else self._handed_simulated

    def header(self) -> str | None:
        """Return what the report header says of the world, if it is not the real one."""
        if self._tenant is None:
            return None
        simulated = ", ".join(self.simulated) or "nothing"
        injected = ", ".join(self._config.getoption("pipeline_inject") or ()) or "nothing"
        return (
            f"pipeline: SANDBOX, all of it on this machine; it says nothing about your hosts "
            f"(simulated: {simulated}; injected: {injected})"
        )

    def close(self) -> None:
        """Take down what this process holds for the run."""
        if "world" in vars(self):
            self.world.close()
        if self._sandbox is not None:
            self._sandbox.stop()
        if self._lock is not None:
            if self.is_controller:
                self.run.folder.remove()
            os.close(self._lock)
            self._lock = None

    def to_workerinput(self, *, with_settings: bool) -> dict[str, Any]:
        """Return what a worker is handed, as JSON builtins. Secrets cross a pipe between two processes of the run."""
        settings = self.settings.to_wire() if with_settings else None
        return {"run": self.run.to_wire(), "settings": settings, "simulated": list(self.simulated)}

    @functools.cached_property
    def redact(self) -> Callable[[str], str]:
        """Replaces each secret in a text by `***`."""
        from pytest_pipeline.settings import redactor  # noqa: PLC0415 - asleep, pydantic is not imported

        return redactor(self.settings, os.environ)

    def waiver_of(self, row: str) -> Waiver | None:
        """Return the waiver that leaves the row out today."""
        return next((waiver for waiver in self._waivers(row) if not self._expired(waiver)), None)

    def expired_waivers_of(self, row: str) -> tuple[Waiver, ...]:
        """Return the row's waivers whose date is past: they leave nothing out any more."""
        return tuple(waiver for waiver in self._waivers(row) if self._expired(waiver))

    def _waivers(self, row: str) -> tuple[Waiver, ...]:
        return tuple(
            Waiver(row=waiver.row, owner=waiver.owner, reason=waiver.reason, expires=waiver.expires.isoformat())
            for waiver in self.settings.waivers
            if waiver.row == row
        )

    def _expired(self, waiver: Waiver) -> bool:
        return dt.date.fromisoformat(waiver.expires) < self.run.today

    def overridden_fixture(self, item: pytest.Item) -> str:
        """Say which of our fixtures somebody replaced under a shipped row: it would judge an unrelated object."""
        if not item.module.__name__.startswith("matrix_tests") if isinstance(item, pytest.Function) else True:
            return ""
        definitions = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        for name, candidates in definitions.items():
            function = candidates[-1].func
            ours = name in OUR_FIXTURES or name.startswith(_PREFIX)
            if ours and not function.__module__.startswith("pytest_pipeline."):
                file = inspect.getsourcefile(inspect.unwrap(function))
                return f"the fixture {name!r} is overridden in {file}; rename the one there"
        return ""


def stop_on_sigterm(config: pytest.Config) -> None:
    """Let a polite kill end the run as Ctrl-C does: with clean-ups, reports and a verdict."""
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(signum: int, _frame: object) -> None:
        raise KeyboardInterrupt(f"stopped by {signal.Signals(signum).name}")

    before = signal.signal(signal.SIGTERM, stop)

    def restore() -> None:
        signal.signal(signal.SIGTERM, before)

    config.add_cleanup(restore)


def _new_run(config: pytest.Config) -> Run:
    started = time.time()
    max_seconds = config.getoption("pipeline_max_seconds", default=None)
    run_id = config.getoption("pipeline_run_id", default=None) or new_run_id()
    return Run(
        id=run_id,
        folder=RunFolder(path=runs_folder(os.environ) / run_id),
        started=started,
        deadline=None if max_seconds is None else started + max_seconds,
        today=dt.datetime.now(dt.UTC).date(),
        workers=_number_of_workers(config),
    )


def _number_of_workers(config: pytest.Config) -> int:
    return len(config.getoption("tx", default=None) or ())
