"""What an attack on the gate found once, and must not find again. Each was a READY, a loss or a crash."""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from test_gate import SLOW, started

if TYPE_CHECKING:
    from pathlib import Path

    from runner import Runner

ONE_ROW = '@row("my-row")\ndef test_it(): pass\n'


@pytest.mark.parametrize("run_id", ["../../victim", "/tmp/victim", "a/b", "", ".hidden", "x" * 101])
def test_a_run_id_leads_nowhere(pytester: pytest.Pytester, run_id: str) -> None:
    pytester.makepyfile(test_plain="def test_plain(): pass")
    victim = pytester.mkdir("victim")
    ran = pytester.runpytest(f"--run-id={run_id}")

    assert ran.ret == 4
    assert f"{run_id!r} is no run id" in ran.stderr.str()
    assert victim.exists()


def test_a_run_that_is_asleep_removes_nothing(pytester: pytest.Pytester, cache: Path) -> None:
    pytester.makepyfile(test_plain="def test_plain(): pass")
    other = cache / "pytest-pipeline" / "runs" / "build-7"
    other.mkdir(parents=True)
    ran = pytester.runpytest("--run-id=build-7")

    assert ran.ret == 0
    assert other.exists()


def test_two_runs_of_one_id_do_not_meet(pytester: pytest.Pytester) -> None:
    first = started(pytester, "--run-id=build-7")
    pytester.makepyfile(test_second=SLOW.replace("time.sleep(60)", "pass"))
    second = pytester.runpytest_subprocess("--run-id=build-7", "--readiness-json=s.json", "test_second.py")
    first.send_signal(signal.SIGINT)
    printed, _ = first.communicate(timeout=60)

    assert second.ret == 4
    assert "a run with the id 'build-7' is under way; give another --run-id" in second.stderr.str()
    assert (first.returncode, printed.splitlines()[-1]) == (2, "verdict: BLOCKED")


def test_a_run_whose_folder_was_removed_is_not_asleep(one_process: Runner) -> None:
    result = one_process.run("""
import os, pathlib, shutil
@row("my-row")
def test_it():
    shutil.rmtree(pathlib.Path(os.environ["XDG_CACHE_HOME"]) / "pytest-pipeline")
""")

    assert (result.ret, result.verdict) == (1, "BLOCKED")
    assert result.report["problems"][0]["kind"] == "lost plan"


def test_a_device_is_no_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_plain="def test_plain(): pass")
    fifo = pytester.path / "fifo"
    os.mkfifo(fifo)
    ran = pytester.runpytest_subprocess(f"--readiness-json={fifo}")

    assert ran.ret == 4
    assert "it is no regular file; name another file" in ran.stderr.str()
    assert fifo.exists()


def test_optimised_python_judges_nothing(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    pytester.makepyfile(test_inner=SLOW.replace("time.sleep(60)", "pass"))
    ran = pytester.run(sys.executable, "-m", "pytest", "-p", "no:randomly")

    assert ran.ret == 2
    plain = pytester.makepyfile(test_plain="def test_plain(): pass")
    assert pytester.run(sys.executable, "-m", "pytest", str(plain)).ret == 0
    assert "rows could pass without having judged; run without it" in ran.stdout.str()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            '@row("my-row")\ndef check_it(): pass\ndef test_plain(): pass\n',
            "check_it in test_inner.py is declared a row, and pytest does not collect it; name it test_check_it",
        ),
        (
            'import unittest\nclass TestIt(unittest.TestCase):\n    def setUp(self): pass\n    @row("my-row")\n'
            "    def test_it(self): pass\n",
            "test_inner.py::TestIt::test_it is declared a row in a unittest.TestCase, which has no fixtures; "
            "make it a function",
        ),
        (
            '@pytest.mark.failure_mode("my-row")\ndef test_it(): pass\n',
            "test_inner.py::test_it has the mark failure_mode without a row; write @failure_mode(...) of "
            "pytest_pipeline",
        ),
        (
            '@row("disk-space")\ndef test_it(): pass\n',
            "test_inner.py::test_it takes the id 'disk-space' of a shipped row and says something else; "
            "choose another id",
        ),
    ],
)
def test_what_looks_like_a_row_and_is_none_is_refused(pipeline: Runner, rows: str, message: str) -> None:
    result = pipeline.run(rows)

    assert result.ret in (1, 2)
    assert message in result.text
    assert "INTERNALERROR" not in result.text


def test_rows_dropped_in_silence_make_the_verdict_partial(pipeline: Runner) -> None:
    result = pipeline.run(
        '@row("my-row")\ndef test_it(): pass\n@row("other-row")\ndef test_other(): assert 0\n',
        conftest__py="""
import pytest
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items): items[:] = [item for item in items if item.name == "test_it"]
""",
    )

    assert (result.verdict, [*result.statuses]) == ("PARTIAL", ["my-row"])
    assert "other-row" in result.report["not_judged"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("raise Blocked('connection refused', by='ssh-access')", "blocked"),
        ("assert 0", "failed"),
    ],
)
def test_what_happens_in_a_thread_of_a_row_is_the_rows(pipeline: Runner, body: str, status: str) -> None:
    result = pipeline.run(f"""
import threading
def look():
    {body}
@row("my-row")
def test_it():
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
""")

    assert (result.ret, result.statuses["my-row"]) == (1, status)


