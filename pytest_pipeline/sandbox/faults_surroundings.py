"""Faults of what surrounds a run: the host's clock, the end of its credentials, the names that it resolves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.fault import Fault, Variant
from pytest_pipeline.sandbox.host_clock import chronyc, clock_package
from pytest_pipeline.sandbox.plan import FileSpec
from pytest_pipeline.sandbox.tenant_files import credentials_text

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

_CLOCK, _CREDENTIALS, _NAMES = "host-clock", "credential-lifetime", "name-resolution"
_KEYS = "home/.aws/credentials"
_HUB = "huggingface.co"
_SOON = timedelta(minutes=20)


def _clock_off(plan: TenantPlan, offset_s: float) -> Tally:
    packages = plan.host.system_python.packages
    packages["simulated-clock"] = clock_package(offset_s)
    plan.simulated.append("clock")  # a real one is the whole machine's
    return plan.host.commands


def _clock_local_time(plan: TenantPlan) -> Tally:
    return _clock_off(plan, -7 * 3600)


def _clock_minutes(plan: TenantPlan) -> Tally:
    return _clock_off(plan, 400)


def _clock_seconds(plan: TenantPlan) -> Tally:
    return _clock_off(plan, 95)


def _clock_unkept(plan: TenantPlan) -> Tally:
    plan.host.programs["chronyc"] = chronyc(synchronised=False)
    return plan.host.commands


def _session_ends_soon(plan: TenantPlan) -> Tally:
    plan.files[_KEYS] = FileSpec(text=credentials_text("default", plan.host_identity, session_lasts=_SOON))
    return plan.host.commands


def _session_in_environment(plan: TenantPlan) -> Tally:
    keys = plan.host_identity
    variables = {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_SESSION_TOKEN": keys.session_token,
        "AWS_CREDENTIAL_EXPIRATION": _in(_SOON),
    }
    lines = [f"export {name}={quote(value)}" for name, value in variables.items()]
    plan.files["home/.bashrc"] = FileSpec(text="\n".join([*lines, ""]), mode=0o644)
    return plan.host.commands


def _session_without_end(plan: TenantPlan) -> Tally:
    lines = plan.files[_KEYS].text.splitlines()
    plan.files[_KEYS] = FileSpec(text="\n".join([line for line in lines if "expires" not in line] + [""]))
    return plan.host.commands


def _session_for_days(plan: TenantPlan) -> Tally:
    plan.settings["requirements"]["run_hours"] = 48
    return _session_without_end(plan)


def _process_ends_soon(plan: TenantPlan) -> Tally:
    _credential_process(plan, _SOON)
    return plan.host.commands


def _process_outlasts(plan: TenantPlan) -> None:
    _credential_process(plan, timedelta(hours=6))


def _credential_process(plan: TenantPlan, lasts: timedelta) -> None:
    """Let a program of the host's give out its keys, as IAM Roles Anywhere and others do."""
    keys = plan.host_identity
    answer = {
        "Version": 1,
        "AccessKeyId": keys.access_key,
        "SecretAccessKey": keys.secret_key,
        "SessionToken": keys.session_token,
        "Expiration": _in(lasts),
    }
    plan.files["home/keys.json"] = FileSpec(text=json.dumps(answer))
    command = f"cat {quote(str(plan.path('home/keys.json')))}"
    plan.files[_KEYS] = FileSpec(text=f"[default]\ncredential_process = {command}\n")


def _in(lasts: timedelta) -> str:
    return (datetime.now(UTC) + lasts).strftime("%Y-%m-%dT%H:%M:%SZ")


def _needs(plan: TenantPlan, *names: str) -> None:
    _ = plan.mounts  # elsewhere this machine's own resolver would be asked
    plan.settings["requirements"]["names"] = [*plan.settings["requirements"]["names"], *names]


def _unknown_name(plan: TenantPlan) -> Tally:
    _needs(plan, _HUB)
    return plan.host.commands


def _blocked_name(plan: TenantPlan) -> Tally:
    _needs(plan, _HUB)
    plan.host.hosts += f"0.0.0.0 {_HUB}\n"
    return plan.host.commands


