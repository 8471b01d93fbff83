"""How a measured download is judged: the matrix's sentence, what follows it, and what is warned of."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from matrix_tests import test_phase3_data
from matrix_tests.downloads import judge_download
from pytest_pipeline.observers.download_answer import DownloadFailure, DownloadRun, DownloadSeen, WriteSeen
from pytest_pipeline.outcome import Evidence, Reading
from pytest_pipeline.settings import Data, Download, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

MBPS = 1e6 / 8  # of which 100 take an hour for 45 GB
EBS = Reading.of(WriteSeen(folder="/mnt/training", direct=True, means_bytes_s=(500 * MBPS, 500 * MBPS)))
READ_ONLY: Reading[WriteSeen] = Reading.missing("Read-only file system (EROFS)", by="download-speed")
BASELINE = Reading.of(5.0)
DENIED: Reading[float] = Reading.missing("not authorised to ec2:DescribeInstanceTypes", by="download-speed")
BOUNDS = "the network binds (network 100Mbps +-20% over 8 connections, baseline 5000Mbps, volume 500Mbps +-20%)"


def run(rate_mbps: float, *failures: DownloadFailure, connections: int = 8) -> DownloadRun:
    means = (rate_mbps * MBPS,) * 3
    return DownloadRun(connections=connections, means_bytes_s=means, read_bytes=1000, failures=failures)


def judged(
    size_gb: float,
    max_hours: float,
    *failures: DownloadFailure,
    baseline: Reading[float] = BASELINE,
    write: Reading[WriteSeen] = EBS,
) -> Evidence:
    """Return what was noted. Raises pytest.fail.Exception."""
    evidence = Evidence()
    seen = DownloadSeen(trials=(run(20, connections=1), run(100)), final=run(100, *failures), write=write)
    judge_download(seen, baseline, Download(size_gb=size_gb, max_hours=max_hours), evidence)
    return evidence


def failed(*args: Any, **more: Any) -> str:
    with pytest.raises(pytest.fail.Exception) as caught:
        judged(*args, **more)
    return str(caught.value)


def test_what_comes_down_in_time_is_right_and_everything_is_noted() -> None:
    evidence = judged(45, 2)
    assert evidence.warnings == []
    assert evidence.noted == {
        "size_gb": "45",
        "mbps": "100",
        "hours": "1",
        "between": "0.83-1.2h",
        "max_hours": 2.0,
        "read_bytes": 3000,
        "tried": "20Mbps over 1, 100Mbps over 8",
        "bounds": BOUNDS,
    }


def test_what_cannot_come_down_in_time_fails_and_says_what_binds() -> None:
    assert failed(45, 0.8) == f"0.8h are allowed for 45GB, and it takes 0.83-1.2h; {BOUNDS}"


def test_what_may_come_down_in_time_is_warned_of() -> None:
    for max_hours in (0.9, 1.1):
        assert judged(45, max_hours).warnings == [
            f"{max_hours}h are allowed for 45GB, and it may take 0.83-1.2h; {BOUNDS}"
        ]


def test_the_baseline_binds_beyond_the_hour_that_is_burst() -> None:
    said = failed(450, 9, baseline=Reading.of(0.05))
    assert said.startswith("9h are allowed for 450GB, and it takes 19-20h; the instance's baseline bandwidth binds (")


def test_a_baseline_that_may_not_be_asked_for_is_a_note_and_no_failure() -> None:
    evidence = judged(45, 2, baseline=DENIED)
    assert evidence.warnings == []
    assert evidence.noted["note"] == "not authorised to ec2:DescribeInstanceTypes"
    assert "baseline not known" in str(evidence.noted["bounds"])


def test_a_volume_that_is_slower_than_the_network_binds() -> None:
    slow = Reading.of(WriteSeen(folder="/mnt/training", direct=True, means_bytes_s=(50 * MBPS, 50 * MBPS)))
    assert failed(45, 1.6, write=slow).startswith(
        "1.6h are allowed for 45GB, and it takes 1.7-2.5h; the volume's write speed binds ("
    )


def test_a_volume_of_unknown_speed_is_warned_of_and_excuses_no_slow_network() -> None:
    assert judged(45, 2, write=READ_ONLY).warnings == [
        "the volume's speed is not known (Read-only file system (EROFS))"
    ]
    assert failed(45, 0.8, write=READ_ONLY).startswith("0.8h are allowed for 45GB, and it takes 0.83-1.2h; ")


def test_what_is_refused_is_warned_of_and_what_passes_is_noted() -> None:
    denied = DownloadFailure(status=403, code="AccessDenied", message="Access Denied", count=2)
    slow_down = DownloadFailure(status=503, code="SlowDown", message="Please reduce your request rate.", count=1)
    assert judged(45, 2, denied).warnings == ["a part of it is refused: 403 AccessDenied: Access Denied (2 times)"]
    evidence = judged(45, 2, slow_down)
    assert evidence.warnings == []
    assert evidence.noted["failures"] == "503 SlowDown: Please reduce your request rate."


def test_the_host_is_had_alone_while_its_network_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Host(Mock):
        @contextlib.contextmanager
        def alone(self) -> Iterator[None]:
            done.append("alone")
            yield
            done.append("no more")

        def measure_download(self, _request: object) -> DownloadSeen:
            done.append("measured")
            return DownloadSeen(trials=(run(100),), final=run(100), write=EBS)

    monkeypatch.setattr(test_phase3_data, "request_for", Mock())
    monkeypatch.setattr(test_phase3_data, "promised", lambda *_: BASELINE)
    settings = Settings(data=Data(download=Download(size_gb=45, max_hours=2)))
    test_phase3_data.test_download_speed(Host(), settings, Evidence())
    assert done == ["alone", "measured", "no more"]


def looked(pytester: pytest.Pytester, *options: str) -> dict[str, Any]:
    """Return the row, looked at in the sandbox."""
    pytester.makeini("[pytest]")
    ran = pytester.runpytest_subprocess(
        *("-p", "no:randomly", "--sandbox", "--readiness-json=r.json", "--show-capture=all", "-rA", *options),
        *("-k", "test_download_speed", "--pyargs", "matrix_tests"),
    )
    report = (pytester.path / "r.json").read_text(encoding="utf-8")
    for text in (str(ran.stdout), str(ran.stderr), report):
        assert not [word for word in ("X-Amz-", "Signature=") if word in text]
    found: dict[str, Any] = next(row for row in json.loads(report)["rows"] if row["id"] == "download-speed")
    return found


def test_the_row_measures_the_models_source_on_the_host(pytester: pytest.Pytester) -> None:
    row = looked(pytester)
    assert row["status"] == "passed"
    assert row["evidence"]["size_gb"] == "1"
    assert row["evidence"]["read_bytes"] >= 2**20
    assert row["evidence"]["tried"].endswith(" over 8")
    assert "baseline 5000Mbps, volume " in row["evidence"]["bounds"]
    assert row["summary"] == f"1GB will take {row['evidence']['hours']}h at {row['evidence']['mbps']}Mbps"


def test_a_refused_address_is_in_no_output(pytester: pytest.Pytester) -> None:
    row = looked(pytester, "--inject=dl-expired")
    assert row["status"] == "failed"
    assert row["diagnostic"] == "the host could not download: 403 AccessDenied: Request has expired (8 times)"


def test_without_a_host_nothing_is_downloaded(pytester: pytest.Pytester) -> None:
    buckets = '--pipeline-set=aws.buckets=[{name="asoba-llm-cache", from=["operator"], read=[""]}]'
    none = ("--pipeline-set=host.kind=none", "--pipeline-set=host.instance_ids=[]", buckets)
    assert looked(pytester, *none)["status"] == "not_applicable"
