"""The WSGI application in front of moto: it knows whose call it is, judges it as AWS would, and injects faults.

It closes what moto leaves open: requests without a signature, or with one in their query, expired credentials, clock
skew, permissions on prefixes and on HeadBucket, buckets of another region, malformed instance ids, EC2's own word for a
denial.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import socket
import struct
import threading
import traceback
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pytest_pipeline.sandbox import aws_answer, aws_presigned, aws_sso
from pytest_pipeline.sandbox.aws_answer import Answer
from pytest_pipeline.sandbox.aws_call import Call, read_call
from pytest_pipeline.sandbox.aws_identity import Identity, Verdict
from pytest_pipeline.sandbox.aws_rule import Cut, NoAnswer, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_pipeline.sandbox.aws_link import Link
    from pytest_pipeline.sandbox.tally import Tally

_ALLOWED_SKEW = timedelta(minutes=15)
_INSTANCE_ID = re.compile(r"i-([0-9a-f]{8}|[0-9a-f]{17})")
_POLL_S = 0.1


@dataclass(kw_only=True)
class Tenancy:
    """What belongs to one tenant in AWS: its own account, who acts in it, and what goes wrong there."""

    account: str
    identities: dict[str, Identity] = field(default_factory=dict)
    strangers: dict[str, Tally] = field(default_factory=dict)  # keys that AWS does not know, and who used them
    rules: list[Rule] = field(default_factory=list)
    bucket_regions: dict[str, str] = field(default_factory=dict)
    sso: dict[str, Identity] = field(default_factory=dict)  # by access token
    prepare_ec2: Callable[[], None] = lambda: None
    link: Link | None = None  # from S3 to who has nothing but an address that is signed: the host
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def keys(self) -> frozenset[str]:
        """Every access key whose calls are this tenant's."""
        return frozenset(self.identities) | frozenset(self.strangers)


