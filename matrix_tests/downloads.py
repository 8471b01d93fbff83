"""Judging how long a download takes: what is measured with, and what its speed means for the hours that it may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_pipeline import Reading
from pytest_pipeline.data.speed import Verdict, bounds, figure, judge, mbps, span
from pytest_pipeline.observers.baseline_bandwidth import baseline_gbps
from pytest_pipeline.observers.download import DownloadRequest, WriteRequest
from pytest_pipeline.observers.download_objects import signed_objects

if TYPE_CHECKING:
    from pytest_pipeline import Evidence
    from pytest_pipeline.observers.download_answer import DownloadSeen
    from pytest_pipeline.observers.gpu_host import GpuHost
    from pytest_pipeline.settings import Download, Settings

_REFUSED = 4  # hundred and something: it will be refused again


def request_for(settings: Settings, wanted: Download) -> DownloadRequest:
    """Return what is to be measured: the pipeline's own objects, to where it writes them. Raises Blocked."""
    folder = wanted.to or next(iter(settings.requirements.disk), "~")
    return DownloadRequest.lasting(wanted.measure_s, signed_objects(settings).value, WriteRequest(folder=folder))


def promised(gpu_host: GpuHost, settings: Settings) -> Reading[float]:
    """Return the bandwidth in 10^9 bits a second that the host has for good, where EC2 says so."""
    document = gpu_host.readings.instance.or_none
    kind = document.type if document else settings.host.instance_type
    if settings.host.kind != "ec2" or not kind:
        return Reading.missing("the host's instance type is not known", by="download-speed")
    return baseline_gbps(settings.aws, kind)


def judge_download(seen: DownloadSeen, baseline: Reading[float], wanted: Download, evidence: Evidence) -> None:
    """Whether so much comes down to the host in the hours that are allowed; warn where that is not sure."""
    limits = seen.limits(baseline.or_none)
    hours = limits.hours(wanted.size_gb)
    evidence(
        size_gb=f"{wanted.size_gb:g}",
        mbps=figure(mbps(limits.mean_bytes_s)),
        hours=figure(hours.mean),
        between=span(hours),
        max_hours=wanted.max_hours,
        read_bytes=seen.read_bytes,
        tried=seen.tried,
        bounds=bounds(limits),
    )
    failures = "; ".join(map(str, seen.final.failures[:3]))
    if failures:
        evidence(failures=failures)
    if not baseline.is_known:
        evidence(note=baseline.reason)
    verdict = judge(limits, wanted.size_gb, wanted.max_hours)
    allowed = f"{wanted.max_hours:g}h are allowed for {wanted.size_gb:g}GB"
    if verdict is Verdict.TOO_SLOW:
        pytest.fail(f"{allowed}, and it takes {span(hours)}; {bounds(limits)}", pytrace=False)
    if any(one.status // 100 == _REFUSED for one in seen.final.failures):
        evidence.warn(f"a part of it is refused: {failures}")
    if not seen.write.is_known:
        evidence.warn(f"the volume's speed is not known ({seen.write.reason})")
    if hours.high > wanted.max_hours:
        evidence.warn(f"{allowed}, and it may take {span(hours)}; {bounds(limits)}")
