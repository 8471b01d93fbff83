"""Faults of writing S3: the row s3-write must catch them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.aws_rule import cut, fails, lacks, pretends, spoils
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import CACHE_BUCKET

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan
    from pytest_pipeline.sandbox.tally import Tally

ROW = "s3-write"
OBJECTS = f"arn:aws:s3:::{CACHE_BUCKET}/*"
_MULTIPART = (
    "Access Denied: User is not authorized to perform: s3:PutObject with an explicit deny in a resource-based policy"
)


def _put_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:PutObject", OBJECTS, of=(plan.operator, plan.host_identity))


def _host_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:PutObject", OBJECTS, of=plan.host_identity)


def _operator_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:PutObject", OBJECTS, of=plan.operator)


def _last_prefix_deny(plan: TenantPlan) -> Tally:
    bucket = OBJECTS.removesuffix("*")
    return plan.withhold("s3:PutObject", f"{bucket}training-runs/*", of=plan.host_identity)


def _delete_deny(plan: TenantPlan) -> Tally:
    return plan.withhold("s3:DeleteObject", OBJECTS, of=(plan.operator, plan.host_identity))


def _multipart_deny(plan: TenantPlan) -> Tally:
    # No IAM action is for this call alone; a bucket policy may well deny it, say by demanding a header.
    return plan.rule(
        "s3:PutObject",
        fails(403, "AccessDenied", _MULTIPART),
        methods=("POST",),
        parameter="uploads",
        resources=(OBJECTS,),
    )


def _kms_deny(plan: TenantPlan) -> Tally:
    key = f"arn:aws:kms:us-east-1:{plan.account}:key/0a1b2c3d-0000-4000-8000-sandboxsandb"
    return plan.rule("s3:PutObject", lacks("kms:GenerateDataKey", key), resources=(OBJECTS,))


def _corrupt(plan: TenantPlan) -> Tally:
    return plan.rule("s3:GetObject", spoils, methods=("GET",), resources=(OBJECTS,))


def _lies(plan: TenantPlan) -> Tally:
    return plan.rule("s3:PutObject", pretends, methods=("PUT",), resources=(OBJECTS,))


def _cut(plan: TenantPlan) -> Tally:
    plan.settings["aws"]["attempts"] = 1
    return plan.rule("s3:PutObject", cut, resources=(OBJECTS,))


def _no_bucket(plan: TenantPlan) -> Tally:
    del plan.buckets[CACHE_BUCKET]
    return plan.rule("s3:*", resources=(OBJECTS, OBJECTS.removesuffix("/*")))


S3_WRITE_FAULTS = (
    Fault(
        id="s3-put-deny",
        row=ROW,
        kind="gross",
        words="s3:PutObject",
        summary="nobody may write to the bucket",
        inject=_put_deny,
    ),
    Fault(
        id="s3-write-host-deny",
        row=ROW,
        kind="subtle",
        words="assumed-role",
        summary="the operator may write, and the host's role may not",
        inject=_host_deny,
    ),
    Fault(
        id="s3-write-operator-deny",
        row=ROW,
        kind="subtle",
        words="user/deployer",
        summary="the host's role may write, and the operator may not",
        inject=_operator_deny,
    ),
    Fault(
        id="s3-write-last-prefix-deny",
        row=ROW,
        kind="subtle",
        words="training-runs/",
        summary="only the last of three write prefixes must not be written",
        inject=_last_prefix_deny,
    ),
    Fault(
        id="s3-del-deny",
        row=ROW,
        kind="subtle",
        words="s3:DeleteObject",
        summary="what the pipeline writes it may not delete",
        inject=_delete_deny,
    ),
    Fault(
        id="s3-mpu-deny",
        row=ROW,
        kind="subtle",
        words="CreateMultipartUpload",
        summary="small objects may be written, and no multipart upload begun: no checkpoint will arrive",
        inject=_multipart_deny,
    ),
    Fault(
        id="s3-write-kms-deny",
        row=ROW,
        kind="subtle",
        words="kms:GenerateDataKey",
        summary="the bucket's KMS key may not be used to write",
        inject=_kms_deny,
    ),
    Fault(
        id="s3-corrupt",
        row=ROW,
        kind="subtle",
        words="read-back",
        summary="what is read back differs from what was written",
        inject=_corrupt,
    ),
    Fault(
        id="s3-write-lies",
        row=ROW,
        kind="subtle",
        words="NoSuchKey",
        summary="a PUT is answered 200, and the object is not there",
        inject=_lies,
    ),
    Fault(
        id="s3-write-rst",
        row=ROW,
        kind="gross",
        words="connection",
        summary="connections are reset while writing",
        inject=_cut,
    ),
    Fault(
        id="s3-write-no-bucket",
        row=ROW,
        kind="gross",
        words="NoSuchBucket",
        summary="the output bucket does not exist",
        inject=_no_bucket,
    ),
)
"""In the order in which a writer meets them."""
