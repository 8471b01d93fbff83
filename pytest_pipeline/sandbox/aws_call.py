"""What a client asks of AWS, read from one HTTP request: who asks, for which action, on which resource."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Mapping

_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/,\s]+)/(?P<day>\d{8})/(?P<region>[^/,]+)/(?P<service>[^/,]+)/")

_IAM_NAMES = {"monitoring": "cloudwatch"}  # of services that requests are signed for by another name

_OBJECT_ACTIONS = {
    "GET": "s3:GetObject",
    "HEAD": "s3:GetObject",
    "PUT": "s3:PutObject",
    "POST": "s3:PutObject",
    "DELETE": "s3:DeleteObject",
}
_BUCKET_ACTIONS = {
    "GET": "s3:ListBucket",
    "HEAD": "s3:ListBucket",  # HeadBucket asks for no action of its own
    "PUT": "s3:CreateBucket",
    "DELETE": "s3:DeleteBucket",
}
_BUCKET_SUBRESOURCES = {
    "location": "s3:GetBucketLocation",
    "versioning": "s3:GetBucketVersioning",
    "versions": "s3:ListBucketVersions",
    "uploads": "s3:ListBucketMultipartUploads",
    "encryption": "s3:GetEncryptionConfiguration",
    "requestPayment": "s3:GetBucketRequestPayment",
    "policy": "s3:GetBucketPolicy",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to AWS. `access_key` is empty where it is not signed; `action` is IAM's name for what is asked."""

    access_key: str
    service: str
    region: str
    action: str
    resource: str
    method: str
    bucket: str = ""
    key: str = ""
    prefix: str = ""
    signed_at: datetime | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def read_call(environ: dict[str, Any]) -> Call:
    """Read a WSGI request. A form in its body is read too, and put back for whoever answers it."""
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    scope = _CREDENTIAL.search(headers.get("authorization", "") or f"Credential={query.get('X-Amz-Credential', '')}")
    key, region, service = scope.group("key", "region", "service") if scope else ("", "us-east-1", "")
    signed_at = _timestamp(headers.get("x-amz-date") or query.get("X-Amz-Date"))
    method = str(environ.get("REQUEST_METHOD", "GET"))
    path = str(environ.get("PATH_INFO", "/"))
    form = _form(environ)
    if not service:
        service = _unsigned_service(form, path)
    if service == "s3":
        return _s3_call(method, path, query, access_key=key, region=region, signed_at=signed_at, headers=headers)
    parameters = {**query, **form}
    # Later clients of CloudWatch speak JSON, and name the operation in a header.
    operation = headers.get("x-amz-target", "").rpartition(".")[2] or parameters.get("Action", method)
    return Call(
        access_key=key,
        service=service,
        region=region,
        action=f"{_IAM_NAMES.get(service, service)}:{operation}",
        resource="*",
        method=method,
        signed_at=signed_at,
        parameters=parameters,
        headers=headers,
    )


def _s3_call(
    method: str,
    path: str,
    query: Mapping[str, str],
    *,
    access_key: str,
    region: str,
    signed_at: datetime | None,
    headers: Mapping[str, str],
) -> Call:
    bucket, _, key = unquote(path.lstrip("/")).partition("/")
    prefix = query.get("prefix", "")
    if not bucket:
        action, resource = "s3:ListAllMyBuckets", "*"
    elif key:
        action, resource = _OBJECT_ACTIONS.get(method, f"s3:{method}"), f"arn:aws:s3:::{bucket}/{key}"
        if method == "DELETE" and "uploadId" in query:
            action = "s3:AbortMultipartUpload"
    elif method == "POST" and "delete" in query:
        action, resource = "s3:DeleteObject", f"arn:aws:s3:::{bucket}/*"
    else:
        sub = next((name for name in _BUCKET_SUBRESOURCES if name in query), None)
        action = _BUCKET_SUBRESOURCES[sub] if sub and method == "GET" else _BUCKET_ACTIONS.get(method, f"s3:{method}")
        resource = f"arn:aws:s3:::{bucket}"
    return Call(
        access_key=access_key,
        service="s3",
        region=region,
        action=action,
        resource=resource,
        method=method,
        bucket=bucket,
        key=key,
        prefix=prefix,
        signed_at=signed_at,
        parameters=query,
        headers=headers,
    )


def _unsigned_service(form: Mapping[str, str], path: str) -> str:
    if form.get("Version") == "2011-06-15":
        return "sts"
    if "Action" in form:
        return "ec2"
    return "sso" if path.startswith("/federation/") else "s3"


def _form(environ: dict[str, Any]) -> dict[str, str]:
    if not str(environ.get("CONTENT_TYPE", "")).startswith("application/x-www-form-urlencoded"):
        return {}
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _timestamp(text: str | None) -> datetime | None:
    """Read the basic form of ISO 8601 that Signature Version 4 uses."""
    try:
        return datetime.strptime(text or "", "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None
