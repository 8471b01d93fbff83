"""The shipped suite against the sandbox: the same in one process and in two, untouched by the user's environment."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

from pytest_pipeline.catalogue import CATALOGUE
from pytest_pipeline.matrix import FailureMode

if TYPE_CHECKING:
    from pathlib import Path

PREFLIGHT = [row for phase in (1, 2) for row, mode in CATALOGUE.items() if mode.phase == phase]
DATA = [row for row, mode in CATALOGUE.items() if mode.phase == 3]


def run(pytester: pytest.Pytester, *options: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    pytester.makeini("[pytest]")
    ran = pytester.runpytest_subprocess(
        "-p", "no:randomly", "--readiness-json=r.json", *options, "--stage=preflight", "--pyargs", "matrix_tests"
    )
    return ran, json.loads((pytester.path / "r.json").read_text(encoding="utf-8"))


def test_preflight_is_ready_with_all_its_points(pytester: pytest.Pytester) -> None:
    alone, one = run(pytester, "--sandbox")
    together, two = run(pytester, "--sandbox", "-n2")

    assert (alone.ret, together.ret) == (0, 0)
    for line in (
        "Infrastructure Setup 20/20",
        "Environment Validation 15/15",
        "Score 35/35 - 65 points not judged",
    ):
        assert line in alone.outlines
    assert "✅ DEPLOYMENT READY" in alone.outlines
    assert [row["id"] for row in one["rows"]] == PREFLIGHT
    for key in ("verdict", "score", "areas", "causes", "problems", "not_judged"):
        assert one[key] == two[key]
    assert (
        [row["status"] for row in one["rows"]] == [row["status"] for row in two["rows"]] == ["passed"] * len(PREFLIGHT)
    )
    assert (one["target"]["world"], one["target"]["simulated"]) == ("sandbox", ["accelerator"])
    assert all(effect["removed"] for effect in one["effects"])
    assert one["effects"]


def test_the_header_says_that_it_is_the_sandbox(pytester: pytest.Pytester) -> None:
    ran, _ = run(pytester, "--inject=ebs-ro")

    assert (
        "pipeline: SANDBOX, all of it on this machine; it says nothing about your hosts "
        "(simulated: accelerator; injected: ebs-ro)" in ran.outlines
    )


@pytest.mark.parametrize("processes", [(), ("-n2",)], ids=["serial", "xdist"])
def test_every_report_says_what_was_simulated(pytester: pytest.Pytester, processes: tuple[str, ...]) -> None:
    run(pytester, "--sandbox", "--junit-xml=j.xml", "--html=h.html", *processes)
    junit = ET.parse(pytester.path / "j.xml")  # noqa: S314  # of our own making
    html = (pytester.path / "h.html").read_text(encoding="utf-8")
    said = [
        {one.get("name"): one.get("value") for one in case.iter("property")}.get("pipeline_simulated")
        for case in junit.iter("testcase")
    ]

    assert said
    assert set(said) == {"accelerator"}
    assert "SANDBOX, all of it on this machine; it says nothing about your hosts (simulated: accelerator" in html


def test_what_is_to_be_done_on_the_host_is_a_line_for_this_machine(pytester: pytest.Pytester) -> None:
    ran, report = run(pytester, "--inject=stale-trainer", "--stage=preflight")
    stale = next(row for row in report["rows"] if row["id"] == "stale-processes")

    assert re.fullmatch(r"ssh -i \S+ -p \d+ ubuntu@127\.0\.0\.1 'kill \d+'", stale["remedy"])
    assert f"   Run: {stale['remedy']}" in ran.outlines


def test_the_command_to_run_again_can_become_right(pytester: pytest.Pytester) -> None:
    _, report = run(pytester, "--inject=model-none", "--stage=preflight")
    words = shlex.split(report["rerun"])

    assert "--stage=preflight" not in words
    assert words[-4:] == ["--pyargs", "matrix_tests", "-k", "model-files"]


def test_the_users_own_aws_is_not_looked_at_in_the_sandbox(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret-of-production",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_REGION": "ap-south-2",
        "AWS_CONFIG_FILE": "/nonexistent",
        "PYTEST_PIPELINE_HOST__USER": "nobody",
    }.items():
        monkeypatch.setenv(name, value)
    ran, report = run(pytester, "--sandbox")

    assert (ran.ret, report["verdict"]) == (0, "READY")
    assert "secret-of-production" not in ran.stdout.str() + json.dumps(report)


UNKNOWN = {  # what is replaced, and the row that owns the reason
    "world.look_at_identity": "aws-credentials",
    "world.look_at_instances": "ec2-exists",
    "world.read_buckets": "s3-read",
    "world.write_buckets": "s3-write",
    "host_look.look_at_host": "ssh-access",
    "host_look.write_from_host": "s3-write",
}


@pytest.mark.parametrize(("what", "owner"), UNKNOWN.items(), ids=[*UNKNOWN])
def test_an_observation_that_knows_nothing_is_never_fine(pytester: pytest.Pytester, what: str, owner: str) -> None:
    module, _, function = what.partition(".")
    pytester.makeconftest(f"""
