"""The road of a row: from a test to its status, its diagnostic and the exit status, with and without xdist."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from runner import Runner


def test_a_row_that_is_right_passes(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row", healthy="{free_gb}GB free")
def test_it(evidence):
    evidence(free_gb=250)
""")

    assert (result.ret, result.statuses["my-row"]) == (0, "passed")
    assert result.rows["my-row"]["summary"] == "250GB free"
    assert result.rows["my-row"]["evidence"] == {"free_gb": 250}


def test_a_row_that_is_wrong_says_its_diagnostic_and_its_fix(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row", diagnostic="Only {free_gb}GB free, need {required_gb}GB", fix="Resize EBS or cleanup")
def test_it(evidence):
    evidence(free_gb=12, required_gb=250)
    assert 12 >= 250
""")

    assert (result.ret, result.statuses["my-row"], result.verdict) == (1, "failed", "BLOCKED")
    assert result.outcomes == {"failed": 1}
    said = "FAILED test_inner.py::test_it - Only 12GB free, need 250GB -> Resize EBS or cleanup"
    assert said in result.lines
    assert result.lines[-1] == "verdict: BLOCKED"


def test_a_blocked_row_is_an_error_and_closes_the_gate(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it():
    raise Blocked("connection refused", by="ssh-access")
""")

    assert (result.ret, result.statuses["my-row"], result.verdict) == (1, "blocked", "BLOCKED")
    assert result.outcomes == {"blocked": 1}
    assert result.report["causes"] == [
        {
            "row": "ssh-access",
            "diagnostic": "connection refused (ssh-access was not selected)",
            "fix": "Fix key permissions/IP",
            "remedy": "",
            "selected": False,
            "blocks": ["my-row"],
        }
    ]


def test_a_row_blocked_by_itself_has_failed(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row", diagnostic="SSH failed: {error}", remedy="chmod 600 {key}")
def test_it():
    raise Blocked("connection refused", by="my-row", remedy="ssh -v host")
@row("other-row", diagnostic="Instance not found")
def test_other():
    raise Blocked("not authorised to look", by="other-row")
""")

    assert result.outcomes == {"failed": 2}
    assert result.rows["my-row"]["diagnostic"] == "SSH failed: connection refused"
    assert result.rows["my-row"]["remedy"] == "ssh -v host"
    assert result.rows["other-row"]["diagnostic"] == "not authorised to look"


def test_a_row_that_swallows_a_block_has_not_looked(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it():
    try:
        raise Blocked("connection refused", by="ssh-access")
    except BaseException:
        pass
@row("other-row")
def test_other():
    try:
        raise Blocked("connection refused", by="ssh-access")
    except Exception:
        pass
""")

    assert result.statuses == result.statuses | {"my-row": "blocked", "other-row": "blocked"}
    assert result.ret == 1


def test_a_session_fixture_that_is_blocked_blocks_each_of_its_rows(pipeline: Runner) -> None:
    result = pipeline.run("""
@pytest.fixture(scope="session")
def host():
    raise Blocked("connection refused", by="ssh-access")
@row("my-row")
def test_it(host): pass
@row("other-row")
def test_other(host): pass
""")

    assert result.outcomes == {"blocked": 2}
    assert [cause["row"] for cause in result.report["causes"]] == ["ssh-access"]


def test_a_warned_row_passes_and_says_so(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it(evidence):
    evidence.warn("not in fstab")
    evidence.remedy("sudo nano /etc/fstab")
""")

    assert (result.ret, result.outcomes) == (0, {"warned": 1})
    assert result.rows["my-row"]["diagnostic"] == "not in fstab"
    assert result.rows["my-row"]["remedy"] == "sudo nano /etc/fstab"


@pytest.mark.parametrize(
    ("skip", "why"),
    [
        ("@pytest.mark.skip(reason='later')", "later"),
        ("@pytest.mark.skipif(True, reason='on Mondays')", "on Mondays"),
        ("@pytest.mark.xfail(reason='known')", "marked xfail: known"),
        ("@pytest.mark.xfail(run=False, reason='known')", "marked xfail: known"),
    ],
)
def test_a_skip_is_never_a_waiver(one_process: Runner, skip: str, why: str) -> None:
    result = one_process.run(f"""
{skip}
@row("my-row")
def test_it():
    assert False
""")

    assert (result.ret, result.outcomes) == (1, {"blocked": 1})
    assert (result.rows["my-row"]["blocked_by"], result.rows["my-row"]["why"]) == ("skip", why)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("pytest.skip('no GPU')", "no GPU"),
        (
            "pytest.importorskip('no_such_module')",
            "could not import 'no_such_module': No module named 'no_such_module'",
        ),
        ("pytest.xfail('known')", "marked xfail: known"),
    ],
)
def test_a_skip_from_within_is_blocked(pipeline: Runner, body: str, why: str) -> None:
    result = pipeline.run(f"""
@row("my-row")
def test_it():
    {body}
""")

    assert (result.ret, result.outcomes) == (1, {"blocked": 1})
    assert result.rows["my-row"]["why"] == why


def test_an_unexpected_pass_is_warned(one_process: Runner) -> None:
    result = one_process.run("""
@pytest.mark.xfail(reason="known", strict=False)
@row("my-row")
def test_it(): pass
""")

    assert result.statuses["my-row"] == "warned"
    assert result.rows["my-row"]["diagnostic"] == "expected to fail (known), and it passed: remove the xfail"


def test_a_row_without_a_single_case_is_blocked(pipeline: Runner) -> None:
    result = pipeline.run("""
@pytest.mark.parametrize("path", [])
@row("my-row")
def test_it(path): pass
""")

    assert (result.ret, result.rows["my-row"]["blocked_by"]) == (1, "no-cases")


def test_a_row_that_returns_something_has_failed(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it():
    return 3 > 2
""")

    assert (result.ret, result.statuses["my-row"]) == (1, "failed")
    assert result.rows["my-row"]["diagnostic"] == (
        "It is wrong: the row returned True instead of asserting it, so it could never fail; write `assert`"
    )


