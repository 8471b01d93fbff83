"""The gate: exit status and verdict agree, problems outside the rows count, and it sleeps where it is not asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from runner import Runner

ONE_ROW = """
@row("my-row")
def test_it(): pass
"""
PLAIN = "def test_plain(): pass"


# --- asleep ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-n2",), ("-p", "no:xdist")], ids=" ".join)
def test_a_run_that_is_none_of_its_business_is_left_alone(
    pytester: pytest.Pytester, cache: Path, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(test_plain=PLAIN)
    pytester.path.joinpath("pipeline.toml").write_text("this is = no TOML", encoding="utf-8")
    ran = pytester.runpytest(*options)

    assert ran.ret == 0
    assert "verdict" not in ran.stdout.str()
    assert "passed" in ran.outlines[-1]
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("option", ["--collect-only", "--setup-plan", "--fixtures", "--markers"])
def test_a_listing_wakes_nothing(pytester: pytest.Pytester, cache: Path, option: str) -> None:
    pytester.makepyfile(
        test_inner="""
from pytest_pipeline import failure_mode
@failure_mode("my-row", phase=1, category="c", failure="f", diagnostic="d", fix="x")
def test_it(gpu_host): assert 0
"""
    )
    pytester.path.joinpath("pipeline.toml").write_text("this is = no TOML", encoding="utf-8")
    ran = pytester.runpytest(option, "--sandbox", "--stage=preflight", "--fail-under=100", "test_inner.py")

    assert ran.ret == 0
    assert "verdict:" not in ran.stdout.str()
    assert list(cache.iterdir()) == []


def test_asleep_nothing_heavy_is_imported(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_plain="import sys\ndef test_plain(): print([*sys.modules])")
    ran = pytester.runpytest_subprocess("-s", "-p", "no:randomly")

    heavy = ("boto3", "botocore", "pydantic", "fabric", "paramiko", "moto", "asyncssh", "torch", "requests")
    assert [name for name in heavy if f"'{name}'" in ran.stdout.str()] == []


def test_the_face_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest_pipeline; print([m for m in ('boto3', 'fabric', 'pydantic', 'torch') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "[]"


def test_a_failing_plain_test_keeps_its_exit_status(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_plain="def test_plain(): assert 0")

    assert pytester.runpytest().ret == 1


# --- exit status and verdict ----------------------------------------------------------------------------------------


def test_the_last_line_is_always_the_verdict(pipeline: Runner) -> None:
    for options in ((), ("-q",), ("--no-summary",), ("-qq", "--no-header")):
        result = pipeline.run(ONE_ROW, *options)

        assert [line for line in result.lines if line.strip()][-1] == "verdict: PARTIAL"


def test_without_a_terminal_the_verdict_goes_to_standard_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_inner="""
from pytest_pipeline import failure_mode
@failure_mode("my-row", phase=1, category="c", failure="f", diagnostic="d", fix="x")
def test_it(): assert 0
"""
    )
    ran = pytester.runpytest("-p", "no:terminal")

    assert ran.ret == 1
    assert ran.errlines[-1] == "verdict: BLOCKED"


def test_nothing_judged_is_not_ready(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it(evidence): evidence.not_applicable("no such thing here")
""")

    assert (result.ret, result.verdict) == (1, "NOTHING_JUDGED")


def test_awake_by_option_without_a_row_is_nothing_judged(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_plain=PLAIN)
    ran = pytester.runpytest("--readiness-json=r.json")

    assert ran.ret == 1
    assert json.loads((pytester.path / "r.json").read_text())["verdict"] == "NOTHING_JUDGED"


def test_a_plain_test_that_fails_is_a_problem(pipeline: Runner) -> None:
    result = pipeline.run(ONE_ROW + "def test_plain(): assert 0, 'broken'\n")

    assert (result.ret, result.verdict) == (1, "BLOCKED")
    assert [(problem["kind"], problem["where"]) for problem in result.report["problems"]] == [
        ("test", "test_inner.py::test_plain")
    ]


