"""What a host says of downloading and writing, understood or refused; and the way there and back."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr, TypeAdapter

from pytest_pipeline.connections.connection import CommandTimedOut, ConnectionFailed, Finished, OutputTooLong, Trouble
from pytest_pipeline.data.speed import Bound
from pytest_pipeline.observers.download import (
    DownloadRequest,
    FinalRequest,
    TrialRequest,
    WriteRequest,
    decode_download,
    download_program,
    measure,
)
from pytest_pipeline.observers.download_answer import DownloadFailure, DownloadSeen, download_seen
from pytest_pipeline.observers.host_answer import Printed
from pytest_pipeline.observers.presigned import SignedObject
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from collections.abc import Callable

NONCE = "c0ffee00c0ffee00"
SIGNATURE = "X-Amz-Signature=5ec2e7"
URL = f"https://s3.eu-west-1.amazonaws.com/b/k?{SIGNATURE}"
REQUEST = DownloadRequest(
    objects=(SignedObject(uri="s3://b/k", size_bytes=27 * 10**9, url=SecretStr(URL)),),
    write=WriteRequest(folder="/mnt/training"),
)
EXPIRED = {"status": 403, "code": "AccessDenied", "message": "Request has expired", "count": 8}


def run(connections: int, *batch_bytes: int, failures: tuple[Any, ...] = (), read_bytes: int | None = None) -> Any:
    return {
        "connections": connections,
        "batch_s": 2.0,
        "batch_bytes": list(batch_bytes),
        "read_bytes": sum(batch_bytes) + 5 if read_bytes is None else read_bytes,
        "failures": list(failures),
    }


def answer() -> Any:
    """What a host says where all went well."""
    runs = [run(1, 20, 20, 20), run(8, 100, 100, 160), run(16, 90, 90, 90), run(8, 90, 100, 110)]
    batches = [{"bytes": 400, "seconds": 2.0}, {"bytes": 400, "seconds": 4.0}]
    return {
        "runs": {"value": runs},
        "write": {"value": {"folder": "/mnt/training", "direct": True, "batches": batches}},
    }


def seen(value: Any) -> Reading[DownloadSeen]:
    return download_seen(Reading.of(value), (1, 8, 16), 3)


def reason(value: Any) -> str:
    reading = seen(value)
    assert reading.by == "download-speed"
    return reading.reason


def only(*runs: Any) -> Any:
    return {"runs": {"value": list(runs)}, "write": {"error": "not tried"}}


def test_a_measurement_is_understood() -> None:
    known = seen(answer()).value
    assert [trial.connections for trial in known.trials] == [1, 8, 16]
    assert (known.final.connections, known.final.means_bytes_s) == (8, (45.0, 50.0, 55.0))
    assert known.write.value.means_bytes_s == (200.0, 100.0)
    assert (known.write.value.folder, known.write.value.direct) == ("/mnt/training", True)
    assert known.read_bytes == 60 + 360 + 270 + 300 + 4 * 5


def test_what_was_tried_is_said() -> None:
    value = answer()
    for one in value["runs"]["value"]:
        one["batch_s"] = 2e-6
    assert seen(value).value.tried == "80Mbps over 1, 480Mbps over 8, 360Mbps over 16"


def test_the_limits_are_those_of_the_final_run() -> None:
    known = seen(answer()).value.limits(2.5)
    assert (known.network.mean_bytes_s, known.connections) == (50, 8)
    assert known.baseline_bytes_s == 312_500_000
    assert known.volume
    assert known.volume.mean_bytes_s == 150
    assert known.binds is Bound.NETWORK


def test_a_volume_that_could_not_be_written_is_not_known() -> None:
    value = answer()
    value["write"] = {"error": "Read-only file system: /mnt/training"}
    known = seen(value).value
    assert known.write.reason == "how fast the volume is written: Read-only file system: /mnt/training"
    assert known.limits(None).volume is None
    assert known.limits(None).baseline_bytes_s is None


def test_it_is_stored_as_json_and_read_back() -> None:
    adapter = TypeAdapter(DownloadSeen)
    known = seen(answer()).value
    assert adapter.validate_json(adapter.dump_json(known)) == known


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (only(run(1, 0, 0, 0, read_bytes=0, failures=(EXPIRED,))), "403 AccessDenied: Request has expired (8 times)"),
        (
            only(run(1, 5, 5, 5), run(8, 0, 0, 0, read_bytes=0, failures=(EXPIRED | {"status": 503, "code": "503"},))),
            "503: Request has expired (8 times)",
        ),
        (
            only(run(1, 0, 0, 0, read_bytes=0, failures=(EXPIRED | {"status": 0, "code": "SSLError", "count": 1},))),
            "SSLError: Request has expired",
        ),
        (only(run(1, 0, 0, 0, read_bytes=0)), "no byte came in time"),
        (only(run(1, 5, 5, 5), run(8, 5, 5, 5), run(16, 5, 5, 5)), "the time was over before the last run"),
        (
            only(run(1, 5, 5, 5), run(8, 5, 5, 5), run(16, 5, 5, 5), run(8, 0, 0, 0)),
            "bytes came at first, and none later",
        ),
    ],
    ids=["expired", "slow down", "certificate", "silent", "late", "stalled"],
)
def test_a_download_that_was_none_says_why(value: Any, why: str) -> None:
    assert reason(value) == f"the host could not download: {why}"


def test_what_failed_in_a_run_that_went_on_is_kept() -> None:
    value = answer()
    value["runs"]["value"][2]["failures"] = [EXPIRED]
    assert seen(value).value.trials[2].failures == (
        DownloadFailure(status=403, code="AccessDenied", message="Request has expired", count=8),
    )


@pytest.mark.parametrize("said", [URL, "signature=abc", "see X-AMZ-CREDENTIAL", "x-amz-security-token"])
def test_an_address_that_is_repeated_is_not_shown(said: str) -> None:
    failure = EXPIRED | {"message": said}
    words = "the host could not download: 403 AccessDenied: (it repeats the address) (8 times)"
    assert reason(only(run(1, 0, 0, 0, read_bytes=0, failures=(failure,)))) == words
    assert reason({"runs": {"error": said}}) == "(it repeats the address)"


# --- hosts that mean harm


def changed(change: Callable[[Any], object]) -> Any:
    value = copy.deepcopy(answer())
    change(value)
    return value


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("no runs", lambda value: value.update(runs=None)),
        ("none of them", lambda value: value.update(runs={"value": []})),
        ("no list", lambda value: value.update(runs={"value": {}})),
        ("another order", lambda value: value["runs"]["value"].reverse()),
        ("one more", lambda value: value["runs"]["value"].append(run(8, 1, 1, 1))),
        ("connections nobody asked for", lambda value: value["runs"]["value"][3].update(connections=2)),
        ("connections no number", lambda value: value["runs"]["value"][3].update(connections=True)),
        ("no time", lambda value: value["runs"]["value"][3].update(batch_s=0)),
        ("time text", lambda value: value["runs"]["value"][3].update(batch_s="1")),
        ("too few batches", lambda value: value["runs"]["value"][3].update(batch_bytes=[1, 2])),
        ("bytes below zero", lambda value: value["runs"]["value"][3].update(batch_bytes=[1, 2, -1])),
        ("bytes without end", lambda value: value["runs"]["value"][3].update(batch_bytes=[1, 2, 2**65])),
        ("more bytes than read", lambda value: value["runs"]["value"][3].update(read_bytes=7)),
        ("a failure of nothing", lambda value: value["runs"]["value"][3].update(failures=[{}])),
        ("no failures", lambda value: value["runs"]["value"][3].update(failures=None)),
    ],
)
def test_runs_that_make_no_sense_are_no_measurement(what: str, change: Callable[[Any], object]) -> None:
    assert what
    assert reason(changed(change)).startswith("the host's answer for the download makes no sense: ")


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("one batch", lambda write: write["batches"].pop()),
        ("no time", lambda write: write["batches"][0].update(seconds=0)),
        ("no bytes", lambda write: write["batches"][0].update(bytes=0)),
        ("no folder", lambda write: write.pop("folder")),
        ("no word on how", lambda write: write.update(direct=1)),
        ("no list", lambda write: write.update(batches=5)),
    ],
)
def test_a_write_that_makes_no_sense_is_not_known(what: str, change: Callable[[Any], object]) -> None:
    known = seen(changed(lambda value: change(value["write"]["value"]))).value
    assert what
    assert known.write.reason.startswith("the host's answer for how fast the volume is written makes no sense: ")


# --- the way there and back


def printed(document: Any, **more: Any) -> Printed:
    text = document if isinstance(document, str) else json.dumps(document)
    marks = f"\n@@pipeline-shell {NONCE}@@\n\n@@pipeline-facts {NONCE}@@{text}@@end {NONCE}@@\n"
    return Printed(nonce=NONCE, **{"stdout": marks.encode(), **more})


def facts(download: Any) -> Any:
    return {"python": "3.10.12", "value": {"download": download}}


def test_what_is_framed_is_decoded() -> None:
    assert decode_download(printed(facts({"value": answer()})), REQUEST) == seen(answer())


@pytest.mark.parametrize(
    ("came", "why", "by"),
    [
        (printed({"python": "3.6.9"}), "the host's Python is older than 3.7", "python-version"),
        (printed("{"), "the host's answer makes no sense: it is no JSON: ", "ssh-access"),
        (printed(facts({"error": "no answer within 27 s"})), "the probe download: no answer within 27 s", "ssh-access"),
        (printed({"python": "3.9.1", "value": {}}), "the host's answer for the probe download makes no ", "ssh-access"),
        (printed({"python": "3.9.1", "error": "RuntimeError: x"}), "the probe: RuntimeError: x", "ssh-access"),
        (
            printed(facts({"value": 5})),
            "the host's answer for the download makes no sense: it is no ",
            "download-speed",
        ),
        (
            printed("", stdout=f"@@pipeline-shell {NONCE}@@".encode(), stderr=b"killed", exit_status=137),
            "python3 on the host gave no answer (exit status 137): killed",
            "python-version",
        ),
        (
            printed("", stdout=f"@@pipeline-shell {NONCE}@@".encode(), stderr=f"main('{URL}')".encode()),
            "(it repeats the address)",
            "python-version",
        ),
    ],
    ids=["old", "cut", "late", "absent", "broken", "no object", "killed", "echo"],
)
def test_an_answer_that_is_none_says_why(came: Printed, why: str, by: str) -> None:
    reading = decode_download(came, REQUEST)
    assert reading.reason.startswith(why)
    assert reading.by == by


class Way:
    """A connection on which one thing happens."""

    def __init__(self, what: Finished | Exception) -> None:
        self._what = what
        self.sent = b""
        self.command = ""
        self.timeout_s = 0.0

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float) -> Finished:
        self.command, self.sent, self.timeout_s = command, stdin, timeout_s
        if isinstance(self._what, Exception):
            raise self._what
        return self._what

    def hold(self, command: str, *, stdin: bytes, until: bytes, timeout_s: float) -> Any:
        raise AssertionError((command, stdin, until, timeout_s))

    def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (CommandTimedOut(timeout_s=32), "the host did not answer the probe within 32 s"),
        (ConnectionFailed(Trouble.DROPPED, "lost"), "lost"),
        (OutputTooLong(16), "the host's answer has no end: the command printed more than 16 bytes and was ended"),
    ],
    ids=["late", "lost", "endless"],
)
def test_a_way_that_fails_is_a_missing_reading(happens: Exception, why: str) -> None:
    assert measure(Way(happens), REQUEST) == Reading.missing(why, by="ssh-access")


def test_the_address_is_in_standard_input_and_nowhere_else() -> None:
    way = Way(Finished(exit_status=127, stdout=b"", stderr=b""))
    measure(way, REQUEST)
    assert SIGNATURE.encode() in way.sent
    assert SIGNATURE not in way.command
    assert SIGNATURE not in repr(REQUEST)


def test_by_default_it_is_over_in_half_a_minute() -> None:
    way = Way(Finished(exit_status=0, stdout=b"", stderr=b""))
    measure(way, REQUEST)
    assert REQUEST.lasts_s == 22
    assert way.timeout_s == 32


def test_the_program_holds_its_own_deadline_back_for_the_write() -> None:
    assert b'"deadline_s": 22.0' in download_program(REQUEST, NONCE, 27.0)


def test_a_longer_or_shorter_measurement_has_the_same_shares() -> None:
    assert DownloadRequest.lasting(17.0, REQUEST.objects, REQUEST.write) == REQUEST
    twice = DownloadRequest.lasting(34.0, REQUEST.objects, REQUEST.write)
    assert twice.lasts_s == 34 + REQUEST.write.seconds
    assert twice.trials[1] == TrialRequest(connections=8, seconds=4.0, dropped_s=1.5)
    assert twice.final == FinalRequest(seconds=22.0, dropped_s=3.0)


def test_a_very_short_measurement_does_not_look_for_the_best_number_of_connections() -> None:
    brief = DownloadRequest.lasting(1.7, REQUEST.objects, REQUEST.write)
    (trial,) = brief.trials
    assert (trial.connections, trial.dropped_s) == (8, 0)
    assert trial.seconds == pytest.approx(0.6)
    assert brief.lasts_s == pytest.approx(1.7 + REQUEST.write.seconds)