def test_a_row_that_breaks_does_not_say_what_it_did_not_see(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row", diagnostic="Training volume not available")
def test_it():
    {}["/mnt/training"]
""")

    assert result.rows["my-row"]["diagnostic"] == "my-row broke before it could judge: KeyError: '/mnt/training'"
    assert result.rows["my-row"]["status"] == "failed"


def test_a_broken_fixture_blocks_the_row(pipeline: Runner) -> None:
    result = pipeline.run("""
@pytest.fixture
def host():
    raise RuntimeError("no such host")
@row("my-row")
def test_it(host): pass
""")

    assert (result.rows["my-row"]["blocked_by"], result.rows["my-row"]["why"]) == (
        "fixture",
        "RuntimeError: no such host",
    )


def test_a_row_is_as_good_as_its_worst_case(pipeline: Runner) -> None:
    result = pipeline.run("""
@pytest.mark.parametrize("free_gb", [300, 12, 400])
@row("my-row", diagnostic="Only {free_gb}GB free")
def test_it(evidence, free_gb):
    evidence(free_gb=free_gb)
    assert free_gb > 250
""")

    row = result.rows["my-row"]
    assert (row["status"], row["diagnostic"]) == ("failed", "Only 12GB free")
    assert [case["status"] for case in row["cases"]] == ["passed", "failed", "passed"]


def test_rows_are_marked_on_parameters_too(pipeline: Runner) -> None:
    result = pipeline.run(
        """
@pytest.mark.parametrize("n", [pytest.param(1, marks=row("one")), pytest.param(2, marks=row("two", phase=2))])
def test_it(n): pass
""",
        "-mphase2",
    )

    assert [*result.statuses] == ["two"]


def test_a_subtest_is_a_case_with_its_own_words(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row", diagnostic="Missing package: {package}")
def test_it(subtests, evidence):
    for package in ("torch", "peft", "trl"):
        with subtests.test(package=package):
            evidence(package=package)
            assert package != "peft"
""")

    row = result.rows["my-row"]
    assert (result.ret, row["status"], row["diagnostic"]) == (1, "failed", "Missing package: peft")
    assert {case["id"]: case["status"] for case in row["cases"]} == {
        "package=torch": "passed",
        "package=peft": "failed",
        "package=trl": "passed",
        "": "passed",
    }


def test_evidence_of_one_attempt_does_not_leak_into_the_next(pipeline: Runner) -> None:
    result = pipeline.run(
        """
tries = []
@row("my-row", diagnostic="Seen: {first}{second}")
def test_it(evidence):
    tries.append(1)
    evidence(**{"first" if len(tries) == 1 else "second": len(tries)})
    assert len(tries) > 1
""",
        "--reruns=1",
    )

    row = result.rows["my-row"]
    assert (row["status"], row["attempts"], row["evidence"]) == ("warned", 2, {"second": 2})
    assert row["diagnostic"] == "passed at attempt 2; before: Seen: 1{second}"
    assert result.ret == 0