def test_a_teardown_that_fails_is_a_problem_and_not_the_row(pipeline: Runner) -> None:
    result = pipeline.run("""
@pytest.fixture
def resource():
    yield
    raise RuntimeError("left an object behind")
@row("my-row")
def test_it(resource): pass
""")

    assert (result.ret, result.verdict, result.statuses["my-row"]) == (1, "BLOCKED", "passed")
    problem = result.report["problems"][0]
    assert (problem["kind"], problem["what"]) == ("teardown", "RuntimeError: left an object behind")


def test_a_module_that_was_skipped_is_a_problem(pipeline: Runner) -> None:
    result = pipeline.run(ONE_ROW, test_other__py="import pytest\npytest.importorskip('no_such_module')\n")

    assert (result.ret, result.verdict) == (1, "BLOCKED")
    assert result.report["problems"][0]["kind"] == "skipped collection"


def test_a_module_that_is_broken_is_one_problem(one_process: Runner) -> None:
    result = one_process.run(ONE_ROW, test_other__py="import no_such_module\n")

    assert (result.ret, result.verdict) == (2, "BLOCKED")
    assert [problem["kind"] for problem in result.report["problems"]] == ["collection"]


def test_a_broken_module_is_a_problem_where_pytest_goes_on(pipeline: Runner) -> None:
    result = pipeline.run(ONE_ROW, "--continue-on-collection-errors", test_other__py="import no_such_module\n")

    assert (result.ret, result.verdict, result.statuses["my-row"]) == (1, "BLOCKED", "passed")


def test_an_interruption_is_a_problem(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_inner=SLOW.replace("time.sleep(60)", "raise KeyboardInterrupt"))
    ran = pytester.runpytest_subprocess("-p", "no:randomly", "--readiness-json=r.json")

    report = json.loads((pytester.path / "r.json").read_text())
    assert (ran.ret, report["verdict"], report["rows"][0]["status"]) == (2, "BLOCKED", "not_run")
    assert report["problems"][0]["kind"] == "interruption"


def test_a_missed_score_closes_the_gate(pipeline: Runner) -> None:
    result = pipeline.run(ONE_ROW, "--fail-under=50")

    assert (result.ret, result.verdict) == (1, "BLOCKED")
    assert result.report["problems"][0]["what"] == "there is no score, and 50 was asked for"


