"""Downloads and writes as the host measures them, against servers that throttle, refuse, hang and lie."""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from http_script import Answer, Asked, Server, answering
from probe_parts import PYTHONS, part, parts, working_python
from pydantic import SecretStr

from pytest_pipeline.connections.local import LocalConnection
from pytest_pipeline.observers.download import (
    DownloadRequest,
    FinalRequest,
    TrialRequest,
    WriteRequest,
    download_program,
    measure,
)
from pytest_pipeline.observers.presigned import SignedObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MIB = 2**20
SIGNATURE = "X-Amz-Signature=5ec2e7"
CHUNK = 16384


@pytest.fixture(autouse=True)
def host_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a host without a proxy."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.endswith("_CA_BUNDLE")]:
        monkeypatch.delenv(name)


@contextlib.contextmanager
def serving(rate_bytes_s: float, *, tls: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Run a server of zeros that sends each connection so many bytes a second; yield its URL and the ranges asked."""
    ended, ranges = threading.Event(), []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            ranges.append(f"{self.path.partition('?')[0]} {self.headers['range']}")
            first, last = map(int, self.headers["range"].removeprefix("bytes=").split("-"))
            self.send_response(206)
            self.send_header("content-length", str(last + 1 - first))
            self.end_headers()
            left = last + 1 - first
            with contextlib.suppress(OSError):  # the client leaves when its time is over
                while left and not ended.wait(CHUNK / rate_bytes_s):
                    left -= self.wfile.write(bytes(min(left, CHUNK)))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 64

        def handle_error(self, *_: Any) -> None:
            """Say nothing of clients that leave."""

    with Quiet(("127.0.0.1", 0), Handler) as listener:
        if tls:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True)
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http{'s' if tls else ''}://127.0.0.1:{listener.server_port}/b/k?{SIGNATURE}", ranges
        finally:
            ended.set()
            listener.shutdown()
            thread.join()


def signed(url: str, size_bytes: int = 256 * MIB) -> SignedObject:
    return SignedObject(uri="s3://b/k", size_bytes=size_bytes, url=SecretStr(url))


def asked(folder: Path, *objects: SignedObject, counts: tuple[int, ...] = (1,), **more: Any) -> DownloadRequest:
    write = WriteRequest(folder=str(folder), most_bytes=32 * MIB, seconds=0.2)
    trials = tuple(TrialRequest(connections=count, seconds=0.3, dropped_s=0.1) for count in counts)
    final = FinalRequest(seconds=0.4, dropped_s=0.1)
    return DownloadRequest(
        objects=objects, **{"write": write, "trials": trials, "final": final, "timeout_s": 2.0, **more}
    )


def look(request: DownloadRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the probe answers in this process."""
    held: dict[str, Any] = {}
    monkeypatch.setattr("pytest_pipeline.observers.download.program_of", lambda probes, *_: held.update(probes))
    download_program(request, "n0nce", 20.0)
    answer = part("download").read(held["download"], parts())
    assert isinstance(answer, dict)
    assert SIGNATURE not in str(answer)
    return answer


def failures(answer: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [(one["status"], one["code"], one["message"]) for run in answer["runs"]["value"] for one in run["failures"]]


@contextlib.contextmanager
def saying(answer: Callable[[Asked], Answer]) -> Iterator[tuple[Server, SignedObject]]:
    with answering(answer) as server:
        yield server, signed(f"{server.url}/b/k?{SIGNATURE}")


# --- downloading


def test_eight_throttled_connections_are_faster_than_one(tmp_path: Path) -> None:
    with serving(1.6e6) as (url, ranges):
        seen = measure(LocalConnection(), asked(tmp_path, signed(url), counts=(1, 8))).value
    one, eight = seen.trials
    assert (one.connections, eight.connections, seen.final.connections) == (1, 8, 8)
    assert 3 < seen.final.mean_bytes_s / one.mean_bytes_s < 24
    assert 3 < eight.mean_bytes_s / one.mean_bytes_s < 24
    assert one.failures == eight.failures == seen.final.failures == ()
    assert ranges[0] == "/b/k bytes=0-8388607"
    assert len(ranges) == len(set(ranges)) == 17


def test_no_run_begins_that_would_end_after_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(16e6) as (url, _):
        request = asked(tmp_path, signed(url), counts=(1, 2), final=FinalRequest(seconds=60.0))
        answer = look(request, monkeypatch)
    assert [run["connections"] for run in answer["runs"]["value"]] == [1, 2]
    assert answer["write"]["value"]["folder"] == str(tmp_path)


@pytest.mark.parametrize("name", PYTHONS)
def test_it_runs_under_every_python_here(name: str, tmp_path: Path) -> None:
    python = working_python(name)
    if not python:
        pytest.skip(f"no working {name} on this machine")
    with serving(16e6) as (url, _):
        program = download_program(asked(tmp_path, signed(url), counts=(2,)), "n0nce", 20.0)
        done = subprocess.run([python, "-I", "-"], input=program, capture_output=True, timeout=60, check=False)
    assert done.stderr == b""
    assert re.search(rb'"read_bytes": [1-9]\d*', done.stdout)
    assert b'"batches": [{"bytes": ' in done.stdout
    assert SIGNATURE.encode() not in done.stdout


def test_what_comes_in_slow_start_or_at_the_end_is_in_no_batch() -> None:
    module, now = part("download"), {"s": 100.0}
    module.time = SimpleNamespace(monotonic=lambda: now["s"])
    worker = module.Worker(module.Clock(4.0, 1.0, 3, 5.0), None, None, None)
    for now["s"], size in ((100.9, 1000), (101.0, 1), (101.9, 2), (103.9, 4), (104.1, 1000)):
        worker._count(size)
    assert worker.batch_bytes == [3, 0, 4]
    assert worker.read_bytes == 2007


def test_small_objects_are_taken_one_after_the_other_and_round_again() -> None:
    module = part("download")
    ranges = module.Ranges([{"url": "a", "bytes": 9 * MIB}, {"url": "b", "bytes": 0}, {"url": "c", "bytes": 5}])
    got = [(one["url"], first, last) for one, first, last in (ranges.next() for _ in range(5))]
    whole = [("a", 0, 8 * MIB - 1), ("a", 8 * MIB, 9 * MIB - 1), ("c", 0, 4)]
    assert got == whole + whole[:2]


def test_objects_that_are_too_small_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(lambda _: Answer(206, b"")) as (server, one):
        tiny = signed(one.url.get_secret_value(), 4 * MIB - 1)
        answer = look(asked(tmp_path, tiny, tiny), monkeypatch)
    assert answer == {
        "runs": {"error": "8388606 bytes are too small to measure a speed with: "
                          "at least 8388608 are needed, in one object or several"},
        "write": {"error": "not tried: nothing could be downloaded"},
    }  # fmt: skip
    assert server.asked == []


def xml(code: str, message: str) -> str:
    return f"<Error><Code>{code}</Code><Message>{message}</Message><StringToSign>{SIGNATURE}</StringToSign></Error>"


@pytest.mark.parametrize(
    ("said", "failure", "times"),
    [
        (Answer(403, xml("AccessDenied", "Request has expired")), (403, "AccessDenied", "Request has expired"), 1),
        (Answer(404, xml("NoSuchKey", "gone")), (404, "NoSuchKey", "gone"), 1),
        (Answer(503, xml("SlowDown", "less")), (503, "SlowDown", "less"), 3),
        (Answer(200, b"x" * 1000), (200, "NoRanges", "the whole object is sent, whatever range is asked for"), 1),
        (Answer(302, "", {"location": "http://127.0.0.1:1/"}), (302, "302", "Found"), 3),
    ],
    ids=["expired", "gone", "slow down", "no ranges", "redirected"],
)
def test_what_is_no_part_is_told_by_its_code(
    said: Answer, failure: Any, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with saying(lambda _: said) as (server, one):
        trials = (TrialRequest(connections=1, seconds=3.0, dropped_s=0.1),) * 2
        answer = look(asked(tmp_path, one, trials=trials), monkeypatch)
    assert failures(answer) == [failure]
    assert len(answer["runs"]["value"]) == 1
    assert answer["runs"]["value"][0]["failures"][0]["count"] == len(server.asked) == times
    assert answer["write"] == {"error": "not tried: nothing could be downloaded"}


def test_a_server_that_hangs_costs_no_more_than_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()
    with saying(lambda _: Answer(-1)) as (_, one):
        answer = look(asked(tmp_path, one, counts=(2, 8), timeout_s=30.0), monkeypatch)
        took_s = time.monotonic() - started
    ((status, code, message),) = failures(answer)
    assert (status, code) == (0, "ReadTimeoutError")
    assert message.endswith(" did not answer in time")
    assert took_s < 10


def test_a_port_where_nobody_listens(tmp_path: Path) -> None:
    with answering(lambda _: Answer()) as server:
        url = f"{server.url}/b/k?{SIGNATURE}"
    seen = measure(LocalConnection(), asked(tmp_path, signed(url)))
    assert seen.by == "download-speed"
    assert re.fullmatch(
        rf"the host could not download: EndpointConnectionError: {server.address} cannot be reached: "
        r"\[Errno 111\] Connection refused \([23] times\)",
        seen.reason,
    )


def test_a_connection_that_dies_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = iter(range(1000))

    def answer(asked: Asked) -> Answer:
        if next(turns) in {0, 1}:
            return Answer(0)
        first, last = map(int, asked.headers["range"].removeprefix("bytes=").split("-"))
        return Answer(206, bytes(last + 1 - first))

    with saying(answer) as (_, one):
        trials = (TrialRequest(connections=3, seconds=1.5, dropped_s=0.1),)
        request = asked(tmp_path, one, trials=trials, final=FinalRequest(seconds=1.0, dropped_s=0.1))
        trial, final = look(request, monkeypatch)["runs"]["value"]
    assert sum(trial["batch_bytes"]) > 0
    assert [(one["code"], one["count"]) for one in trial["failures"]] == [("ConnectionClosedError", 2)]
    assert final["failures"] == []


def test_a_part_that_is_cut_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(lambda _: Answer(206, b"x", {"content-length": "8388608"})) as (server, one):
        answer = look(asked(tmp_path, one), monkeypatch)
    assert failures(answer)[0] == (
        0, "ConnectionClosedError", f"{server.address} closed the connection: 8388607 bytes of a range were missing"
    )  # fmt: skip


def test_headers_that_were_signed_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(lambda _: Answer(403)) as (server, one):
        look(asked(tmp_path, replace(one, headers={"x-amz-request-payer": "requester"})), monkeypatch)
    assert server.asked[0].headers["x-amz-request-payer"] == "requester"
    assert server.asked[0].query == {"X-Amz-Signature": "5ec2e7"}


def test_a_proxy_of_the_environment_is_gone_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with saying(lambda _: Answer(407)) as (server, _):
        monkeypatch.setenv("http_proxy", f"http://me:p%40ss@{server.address}")
        answer = look(asked(tmp_path, signed(f"http://s3.example/b/k?{SIGNATURE}")), monkeypatch)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        look(asked(tmp_path, signed(f"{server.url}/b/direct")), monkeypatch)
    assert failures(answer) == [(407, "407", "Proxy Authentication Required")]
    first, direct = server.asked
    assert first.headers["proxy-authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"
    assert first.headers["host"] == "s3.example"
    assert "proxy-authorization" not in direct.headers


def test_a_tunnel_is_asked_for_where_the_address_is_encrypted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(lambda _: Answer()) as server:  # which has no CONNECT
        monkeypatch.setenv("https_proxy", server.address)
        answer = look(asked(tmp_path, signed(f"https://s3.example/b/k?{SIGNATURE}")), monkeypatch)
    assert "Tunnel connection failed: 501" in failures(answer)[0][2]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of our own for 127.0.0.1, with its key in one file."""
    made, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=gate -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    made.write_text(key.read_text() + made.read_text())
    return made


def test_certificates_are_verified_with_the_bundle_of_the_host(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(16e6, tls=context) as (url, _):
        stranger = look(asked(tmp_path, signed(url)), monkeypatch)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        known = look(asked(tmp_path, signed(url)), monkeypatch)
    assert failures(stranger)[0][1] == "SSLError"
    assert known["runs"]["value"][0]["read_bytes"] > 0


def test_an_address_with_a_blank_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = look(asked(tmp_path, signed(f"http://127.0.0.1/a b?{SIGNATURE}")), monkeypatch)
    assert answer["runs"] == {"error": "an address has characters that no address has"}


# --- writing

PLAN = {"most_bytes": 32 * MIB, "share": 0.1, "seconds": 0.3, "batches": 4}


def test_a_volume_is_written_and_nothing_is_left(tmp_path: Path) -> None:
    answer = part("download").write({**PLAN, "folder": str(tmp_path / "absent" / "yet")}, part("volumes"))
    assert answer["folder"] == str(tmp_path)
    assert 1 < len(answer["batches"]) <= 4
    assert sum(batch["bytes"] for batch in answer["batches"]) <= 32 * MIB
    assert all(batch["seconds"] > 0 for batch in answer["batches"])
    assert list(tmp_path.iterdir()) == []


def test_a_slow_volume_is_written_for_no_longer_than_two_blocks_need(tmp_path: Path) -> None:
    answer = part("download").write({**PLAN, "folder": str(tmp_path), "seconds": 0.0}, part("volumes"))
    assert [batch["bytes"] for batch in answer["batches"]] == [4 * MIB] * 2


class Os:
    """The real os, with something else in some places."""

    def __init__(self, **instead: Any) -> None:
        self._instead = instead

    def __getattr__(self, name: str) -> Any:
        return self._instead[name] if name in self._instead else getattr(os, name)


def no_tmpfile(path: str, flags: int, mode: int = 0o777) -> int:
    if flags & os.O_TMPFILE == os.O_TMPFILE:
        raise OSError(errno.EOPNOTSUPP, "no such files here")
    return os.open(path, flags, mode)


def no_direct(_: int, __: int, flags: int) -> None:
    if flags & os.O_DIRECT:
        raise OSError(errno.EINVAL, "no O_DIRECT here")


def test_file_systems_without_nameless_files_and_without_o_direct(tmp_path: Path) -> None:
    module = part("download")
    synced: list[int] = []
    module.os = Os(open=no_tmpfile, fdatasync=synced.append)
    module.fcntl = SimpleNamespace(fcntl=no_direct, F_SETFL=4)
    answer = module.write({**PLAN, "folder": str(tmp_path)}, part("volumes"))
    assert answer["direct"] is False
    assert len(synced) * module.BLOCK_BYTES >= sum(batch["bytes"] for batch in answer["batches"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_write_that_fails_says_why_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    def fail(*_: Any) -> int:
        raise OSError(number, os.strerror(number))

    module = part("download")
    module.os = Os(open=no_tmpfile, pwrite=fail)
    with pytest.raises(OSError, match=os.strerror(number)):
        module.write({**PLAN, "folder": str(tmp_path)}, part("volumes"))
    assert list(tmp_path.iterdir()) == []


def test_at_most_a_tenth_of_what_is_free_is_written(tmp_path: Path) -> None:
    module, sizes = part("download"), []

    def write(_: int, block: bytes, __: int) -> int:
        sizes.append(len(block))
        return len(block)

    module.os = Os(pwrite=write)
    volumes = SimpleNamespace(
        status_of=part("volumes").status_of, space=lambda _: {"available_bytes": 20 * 10 * module.BLOCK_BYTES + 99}
    )
    plan = {**PLAN, "most_bytes": 2**31, "seconds": 60.0, "folder": str(tmp_path)}
    module.write(plan, volumes)
    assert len(sizes) == 20
    volumes.space = lambda _: {"available_bytes": 30 * module.BLOCK_BYTES}
    with pytest.raises(OSError, match=f"^125829120 free bytes are too few to measure how fast {tmp_path} can be"):
        module.write(plan, volumes)


def test_batches_are_of_equally_many_blocks() -> None:
    module = part("download")
    mib = module.BLOCK_BYTES
    assert module.batches_of([0.0, 9.0, 10.0, 11.0, 13.0, 14.0, 15.0, 16.0, 17.0, 18.0], 4) == [
        {"bytes": 2 * mib, "seconds": 2.0}, {"bytes": 2 * mib, "seconds": 3.0}, {"bytes": 2 * mib, "seconds": 2.0},
        {"bytes": 2 * mib, "seconds": 2.0},
    ]  # fmt: skip
    assert module.batches_of([0.0, 1.0, 3.0], 4) == [{"bytes": mib, "seconds": 1.0}, {"bytes": mib, "seconds": 2.0}]


def test_a_probe_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    folder.mkdir()
    with serving(16e6) as (url, _):
        write = WriteRequest(folder=str(folder), most_bytes=2**31, share=1.0, seconds=60.0)
        program = download_program(asked(folder, signed(url), write=write), "n0nce", 90.0)
        with subprocess.Popen([sys.executable, "-I", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as probe:
            assert probe.stdin
            probe.stdin.write(program)
            probe.stdin.close()
            assert wait_for(lambda: holds_a_file_in(probe.pid, folder))
            probe.send_signal(signal.SIGKILL)
            assert probe.wait(10) == -signal.SIGKILL
    assert list(folder.iterdir()) == []


def wait_for(what: Callable[[], bool], limit_s: float = 20.0) -> bool:
    end = time.monotonic() + limit_s
    pause = threading.Event()
    while not what():
        if time.monotonic() > end:
            return False
        pause.wait(0.01)
    return True


def holds_a_file_in(pid: int, folder: Path) -> bool:
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.append(str(entry.readlink()))
    return any(link.startswith(f"{folder}/") and link.endswith("(deleted)") for link in links)