def test_not_applicable_is_known_and_takes_no_points(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it(evidence):
    evidence.not_applicable("a single GPU has no NVLink")
@row("other-row")
def test_other(): pass
""")

    assert (result.ret, result.statuses["my-row"]) == (0, "not_applicable")
    assert result.rows["my-row"]["why"] == "a single GPU has no NVLink"


def test_a_killed_worker_leaves_its_row_not_run(two_processes: Runner) -> None:
    result = two_processes.run("""
import os
@row("my-row")
def test_it():
    os._exit(3)
@row("other-row")
def test_other(): pass
""")

    assert (result.ret, result.verdict) == (1, "BLOCKED")
    assert result.statuses == {"my-row": "not_run", "other-row": "passed"}
    assert "crashed while running" in result.rows["my-row"]["why"]


def test_rows_after_a_stop_are_not_run(one_process: Runner) -> None:
    result = one_process.run(
        """
@row("my-row")
def test_it(): assert 0
@row("other-row")
def test_other(): pass
""",
        "-x",
    )

    assert result.statuses == {"my-row": "failed", "other-row": "not_run"}


def test_time_that_is_up_leaves_rows_not_run_and_says_so(pipeline: Runner) -> None:
    result = pipeline.run(
        """
@row("my-row", budget_s=3600)
def test_it(): pass
""",
        "--max-seconds=60",
    )

    assert (result.ret, result.statuses["my-row"]) == (1, "not_run")


def test_two_rows_with_one_id_are_refused(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
def test_it(): pass
@row("my-row", fix="Something else")
def test_other(): pass
""")

    said = (
        "failure mode 'my-row' is declared twice, and differently: "
        "test_inner.py::test_it and test_inner.py::test_other; rename one"
    )
    assert said in result.text
    assert "INTERNALERROR" not in result.text
    assert result.ret in (1, 2)


def test_a_test_of_two_rows_is_refused(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row")
@row("other-row")
def test_it(): pass
""")

    assert "test_inner.py::test_it is a case of two rows, " in result.text
    assert "INTERNALERROR" not in result.text


def test_a_malformed_row_is_a_collection_error(pipeline: Runner) -> None:
    result = pipeline.run("""
@row("my-row", phase=9)
def test_it(): pass
""")

    assert "failure mode 'my-row': phase is 1 to 6, got 9" in result.text
    assert "INTERNALERROR" not in result.text
    assert (result.verdict, result.ret in (1, 2)) == ("BLOCKED", True)


def test_whatever_breaks_in_recording_is_a_failed_row(pipeline: Runner) -> None:
    result = pipeline.run(
        """
@row("my-row")
def test_it(): assert 0
""",
        conftest__py="""
def pytest_pipeline_diagnose(failure_mode, evidence, error):
    raise RuntimeError("the hook broke")
""",
    )

    assert "INTERNALERROR" not in result.text
    assert result.rows["my-row"]["diagnostic"] == "my-row could not be recorded: RuntimeError: the hook broke"


def test_a_hook_may_say_what_a_failure_means(pipeline: Runner) -> None:
    result = pipeline.run(
        """
@row("my-row")
def test_it(evidence):
    evidence(gb=12)
    assert 0
""",
        conftest__py="""
def pytest_pipeline_diagnose(failure_mode, evidence, error):
    return f"{failure_mode.id} saw {evidence['gb']}", "Ask the hook"
""",
    )

    assert (result.rows["my-row"]["diagnostic"], result.rows["my-row"]["fix"]) == ("my-row saw 12", "Ask the hook")


@pytest.mark.parametrize("options", [("--lf",), ("-k", "test_it")], ids=" ".join)
def test_a_selection_judges_in_part(pipeline: Runner, options: tuple[str, ...]) -> None:
    rows = """
@row("my-row")
def test_it(): assert 0
@row("other-row")
def test_other(): pass
"""
    pipeline.run(rows)
    result = pipeline.run(rows.replace("assert 0", "pass"), *options)

    assert result.statuses == {"my-row": "passed"}
    assert (result.verdict, result.ret) == ("PARTIAL", 0)


def test_groups_of_workers_change_nothing(two_processes: Runner) -> None:
    result = two_processes.run(
        """
@pytest.mark.xdist_group("a")
@row("my-row")
def test_it(): pass
@pytest.mark.xdist_group("b")
@row("other-row")
def test_other(): assert 0
""",
        "--dist=loadgroup",
    )

    assert result.statuses == {"my-row": "passed", "other-row": "failed"}


def test_random_order_changes_nothing(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_inner="""
from pytest_pipeline import failure_mode
import pytest
@failure_mode("my-row", phase=1, category="c", failure="f", diagnostic="d", fix="x")
@pytest.mark.parametrize("n", range(5))
def test_it(n): assert n != 3
"""
    )
    ran = pytester.runpytest("-p", "randomly")

    assert ran.parseoutcomes() == {"passed": 4, "failed": 1}
    assert ran.outlines[-1] == "verdict: BLOCKED"