class Front:
    """A WSGI application; `upstream` is moto's, and `wait_for_ec2` holds until its EC2 is imported."""

    def __init__(self, upstream: Callable[..., Iterable[bytes]], wait_for_ec2: Callable[[], None]) -> None:
        self._upstream = upstream
        self._wait_for_ec2 = wait_for_ec2
        self._tenancies: dict[str, Tenancy] = {}

    def add(self, tenancy: Tenancy) -> None:
        """Answer this tenant's calls from now on."""
        self._tenancies |= dict.fromkeys([*tenancy.keys, *tenancy.sso], tenancy)

    def remove(self, tenancy: Tenancy) -> None:
        """Forget this tenant, and let go of its calls that never get an answer."""
        for key in [*tenancy.keys, *tenancy.sso]:
            self._tenancies.pop(key, None)
        tenancy.gone.set()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request. Raises ConnectionResetError where a fault cut its connection."""
        call = read_call(environ)
        tenancy = self._tenancies.get(call.access_key or call.headers.get(aws_sso.TOKEN_HEADER, ""))
        try:
            answer = self._answer_surely(call, tenancy, environ)
        except (NoAnswer, Cut) as end:
            if isinstance(end, NoAnswer):
                _wait_for_the_end(environ["werkzeug.socket"], tenancy)
            _reset(environ["werkzeug.socket"])
            raise ConnectionResetError from None
        if call.method != "HEAD":
            answer = answer.with_headers(("Content-Length", str(len(answer.body))))
        identity = tenancy.identities.get(call.access_key) if tenancy else None
        answer = answer.with_headers(("Date", format_datetime(_now(identity), usegmt=True)))
        start_response(f"{answer.status} {'OK' if answer.status < 400 else 'Error'}", list(answer.headers))  # noqa: PLR2004  # HTTP's first client error
        if answer.link is None:
            return [answer.body]
        return answer.link.carry(answer.body, tenancy.gone if tenancy else threading.Event())

    def _answer_surely(self, call: Call, tenancy: Tenancy | None, environ: dict[str, Any]) -> Answer:
        """Answer, and where something in here broke, leave a trace of it and say what AWS would: try again."""
        try:
            return self._answer(call, tenancy, environ)
        except (NoAnswer, Cut):
            raise
        except Exception:  # noqa: BLE001  # whatever it was, it is ours: it must not pass for a fault of the tenant's
            traceback.print_exc()
        try:
            environ["wsgi.input"].seek(0)
            return self._answer(call, tenancy, environ)
        except (NoAnswer, Cut):
            raise
        except Exception:  # noqa: BLE001  # as above
            traceback.print_exc()
            return aws_answer.error(call, 500, "InternalError", "We encountered an internal error. Please try again.")

    def _answer(self, call: Call, tenancy: Tenancy | None, environ: dict[str, Any]) -> Answer:
        if call.service == "sso":
            return aws_sso.answer(call, tenancy.sso if tenancy else {})
        if not call.access_key:
            return aws_answer.unsigned(call)
        if call.bucket == "moto-api":  # moto's own controls are nobody's bucket
            return aws_answer.error(call, 404, "NoSuchBucket", "The specified bucket does not exist")
        identity = tenancy.identities.get(call.access_key) if tenancy else None
        if tenancy and identity:
            return self._known(call, tenancy, identity, environ)
        if aws_presigned.is_presigned(call):
            return aws_presigned.unknown(call)
        if tenancy:
            tenancy.strangers[call.access_key].hit()
        if call.service == "ec2":
            self._wait_for_ec2()
        return self._forward(call, environ)  # moto says that it knows no such key, in each service's words

    def _known(self, call: Call, tenancy: Tenancy, identity: Identity, environ: dict[str, Any]) -> Answer:
        if aws_presigned.is_presigned(call) and not identity.expired:
            refusal = aws_presigned.refusal(call, identity, environ, _now(identity))
            environ = aws_presigned.signed_by_header(call, identity, environ)
        else:
            refusal = _refused_by_time(call, identity)
        if refusal:
            return refusal
        forward: Callable[[], Answer] = partial(self._judged, call, tenancy, identity, environ)
        for rule in reversed(tenancy.rules):
            if rule.takes(call):
                forward = partial(rule.effect, call, identity, forward)
        return forward()

    def _judged(self, call: Call, tenancy: Tenancy, identity: Identity, environ: dict[str, Any]) -> Answer:
        if call.action != "sts:GetCallerIdentity":  # which nobody can be denied
            verdict = identity.judge(call)
            if verdict is not Verdict.ALLOWED:
                return aws_answer.denied(call, identity.arn, explicit=verdict is Verdict.DENIED)
        region = tenancy.bucket_regions.get(call.bucket, call.region)
        if region != call.region:
            return aws_answer.other_region(call, region)
        if call.service == "ec2":
            malformed = next((i for i in _instance_ids(call) if not _INSTANCE_ID.fullmatch(i)), None)
            if malformed is not None:
                return aws_answer.malformed_instance(call, malformed)
            self._wait_for_ec2()
            tenancy.prepare_ec2()
        answer = self._forward(call, environ)
        if answer.status == 404 and call.action == "s3:GetObject":  # noqa: PLR2004  # HTTP's "not found"
            return _hide_what_may_not_be_listed(call, identity, answer)
        return replace(answer, link=tenancy.link) if aws_presigned.is_presigned(call) else answer

    def _forward(self, call: Call, environ: dict[str, Any]) -> Answer:
        """Hand the call to moto. Where moto itself breaks, say so as AWS would, which clients try again."""
        seen: dict[str, Any] = {}

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
            seen.update(status=int(status[:3]), headers=tuple(headers))

        body = b"".join(self._upstream(environ, start_response))
        answer = Answer(**seen, body=body)
        if answer.status == 500 and body.startswith(b"<!doctype html>"):  # noqa: PLR2004  # HTTP's "internal error"
            return aws_answer.error(call, 500, "InternalError", "We encountered an internal error. Please try again.")
        return answer


def _refused_by_time(call: Call, identity: Identity) -> Answer | None:
    if identity.expired:
        identity.expired.hit()
        return aws_answer.expired(call)
    if call.signed_at is None:
        return None
    now = _now(identity)
    if abs(now - call.signed_at) <= _ALLOWED_SKEW:
        return None
    identity.skewed.hit()
    stamp = "%Y%m%dT%H%M%SZ"
    return aws_answer.skewed(
        call,
        request_time=call.signed_at.strftime(stamp),
        server_time=now.strftime(stamp),
        earliest=(now - _ALLOWED_SKEW).strftime(stamp),
    )


def _hide_what_may_not_be_listed(call: Call, identity: Identity, answer: Answer) -> Answer:
    """Say of a missing object that it is denied to who may not list: S3 never tells them what exists."""
    listing = replace(call, action="s3:ListBucket", resource=f"arn:aws:s3:::{call.bucket}", prefix=call.key)
    if identity.judge(listing) is Verdict.ALLOWED:
        return answer
    return aws_answer.denied(listing, identity.arn)


def _instance_ids(call: Call) -> Iterator[str]:
    return (value for name, value in call.parameters.items() if re.fullmatch(r"InstanceId(\.\d+)?", name))


def _now(identity: Identity | None) -> datetime:
    """Return what time it is in AWS, as far as this identity can tell."""
    return datetime.now(UTC) + timedelta(seconds=identity.clock_offset_s if identity else 0)


def _wait_for_the_end(connection: socket.socket, tenancy: Tenancy | None) -> None:
    """Wait until the client gave up, or its tenant is gone."""
    gone = tenancy.gone if tenancy else threading.Event()
    with contextlib.suppress(OSError):
        while not gone.wait(_POLL_S):
            if select.select([connection], [], [], 0)[0] and not connection.recv(1, socket.MSG_PEEK):
                return


def _reset(connection: socket.socket) -> None:
    """Send RST. Closing the socket object would not: the request's files still hold it."""
    with contextlib.suppress(OSError):  # the client may have left already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(connection.detach())
