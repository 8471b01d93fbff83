"""Faults on the way to a shell that can be used: the row ssh-access must catch them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import Door

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

ROW = "ssh-access"
_IMPATIENT_S = 1.0
_FOR_EVER_S = 3600.0


def _door(plan: TenantPlan, *, door: Door) -> Tally | None:
    plan.host.door = door
    plan.settings["host"]["connect_timeout_s"] = _IMPATIENT_S
    met_by_the_sandbox = door in (Door.SILENT, Door.HTTP, Door.RESETS)
    return plan.host.met if met_by_the_sandbox else None


def _no_rule(plan: TenantPlan) -> Tally:
    _door(plan, door=Door.BLACK_HOLE)
    plan.instance.open_ports = (443,)
    return plan.rule("ec2:DescribeSecurityGroup*")


def _max_startups(plan: TenantPlan) -> Tally:
    plan.host.drop_first = 1
    return plan.host.met


def _cut(plan: TenantPlan) -> Tally:
    plan.host.cut_output_after = 10
    return plan.host.commands


def _slow(plan: TenantPlan) -> Tally:
    plan.host.command_delay_s = _FOR_EVER_S
    plan.settings["host"]["command_timeout_s"] = _IMPATIENT_S
    return plan.host.commands


def _user(plan: TenantPlan) -> Tally:
    plan.settings["host"]["user"] = "ec2-user"
    return plan.host.met


def _login_as(plan: TenantPlan) -> Tally:
    # What cloud-init writes into root's authorized_keys.
    plan.host.user = plan.settings["host"]["user"] = "root"
    plan.host.refusal = ('Please login as the user "ubuntu" rather than the user "root".\n\n', 142)
    return plan.host.commands


def _no_login(plan: TenantPlan) -> Tally:
    plan.host.refusal = ("This account is currently not available.\n", 1)
    return plan.host.commands


SSH_FAULTS = (
    *(
        Fault(
            id=f"ssh-{short}",
            row=ROW,
            kind="gross",
            words=words,
            summary=summary,
            inject=partial(_door, door=door),
        )
        for short, door, words, summary in (
            ("refused", Door.CLOSED, "refused", "nobody listens at the port"),
            ("blackhole", Door.BLACK_HOLE, "did not answer within", "packets to the port are dropped"),
            ("silent", Door.SILENT, "banner", "the port accepts connections, and says nothing"),
            ("notssh", Door.HTTP, "SSH", "a web server answers at the port"),
            ("rst", Door.RESETS, "SSH", "connections are reset as soon as they are made"),
        )
    ),
    Fault(
        id="ssh-no-rule",
        row=ROW,
        kind="subtle",
        words="no rule of its security groups opens",
        summary="the security group lets nobody in at 22/tcp",
        inject=_no_rule,
    ),
    Fault(
        id="ssh-maxstartups",
        row=ROW,
        kind="subtle",
        expect=Status.WARNED,
        words="dropped",
        summary="the first connection is closed at once, the second works",
        inject=_max_startups,
    ),
    Fault(
        id="ssh-cut",
        row=ROW,
        kind="subtle",
        words="lost",
        summary="the connection ends in the middle of a command's output",
        inject=_cut,
    ),
    Fault(
        id="ssh-slow",
        row=ROW,
        kind="subtle",
        words="did not answer",
        summary="commands never end",
        inject=_slow,
    ),
    Fault(
        id="ssh-user",
        row=ROW,
        kind="gross",
        words="refused the login",
        summary="an account that the host does not have",
        inject=_user,
    ),
    Fault(
        id="ssh-login-as",
        row=ROW,
        kind="subtle",
        words="ubuntu",
        summary="root may log in, and is only told to come as ubuntu",
        inject=_login_as,
    ),
    Fault(
        id="ssh-shell-nologin",
        row=ROW,
        kind="subtle",
        words="not available",
        summary="the account may log in, and has no shell",
        inject=_no_login,
    ),
)
"""From the outside in."""
