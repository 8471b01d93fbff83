"""From what a host printed to readings: recorded shapes of hosts, and everything a broken or hostile one may say."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from pytest_pipeline.connections.connection import (
    CommandTimedOut,
    ConnectionFailed,
    Finished,
    Opened,
    OutputTooLong,
    Trouble,
)
from pytest_pipeline.connections.local import LocalConnection, open_local
from pytest_pipeline.observers.host import look_at_host, write_from_host
from pytest_pipeline.observers.host_answer import Printed, all_missing, decode, decode_writes
from pytest_pipeline.observers.host_readings import HostReadings, Volume
from pytest_pipeline.observers.host_request import BucketRequest, HostRequest, S3Request, VolumeRequest
from pytest_pipeline.observers.s3_attempt import S3Attempt
from pytest_pipeline.observers.untrusted import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_pipeline.outcome import Reading

FACTS = sorted((Path(__file__).parent / "facts").glob("*.json"))
NONCE = "c0ffee00c0ffee00"
SHELL = f"\n@@pipeline-shell {NONCE}@@\n"
AWS = {"id": "i-0abc", "type": "g5.xlarge", "region": "us-east-1", "zone": "us-east-1a", "account": "1", "image": "",
       "ephemeral": []}  # fmt: skip
S3 = {
    "source": "instance role trainer", "key_ends": "WXYZ",
    "access": [{"bucket": "b", "prefix": "p/", "left": [], "attempts": [
        {"action": "s3:ListBucket", "resource": "arn:aws:s3:::b", "ok": False, "status": 403, "code": "AccessDenied",
         "message": "no", "retries": 1, "region": "us-east-1"}]}],
}  # fmt: skip


def framed(document: str) -> bytes:
    return f"{SHELL}\n@@pipeline-facts {NONCE}@@{document}@@end {NONCE}@@\n".encode()


def printed(stdout: bytes, **more: Any) -> Printed:
    return Printed(nonce=NONCE, stdout=stdout, **{"sent_at": 1000.0, "got_at": 1001.0, **more})


def request_of(asked: dict[str, Any]) -> HostRequest:
    volumes = tuple(VolumeRequest(path=one["path"], reuse=tuple(one["reuse"])) for one in asked["volumes"])
    return HostRequest(volumes=volumes, metadata=asked.get("metadata", False))


def recorded(name: str) -> tuple[dict[str, Any], HostRequest]:
    record = json.loads((Path(__file__).parent / "facts" / f"{name}.json").read_text())
    return record["document"], request_of(record["request"])


def told(volume: Volume) -> dict[str, Any]:
    """What a record may expect of a volume."""
    return {
        "kind": volume.kind.value,
        "exists": volume.exists,
        "is_mount": volume.is_mount,
        "real_path": volume.real_path,
        "judged_path": volume.judged_path,
        "mount_point": volume.mount.point,
        "read_only": volume.mount.read_only,
        "same_device_as_root": volume.same_device_as_root,
        "volume_ids": list(volume.volume_ids),
        "layers": list(volume.disks.value[0].layers) if volume.disks.value else [],
        "free_bytes": volume.free_bytes,
        "free_inodes": volume.free_inodes,
        "writable": volume.write.value.ok,
        "write_errno": volume.write.value.errno,
        "comes_back": volume.reboot.value.comes_back,
        "reusable_bytes": sum(one.value.allocated_bytes for one in volume.reuse.values()),
    }


# --- shapes of hosts


@pytest.mark.parametrize("record", FACTS, ids=lambda path: path.stem)
def test_a_recorded_host(record: Path) -> None:
    """Each record is what the probe prints on such a host, and what must be understood of it."""
    known = json.loads(record.read_text())
    stdout = known["before"].encode() + framed(json.dumps(known["document"]))
    readings = decode(printed(stdout), request_of(known["request"]))
    for path, expected in known["expected"].items():
        seen = told(readings.volumes[path].value)
        assert {name: seen[name] for name in expected} == expected
    assert readings.shell.value
    assert readings.python_version.value == "3.10.12"
    assert readings.identity.value.user == "ubuntu"
    assert readings.clock_offset_s.value == 0
    assert readings.took_s == 1.0


@pytest.mark.parametrize("record", FACTS, ids=lambda path: path.stem)
def test_readings_are_stored_as_json_and_read_back(record: Path) -> None:
    known = json.loads(record.read_text())
    readings = decode(printed(framed(json.dumps(known["document"]))), request_of(known["request"]))
    adapter = TypeAdapter(HostReadings)
    assert adapter.validate_json(adapter.dump_json(readings)) == readings


def full_document() -> tuple[dict[str, Any], HostRequest]:
    """A document with everything in it."""
    document, request = recorded("ebs_on_nvme")
    document["value"]["host"]["value"]["instance"] = {"value": dict(AWS)}
    document["value"]["s3"] = {"value": copy.deepcopy(S3)}
    s3 = S3Request(buckets=(BucketRequest(name="b", read=("p/",)),))
    return document, replace(request, metadata=True, s3=s3)


def test_everything_at_once() -> None:
    document, request = full_document()
    readings = decode(printed(framed(json.dumps(document))), request)
    assert readings.instance.value.type == "g5.xlarge"
    (access,) = readings.s3_reads.value
    assert (access.bucket, access.prefix, access.identity) == ("b", "p/", "host")
    assert access.credentials == "instance role trainer, ...WXYZ"
    (attempt,) = access.failed
    assert attempt == S3Attempt(
        action="s3:ListBucket", resource="arn:aws:s3:::b", ok=False, status=403, code="AccessDenied", message="no",
        retries=1, region="us-east-1",
    )  # fmt: skip
    assert attempt.denied
    adapter = TypeAdapter(HostReadings)
    assert adapter.validate_json(adapter.dump_json(readings)) == readings


# --- hosts that do not answer


def gap(reading: Reading[Any]) -> tuple[str, str]:
    assert not reading.is_known
    return reading.reason, reading.by


REQUEST = HostRequest(volumes=(VolumeRequest(path="/mnt/training"),))


@pytest.mark.parametrize(
    ("stdout", "stderr", "status", "reason"),
    [
        (
            b"This account is currently not available.\n", b"", 1,
            "logged in, but the host does not run commands for this user (exit status 1): "
            "it said 'This account is currently not available.'",
        ),
        (
            b'Please login as the user "ubuntu" rather than the user "root".\n\n', b"", 142,
            "logged in, but the host does not run commands for this user (exit status 142): "
            "it said 'Please login as the user \"ubuntu\" rather than the user \"root\".'",
        ),
        (b"", b"", 0, "logged in, but the host does not run commands for this user (exit status 0)"),
    ],
    ids=["nologin", "root of ec2", "nothing"],
)  # fmt: skip
def test_no_shell(stdout: bytes, stderr: bytes, status: int, reason: str) -> None:
    readings = decode(printed(stdout, stderr=stderr, exit_status=status), REQUEST)
    for reading in (readings.shell, readings.python_version, readings.identity, readings.volumes["/mnt/training"]):
        assert gap(reading) == (reason, "ssh-access")


@pytest.mark.parametrize(
    ("stderr", "status", "reason"),
    [
        (b"bash: exec: python3: not found\n", 127, "python3 was not found on the host: bash: exec: python3: not found"),
        (b"", 127, "python3 was not found on the host: exit status 127"),
        (
            b"Traceback ...\nImportError: libpython3.so\n", 1,
            "python3 on the host gave no answer (exit status 1): ImportError: libpython3.so",
        ),
        (b"", 137, "python3 on the host gave no answer (exit status 137): it said nothing"),
    ],
)  # fmt: skip
def test_no_python(stderr: bytes, status: int, reason: str) -> None:
    readings = decode(printed(SHELL.encode(), stderr=stderr, exit_status=status), REQUEST)
    assert readings.shell.value
    for reading in (readings.python_version, readings.identity, readings.volumes["/mnt/training"], readings.s3_reads):
        assert gap(reading) == (reason, "python-version")


def test_too_old_a_python_is_known_and_the_rest_is_not() -> None:
    document = {"format": 1, "python": "3.6.15", "clock_start": 1000.5, "clock_end": 1000.7}
    readings = decode(printed(framed(json.dumps(document))), REQUEST)
    assert readings.python_version.value == "3.6.15"
    assert readings.clock_offset_s.is_known
    assert gap(readings.volumes["/mnt/training"]) == (
        "the host's Python is 3.6.15, and the facts need 3.7 or later", "python-version"
    )  # fmt: skip


def test_a_path_that_did_not_come_back() -> None:
    document, _ = recorded("ebs_on_nvme")
    readings = decode(printed(framed(json.dumps(document))), REQUEST)
    assert readings.volumes["/mnt/training"].is_known
    request = HostRequest(volumes=(VolumeRequest(path="/scratch"), VolumeRequest(path="/mnt/training", reuse=("/m",))))
    readings = decode(printed(framed(json.dumps(document))), request)
    assert gap(readings.volumes["/scratch"]) == ("the host did not answer for /scratch", "ssh-access")
    assert gap(readings.volumes["/mnt/training"].value.reuse["/m"]) == ("the host did not answer for /m", "ssh-access")


def test_a_bucket_that_did_not_come_back() -> None:
    document, request = full_document()
    s3 = S3Request(buckets=(BucketRequest(name="b", read=("p/", "q/")),))
    readings = decode(printed(framed(json.dumps(document))), replace(request, s3=s3))
    assert gap(readings.s3_reads) == ("the host did not answer for s3://b/q/", "ssh-access")


def test_readings_fail_alone() -> None:
    document, request = full_document()
    volume = document["value"]["volumes"]["value"]["/mnt/training"]["value"]
    volume["space"] = {"error": "Stale file handle: /mnt/training"}
    volume["quota"] = {"error": "Operation not permitted"}
    document["value"]["host"]["value"]["instance"] = {"error": "timed out"}
    readings = decode(printed(framed(json.dumps(document))), request)
    seen = readings.volumes["/mnt/training"].value
    assert gap(seen.space) == ("the space of /mnt/training: Stale file handle: /mnt/training", "disk-space")
    assert gap(seen.quota) == ("the quota of /mnt/training: Operation not permitted", "disk-space")
    assert seen.write.value.ok
    assert gap(readings.instance) == ("the instance's metadata: timed out", "instance-identity")
    with pytest.raises(pytest.fail.Exception, match="Stale file handle"):
        _ = seen.free_bytes


@pytest.mark.parametrize(
    ("ahead_s", "known_s"), [(0.4, 0.1), (0.2, 0), (-0.2, 0), (-0.6, -0.1), (900, 899.7), (-900, -899.5)]
)
def test_the_clock_is_off_by_at_least(ahead_s: float, known_s: float) -> None:
    document, request = recorded("ebs_on_nvme")
    document.update(clock_start=1000.5 + ahead_s, clock_end=1000.7 + ahead_s)
    readings = decode(printed(framed(json.dumps(document))), request)
    assert readings.clock_offset_s.value == pytest.approx(known_s)


def test_a_hanging_mount_is_the_volumes_own_gap() -> None:
    document, _ = recorded("ebs_on_nvme")
    document["value"]["volumes"]["value"]["/mnt/training"] = {"error": "no answer within 5 s", "reuse": {}}
    readings = decode(printed(framed(json.dumps(document))), REQUEST)
    assert gap(readings.volumes["/mnt/training"]) == ("/mnt/training: no answer within 5 s", "ebs-volume")


# --- hosts that are broken, or mean harm


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ("", "it is no JSON: "),
        ('{"format": 1, "pyth', "it is no JSON: "),
        ("[1, 2]", "it is no JSON: the document is no object"),
        ('{"clock_start": NaN}', "it is no JSON: NaN is no number"),
        ("[" * 100_000, "it is no JSON: "),
        ('{"a": ' + "9" * 5000 + "}", "it is no JSON: "),
        ('{"a": "' + "x" * (5 * 1024 * 1024) + '"}', "it has 5242889 bytes, more than 4194304"),
    ],
    ids=["empty", "cut", "a list", "nan", "deep", "a huge number", "oversize"],
)
def test_a_document_that_makes_no_sense(document: str, why: str) -> None:
    readings = decode(printed(framed(document)), REQUEST)
    reason, by = gap(readings.volumes["/mnt/training"])
    assert reason.startswith(f"the host's answer makes no sense: {why}")
    assert by == "ssh-access"


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def with_value(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed = json.loads(json.dumps(document))
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


ODD: list[Any] = [
    None,
    True,
    -1,
    1.5,
    10**30,
    -(10**400),
    "\x1b[31mred\x1b[0m\x00",
    [],
    [1],
    {},
    {"value": {}},
    {"error": 1},
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd)[:20])
def test_no_odd_value_anywhere_raises_or_gets_through(odd: Any) -> None:
    """Whatever is put in whatever place: readings come out, they can be stored, and nothing acts on a terminal."""
    document, request = full_document()
    adapter = TypeAdapter(HostReadings)
    for path in places(document):
        spoilt = with_value(document, path, odd)
        readings = decode(printed(framed(json.dumps(spoilt))), request)
        stored = adapter.dump_json(readings)
        assert adapter.validate_json(stored) == readings
        assert b"\\u001b" not in stored
        assert b"\\u0000" not in stored


def test_texts_are_made_printable() -> None:
    assert printable("\x1b[31mred\x1b[0m and \x1b]0;title\x07plain") == "red and plain"
    assert printable("one\r\ntwo\ttab") == "one two tab"
    assert printable("bell\x07 and \x9b31m") == "bell? and ?31m"
    assert printable("right\u202eleft \ud800") == "right?left ?"
    assert printable("données \U0001f600") == "données \U0001f600"
    assert printable("x" * 1000) == "x" * 497 + "..."


def test_a_negative_or_fractional_size_is_no_size() -> None:
    for size in (-1, 1.5, True, "1", 2**64 + 1):
        document, _ = recorded("ebs_on_nvme")
        document["value"]["volumes"]["value"]["/mnt/training"]["value"]["space"]["value"]["available_bytes"] = size
        seen = decode(printed(framed(json.dumps(document))), REQUEST).volumes["/mnt/training"].value
        assert gap(seen.space) == (
            "the host's answer for the space of /mnt/training makes no sense: available_bytes is no whole number",
            "disk-space",
        )


def test_a_whole_key_id_is_not_taken() -> None:
    document, request = full_document()
    document["value"]["s3"]["value"]["key_ends"] = "AKIAIOSFODNN7EXAMPLE"
    reason, _ = gap(decode(printed(framed(json.dumps(document))), request).s3_reads)
    assert reason == "the host's answer for S3 makes no sense: key_ends is longer than four characters"


def test_a_frame_of_somebody_else_is_not_ours() -> None:
    document, _ = recorded("ebs_on_nvme")
    stdout = framed(json.dumps(document)).replace(NONCE.encode(), b"0123456789abcdef")
    assert gap(decode(printed(stdout), REQUEST).volumes["/mnt/training"])[1] == "ssh-access"


# --- the round trip


@dataclass
class Recording(LocalConnection):
    """A connection that does what a test says, and counts."""

    answer: Any
    commands: list[str] = field(default_factory=list)

    def run(self, command: str, *, stdin: bytes = b"", timeout_s: float) -> Finished:
        self.commands.append(command)
        if isinstance(self.answer, Exception):
            raise self.answer
        finished: Finished = self.answer(command, stdin, timeout_s)
        return finished


def local(command: str, stdin: bytes, timeout_s: float) -> Finished:
    return LocalConnection().run(command, stdin=stdin, timeout_s=timeout_s)


def test_one_round_trip_brings_all(tmp_path: Path) -> None:
    s3 = S3Request(buckets=(BucketRequest(name="b", read=("p/",)),), network_credentials=False, profile="nobody")
    request = HostRequest(volumes=(VolumeRequest(path=str(tmp_path)), VolumeRequest(path="~")), s3=s3)
    connection = Recording(local)
    readings = look_at_host(connection, request, 20.0)
    assert len(connection.commands) == 1
    assert readings.volumes[str(tmp_path)].value.write.value.ok
    assert readings.volumes["~"].value.exists
    (access,) = readings.s3_reads.value
    assert access.attempts[0].code == "ProfileNotFound"
    assert abs(readings.clock_offset_s.value) < 1
    assert list(tmp_path.iterdir()) == []


def test_an_opened_connection_will_do() -> None:
    assert look_at_host(open_local(), HostRequest(), 20.0).python_version.is_known


def test_modules_of_the_folder_that_commands_start_in_are_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path)
    assert look_at_host(open_local(), HostRequest(), 20.0).identity.is_known


@pytest.mark.parametrize(
    "noise", ["echo '@@pipeline-facts 00@@{}@@end 00@@'", "printf '\\033[2J{\"a\":1}'", "echo x >&2"]
)
def test_noise_around_the_answer(noise: str) -> None:
    connection = Recording(lambda command, stdin, timeout_s: local(f"{noise}; ({command}); {noise}", stdin, timeout_s))
    assert look_at_host(connection, HostRequest(), 20.0).identity.is_known


def test_a_shell_that_echoes_its_input() -> None:
    connection = Recording(
        lambda command, stdin, timeout_s: local(f"exec 3>&1; tee /dev/fd/3 | ({command})", stdin, timeout_s)
    )
    assert look_at_host(connection, HostRequest(), 20.0).identity.is_known


def test_a_python_that_is_not_on_the_path_is_found_where_systems_have_it(tmp_path: Path) -> None:
    if not any(Path(place, "python3").exists() for place in ("/usr/bin", "/usr/local/bin")):
        pytest.skip("there is no python3 in /usr/bin or /usr/local/bin")
    connection = Recording(lambda command, stdin, timeout_s: local(f"PATH={tmp_path}; {command}", stdin, timeout_s))
    readings = look_at_host(connection, HostRequest(), 20.0)
    assert readings.shell.value
    assert readings.python_version.value
    assert readings.identity.value.user


@pytest.mark.parametrize(
    ("error", "reason", "remedy"),
    [
        (ConnectionFailed(Trouble.DROPPED, "connection lost", remedy="ping it"), "connection lost", "ping it"),
        (CommandTimedOut(timeout_s=9), "the host did not answer the probe within 9 s", ""),
        (
            OutputTooLong(16), "the host's answer has no end: the command printed more than 16 bytes and was ended", "",
        ),
    ],
)  # fmt: skip
def test_a_connection_that_fails(error: Exception, reason: str, remedy: str) -> None:
    readings = look_at_host(Recording(error), REQUEST, 9.0)
    for reading in (readings.shell, readings.python_version, readings.volumes["/mnt/training"], readings.s3_reads):
        assert gap(reading) == (reason, "ssh-access")
        assert reading.remedy == remedy
    written = write_from_host(Recording(error), S3Request(buckets=()), 9.0)
    assert (gap(written), written.remedy) == ((reason, "ssh-access"), remedy)


def test_an_answer_that_came_before_the_command_hung_counts() -> None:
    def hang(command: str, stdin: bytes, timeout_s: float) -> Finished:
        finished = local(command, stdin, timeout_s)
        raise CommandTimedOut(timeout_s=timeout_s, stdout=finished.stdout)

    assert look_at_host(Recording(hang), HostRequest(), 20.0).identity.is_known


def test_nothing_is_known_of_a_host_that_was_not_reached() -> None:
    readings = all_missing(REQUEST, "refused", by="ssh-access")
    assert gap(readings.volumes["/mnt/training"]) == ("refused", "ssh-access")
    assert isinstance(open_local(), Opened)


# --- writing


def test_writes_are_decoded_alike() -> None:
    document = {"format": 1, "python": "3.10.12", "value": {"s3": {"value": S3}}}
    stdout = framed(json.dumps(document))
    (access,) = decode_writes(printed(stdout), (("b", "p/"),)).value
    assert access.failed[0].code == "AccessDenied"
    assert gap(decode_writes(printed(stdout), (("b", "q/"),))) == (
        "the host did not answer for s3://b/q/",
        "ssh-access",
    )
    old = framed('{"format": 1, "python": "3.6.15"}')
    assert gap(decode_writes(printed(old), ())) == ("the host's Python is older than 3.7", "python-version")


def test_writing_says_what_the_host_has_no_credentials_for() -> None:
    bucket = BucketRequest(name="b", write=("p/",), probe_key="p/probe")
    request = S3Request(buckets=(bucket,), network_credentials=False, profile="nobody")
    (access,) = write_from_host(Recording(local), request, 20.0).value
    (attempt,) = access.attempts
    assert (attempt.action, attempt.resource, attempt.code) == (
        "s3:PutObject", "arn:aws:s3:::b/p/probe", "ProfileNotFound"
    )  # fmt: skip
    assert access.left == ()
