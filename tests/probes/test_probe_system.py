"""The host as a machine: each reading fails alone, and every thing that was asked for is answered."""

from __future__ import annotations

import json
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import pytest
from http_script import Answer, Asked, answering
from probe_parts import PYTHONS, part, parts, working_python

from pytest_pipeline.observers.host_answer import Printed, decode
from pytest_pipeline.observers.host_request import HostRequest, SystemRequest, facts_program

if TYPE_CHECKING:
    from pathlib import Path

REQUEST: dict[str, Any] = {
    "names": [], "components": {}, "locks": [], "credentials": False, "network_credentials": False, "metadata": False,
    "units": False,
    "metadata_address": "", "nonce": "n0nce", "deadline_s": 10.0,
}  # fmt: skip
TRACKING = "Reference ID    : A9FEA97B (169.254.169.123)\nStratum         : 4\nLeap status     : {leap}\n"


@pytest.fixture(autouse=True)
def _may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)


SHOW = ["systemctl", "show", "--property=DefaultLimitNOFILESoft,DefaultLimitNPROCSoft"]


class Programs:
    """Stands for the part that runs programs."""

    class Late(Exception):  # noqa: N818  # as the part has it
        """As the part has it."""

    def __init__(self, answer: str | Exception) -> None:
        self._answer = answer

    def run(self, command: list[str], *_: object) -> dict[str, Any]:
        assert command in (["chronyc", "-n", "tracking"], SHOW)
        if isinstance(self._answer, Exception):
            raise self._answer
        return {"status": 0, "stdout": self._answer, "stderr": "", "cut": False}


