"""From what a host says of downloading and writing to measurements: strict, for the host may mean harm."""

# No `from __future__ import annotations`: an observation is stored as JSON, by these very annotations.
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_pipeline.data.speed import Limits, figure, mbps, speed_of
from pytest_pipeline.observers.untrusted import Unreadable, flag, items, mapping, number, reading, text, whole
from pytest_pipeline.outcome import Reading

ROW = "download-speed"
_LEAST_BATCHES = 2
_BYTES_S_IN_GBPS = 10**9 / 8
_OF_AN_ADDRESS = ("signature=", "x-amz-", "security-token")


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadFailure:
    """What failed in a run, and how often. `status` is 0 where nothing was answered; `code` is S3's, or names what."""

    status: int
    code: str
    message: str
    count: int

    def __str__(self) -> str:
        """Say what it was, as in "403 AccessDenied: Request has expired (8 times)"."""
        what = f"{self.status} {self.code}" if self.status and self.code != str(self.status) else self.code
        often = f" ({self.count} times)" if self.count > 1 else ""
        return f"{what}: {self.message}{often}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRun:
    """One run over so many connections: the mean speed of each batch after slow start, and all that was read for it."""

    connections: int
    means_bytes_s: tuple[float, ...]
    read_bytes: int
    failures: tuple[DownloadFailure, ...] = ()

    @property
    def mean_bytes_s(self) -> float:
        """The mean of its batches, 0 where nothing came after slow start."""
        return statistics.fmean(self.means_bytes_s)

    def __str__(self) -> str:
        """Say how fast it was, as in "800Mbps over 8"."""
        return f"{figure(mbps(self.mean_bytes_s))}Mbps over {self.connections}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSeen:
    """How fast a folder's volume was written. `direct`: past the page cache; else each block was synced."""

    folder: str
    direct: bool
    means_bytes_s: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadSeen:
    """What was measured on a host: how many connections were tried, the fastest of them for longer, and the write."""

    trials: tuple[DownloadRun, ...]
    final: DownloadRun
    write: Reading[WriteSeen]

    @property
    def read_bytes(self) -> int:
        """What was downloaded for it in all."""
        return sum(run.read_bytes for run in (*self.trials, self.final))

    @property
    def tried(self) -> str:
        """Say what each trial came to, as in "95Mbps over 1, 800Mbps over 8, 810Mbps over 16"."""
        return ", ".join(map(str, self.trials))

    def limits(self, baseline_gbps: float | None) -> Limits:
        """Return what bounds a download here. A baseline or a write that is not known is left out, and says so."""
        return Limits(
            network=speed_of(self.final.means_bytes_s),
            connections=self.final.connections,
            baseline_bytes_s=None if baseline_gbps is None else baseline_gbps * _BYTES_S_IN_GBPS,
            volume=speed_of(self.write.value.means_bytes_s) if self.write.is_known else None,
        )


def download_seen(answer: Reading[Any], connections: Sequence[int], batches: int) -> Reading[DownloadSeen]:
    """Read what the probe answered for trials of these numbers of connections, and so many batches a run."""
    seen = answer if not answer.is_known else _seen(answer.value, connections, batches)
    return seen if seen.is_known else Reading.missing(without_address(seen.reason), by=seen.by)


def _seen(value: object, connections: Sequence[int], batches: int) -> Reading[DownloadSeen]:
    of = reading({"value": value}, "the download", by=ROW, read=lambda value: mapping(value, "it"))
    if not of.is_known:
        return of.hand_on()
    asked = of.value.get("runs")
    runs = reading(asked, "the download", by=ROW, read=lambda value: _runs(value, connections, batches))
    if not runs.is_known:
        return runs.hand_on()
    *trials, last = runs.value
    is_final = len(trials) == len(connections)
    if not is_final or not last.mean_bytes_s:
        return Reading.missing(f"the host could not download: {_why_nothing(last, is_final=is_final)}", by=ROW)
    write = reading(of.value.get("write"), "how fast the volume is written", by=ROW, read=_write)
    return Reading.of(DownloadSeen(trials=tuple(trials), final=last, write=write))


def _why_nothing(last: DownloadRun, *, is_final: bool) -> str:
    if last.failures:
        return "; ".join(map(str, last.failures[:3]))
    if not last.read_bytes:
        return "no byte came in time"
    return "bytes came at first, and none later" if is_final else "the time was over before the last run"


def _runs(value: object, connections: Sequence[int], batches: int) -> tuple[DownloadRun, ...]:
    """Read the runs: the trials in their order and the final one, without those behind one that brought nothing."""
    runs = tuple(_run(one, batches) for one in items(value, "runs"))
    trials, final = runs[: len(connections)], runs[len(connections) :]
    as_asked = [run.connections for run in trials] == list(connections[: len(trials)])
    if not trials or not as_asked or len(final) > 1 or any(run.connections not in connections for run in final):
        raise Unreadable("the runs are not those that were asked for")
    return runs


def _run(value: object, batches: int) -> DownloadRun:
    of = mapping(value, "a run")
    batch_s, read_bytes = _positive(of, "batch_s"), whole(of, "read_bytes")
    batch_bytes = [whole({"batch_bytes": one}, "batch_bytes") for one in items(of.get("batch_bytes"), "batch_bytes")]
    if len(batch_bytes) != batches or sum(batch_bytes) > read_bytes:
        raise Unreadable("batch_bytes is not of the batches that were asked for")
    return DownloadRun(
        connections=whole(of, "connections"),
        means_bytes_s=tuple(one / batch_s for one in batch_bytes),
        read_bytes=read_bytes,
        failures=tuple(_failure(one) for one in items(of.get("failures"), "failures")),
    )


def _failure(value: object) -> DownloadFailure:
    of = mapping(value, "a failure")
    return DownloadFailure(
        status=whole(of, "status"), code=_said(of, "code"), message=_said(of, "message"), count=whole(of, "count")
    )


def _said(of: dict[str, Any], name: str) -> str:
    """Return a text, unless it repeats an address that was signed: a proxy's page may."""
    return without_address(text(of, name))


def without_address(said: str) -> str:
    """Return what was said on the host, unless it repeats an address that was signed."""
    return "(it repeats the address)" if any(part in said.lower() for part in _OF_AN_ADDRESS) else said


def _write(value: object) -> WriteSeen:
    of = mapping(value, "the write")
    batches = [mapping(one, "a batch") for one in items(of.get("batches"), "batches")]
    if len(batches) < _LEAST_BATCHES:
        raise Unreadable("batches are too few")
    means = tuple(_positive(one, "bytes") / _positive(one, "seconds") for one in batches)
    return WriteSeen(folder=text(of, "folder"), direct=flag(of, "direct"), means_bytes_s=means)


def _positive(of: dict[str, Any], name: str) -> float:
    value = number(of, name)
    if value <= 0:
        raise Unreadable(f"{name} is not above zero")
    return value
