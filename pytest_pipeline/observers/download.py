"""Measuring a download on the host, in one round trip: real objects, the real way, and the volume it ends on."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.download_answer import DownloadSeen, download_seen
from pytest_pipeline.observers.host import run_program
from pytest_pipeline.observers.host_answer import Printed, probes_in
from pytest_pipeline.observers.host_request import program_of
from pytest_pipeline.observers.launch import ask_python
from pytest_pipeline.observers.untrusted import reading
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pytest_pipeline.connections.connection import Connection, Opened
    from pytest_pipeline.observers.presigned import SignedObject

_OWNER = "ssh-access"
_PARTS = ["s3_request", "volumes", "download"]
_AROUND_S = 5.0  # beyond what is measured: for the interpreter, for names, for connections that end late
_ON_THE_WAY_S = 5.0
_TO_CHOOSE_S = 8.0  # in less, trials would be all slow start
_UNCHOSEN = 8  # connections then, about what the AWS CLI has


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """A short run that tells how many connections are fastest. What comes in the first `dropped_s` is slow start."""

    connections: int
    seconds: float
    dropped_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalRequest:
    """The run that the speed is taken of, over as many connections as were fastest."""

    seconds: float = 11.0
    dropped_s: float = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteRequest:
    """The folder that is written (`~` is the host's), and the most of it: in bytes, of what is free, in seconds."""

    folder: str
    most_bytes: int = 2 * 2**30
    share: float = 0.1
    seconds: float = 5.0
    batches: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRequest:
    """All that is measured, by default in 17 s of downloading and 5 s of writing.

    Three batches: more of them would be too short to be independent, and fewer leave too wide an interval.
    """

    objects: tuple[SignedObject, ...]
    write: WriteRequest
    trials: tuple[TrialRequest, ...] = (
        TrialRequest(connections=1, seconds=1.75, dropped_s=0.75),
        TrialRequest(connections=8, seconds=2.0, dropped_s=0.75),
        TrialRequest(connections=16, seconds=2.25, dropped_s=0.75),
    )
    final: FinalRequest = FinalRequest()
    batches: int = 3
    timeout_s: float = 5.0

    @classmethod
    def lasting(cls, measure_s: float, objects: tuple[SignedObject, ...], write: WriteRequest) -> DownloadRequest:
        """Return a request that downloads for `measure_s` in all."""
        usual = cls(objects=objects, write=write)
        share = measure_s / (usual.lasts_s - write.seconds)
        trials = tuple(
            replace(one, seconds=one.seconds * share, dropped_s=one.dropped_s * share) for one in usual.trials
        )
        if measure_s < _TO_CHOOSE_S:
            seconds = sum(one.seconds for one in trials)
            trials = (TrialRequest(connections=_UNCHOSEN, seconds=seconds, dropped_s=0.0),)
        final = FinalRequest(seconds=usual.final.seconds * share, dropped_s=usual.final.dropped_s * share)
        return replace(usual, trials=trials, final=final)

    @property
    def lasts_s(self) -> float:
        """How long it is measured, at most."""
        return sum(trial.seconds for trial in self.trials) + self.final.seconds + self.write.seconds


def measure(way: Opened | Connection, request: DownloadRequest) -> Reading[DownloadSeen]:
    """Measure on a host, for `request.lasts_s` and some 10 s more at most. Never raises.

    Effects: reads of the objects, which whoever owns the bucket may have to pay for, and up to `write.most_bytes` in a
    file without a name, which is gone with the probe. It takes all of the host's network: not while a run is alive.
    """
    nonce = secrets.token_hex(8)
    deadline_s = request.lasts_s + _AROUND_S
    timeout_s = deadline_s + _ON_THE_WAY_S
    program = ask_python(download_program(request, nonce, deadline_s), nonce, timeout_s)
    printed = run_program(way, program, nonce, timeout_s)
    if isinstance(printed, Reading):
        return printed.hand_on()
    return decode_download(printed, request)


def download_program(request: DownloadRequest, nonce: str, deadline_s: float) -> bytes:
    """Return the program that measures. It holds the signed addresses: it is for standard input only."""
    probe: dict[str, Any] = {
        "objects": [
            {"url": one.url.get_secret_value(), "bytes": one.size_bytes, "headers": one.headers}
            for one in request.objects
        ],
        "trials": [asdict(trial) for trial in request.trials],
        "final": asdict(request.final),
        "batches": request.batches,
        "timeout_s": request.timeout_s,
        "write": asdict(request.write),
        "deadline_s": deadline_s - request.write.seconds,
    }
    return program_of({"download": probe}, _PARTS, nonce, deadline_s)


def decode_download(printed: Printed, request: DownloadRequest) -> Reading[DownloadSeen]:
    """Read what `download_program` printed."""
    probes = probes_in(printed)
    answer: Reading[Any] = probes.hand_on()
    if probes.is_known:
        answer = reading(probes.value.get("download"), "the probe download", by=_OWNER, read=lambda value: value)
    return download_seen(answer, [trial.connections for trial in request.trials], request.batches)
