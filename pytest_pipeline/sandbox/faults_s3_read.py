"""Faults of reading S3: the row s3-read must catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.outcome import Status
from pytest_pipeline.sandbox.aws_rule import cut, fails, lacks, never, says, unless_requester_pays
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import POLICY_BUCKET, FileSpec
from pytest_pipeline.sandbox.tally import Tally

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan

ROW = "s3-read"
BUCKET = f"arn:aws:s3:::{POLICY_BUCKET}"
EVERYTHING = (BUCKET, f"{BUCKET}/*")
_ANY = "s3:*"
_SLOW_DOWN = fails(503, "SlowDown", "Please reduce your request rate.")
_OTHER_REGION = "eu-west-1"


def _list_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:ListBucket*", BUCKET, of=plan.host_identity)


def _get_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:GetObject", f"{BUCKET}/*", of=plan.host_identity)


def _explicit_deny(plan: TenantPlan) -> Tally:
    return plan.deny("s3:GetObject", f"{BUCKET}/*", of=plan.host_identity)


def _second_prefix_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:GetObject", f"{BUCKET}/operatives/*", of=plan.host_identity)


def _second_prefix_list_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:ListBucket*", BUCKET, prefixes=("operatives/*",), of=plan.host_identity)


def _no_bucket(plan: TenantPlan) -> Tally:
    del plan.buckets[POLICY_BUCKET]
    return plan.rule(_ANY, resources=EVERYTHING)


def _slow_transient(plan: TenantPlan) -> Tally:
    return plan.rule("s3:ListBucket", _SLOW_DOWN, resources=(BUCKET,), times=2)


def _slow_forever(plan: TenantPlan) -> Tally:
    plan.settings["aws"]["attempts"] = 2
    return plan.rule(_ANY, _SLOW_DOWN, resources=EVERYTHING)


def _hang(plan: TenantPlan) -> Tally:
    plan.settings["aws"] |= {"read_timeout_s": 1.0, "attempts": 1}
    return plan.rule(_ANY, never, resources=EVERYTHING)


def _rst(plan: TenantPlan) -> Tally:
    plan.settings["aws"]["attempts"] = 1
    return plan.rule(_ANY, cut, resources=EVERYTHING)


def _region(plan: TenantPlan) -> Tally:
    plan.buckets[POLICY_BUCKET].region = _OTHER_REGION
    return plan.rule(_ANY, resources=EVERYTHING)


def _kms_deny(plan: TenantPlan) -> Tally:
    key = f"arn:aws:kms:us-east-1:{plan.account}:key/0a1b2c3d-0000-4000-8000-sandboxsandb"
    return plan.rule("s3:GetObject", lacks("kms:Decrypt", key), resources=(f"{BUCKET}/*",))


def _requester_pays(plan: TenantPlan) -> Tally:
    return plan.rule(_ANY, unless_requester_pays, resources=EVERYTHING)


def _host_deny(plan: TenantPlan) -> Tally:
    return plan.withhold(_ANY, *EVERYTHING, of=plan.host_identity)


def _host_no_credentials(plan: TenantPlan) -> Tally:
    plan.files["home/.aws/credentials"] = FileSpec(text="")
    return plan.host.commands


def _host_expired(plan: TenantPlan) -> Tally:
    plan.host_identity.expired = Tally()
    return plan.host_identity.expired


def _empty_200(plan: TenantPlan) -> Tally:
    return plan.rule("s3:ListBucket", says(200, b"", "application/xml"), resources=(BUCKET,))


def _archived(plan: TenantPlan) -> Tally:
    message = "The operation is not valid for the object's storage class"
    return plan.rule("s3:GetObject", fails(403, "InvalidObjectState", message), resources=(f"{BUCKET}/*",))


S3_READ_FAULTS = (
    Fault(
        id="s3-list-deny",
        row=ROW,
        kind="gross",
        words="s3:ListBucket",
        summary="the bucket must not be listed",
        inject=_list_deny,
    ),
    Fault(
        id="s3-get-deny",
        row=ROW,
        kind="subtle",
        words="s3:GetObject",
        summary="listing is allowed and reading is not: `aws s3 ls` passes",
        inject=_get_deny,
    ),
    Fault(
        id="s3-get-explicit-deny",
        row=ROW,
        kind="subtle",
        words="s3:GetObject",
        summary="a policy denies reading in so many words, although another allows it",
        inject=_explicit_deny,
    ),
    Fault(
        id="s3-second-prefix-deny",
        row=ROW,
        kind="subtle",
        words="operatives/",
        summary="only the second of two read prefixes must not be read",
        inject=_second_prefix_deny,
    ),
    Fault(
        id="s3-second-prefix-list-deny",
        row=ROW,
        kind="subtle",
        words="operatives/",
        summary="only the second of two read prefixes must not be listed",
        inject=_second_prefix_list_deny,
    ),
    Fault(
        id="s3-no-bucket",
        row=ROW,
        kind="gross",
        words="NoSuchBucket",
        summary="the bucket does not exist",
        inject=_no_bucket,
    ),
    Fault(
        id="s3-slow-transient",
        row=ROW,
        kind="subtle",
        expect=Status.WARNED,
        words="retr",
        summary="S3 asks to slow down twice, then answers",
        inject=_slow_transient,
    ),
    Fault(
        id="s3-slow-forever",
        row=ROW,
        kind="gross",
        words="SlowDown",
        summary="S3 asks to slow down at every attempt",
        inject=_slow_forever,
    ),
    Fault(
        id="s3-hang",
        row=ROW,
        kind="gross",
        words="timed out",
        summary="S3 accepts requests and never answers",
        inject=_hang,
    ),
    Fault(
        id="s3-rst",
        row=ROW,
        kind="gross",
        words="connection",
        summary="S3's connections are reset",
        inject=_rst,
    ),
    Fault(
        id="s3-region",
        row=ROW,
        kind="subtle",
        words=_OTHER_REGION,
        summary="the bucket lies in another region than the settings say",
        inject=_region,
    ),
    Fault(
        id="s3-kms-deny",
        row=ROW,
        kind="subtle",
        words="kms:Decrypt",
        summary="objects may be read, and their KMS key may not be used",
        inject=_kms_deny,
    ),
    Fault(
        id="s3-requester-pays",
        row=ROW,
        kind="subtle",
        words="equester",
        summary="the bucket's readers pay, and the settings do not say so",
        inject=_requester_pays,
    ),
    Fault(
        id="s3-host-deny",
        row=ROW,
        kind="subtle",
        words="assumed-role",
        summary="the operator may read the bucket, and the host's role may not",
        inject=_host_deny,
    ),
    Fault(
        id="s3-host-no-credentials",
        row=ROW,
        kind="subtle",
        also=("s3-write",),
        words="credentials",
        summary="the host has no credentials at all",
        inject=_host_no_credentials,
    ),
    Fault(
        id="s3-host-expired",
        row=ROW,
        kind="subtle",
        also=("s3-write",),
        words="xpired",
        summary="the host's session credentials are past their time",
        inject=_host_expired,
    ),
    Fault(
        id="s3-empty-200",
        row=ROW,
        kind="subtle",
        words="wrong answer",
        summary="a proxy answers 200 and nothing: boto3 takes it for an empty listing",
        inject=_empty_200,
    ),
    Fault(
        id="s3-archived",
        row=ROW,
        kind="subtle",
        words="InvalidObjectState",
        summary="the objects are listed, and lie in an archive from which they must be restored first",
        inject=_archived,
    ),
)
"""In the order in which a reader meets them."""