from pytest_pipeline.observers import {module}
from pytest_pipeline.outcome import Reading
from pytest_pipeline.observers.host_answer import all_missing
def unknown(*given, **more):
    if {function!r} == "look_at_host":
        return all_missing(given[1], "nobody knows", by={owner!r})
    return Reading.missing("nobody knows", by={owner!r})
{module}.{function} = unknown
""")
    bucket = '[{name = "policy-database", from = ["operator"], read = [""]}]'
    more = [f"--pipeline-set=aws.buckets={bucket}"] if function == "read_buckets" else []
    ran, report = run(pytester, "--sandbox", "-p", "conftest", *more)

    assert (ran.ret, report["verdict"]) == (1, "BLOCKED")
    assert owner in [cause["row"] for cause in report["causes"]]


def test_a_token_in_a_requirements_url_reaches_no_output(pytester: pytest.Pytester) -> None:
    private = "acme @ git+https://ghp_tok3n@git.example/acme.git"
    (pytester.path / "mine.toml").write_text(
        f"[requirements]\npackages = ['transformers', '{private}']\n", encoding="utf-8"
    )
    reports = ("--junit-xml=j.xml", "--html=h.html")
    ran, report = run(pytester, "--sandbox", "--pipeline-config=mine.toml", "-v", *reports)
    files = [(pytester.path / name).read_text(encoding="utf-8") for name in ("j.xml", "h.html")]

    assert "acme" in json.dumps(report)
    assert not [text for text in (ran.stdout.str(), ran.stderr.str(), json.dumps(report), *files) if "tok3n" in text]


HUNG = {  # what costs only those that need it: the rows that are still judged, and right
    "torch-hang": {"python-version", "gpu-memory", "model-files", "limits", "co-tenants", "disk-space"},
    "smi-hang": {"python-version", "pytorch", "dependencies", "model-files", "limits", "disk-space"},
    "dep-hang": {"python-version", "pytorch", "cuda", "gpu-memory", "model-files", "limits", "disk-space"},
    "py-none": {"ssh-access", "ebs-volume"},
    "py-nowhere": {"ssh-access", "host-clock", "gpu-memory", "gpu-health", "co-tenants"},  # what a shell can read
}


@pytest.mark.parametrize(("fault", "still_right"), HUNG.items(), ids=[*HUNG])
def test_what_hangs_or_is_not_there_costs_its_own_rows_alone(
    pytester: pytest.Pytester, fault: str, still_right: set[str]
) -> None:
    _, report = run(pytester, f"--inject={fault}")
    right = {row["id"] for row in report["rows"] if row["status"] == "passed"}

    assert still_right <= right


def test_without_awss_clock_nobody_knows_whose_clock_is_wrong(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
from pytest_pipeline.observers import world
from pytest_pipeline.outcome import Reading
world.look_at_identity = lambda *given: Reading.missing("nobody knows", by="aws-credentials")
""")
    known = ("--inject=clock-local-time", "--pipeline-set=host.address=127.0.0.1", "-p", "conftest")
    _, report = run(pytester, *known)
    (clock,) = [row for row in report["rows"] if row["id"] == "host-clock"]

    assert (clock["status"], clock["blocked_by"]) == ("blocked", "aws-credentials")


