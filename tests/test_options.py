"""The command line: what does not go together, and what must not disturb other plugins."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG = {
    "sandbox and instance": (
        ("--sandbox", "--instance-id=i-0abc", "--ssh-key=key.pem"),
        "--sandbox looks at a stand-in, and --instance-id and --ssh-key names the real thing; give one or the other",
    ),
    "inject and address": (
        ("--inject=ebs-ro", "--instance-ip=10.0.0.1"),
        "--sandbox looks at a stand-in, and --instance-ip names the real thing; give one or the other",
    ),
    "no score": (("--fail-under=150",), "argument --fail-under: '150' is no score from 0 to 100"),
    "no number": (("--fail-under=most",), "argument --fail-under: 'most' is not a number"),
    "no time": (("--max-seconds=0",), "argument --max-seconds: '0' is no number of seconds above 0"),
    "not a number": (("--max-seconds=nan",), "argument --max-seconds: 'nan' is not a number"),
    "no sample": (("--sample-size=0",), "argument --sample-size: '0' is no number of records, 1 or more"),
    "half a record": (("--sample-size=2.5",), "argument --sample-size: '2.5' is no number of records, 1 or more"),
    "no end of records": (("--sample-size=inf",), "argument --sample-size: 'inf' is not a number"),
    "no stage": (("--stage=prefligth",), "argument --stage: invalid choice: 'prefligth'"),
    "no fault": (("--inject=ebs-r0",), "unknown fault 'ebs-r0'; did you mean 'ebs-ro'?"),
    "no such file": (("--pipeline-config=no.toml", "--readiness-json=r.json"), "no.toml"),
}


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG.keys())
def test_a_usage_error_says_what_to_do(pytester: pytest.Pytester, options: Sequence[str], message: str) -> None:
    pytester.makepyfile(test_plain="def test_plain(): pass")
    ran = pytester.runpytest(*options)

    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert message in ran.stderr.str()
    assert "Traceback" not in ran.stderr.str() + ran.stdout.str()


def test_asserts_that_python_removed_are_refused(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_inner="""
from pytest_pipeline import failure_mode
@failure_mode("my-row", phase=1, category="c", failure="f", diagnostic="d", fix="x")
def test_it(): assert 0
"""
    )
    ran = pytester.run(sys.executable, "-O", "-m", "pytest", "--assert=plain", "-p", "no:randomly")

    assert ran.ret != 0
    assert "rows could pass without having judged" in ran.stdout.str() + ran.stderr.str()


def test_every_destination_carries_our_name(pytestconfig: pytest.Config) -> None:
    ours = [
        "instance_id", "instance_ip", "ssh_key", "stage", "run_id", "read_only", "fail_under", "max_seconds",
        "readiness_json", "sandbox", "inject", "config_file", "set", "sample_size",
    ]  # fmt: skip
    for name in ours:
        assert hasattr(pytestconfig.option, f"pipeline_{name}")


OTHERS = """
import pytest
def pytest_addoption(parser):
    group = parser.getgroup("others")
    # the options of testinfra, django, docker, cov, base-url and rerunfailures, as they declare them
    for option, dest in [
        ("--hosts", "hosts"), ("--ssh-config", "ssh_config"), ("--ssh-identity-file", "ssh_identity_file"),
        ("--connection", "connection"), ("--sudo", "sudo"), ("--ds", "ds"), ("--dc", "dc"),
        ("--nomigrations", "nomigrations"),
        ("--container-scope", "container_scope"), ("--cov", "cov_source"), ("--cov-fail-under", "cov_fail_under"),
        ("--base-url", "base_url"), ("--verify-base-url", "verify"), ("--aws-profile", "aws_profile"),
    ]:
        group.addoption(option, dest=dest, default=None)
@pytest.fixture
def settings(): return "of pytest-django"
@pytest.fixture
def data(): return "anybody's"
"""


def test_other_plugins_are_not_disturbed(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(others=OTHERS)
    pytester.makepyfile(
        test_plain="def test_plain(settings, data): assert (settings, data) == ('of pytest-django', \"anybody's\")"
    )
    pytester.syspathinsert()
    ran = pytester.runpytest("-p", "others", "-p", "rerunfailures")

    ran.assert_outcomes(passed=1)


def test_a_stage_without_a_path_runs_the_shipped_suite(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
import pytest
def pytest_collection(session):
    pytest.exit(f"{session.config.args} {session.config.option.pyargs}", returncode=0)
""")
    with_path = pytester.runpytest("--stage=preflight", ".")
    without = pytester.runpytest("--stage=preflight")

    assert "['matrix_tests'] True" in without.stdout.str()
    assert "['.'] False" in with_path.stdout.str()
