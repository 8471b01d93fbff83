"""Faults of the operator's credentials: the row aws-credentials must catch them."""

from __future__ import annotations

import hashlib
import json
import socket
from typing import TYPE_CHECKING

from pytest_pipeline.sandbox.aws_rule import fails, never, says
from pytest_pipeline.sandbox.fault import Fault
from pytest_pipeline.sandbox.plan import REGION, FileSpec
from pytest_pipeline.sandbox.tally import Tally
from pytest_pipeline.sandbox.tenant_files import PROFILE, credentials_text

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.plan import TenantPlan

ROW = "aws-credentials"
SSO_START = "https://sandbox.awsapps.com/start"
_TWO_HOURS_S = 7200.0
_UNKNOWN_KEY = "AKIAIOSFODNN7UNKNOWN"
_EXPIRED_TOKEN = "expired"  # noqa: S105  # opens nothing
_IDENTITY = "sts:GetCallerIdentity"


def _credentials(plan: TenantPlan, text: str) -> None:
    plan.files["aws/credentials"] = FileSpec(text=text)


def _profile(plan: TenantPlan, *lines: str, further: str = "") -> None:
    """Let the operator's profile say this, and no keys."""
    _credentials(plan, "")
    text = "\n".join([f"[profile {PROFILE}]", f"region = {REGION}", *lines, further, ""])
    plan.files["aws/config"] = FileSpec(text=text)


def _none(plan: TenantPlan) -> None:
    _credentials(plan, "")


def _unknown(plan: TenantPlan) -> Tally:
    # Unknown to the sandbox too, so it must be nobody else's: the account number makes it this tenant's.
    key = f"{_UNKNOWN_KEY[:14]}{plan.account[-6:]}"
    _credentials(plan, f"[{PROFILE}]\naws_access_key_id = {key}\naws_secret_access_key = {'x' * 40}\n")
    return plan.strangers.setdefault(key, Tally())


def _secret(plan: TenantPlan) -> Tally:
    _credentials(plan, credentials_text(PROFILE, plan.operator, secret_key="y" * 40))
    return plan.rule(_IDENTITY, identities=(plan.operator.access_key,))


def _expired(plan: TenantPlan) -> Tally:
    plan.operator.expired = Tally()
    return plan.operator.expired


def _skew(plan: TenantPlan) -> Tally:
    plan.operator.clock_offset_s = _TWO_HOURS_S
    return plan.operator.skewed


def _partial(plan: TenantPlan) -> None:
    _credentials(plan, f"[{PROFILE}]\naws_access_key_id = {plan.operator.access_key}\n")


def _no_profile(plan: TenantPlan) -> None:
    plan.settings["aws"]["profile"] = "production"


def _unreachable(plan: TenantPlan) -> None:
    # Taken and never listened at: every connection is refused, and nobody else can get the port.
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    plan.keep.append(taken)
    plan.settings["aws"]["endpoint_url"] = f"http://127.0.0.1:{taken.getsockname()[1]}"


def _account(plan: TenantPlan) -> Tally:
    plan.settings["aws"]["account"] = "123456789012"
    return plan.rule(_IDENTITY)


def _hang(plan: TenantPlan) -> Tally:
    plan.settings["aws"] |= {"read_timeout_s": 1.0, "attempts": 1}
    return plan.rule("sts:*", never)


def _throttled(plan: TenantPlan) -> Tally:
    plan.settings["aws"]["attempts"] = 2
    return plan.rule("sts:*", fails(400, "Throttling", "Rate exceeded"))


def _portal(plan: TenantPlan) -> Tally:
    return plan.rule("sts:*", says(200, b"<html><body>Sign in to the network</body></html>", "text/html"))


def _sso_expired(plan: TenantPlan) -> None:
    sso_profile(plan, token=_EXPIRED_TOKEN, expires="2020-01-01T00:00:00Z")


