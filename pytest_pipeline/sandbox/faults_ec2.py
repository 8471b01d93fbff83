"""Faults of the instance as EC2 sees it: the rows ec2-exists, ec2-running and instance-identity must catch them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import InstancePlan

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.fault import Kind
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

EXISTS, RUNNING, IDENTITY = "ec2-exists", "ec2-running", "instance-identity"
_LOOKED = "ec2:DescribeInstances"


def _named(plan: TenantPlan, instance_id: str) -> Tally:
    """Let the settings name this instance."""
    plan.settings["host"]["instance_ids"] = [instance_id]
    return plan.rule(_LOOKED)


def _missing(plan: TenantPlan) -> Tally:
    return _named(plan, "i-0123456789abcdef0")


def _malformed(plan: TenantPlan) -> Tally:
    return _named(plan, "i-mistral-training")


def _region(plan: TenantPlan) -> Tally:
    plan.instance.region = "eu-west-1"
    return plan.rule(_LOOKED)


def _other_account(plan: TenantPlan) -> Tally:
    plan.instance.elsewhere = True
    return plan.rule(_LOOKED)


def _deny(plan: TenantPlan) -> Tally:
    return plan.withhold("ec2:*", of=plan.operator)


def _in_state(plan: TenantPlan, *, state: str) -> Tally:
    plan.instance.state = state
    return plan.rule(_LOOKED)


def _address_of_another(plan: TenantPlan) -> Tally:
    plan.instances.append(
        InstancePlan(
            id=plan.instance.id.replace("i-0a", "i-0b", 1),  # of its own, whatever the tenant's number
            name="somebody-elses",
            address="127.0.0.2",
            data_volume_gib=None,
        )
    )
    plan.host.addresses.append("127.0.0.2")
    plan.settings["host"]["address"] = "127.0.0.2"
    return plan.rule(_LOOKED)


def _moved(plan: TenantPlan) -> Tally:
    plan.settings["host"]["address"] = "127.0.0.2"
    # A machine that nobody knows has the old address by now, and answers at it.
    plan.host.addresses.append("127.0.0.2")
    return plan.rule(_LOOKED)


def _type(plan: TenantPlan) -> Tally:
    plan.instance.type = "g4dn.xlarge"
    return plan.rule(_LOOKED)


_STATES: tuple[tuple[str, str, Kind], ...] = (
    ("stopped", "stopped", "gross"),
    ("stopping", "stopping", "subtle"),  # the host still answers, as does one that is being shut down
    ("pending", "pending", "subtle"),
    ("shutting", "shutting-down", "subtle"),
    ("terminated", "terminated", "gross"),
)

EC2_FAULTS = (
    Fault(
        id="ec2-missing",
        row=EXISTS,
        kind="gross",
        words="not found",
        summary="the instance id is nobody's",
        inject=_missing,
    ),
    Fault(
        id="ec2-malformed",
        row=EXISTS,
        kind="gross",
        words="i-mistral-training",
        summary="the instance id is none",
        inject=_malformed,
    ),
    Fault(
        id="ec2-region",
        row=EXISTS,
        kind="subtle",
        words="eu-west-1",
        summary="the instance lies in another region",
        inject=_region,
    ),
    Fault(
        id="ec2-wrong-account",
        row=EXISTS,
        kind="subtle",
        words="not found",
        summary="the instance is in another account",
        inject=_other_account,
    ),
    Fault(
        id="ec2-deny",
        row=EXISTS,
        kind="subtle",
        words="not authorized",
        summary="the operator may not look at instances",
        inject=_deny,
    ),
    *(
        Fault(
            id=f"ec2-{short}",
            row=RUNNING,
            kind=kind,
            words=f"in state {state}",
            summary=f"the instance is {state}",
            inject=partial(_in_state, state=state),
        )
        for short, state, kind in _STATES
    ),
    Fault(
        id="instance-address",
        row=IDENTITY,
        kind="subtle",
        words="127.0.0.2",
        summary="the given address belongs to another instance",
        inject=_address_of_another,
    ),
    Fault(
        id="instance-moved",
        row=IDENTITY,
        kind="subtle",
        words="127.0.0.1",
        summary="the instance got another address when it was stopped and started",
        inject=_moved,
    ),
    Fault(
        id="instance-type",
        row=IDENTITY,
        kind="subtle",
        words="g4dn.xlarge",
        summary="the instance is of another type than the settings say",
        inject=_type,
    ),
)
"""In the order in which the rows ask."""
