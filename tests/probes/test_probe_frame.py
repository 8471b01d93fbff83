"""The frame: what is sent parses on old Pythons, and what comes back is found whatever surrounds it."""

from __future__ import annotations

import ast
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from probe_parts import NAMES, PYTHONS, part, source, working_python

from pytest_pipeline.observers.host_request import HostRequest, S3Request, VolumeRequest, facts_program, writes_program


def run(program: bytes, python: str = sys.executable, **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([python, "-I", "-"], input=program, capture_output=True, timeout=60, check=False, **options)


def facts(stdout: bytes, nonce: str) -> dict[str, Any]:
    found = re.findall(f"\n@@pipeline-facts {nonce}@@(.*)@@end {nonce}@@\n".encode(), stdout)
    assert len(found) == 1
    answer = json.loads(found[0])
    assert isinstance(answer, dict)
    return answer


def framed(request: str, sources: dict[str, str], nonce: str = "n0nce") -> bytes:
    return f"{source('frame')}\nmain({nonce!a}, {request!a}, {json.dumps(sources)!a})\n".encode("ascii")


@pytest.mark.parametrize("name", ["frame", *NAMES])
def test_syntax_of_python_3_7(name: str) -> None:
    ast.parse(source(name), feature_version=(3, 7))
    assert source(name).isascii()


def test_the_frame_itself_parses_on_older_ones() -> None:
    ast.parse(source("frame"), feature_version=(3, 4))
    assert 'f"' not in source("frame")


@pytest.mark.parametrize("name", ["frame", *NAMES])
def test_standard_library_only(name: str) -> None:
    for node in ast.walk(ast.parse(source(name))):
        assert not isinstance(node, ast.ImportFrom)
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", PYTHONS)
def test_facts_under_every_python_here(name: str, tmp_path: Path) -> None:
    python = working_python(name)
    if not python:
        pytest.skip(f"no working {name} on this machine")
    request = HostRequest(volumes=(VolumeRequest(path=str(tmp_path), reuse=("~",)),), s3=S3Request(buckets=()))
    done = run(facts_program(request, "n0nce", 20.0), python)
    assert done.stderr == b""
    answer = facts(done.stdout, "n0nce")
    assert answer["python"].startswith(name.removeprefix("python"))
    assert answer["value"]["volumes"]["value"][str(tmp_path)]["value"]["write"]["value"]["ok"] is True
    assert answer["value"]["s3"]["value"]["access"] == []


def test_too_old_a_python_says_which_it_is() -> None:
    old = part("frame")
    written: list[bytes] = []

    class Interpreter:
        version = "3.6.15 (default, 2021)"
        version_info = (3, 6, 15)

    class Process:
        @staticmethod
        def write(_: int, data: bytes) -> int:
            written.append(data[:10])  # as a full pipe takes only a part
            return len(written[-1])

        @staticmethod
        def _exit(status: int) -> None:
            raise SystemExit(status)

    old.sys, old.os = Interpreter, Process
    with pytest.raises(SystemExit):
        old.main("n0nce", "{}", "{}")
    answer = facts(b"".join(written), "n0nce")
    assert answer["python"] == "3.6.15"
    assert "value" not in answer


def test_a_really_old_python_if_there_is_one() -> None:
    python = working_python("python3.6")
    if not python:
        pytest.skip("no working python3.6 on this machine")
    answer = facts(run(facts_program(HostRequest(), "n0nce", 20.0), python).stdout, "n0nce")
    assert answer["python"].startswith("3.6.")
    assert "value" not in answer


def test_the_posix_locale_and_odd_names(tmp_path: Path) -> None:
    odd = f"{tmp_path}/données \U0001f600"
    environment = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PATH": "/usr/bin:/bin"}
    request = HostRequest(volumes=(VolumeRequest(path=odd),))
    done = subprocess.run(
        [sys.executable, "-"], input=facts_program(request, "n0nce", 20.0), capture_output=True, env=environment,
        check=True,
    )  # fmt: skip
    assert done.stderr == b""
    assert done.stdout.isascii()
    assert list(facts(done.stdout, "n0nce")["value"]["volumes"]["value"]) == [odd]


def test_an_echoed_script_holds_no_frame() -> None:
    for program in (facts_program(HostRequest(), "n0nce", 9.0), writes_program(S3Request(buckets=()), "n0nce", 9.0)):
        assert b"n0nce" in program
        assert b"@@pipeline-facts n0nce@@" not in program


def test_every_probe_fails_alone() -> None:
    sources = {
        "good": "def read(request, parts):\n    return request['x']",
        "bad": "def read(request, parts):\n    raise ValueError('broken ' + request)",
        "missing": "def read(request, parts):\n    open('/no/such/file')",
    }
    request = {"probes": {"good": {"x": [1]}, "bad": "here", "missing": 0}, "deadline_s": 9}
    assert facts(run(framed(json.dumps(request), sources)).stdout, "n0nce")["value"] == {
        "good": {"value": [1]},
        "bad": {"error": "ValueError: broken here"},
        "missing": {"error": "No such file or directory: /no/such/file"},
    }


def test_a_probe_that_hangs_costs_its_own_answer_only() -> None:
    sources = {
        "good": "def read(request, parts):\n    return 1",
        "hangs": "import time\ndef read(request, parts):\n    time.sleep(60)",
    }
    request = {"probes": {"good": {}, "hangs": {}}, "deadline_s": 0.5}
    started = time.monotonic()
    answer = facts(run(framed(json.dumps(request), sources)).stdout, "n0nce")["value"]
    assert time.monotonic() - started < 10
    assert answer == {"good": {"value": 1}, "hangs": {"error": "no answer within 0.5 s"}}


def test_a_source_that_does_not_run_is_one_error() -> None:
    answer = facts(run(framed('{"probes": {}, "deadline_s": 1}', {"bad": "def"})).stdout, "n0nce")
    assert "value" not in answer
    assert answer["error"].startswith("SyntaxError: ")


def test_modules_of_the_home_folder_are_not_imported(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    done = run(facts_program(HostRequest(), "n0nce", 9.0), cwd=tmp_path)
    assert facts(done.stdout, "n0nce")["format"] == 1


def test_a_probe_that_is_asked_to_end_takes_along_what_it_started(tmp_path: Path) -> None:
    """Also what has a session of its own: whoever kills the probe's group would leave that behind."""
    slow = (
        "import subprocess, sys\ndef read(request, parts):\n"
        "    child = subprocess.Popen(['sleep', '97'], start_new_session=True)\n"
        f"    open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n    child.wait()\n"
    )
    request = json.dumps({"probes": {"slow": {}}, "deadline_s": 60.0})
    with subprocess.Popen([sys.executable, "-I", "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as probe:
        assert probe.stdin
        probe.stdin.write(framed(request, {"slow": slow}))
        probe.stdin.close()
        end = time.monotonic() + 20
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < end
            time.sleep(0.02)  # another process makes the file
        probe.send_signal(signal.SIGTERM)
        assert probe.wait(20) == 128 + signal.SIGTERM
    child = Path("/proc") / (tmp_path / "pid").read_text()
    while child.exists() and "(sleep) Z" not in (child / "stat").read_text() and time.monotonic() < end:
        time.sleep(0.02)
    assert not child.exists() or "(sleep) Z" in (child / "stat").read_text()
