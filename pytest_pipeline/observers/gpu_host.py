"""The GPU host as rows see it: facts of one round trip, and commands of their own."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Finished, OutputTooLong
from pytest_pipeline.observers.co_tenants import used_ids
from pytest_pipeline.observers.download import measure
from pytest_pipeline.observers.host import locked_host
from pytest_pipeline.observers.host_access import address_of, blame, to_paste
from pytest_pipeline.observers.host_answer import all_missing
from pytest_pipeline.observers.host_look import instance_in, no_way_of, request_of
from pytest_pipeline.observers.host_request import SystemRequest
from pytest_pipeline.observers.interlock import require_alone, turn
from pytest_pipeline.observers.launch import command, execute, mark_of
from pytest_pipeline.observers.names import facts_name, writes_name
from pytest_pipeline.observers.observation import Facts
from pytest_pipeline.outcome import Blocked, Reading

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import fabric

    from pytest_pipeline.connections.connection import Opened
    from pytest_pipeline.observers.context_readings import ContextReadings
    from pytest_pipeline.observers.download import DownloadRequest
    from pytest_pipeline.observers.download_answer import DownloadSeen
    from pytest_pipeline.observers.host_access import HostAccess, SshSession
    from pytest_pipeline.observers.host_look import HostSeen
    from pytest_pipeline.observers.host_readings import HostReadings
    from pytest_pipeline.observers.instance_readings import InstanceReadings
    from pytest_pipeline.observers.observation import Observations
    from pytest_pipeline.observers.s3_attempt import BucketAccess
    from pytest_pipeline.settings import Settings

_PATIENCE_S = 3600.0  # several rows may have it to themselves before


@contextlib.contextmanager
def _or_blocked() -> Generator[None]:
    try:
        yield
    except (ConnectionFailed, CommandTimedOut, OutputTooLong) as error:
        raise Blocked(str(error), by="ssh-access") from None


class GpuHost:
    """`.facts.x` is a value, or raises Blocked; `.readings.x` is a value or the reason why there is none."""

    def __init__(
        self, instance_id: str, settings: Settings, observations: Observations, access: HostAccess, folder: Path
    ) -> None:
        self.id = instance_id
        self._folder = folder  # of the run
        self._mine = threading.Lock()
        self._settings = settings
        self._observations = observations
        self._access = access

    @property
    def readings(self) -> HostReadings:
        """What one round trip brought; each reading missing for the same reason where there is no connection."""
        seen = self._seen
        if not seen.is_known:
            return self._none_of(seen)
        if seen.value.readings is None:
            return self._none_of(self.session)
        return seen.value.readings

    @property
    def facts(self) -> Facts:
        """The readings' values."""
        return Facts(self.readings)

    def context(self, name: str) -> ContextReadings:
        """What was read in one of the pipeline's contexts, by its name in `host.contexts`."""
        seen: ContextReadings = self.readings.contexts[name]
        return seen

    @property
    def session(self) -> Reading[SshSession]:
        """The connection as it was opened; where it was not, the reason with what EC2 knows of it."""
        seen = self._seen
        if not seen.is_known:
            return seen.hand_on()
        if seen.value.no_way is None:
            return seen.value.session
        return blame(seen.value.no_way, self._settings.host, self._instance.or_none)

    @property
    def buckets_read(self) -> tuple[BucketAccess, ...]:
        """What the host can read of S3 with its own credentials. Raises Blocked."""
        return self.readings.s3_reads.value

    @property
    def buckets_written(self) -> tuple[BucketAccess, ...]:
        """What the host can write, likewise. Reading this writes: see `observers.host`."""
        answer: Reading[tuple[BucketAccess, ...]] = self._observations.reading(writes_name(self.id))
        if answer.by == "ssh-access":
            self.session.value  # noqa: B018 - raises the root, with what EC2 knows of it
        return answer.value

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float | None = None) -> Finished:
        """Run a command in the user's shell on the host.

        Raises Blocked by ssh-access, or by what is at the root of it, where the command or its answer was lost, took
        longer than `timeout_s` (default: `host.command_timeout_s`), or printed more than 16 MiB.
        """
        opened = self._open()
        with _or_blocked():
            return opened.connection.run(
                command, stdin=stdin, timeout_s=timeout_s or self._settings.host.command_timeout_s
            )

    def probe(self, source: str, *, timeout_s: float | None = None) -> Finished:
        """Run Python source (standard library, syntax of 3.7) with the host's own Python, whatever its name there.

        Raises Blocked, as `run` does. Without any Python the exit status is 127.
        """
        nonce = secrets.token_hex(8)
        limit_s = timeout_s or self._settings.host.command_timeout_s
        finished = self.run(command(nonce), stdin=execute(source.encode(), nonce, limit_s), timeout_s=limit_s)
        return replace(finished, stdout=finished.stdout.partition(mark_of(nonce))[2])

    def measure_download(self, request: DownloadRequest) -> DownloadSeen:
        """Measure how fast objects come down to the host, and how fast they are written there.

        It takes all of the host's network: have the host `alone` meanwhile. Raises Blocked. Effects: see
        `observers.download`.
        """
        return measure(self._open(), request).value

    @contextlib.contextmanager
    def alone(self) -> Generator[GpuHost]:
        """Have the host to itself: for rows that load a GPU, fill memory or disk, run or kill a pipeline.

        Raises Blocked while another gate does likewise, and, unless `host.share` (`--share-host`) says otherwise, while
        a run is alive there or somebody else computes on the GPUs that the pipeline uses; or where that cannot be told.
        Rows of one run wait for each other. Leaves nothing behind on the host.
        """
        if self._mine.locked():
            raise RuntimeError("gpu_host.alone() inside of another one: the host is ours already")
        opened = self._open()
        used = used_ids(self.readings.contexts, self._settings.requirements.gpus)  # looked at before it is ours
        asked = SystemRequest(components=request_of(self._settings).system.components)
        name = f"{socket.gethostname()}, run {self._folder.name}"
        with (
            self._mine,
            turn(self._folder / f"alone-{self.id}.lock", patience_s=_PATIENCE_S),
            contextlib.ExitStack() as stack,
        ):
            with _or_blocked():
                timeout_s = self._settings.host.command_timeout_s
                company = stack.enter_context(locked_host(opened.connection, asked, timeout_s, name=name))
            require_alone(company, used, share=self._settings.host.share)
            yield self

    def to_paste(self, command: str) -> str:
        """Return the line for this machine that runs a command on the host."""
        return to_paste(command, self._settings.host, self.session.or_none)

    def fabric_connection(self) -> fabric.Connection:
        """Return the open fabric connection. Raises Blocked where there is none."""
        opened = self._open()
        if opened.fabric is None:
            kind = self._settings.host.connection
            raise Blocked(f"ssh_connection needs host.connection = 'fabric', not {kind!r}; use gpu_host", by="settings")
        return opened.fabric

    def end_if_none(self, evidence: Any) -> None:
        """End a row about a host where there is none: `host.kind` is "none", or nothing is configured."""
        if self._settings.host.kind == "none":
            evidence.not_applicable("host.kind is 'none'")
        if not self._settings.host.configured:
            raise Blocked("host.instance_ids or host.address (--instance-id, --instance-ip)", by="settings")

    def _none_of(self, why: Reading[Any]) -> HostReadings:
        return all_missing(request_of(self._settings), why.reason, by=why.by, remedy=why.remedy)

    @property
    def _seen(self) -> Reading[HostSeen]:
        return self._observations.reading(facts_name(self.id))

    @property
    def _instance(self) -> Reading[InstanceReadings]:
        return instance_in(self._observations, self.id)

    def _open(self) -> Opened:
        address = address_of(
            self._settings.host,
            self._instance if not self._settings.host.address else Reading.missing("", by="settings"),
        )
        try:
            return self._access.open(address.value)
        except ConnectionFailed as failure:
            blamed = blame(no_way_of(failure), self._settings.host, self._instance.or_none)
            raise Blocked(blamed.reason, by=blamed.by, remedy=blamed.remedy) from None
