"""Requests that are signed in their query: judged as S3 does, for moto looks at the Authorization header alone.

Source: Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)". What is
computed, botocore computes.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pytest_pipeline.sandbox import aws_answer

if TYPE_CHECKING:
    from datetime import datetime

    from pytest_pipeline.sandbox.aws_answer import Answer
    from pytest_pipeline.sandbox.aws_call import Call
    from pytest_pipeline.sandbox.aws_identity import Identity

SIGNATURE = "X-Amz-Signature"
"""The parameter that only a request has that is signed in its query."""

_EARLY = timedelta(minutes=15)
_SIGNING = frozenset({
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Security-Token",
    SIGNATURE,
})  # fmt: skip
_ISO = "%Y-%m-%dT%H:%M:%SZ"


def is_presigned(call: Call) -> bool:
    """Whether a call is signed in its query, for S3."""
    return call.service == "s3" and SIGNATURE in call.parameters


def unknown(call: Call) -> Answer:
    """Return what who signed with a key gets that there is not."""
    return aws_answer.error(
        call, 403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
    )


def refusal(call: Call, identity: Identity, environ: dict[str, Any], now: datetime) -> Answer | None:
    """Return what S3 answers where the signature is not that of `identity`, or its time is over; else None."""
    asked = call.parameters
    lasts = asked.get("X-Amz-Expires", "")
    if call.signed_at is None or not lasts.isdecimal() or "host" not in _signed_headers(call):
        words = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature,"
        words = f"{words} X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        return aws_answer.error(call, 400, "AuthorizationQueryParametersError", words)
    if now < call.signed_at - _EARLY:
        return aws_answer.error(call, 403, "AccessDenied", "Request is not yet valid")
    ends = call.signed_at + timedelta(seconds=int(lasts))
    if now >= ends:
        times = {"Expires": ends.strftime(_ISO), "ServerTime": now.strftime(_ISO)}
        return aws_answer.error(call, 403, "AccessDenied", "Request has expired", **{"X-Amz-Expires": lasts}, **times)
    if asked.get("X-Amz-Security-Token", "") != identity.session_token:
        return aws_answer.error(call, 400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    if not hmac.compare_digest(_signature(call, identity, environ).encode(), asked[SIGNATURE].encode()):
        return aws_answer.error(
            call,
            403,
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. "
            "Check your key and signing method.",
        )
    return None


def signed_by_header(call: Call, identity: Identity, environ: dict[str, Any]) -> dict[str, Any]:
    """Return the request as the same one that is signed in a header, now."""
    path, query = _target(environ, without=_SIGNING)
    target = f"{path}?{query}" if query else path
    request = AWSRequest(method=call.method, url=f"http://{environ['HTTP_HOST']}{target}")
    S3SigV4Auth(_credentials(identity), "s3", call.region).add_auth(request)
    added = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    return {**environ, **added, "QUERY_STRING": query, "REQUEST_URI": target, "RAW_URI": target}


def _signature(call: Call, identity: Identity, environ: dict[str, Any]) -> str:
    path, query = _target(environ, without={SIGNATURE})
    headers = {name: call.headers.get(name, "") for name in _signed_headers(call)}
    request = AWSRequest(method=call.method, url=f"http://{environ['HTTP_HOST']}{path}?{query}", headers=headers)
    request.context["timestamp"] = call.parameters["X-Amz-Date"]
    signer = S3SigV4QueryAuth(_credentials(identity), "s3", call.region)
    signature: str = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    return signature


def _target(environ: dict[str, Any], *, without: set[str] | frozenset[str]) -> tuple[str, str]:
    """Return path and query as they were sent, some parameters left out of it."""
    path, _, query = str(environ["RAW_URI"]).partition("?")
    kept = [pair for pair in query.split("&") if pair and unquote(pair.partition("=")[0]) not in without]
    return path, "&".join(kept)


def _signed_headers(call: Call) -> list[str]:
    return call.parameters.get("X-Amz-SignedHeaders", "").split(";")


def _credentials(identity: Identity) -> Credentials:
    return Credentials(identity.access_key, identity.secret_key, identity.session_token or None)