def sso_profile(plan: TenantPlan, *, token: str, expires: str) -> None:
    """Make the operator's profile one of IAM Identity Center, with this token cached."""
    _profile(
        plan,
        f"sso_start_url = {SSO_START}",
        f"sso_region = {REGION}",
        f"sso_account_id = {plan.account}",
        "sso_role_name = deployer",
        f"endpoint_url = {plan.aws_url}",
    )
    name = hashlib.sha1(SSO_START.encode(), usedforsecurity=False).hexdigest()  # as the AWS CLI names it
    cached = {"startUrl": SSO_START, "region": REGION, "accessToken": token, "expiresAt": expires}
    plan.files[f"aws/sso/cache/{name}.json"] = FileSpec(text=json.dumps(cached))


def _mfa(plan: TenantPlan) -> None:
    _profile(
        plan,
        f"role_arn = arn:aws:iam::{plan.account}:role/deployer",
        f"mfa_serial = arn:aws:iam::{plan.account}:mfa/someone",
        "source_profile = base",
    )
    _credentials(plan, credentials_text("base", plan.operator))


def _process_hangs(plan: TenantPlan) -> None:
    pipe, helper = plan.path("aws/never"), plan.path("aws/credential-helper")
    plan.pipes.append(pipe)
    # It waits for what the sandbox never writes, so it ends with the sandbox and not later.
    plan.files["aws/credential-helper"] = FileSpec(text=f"#!/bin/sh\nexec cat < '{pipe}'\n", mode=0o700)
    _profile(plan, f"credential_process = {helper}")
    plan.settings["aws"]["read_timeout_s"] = 1.0


AWS_FAULTS = (
    Fault(
        id="aws-none",
        row=ROW,
        kind="gross",
        words="Unable to locate credentials",
        summary="no credentials anywhere",
        inject=_none,
    ),
    Fault(
        id="aws-unknown",
        row=ROW,
        kind="gross",
        words="InvalidClientTokenId",
        summary="an access key that AWS does not know",
        inject=_unknown,
    ),
    Fault(
        id="aws-secret",
        row=ROW,
        kind="gross",
        words="SignatureDoesNotMatch",
        summary="a wrong secret key",
        inject=_secret,
    ),
    Fault(
        id="aws-expired",
        row=ROW,
        kind="gross",
        words="expired",
        summary="session credentials after their time",
        inject=_expired,
    ),
    Fault(
        id="aws-skew",
        row=ROW,
        kind="subtle",
        words="clock",
        summary="the operator's clock is two hours late",
        inject=_skew,
    ),
    Fault(
        id="aws-partial",
        row=ROW,
        kind="subtle",
        words="Partial credentials",
        summary="a credentials file without the secret key",
        inject=_partial,
    ),
    Fault(
        id="aws-profile",
        row=ROW,
        kind="gross",
        words="production",
        summary="a profile that is in no file",
        inject=_no_profile,
    ),
    Fault(
        id="aws-unreachable",
        row=ROW,
        kind="gross",
        words="cannot reach",
        summary="nobody listens at AWS's endpoint",
        inject=_unreachable,
    ),
    Fault(
        id="aws-hang",
        row=ROW,
        kind="subtle",
        words="timed out",
        summary="STS accepts the request and never answers",
        inject=_hang,
    ),
    Fault(
        id="aws-throttled",
        row=ROW,
        kind="subtle",
        words="Throttling",
        summary="STS throttles every attempt",
        inject=_throttled,
    ),
    Fault(
        id="aws-portal",
        row=ROW,
        kind="subtle",
        words="wrong answer",
        summary="a captive portal answers 200 and a web page in STS's place",
        inject=_portal,
    ),
    Fault(
        id="aws-account",
        row=ROW,
        kind="subtle",
        words="123456789012",
        summary="valid credentials of another account than the expected one",
        inject=_account,
    ),
    Fault(
        id="aws-sso-expired",
        row=ROW,
        kind="gross",
        words="aws sso login",
        summary="an SSO profile whose cached token has expired",
        inject=_sso_expired,
    ),
    Fault(
        id="aws-mfa",
        row=ROW,
        kind="subtle",
        words="MFA",
        summary="a profile that needs an MFA code, and nobody to type it",
        inject=_mfa,
    ),
    Fault(
        id="aws-process-hang",
        row=ROW,
        kind="subtle",
        words="credential_process",
        summary="a credential_process that never ends",
        inject=_process_hangs,
    ),
)
"""In the order of the ways that credentials take."""
