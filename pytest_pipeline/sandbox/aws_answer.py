"""How AWS answers when it refuses: status, code and words of each service.

Sources: "Error responses" of the Amazon S3 API reference, "Error codes for the Amazon EC2 API", "Common errors" of the
AWS STS API reference, "Troubleshoot access denied error messages" of the IAM user guide.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.aws_call import Call
    from pytest_pipeline.sandbox.aws_link import Link

REQUEST_ID = "SANDBOXSANDBOX00"
_XML = ("Content-Type", "application/xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: tuple[tuple[str, str], ...] = (_XML,)
    body: bytes = b""
    link: Link | None = None  # what it comes over; None: as fast as it can

    def with_headers(self, *added: tuple[str, str]) -> Answer:
        """Return the answer with these headers, in place of any of the same names."""
        names = {name.lower() for name, _ in added}
        return replace(self, headers=(*(h for h in self.headers if h[0].lower() not in names), *added))

    def without_headers(self, prefix: str) -> Answer:
        """Return the answer without the headers whose names begin so."""
        return replace(self, headers=tuple(h for h in self.headers if not h[0].lower().startswith(prefix)))


def error(call: Call, status: int, code: str, message: str, **more: str) -> Answer:
    """Return an error in the form of the called service; `more` are further elements of an S3 error."""
    text = escape(message, quote=False)
    if call.service == "s3":
        extra = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in more.items())
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{text}</Message>{extra}'
            f"<RequestId>{REQUEST_ID}</RequestId><HostId>sandbox</HostId></Error>"
        )
        headers = (_XML, ("x-amz-request-id", REQUEST_ID))
        # What answers HEAD has no body, so a client knows nothing but the status.
        return Answer(status=status, headers=headers, body=b"" if call.method == "HEAD" else body.encode())
    if call.service == "ec2":
        body = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code>'
            f"<Message>{text}</Message></Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
        )
    elif "x-amz-target" in call.headers:
        said = json.dumps({"__type": code, "message": message})
        return Answer(status=status, headers=(("Content-Type", "application/x-amz-json-1.0"),), body=said.encode())
    else:
        version = "2010-05-08" if call.service == "iam" else "2011-06-15"
        body = (
            f'<ErrorResponse xmlns="https://{call.service}.amazonaws.com/doc/{version}/"><Error><Type>Sender</Type>'
            f"<Code>{code}</Code><Message>{text}</Message></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
        )
    return Answer(status=status, body=body.encode())


def denied(call: Call, arn: str, *, action: str = "", resource: str = "", explicit: bool = False) -> Answer:
    """Return the refusal of an action that the policies of `arn` do not allow, or deny in so many words."""
    action, resource = action or call.action, resource or call.resource
    because = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {action} action"
    )
    if call.service == "ec2":
        return error(
            call,
            403,
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. User: {arn} is not authorized to perform: {action} "
            f"{because}",
        )
    on = f'on resource: "{resource}"' if call.service == "s3" else f"on resource: {resource}"
    return error(call, 403, "AccessDenied", f"User: {arn} is not authorized to perform: {action} {on} {because}")


def unsigned(call: Call) -> Answer:
    """Return what a request without a signature gets."""
    if call.service == "s3":
        return error(call, 403, "AccessDenied", "Access Denied")
    return error(call, 403, "MissingAuthenticationToken", "Request is missing Authentication Token")


def expired(call: Call) -> Answer:
    """Return what temporary credentials get after their time."""
    if call.service == "s3":
        return error(call, 400, "ExpiredToken", "The provided token has expired.")
    if call.service == "ec2":
        return error(call, 400, "RequestExpired", "Request has expired.")
    return error(call, 403, "ExpiredToken", "The security token included in the request is expired")


def skewed(call: Call, *, request_time: str, server_time: str, earliest: str) -> Answer:
    """Return what a request gets that was signed by a clock more than 15 minutes off. Times are in basic ISO 8601."""
    if call.service == "s3":
        return error(
            call,
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            RequestTime=request_time,
            ServerTime=server_time,
            MaxAllowedSkewMilliseconds="900000",
        )
    if call.service == "ec2":
        return error(call, 400, "RequestExpired", "Request has expired.")
    if request_time < earliest:
        message = f"Signature expired: {request_time} is now earlier than {earliest} ({server_time} - 15 min.)"
    else:
        message = f"Signature not yet current: {request_time} is still later than {server_time} + 15 min."
    return error(call, 403, "SignatureDoesNotMatch", message)


def other_region(call: Call, region: str) -> Answer:
    """Return what a bucket says that is asked through the endpoint of another region than its own."""
    moved = error(
        call,
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint. "
        "Please send all future requests to this endpoint.",
        Endpoint=f"{call.bucket}.s3.{region}.amazonaws.com",
        Bucket=call.bucket,
    )
    return moved.with_headers(("x-amz-bucket-region", region))


def malformed_instance(call: Call, instance_id: str) -> Answer:
    """Return what EC2 says of an id that can be no instance's."""
    return error(call, 400, "InvalidInstanceID.Malformed", f'Invalid id: "{instance_id}"')