def test_one_connection_and_two_round_trips_and_no_process_for_both_phases(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
import pathlib, subprocess
from pytest_pipeline.connections import ssh
from pytest_pipeline.connections.channel import SshConnection
seen = []
def counted(owner, name, word):
    plain = getattr(owner, name)
    def count(*given, **more):
        seen.append(word if word != "process" else f"process {given[1][0] if len(given) > 1 else more['args'][0]}")
        return plain(*given, **more)
    setattr(owner, name, count)
counted(ssh, "open_ssh", "connection")
counted(SshConnection, "run", "round trip")
counted(subprocess.Popen, "__init__", "process")
def pytest_unconfigure(): pathlib.Path("seen.txt").write_text("\\n".join(seen))
""")
    run(pytester, "--sandbox")
    seen = (pytester.path / "seen.txt").read_text(encoding="utf-8").splitlines()

    assert (seen.count("connection"), seen.count("round trip")) == (1, 2)
    started = {one.rpartition("/")[2] for one in seen if one.startswith("process")}
    assert {name for name in started if "aws" in name or "ssh" in name} == set()


def buckets(*made: str) -> str:
    return f"--pipeline-set=aws.buckets=[{', '.join(made)}]"


CACHE = '{name = "asoba-llm-cache", from = ["operator"], write = ["training-runs/"]}'


def test_a_prefix_with_nothing_in_it_is_not_simply_readable(pytester: pytest.Pytester) -> None:
    mistyped = '{name = "policy-database", from = ["host"], read = ["econ-theroy/"]}'
    _, report = run(pytester, "--sandbox", buckets(mistyped, CACHE))

    row = next(row for row in report["rows"] if row["id"] == "s3-read")
    assert row["status"] == "warned"
    assert "no object with content among 0 keys (host at s3://policy-database/econ-theroy/)" in row["diagnostic"]


def test_a_bucket_that_nobody_can_look_at_is_not_passed_over(pytester: pytest.Pytester) -> None:
    blind = '{name = "no-such-bucket", from = ["operator"], actions = ["s3:DeleteObject"]}'
    ran, report = run(pytester, "--sandbox", buckets(blind, CACHE))

    assert (ran.ret, [cause["row"] for cause in report["causes"]]) == (1, ["settings"])
    assert "aws.buckets no-such-bucket: read or write prefixes" in report["causes"][0]["diagnostic"]


def test_an_action_that_is_not_tried_is_said(pytester: pytest.Pytester) -> None:
    acl = CACHE.replace("}", ', actions = ["s3:PutObjectAcl"]}')
    read = '{name = "policy-database", from = ["host"], read = ["econ-theory/"]}'
    _, report = run(pytester, "--sandbox", buckets(read, acl))

    row = next(row for row in report["rows"] if row["id"] == "s3-write")
    assert "s3:PutObjectAcl on asoba-llm-cache is in aws.buckets.actions, and is not tried" in row["diagnostic"]


def test_every_shipped_row_is_its_entry_in_the_catalogue(pytester: pytest.Pytester) -> None:
    ran = pytester.runpytest_subprocess("--collect-only", "-q", "--pyargs", "matrix_tests", "-p", "seen")
    assert ran.ret != 0  # without the file below there is no such plugin
    pytester.makepyfile(
        seen="""
import json, pathlib
from pytest_pipeline.attempt import mode_of
def pytest_collection_finish(session):
    made = [mode_of(item).to_wire() | {"method": item.obj.__doc__} for item in session.items]
    pathlib.Path("modes.json").write_text(json.dumps(made))
"""
    )
    pytester.syspathinsert()
    pytester.makeini("[pytest]")
    pytester.runpytest_subprocess("--collect-only", "-q", "--pyargs", "matrix_tests", "-p", "seen", "-p", "no:randomly")
    declared = json.loads((pytester.path / "modes.json").read_text(encoding="utf-8"))

    shared = ("id", "phase", "area", "category", "failure", "diagnostic", "fix", "severity")
    assert [*dict.fromkeys(wire["id"] for wire in declared)] == [*PREFLIGHT, *DATA]
    for wire in declared:
        entry = CATALOGUE[wire["id"]].to_wire()
        assert {column: wire[column] for column in shared} == {column: entry[column] for column in shared}
        assert wire["method"]
        assert FailureMode.from_wire({name: wire[name] for name in entry})


def test_nothing_configured_is_one_cause(pytester: pytest.Pytester) -> None:
    ran, report = run(pytester)

    causes = {cause["row"]: cause["blocks"] for cause in report["causes"]}
    assert ran.ret == 1
    assert {*causes} == {"aws-credentials", "settings"}
    assert "Traceback" not in ran.stdout.str()


def test_no_credentials_and_no_network_is_one_failure(pytester: pytest.Pytester, tmp_path: Path) -> None:
    (pytester.path / "pipeline.toml").write_text(
        f"""
[aws]
region = "us-east-1"
credentials_file = "{tmp_path}/none"
[[aws.buckets]]
name = "policy-database"
from = ["host"]
read = [""]
[requirements.disk]
"/mnt/training" = {{ free_gb = 1, kinds = ["ebs"] }}
""",
        encoding="utf-8",
    )
    ran, report = run(pytester, "--instance-id=i-0123456789abcdef0")

    assert (ran.ret, report["verdict"]) == (1, "BLOCKED")
    assert [row["id"] for row in report["rows"] if row["status"] == "failed"] == ["aws-credentials"]
    assert "Traceback" not in ran.stdout.str() + ran.stderr.str()