def _name_of_itself(plan: TenantPlan) -> Tally:
    _needs(plan, _HUB)
    plan.host.hosts += f"127.0.0.1 {_HUB}\n"
    return plan.host.commands


def _hanging_names(plan: TenantPlan) -> Tally:
    _needs(plan)
    pipe = plan.path("resolv.pipe")
    plan.pipes.append(pipe)
    plan.host.resolv_pipe = pipe
    return plan.host.commands


def _private_names(plan: TenantPlan) -> None:
    _needs(plan, _HUB, "trainer.localhost")
    plan.host.hosts += f"127.0.0.1 trainer.localhost\n10.0.0.7 {_HUB}\nfd00::7 {_HUB}\n"


SURROUNDINGS_FAULTS = (
    Fault(
        id="clock-local-time",
        row=_CLOCK,
        kind="gross",
        words="off by 25200s",
        summary="the hardware clock holds local time, and was read as UTC",
        inject=_clock_local_time,
        also=("s3-read", "s3-write"),  # S3 allows fifteen minutes
    ),
    Fault(
        id="clock-minutes",
        row=_CLOCK,
        kind="subtle",
        words="off by",
        summary="seven minutes ahead: S3 still answers, and other services of AWS refuse",
        inject=_clock_minutes,
    ),
    Fault(
        id="clock-seconds",
        row=_CLOCK,
        kind="subtle",
        expect=Status.WARNED,
        words="ahead by",
        summary="a minute and a half ahead: enough to misjudge a heartbeat",
        inject=_clock_seconds,
    ),
    Fault(
        id="clock-unkept",
        row=_CLOCK,
        kind="subtle",
        expect=Status.WARNED,
        words="nobody keeps",
        summary="right today, and nobody keeps it",
        inject=_clock_unkept,
    ),
    Fault(
        id="cred-short",
        row=_CREDENTIALS,
        kind="gross",
        words="end in 0.3h, the run takes 2",
        summary="a session's keys in ~/.aws that end in 20 minutes",
        inject=_session_ends_soon,
    ),
    Fault(
        id="cred-environment",
        row=_CREDENTIALS,
        kind="subtle",
        words="the environment",
        summary="lasting keys in ~/.aws, and a session's in .bashrc that hide them",
        inject=_session_in_environment,
    ),
    Fault(
        id="cred-no-end",
        row=_CREDENTIALS,
        kind="subtle",
        expect=Status.WARNED,
        words="not written down",
        summary="a session's keys, pasted without their end",
        inject=_session_without_end,
    ),
    Fault(
        id="cred-days",
        row=_CREDENTIALS,
        kind="subtle",
        words="at most 3",
        summary="a session's keys without a written end, and a run that is longer than any session",
        inject=_session_for_days,
    ),
    Fault(
        id="cred-process",
        row=_CREDENTIALS,
        kind="subtle",
        expect=Status.WARNED,
        words="others are fetched",
        summary="a credential_process whose keys end during the run",
        inject=_process_ends_soon,
    ),
    Fault(
        id="dns-unknown",
        row=_NAMES,
        kind="gross",
        words=_HUB,
        summary="a name that nobody knows",
        inject=_unknown_name,
    ),
    Fault(
        id="dns-blocked",
        row=_NAMES,
        kind="subtle",
        words="which is no address",
        summary="a name that is answered with no address, as blockers do: looking it up succeeds",
        inject=_blocked_name,
    ),
    Fault(
        id="dns-itself",
        row=_NAMES,
        kind="subtle",
        expect=Status.WARNED,
        words="the host itself",
        summary="a line left in /etc/hosts that leads back to the host",
        inject=_name_of_itself,
    ),
    Fault(
        id="dns-hangs",
        row=_NAMES,
        kind="subtle",
        words="no answer within",
        summary="looking up a name never ends",
        inject=_hanging_names,
    ),
)
"""Clock, credentials, names."""

SURROUNDINGS_VARIANTS = (
    Variant(
        id="credential-process", summary="keys of a credential_process that outlast the run", inject=_process_outlasts
    ),
    Variant(
        id="private-names",
        summary="names with private addresses, of both families",
        inject=_private_names,
    ),
)
"""Odd and healthy."""