def test_ready_never_stands_beside_an_exit_status(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
from pytest_pipeline import catalogue
catalogue.CATALOGUE.clear()  # so that the one row is all there is
def pytest_sessionfinish(session): session.exitstatus = 7
""")
    pytester.makepyfile(test_inner=SLOW.replace("time.sleep(60)", "pass"))
    ran = pytester.runpytest_subprocess("--readiness-json=r.json")

    report = json.loads((pytester.path / "r.json").read_text())
    assert (ran.ret, report["exit_status"], report["verdict"]) == (7, 7, "BLOCKED")
    assert report["problems"][0]["what"] == "pytest ends with exit status 7 although no row says why"


def test_a_plain_test_with_a_phase_marker_is_named(one_process: Runner) -> None:
    result = one_process.run(ONE_ROW + "@pytest.mark.phase1\ndef test_plain(): pass\n")

    assert (
        "No row: test_inner.py::test_plain (phase1); decorate it with @failure_mode(...) to have it judged"
        in result.lines
    )


def test_a_fixture_of_ours_that_is_replaced_blocks_shipped_rows(one_process: Runner) -> None:
    one_process.pytester.makeconftest("""
import pytest
@pytest.fixture
def evidence(): return None
@pytest.fixture
def gpu_host(): return object()
""")
    result = one_process.again("-mphase1", "--pyargs", "matrix_tests")

    row = result.rows["ssh-access"]
    assert (row["status"], row["blocked_by"]) == ("blocked", "fixture")
    where = one_process.pytester.path / "conftest.py"
    assert row["why"] in {
        f"the fixture {name!r} is overridden in {where}; rename the one there" for name in ("evidence", "gpu_host")
    }


def test_the_command_to_run_again_selects_what_was_not_right(one_process: Runner) -> None:
    rows = '@row("my-row")\ndef test_it(): pass\n@row("other-row")\ndef test_other(): assert 0\n'
    result = one_process.run(rows, "-mphase1")

    assert "-mphase1 " in result.report["rerun"]
    assert result.report["rerun"].endswith(" -k other-row")
    assert [*one_process.again("-k", "other-row").statuses] == ["other-row"]


# --- settings -------------------------------------------------------------------------------------------------------


def test_bad_settings_are_an_ordinary_collection_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_inner="""
from pytest_pipeline import failure_mode
@failure_mode("my-row", phase=1, category="c", failure="f", diagnostic="d", fix="x")
def test_it(): pass
"""
    )
    pytester.path.joinpath("pipeline.toml").write_text('[host]\nusr = "me"\n', encoding="utf-8")
    for options in ((), ("-n2",)):
        ran = pytester.runpytest("-mphase1", *options)

        assert ran.ret in (1, 2)
        assert "did you mean 'user'" in ran.stdout.str()
        assert "INTERNALERROR" not in ran.stdout.str() + ran.stderr.str()
        assert "READY" not in ran.stdout.str()


def test_bad_settings_are_a_usage_error_where_an_option_asks_for_the_gate(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_plain=PLAIN)
    ran = pytester.runpytest("--readiness-json=r.json", "--pipeline-set=host.usr=me")

    assert ran.ret == 4
    assert "did you mean 'user'" in ran.stderr.str()
    assert "Traceback" not in ran.stderr.str()


def test_a_waiver_leaves_a_row_out_until_its_day(pipeline: Runner) -> None:
    waiver = '[[waivers]]\nrow = "my-row"\nowner = "ada"\nreason = "moved on Monday"\nexpires = {}\n'
    rows = '@row("my-row")\ndef test_it(): assert 0\n@row("other-row")\ndef test_other(): pass\n'
    result = pipeline.run(rows, pipeline__toml=waiver.format("2999-01-01"))

    assert (result.ret, result.statuses["my-row"]) == (0, "waived")
    assert result.rows["my-row"]["waiver"] == {"owner": "ada", "reason": "moved on Monday", "expires": "2999-01-01"}

    result = pipeline.run(rows.replace("assert 0", "pass"), pipeline__toml=waiver.format("2020-01-01"))

    assert result.statuses["my-row"] == "warned"
    assert result.rows["my-row"]["diagnostic"] == ("the waiver by ada expired on 2020-01-01; the row is judged again")


def test_a_standing_statement_makes_a_row_not_applicable(pipeline: Runner) -> None:
    rows = '@row("my-row")\ndef test_it(): assert 0\n@row("other-row")\ndef test_other(): pass\n'
    result = pipeline.run(rows, pipeline__toml='[rows.not_applicable]\nmy-row = "no PDFs"\n')

    assert (result.statuses["my-row"], result.rows["my-row"]["why"]) == ("not_applicable", "no PDFs")


def test_settings_can_lower_a_row(pipeline: Runner) -> None:
    result = pipeline.run(
        '@row("my-row")\ndef test_it(): assert 0\n', pipeline__toml='[rows.severity]\nmy-row = "major"\n'
    )

    assert (result.ret, result.verdict) == (1, "ATTENTION")


def test_read_only_deselects_rows_that_write(pipeline: Runner) -> None:
    result = pipeline.run(
        ONE_ROW + '@row("writing-row", effects=["s3 object"])\ndef test_write(): assert 0\n', "--read-only"
    )

    assert (result.ret, result.verdict, [*result.statuses]) == (0, "PARTIAL", ["my-row"])
    assert "writing-row" in result.report["not_judged"]


def test_secrets_reach_no_output(pipeline: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_a1b2c3d4")
    result = pipeline.run(
        """
@row("my-row", diagnostic="The host said: {said}", remedy="curl {said}")
def test_it(evidence):
    evidence(said="token hf_a1b2" + "c3d4 refused")
    pytest.fail("because of hf_a1b2" + "c3d4", pytrace=False)
@row("other-row")
def test_other():
    raise Blocked("hf_a1b2" + "c3d4 refused", by="ssh-access")
""",
        "--junit-xml=junit.xml",
        pipeline__toml='[host]\nsecrets = ["HF_TOKEN"]\n',
    )

    assert result.rows["my-row"]["diagnostic"] == "The host said: token *** refused: because of ***"
    junit = (pipeline.pytester.path / "junit.xml").read_text(encoding="utf-8")
    assert "hf_a1b2c3d4" not in result.text + json.dumps(result.report) + junit


# --- reports --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [("--no-such-option",), ("--pipeline-set=host.usr=me",), ("no_such_test.py",)],
    ids=" ".join,
)
def test_yesterdays_report_never_survives(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytester.makepyfile(test_plain=PLAIN)
    report = pytester.path / "r.json"
    report.write_text('{"verdict": "READY"}')
    ran = pytester.runpytest(f"--readiness-json={report}", *options)

    assert ran.ret != 0
    assert not report.exists() or json.loads(report.read_text())["verdict"] != "READY"


def test_yesterdays_report_does_not_survive_a_broken_conftest(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("import no_such_module")
    report = pytester.path / "r.json"
    report.write_text('{"verdict": "READY"}')
    ran = pytester.runpytest_subprocess("--readiness-json", str(report))

    assert ran.ret == 4
    assert not report.exists()


SLOW = """
import pathlib, time
from pytest_pipeline import failure_mode
@failure_mode("my-row", phase=1, category="c", failure="f", diagnostic="d", fix="x")
def test_it():
    pathlib.Path("started").touch()
    time.sleep(60)
"""


def started(pytester: pytest.Pytester, *options: str) -> subprocess.Popen[str]:
    pytester.makepyfile(test_inner=SLOW)
    # Ctrl-C must be heard also where these tests run in the background of a shell, which has it ignored.
    program = "import signal, sys, pytest; signal.signal(2, signal.default_int_handler); sys.exit(pytest.main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "-p", "no:randomly", "--readiness-json=r.json", *options, "test_inner.py"],
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ},
    )
    deadline = time.monotonic() + 60
    while not (pytester.path / "started").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)  # another process makes the file
    return process


def test_a_polite_kill_ends_the_run_with_a_verdict(pytester: pytest.Pytester, cache: Path) -> None:
    process = started(pytester)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)

    assert (process.returncode, printed.splitlines()[-1]) == (2, "verdict: BLOCKED")
    report = json.loads((pytester.path / "r.json").read_text())
    assert report["problems"][0]["what"] == "KeyboardInterrupt: stopped by SIGTERM"
    assert list(cache.glob("pytest-pipeline/runs/*")) == []


def test_what_a_killed_run_left_is_removed_by_the_next(pytester: pytest.Pytester, cache: Path) -> None:
    process = started(pytester)
    process.kill()
    process.communicate(timeout=60)
    assert len(list(cache.glob("pytest-pipeline/runs/*"))) == 1

    pytester.makepyfile(test_inner=SLOW.replace("time.sleep(60)", "pass"))
    pytester.runpytest("-p", "no:randomly", "--readiness-json=r.json", "test_inner.py")

    assert list(cache.glob("pytest-pipeline/runs/*")) == []


@pytest.mark.parametrize("name", ["file/r.json", "folder"])
def test_a_report_that_cannot_be_written_is_a_usage_error(pytester: pytest.Pytester, name: str) -> None:
    pytester.makepyfile(test_plain=PLAIN)
    (pytester.path / "file").touch()
    (pytester.path / "folder").mkdir()
    ran = pytester.runpytest_subprocess(f"--readiness-json={name}")

    assert ran.ret == 4
    assert f"no report can be written to {name}: " in ran.stderr.str()
    assert "Traceback" not in ran.stderr.str()


def test_a_report_that_breaks_is_a_problem_and_the_verdict_is_heard(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("def pytest_pipeline_verdict(report): raise RuntimeError('no printer')")
    pytester.makepyfile(test_inner=SLOW.replace("time.sleep(60)", "pass"))
    ran = pytester.runpytest_subprocess("-p", "no:randomly")

    assert ran.ret == 1
    assert "report (a report): RuntimeError: no printer" in [line.strip() for line in ran.outlines]
    assert ran.outlines[-1] == "verdict: BLOCKED"


def test_a_run_leaves_no_folder(pipeline: Runner, cache: Path) -> None:
    pipeline.run(ONE_ROW)

    assert list(cache.glob("pytest-pipeline/runs/*")) == []
