"""Who the operator is to AWS: one call of STS GetCallerIdentity, which no policy can deny."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pytest_pipeline.observers.aws_session import asked_of, client, key_last4, make_session
from pytest_pipeline.observers.aws_trouble import AWS_ERRORS, AwsTrouble, classify, clock_offset_s, trouble_in
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    import boto3

    from pytest_pipeline.settings import Aws

ROW = "aws-credentials"
_ACTION = "sts:GetCallerIdentity"
_ARN = re.compile(r"arn:[\w-]+:(?:iam|sts)::(?P<account>\d{12}):(?P<what>[\w-]+)(?:/(?P<path>.+))?")


class IdentityKind(StrEnum):
    """What kind of principal it is (IAM user guide, "IAM identifiers")."""

    USER = "user"
    ROLE = "role"
    ROOT = "root"
    FEDERATED = "federated"


_KINDS = {
    "user": IdentityKind.USER,
    "assumed-role": IdentityKind.ROLE,
    "root": IdentityKind.ROOT,
    "federated-user": IdentityKind.FEDERATED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An identity as STS named it, and what its credentials are.

    `source` is botocore's name of where they came from. `expires_in_s` is None where they do not say. `clock_offset_s`
    is how far this machine's clock is ahead of AWS's (to 1 s), None where the answer had no date.
    """

    account: str
    arn: str
    user_id: str
    kind: IdentityKind
    name: str  # of the user or the role
    session_name: str  # of an assumed role, else ""
    access_key_last4: str
    source: str
    expires_in_s: float | None
    clock_offset_s: float | None


def see_identity(aws: Aws) -> Identity | AwsTrouble:
    """Return who the operator is to AWS, or why that cannot be said. Sends one request, and what getting keys takes."""
    session = None
    try:
        session = make_session(aws)
        answer = client(session, "sts", aws).get_caller_identity()
    except AWS_ERRORS as error:
        return classify(error, asked_of(aws, _ACTION, session=session))
    except KeyError as missing:  # botocore found markup, a portal's page, and no element of STS's in it
        if missing.args != ("GetCallerIdentityResult",):
            raise
        answer = {}
    seen = _identity_in(answer, session, datetime.now(UTC)) if answer else None
    return seen or trouble_in("WrongAnswer", "no account and ARN in it", 200, asked_of(aws, _ACTION, session=session))


def look_at_identity(aws: Aws) -> Reading[Identity]:
    """Return the reading of the operator's identity; whatever is in its way belongs to the row `aws-credentials`."""
    seen = see_identity(aws)
    if isinstance(seen, AwsTrouble):
        return Reading.missing(seen.what, by=ROW, remedy=seen.remedy)
    return Reading.of(seen)


def _identity_in(answer: dict[str, Any], session: boto3.Session, now: datetime) -> Identity | None:
    arn = _ARN.fullmatch(str(answer.get("Arn", "")))
    if arn is None or answer.get("Account") != arn["account"] or arn["what"] not in _KINDS:
        return None
    kind = _KINDS[arn["what"]]
    name, _, session_name = (arn["path"] or "").rpartition("/")
    if kind is not IdentityKind.ROLE:
        name, session_name = session_name, ""
    held = session.get_credentials()
    return Identity(
        account=arn["account"],
        arn=answer["Arn"],
        user_id=str(answer.get("UserId", "")),
        kind=kind,
        name=name.rpartition("/")[2],
        session_name=session_name,
        access_key_last4=key_last4(held),
        source=held.method,
        expires_in_s=_expires_in_s(held, now),
        clock_offset_s=clock_offset_s(answer["ResponseMetadata"]["HTTPHeaders"], now),
    )


def _expires_in_s(credentials: Any, now: datetime) -> float | None:
    """Botocore keeps the end of temporary keys to itself; without it their life is not known, which is allowed."""
    expires = getattr(credentials, "_expiry_time", None)
    return (expires - now).total_seconds() if isinstance(expires, datetime) else None