def test_memory(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(
        "MemTotal:       64000 kB\nMemFree:         1000 kB\nMemAvailable:   50000 kB\nBuffers:  10 kB\nCached: 49 kB\n"
        "SwapTotal:          0 kB\nSwapFree:           0 kB\nHugePages_Total:   0\n"
    )
    assert part("system").memory(str(tmp_path / "meminfo")) == {
        "total_bytes": 64000 * 1024, "available_bytes": 50000 * 1024, "swap_total_bytes": 0, "swap_free_bytes": 0,
    }  # fmt: skip


def test_memory_of_a_kernel_that_does_not_estimate_it(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 64000 kB\nMemFree: 1000 kB\nBuffers: 10 kB\nCached: 49 kB\n")
    assert part("system").memory(str(tmp_path / "meminfo"))["available_bytes"] == 1059 * 1024


@pytest.mark.parametrize(
    ("leap", "synchronized"), [("Normal", True), ("Insert second", True), ("Not synchronised", False)]
)
def test_the_clock_as_chrony_keeps_it(leap: str, *, synchronized: bool) -> None:
    answer = part("system").clock_sync(Programs(TRACKING.format(leap=leap)))
    assert answer == {"synchronized": synchronized, "source": "chronyc"}


def test_what_systemd_gives_a_unit() -> None:
    said = Programs("DefaultLimitNPROCSoft=infinity\nDefaultLimitNOFILESoft=1024\n")
    assert part("system").unit_limits(said) == {"open_files": 1024, "processes": None}
    with pytest.raises(OSError, match="it does not say"):
        part("system").unit_limits(Programs("DefaultLimitNOFILESoft=1024\n"))


@pytest.mark.parametrize("silent", ["", "506 Cannot talk to daemon\n", FileNotFoundError(2, "none"), Programs.Late()])
@pytest.mark.parametrize(("error_us", "synchronized"), [(2500, True), (16_000_000, False)])
def test_without_chrony_the_kernel_says_it(silent: str | Exception, error_us: int, *, synchronized: bool) -> None:
    system = part("system")
    system.kernel_error_us = lambda: error_us
    assert system.clock_sync(Programs(silent)) == {"synchronized": synchronized, "source": "kernel"}


def test_nobody_can_tell() -> None:
    def forbidden() -> int:
        raise PermissionError(1, "Operation not permitted")

    system = part("system")
    system.kernel_error_us = forbidden
    assert system.clock_sync(Programs("")) == {"synchronized": None, "source": ""}


def test_the_kernels_own_error_can_be_read_here() -> None:
    assert 0 <= part("system").kernel_error_us() <= 16_000_000


def test_a_name_that_hangs_costs_itself_alone() -> None:
    system, ended = part("system"), threading.Event()
    real = system.socket.getaddrinfo

    class Socket:
        SOCK_STREAM = system.socket.SOCK_STREAM

        @staticmethod
        def getaddrinfo(name: str, *more: Any, **options: Any) -> Any:
            return ended.wait(30) if name == "hangs.invalid" else real(name, *more, **options)

    system.socket, system.NAME_S = Socket, 0.2
    try:
        answer = system.read({**REQUEST, "names": ["hangs.invalid", "localhost"]}, parts())
    finally:
        ended.set()
    assert answer["names"]["hangs.invalid"] == {"error": "no answer within 0.2 s"}
    assert answer["names"]["localhost"]["value"]["addresses"]
    assert "value" in answer["memory"]
    assert "value" in answer["processes"]


def notices(answers: dict[str, str]) -> Any:
    def answer(asked: Asked) -> Answer:
        body = answers.get(asked.path.removeprefix("/latest/meta-data/"))
        if asked.method == "PUT":
            return Answer(body="t0ken")
        return Answer(404) if body is None else Answer(body=body)

    with answering(answer) as server:
        request = {**REQUEST, "metadata": True, "metadata_address": server.address}
        return part("system").read(request, parts())["notices"]


def test_an_instance_that_is_told_nothing() -> None:
    assert notices({"instance-life-cycle": "on-demand"})["value"] == {
        "life_cycle": "on-demand", "spot_action": "", "rebalance": "", "maintenance": [],
    }  # fmt: skip


def test_what_an_instance_is_told() -> None:
    events = [
        {"Code": "system-reboot", "NotBefore": "21 Jan 2026 09:00:43 GMT", "State": "active"},
        {"Code": "instance-stop", "NotBefore": "1 Jan 2026 09:00:43 GMT", "State": "completed"},
    ]
    said = {
        "instance-life-cycle": "spot",
        "spot/instance-action": '{"action": "terminate", "time": "2026-01-21T08:22:00Z"}',
        "events/recommendations/rebalance": '{"noticeTime": "2026-01-21T08:17:00Z"}',
        "events/maintenance/scheduled": json.dumps(events),
    }
    assert notices(said)["value"] == {
        "life_cycle": "spot", "spot_action": "terminate 2026-01-21T08:22:00Z", "rebalance": "2026-01-21T08:17:00Z",
        "maintenance": ["system-reboot from 21 Jan 2026 09:00:43 GMT"],
    }  # fmt: skip


def test_a_metadata_service_that_refuses_is_no_all_clear() -> None:
    with answering(lambda asked: Answer(body="t0ken") if asked.method == "PUT" else Answer(403)) as server:
        request = {**REQUEST, "metadata": True, "metadata_address": server.address}
        assert "403" in part("system").read(request, parts())["notices"]["error"]


@pytest.mark.parametrize("name", PYTHONS)
def test_under_every_python_here(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = working_python(name)
    if not python:
        pytest.skip(f"no working {name} on this machine")
    monkeypatch.setenv("HOME", str(tmp_path))
    lock = tmp_path / "train.lock"
    lock.touch()
    asked = SystemRequest(
        names=("localhost",), components={"x": "no such {run_id}"}, locks=(str(lock), "~/none"), credentials=True
    )
    request = HostRequest(system=asked)
    done = subprocess.run(
        [python, "-I", "-"], input=facts_program(request, "n0nce", 20.0), capture_output=True, timeout=60, check=False
    )
    assert done.stderr == b""
    printed = b"@@pipeline-shell n0nce@@\n" + done.stdout
    system = decode(Printed(nonce="n0nce", stdout=printed), request).system
    assert system.memory.value.total_bytes > 0
    assert system.processes.value.total > 1
    assert system.clock_sync.is_known
    assert system.names["localhost"].value.addresses
    assert (system.locks[str(lock)].value.exists, system.locks["~/none"].value.exists) == (True, False)
    assert system.gpu_owners.value == ()