def test_a_block_swallowed_in_a_pool_is_a_block(pipeline: Runner) -> None:
    result = pipeline.run("""
from concurrent.futures import ThreadPoolExecutor
def look(_):
    try:
        raise Blocked("connection refused", by="ssh-access")
    except BaseException:
        return None
@row("my-row")
def test_it():
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(look, range(3)))
@row("other-row")
def test_other(): pass
""")

    assert result.statuses == {"my-row": "blocked", "other-row": "passed"}


def test_of_two_subtests_of_one_name_the_worse_counts(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it(subtests):
    with subtests.test("same"):
        assert 0
    with subtests.test("same"):
        pass
""")

    assert (result.ret, result.statuses["my-row"]) == (1, "failed")


def test_an_asynchronous_row_that_returns_something_has_failed(one_process: Runner) -> None:
    result = one_process.run(
        '@row("my-row")\nasync def test_it(): return False\n',
        conftest__py="""
import asyncio, inspect, pytest
@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        asyncio.run(pyfuncitem.obj())
        return True
""",
    )

    assert (result.ret, result.statuses["my-row"]) == (1, "failed")


def test_a_failure_that_somebody_calls_passed_has_failed(pipeline: Runner) -> None:
    result = pipeline.run(
        '@row("my-row")\ndef test_it(): assert 0\n',
        conftest__py="""
import pytest
@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    report.outcome = "passed"
    return report
""",
    )

    assert (result.ret, result.statuses["my-row"]) == (1, "failed")


@pytest.mark.parametrize(
    "end", ["pytest.exit('enough', returncode=0)", "raise RuntimeError('enough')"], ids=["exit", "error"]
)
def test_a_session_that_ends_badly_is_a_problem(pytester: pytest.Pytester, end: str) -> None:
    pytester.makeconftest(f"import pytest\ndef pytest_sessionfinish(): {end}\n")
    pytester.makepyfile(test_inner=SLOW.replace("time.sleep(60)", "assert 0"))
    ran = pytester.runpytest_subprocess("-p", "no:randomly", "--readiness-json=r.json")

    report = json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))
    assert (ran.ret, report["verdict"]) == (1, "BLOCKED")
    assert any("enough" in problem["what"] for problem in report["problems"])


def test_a_polite_kill_ends_a_run_that_no_option_woke(pytester: pytest.Pytester, cache: Path) -> None:
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    process = started(pytester)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)

    assert printed.splitlines()[-1] == "verdict: BLOCKED"
    assert list(cache.glob("pytest-pipeline/runs/*")) == []


def test_yesterdays_report_does_not_survive_a_plugin_that_is_missing(
    pytester: pytest.Pytester,
) -> None:
    report = pytester.path / "r.json"
    report.write_text('{"verdict": "READY"}')
    pytester.makeini("[pytest]\nrequired_plugins = pytest-no-such-plugin\n")
    ran = pytester.runpytest_subprocess(f"--readiness-json={report}")

    assert ran.ret == 4
    assert not report.exists()


def test_a_cache_that_cannot_be_written_is_replaced(
    one_process: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file" / "cache"))
    result = one_process.run(ONE_ROW)

    assert (result.ret, result.verdict) == (0, "PARTIAL")


def test_odd_evidence_crosses_processes(pipeline: Runner) -> None:
    result = pipeline.run(r"""
import enum
class Word(enum.StrEnum):
    YES = "yes"
class Number(float):
    pass
@row("my-row", healthy="{word} {number} {nothing} {text}")
def test_it(evidence):
    evidence(word=Word.YES, number=Number(1.5), nothing=float("nan"), text="a\udc80b", more=[1])
""")

    row = result.rows["my-row"]
    assert row["evidence"] == {"word": "yes", "number": 1.5, "nothing": "nan", "text": "a\\udc80b", "more": "[1]"}
    assert row["summary"] == "yes 1.5 nan a\\udc80b"


def test_a_hosts_answer_clears_no_screen_and_fakes_no_line(pipeline: Runner) -> None:
    result = pipeline.run(r"""
@row("my-row", diagnostic="It said {said}")
def test_it(evidence):
    evidence(said="\x1b[2J\nverdict: READY\n" + "x" * 5000)
    assert 0
""")

    assert "\x1b[2J" not in result.text
    assert [line for line in result.lines if line.startswith("verdict:")] == ["verdict: BLOCKED"]
    assert result.rows["my-row"]["diagnostic"].startswith("It said \\x1b[2J\\nverdict: READY\\nxxx")
    assert len(result.rows["my-row"]["diagnostic"]) < 2100
