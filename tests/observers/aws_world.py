"""An AWS of the tests' own: moto with IAM enforced on 127.0.0.1, and in front of it what moto cannot do.

Every user has a fault list of its own, found by access key, so that tests share one server and no fault.
"""

from __future__ import annotations

import io
import itertools
import json
import logging
import os
import re
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from moto import settings as moto_settings
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    import pytest

    from pytest_pipeline.settings import Aws

ACCOUNT = "123456789012"
REGION = "us-east-1"
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
_KEY = re.compile(r"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")
_OVERLONG_S = 30

logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # a connection that was reset on purpose is no news


@dataclass(kw_only=True)
class Fault:
    """What is answered instead of moto, to whom, to which requests, and how often."""

    answer: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]
    service: str = ""
    method: str = ""
    where: str = ""  # a pattern over path, query and body
    elsewhere_than: str = ""  # a region that is spared
    times: float = float("inf")


def error(status: int, code: str, message: str, *, more: str = "", headers: Mapping[str, str] | None = None) -> Any:
    """Answer with an error of AWS, in the words of the service that was asked."""

    def answer(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        inner = f"<Code>{code}</Code><Message>{message}</Message>{more}"
        texts = {
            "s3": f"<Error>{inner}<RequestId>TEST</RequestId></Error>",
            "ec2": f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>TEST</RequestID></Response>",
        }
        body = texts.get(environ["test.service"], f"<ErrorResponse><Error>{inner}</Error></ErrorResponse>").encode()
        given = {"Content-Type": "application/xml", "Content-Length": str(len(body)), **(headers or {})}
        start(f"{status} Said", list(given.items()))
        return [body]

    return answer


def plain(body: bytes = b"", *, content_type: str = "text/html", status: int = 200) -> Any:
    """Answer with something that AWS would not say."""

    def answer(_: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        start(f"{status} OK", [("Content-Type", content_type), ("Content-Length", str(len(body)))])
        return [body]

    return answer


def reset(environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
    """Reset the connection. A plain close leaves a reference, and an empty 200 with it."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123  # its descriptor is what is wanted
        os.dup2(nothing.fileno(), connection.fileno())
    start("200 OK", [])
    return []


def in_time_of(offset_s: float) -> Callable[[WSGIApplication], WSGIApplication]:
    """Put AWS's clock off, and so every client's: signatures are refused as AWS refuses them."""

    def wrap(app: WSGIApplication) -> WSGIApplication:
        def answer(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
            now = datetime.now(UTC) + timedelta(seconds=offset_s)
            return app(environ, start) if abs(offset_s) < 1 else _skewed(environ, start, now)

        return answer

    return wrap


def _skewed(environ: WSGIEnvironment, start: StartResponse, now: datetime) -> Iterable[bytes]:
    signed, server = environ["HTTP_X_AMZ_DATE"], f"{now:%Y%m%dT%H%M%SZ}"
    environ["test.date"] = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    service = environ["test.service"]
    if service == "s3":
        words = "The difference between the request time and the current time is too large."
        more = f"<RequestTime>{signed}</RequestTime><ServerTime>{server}</ServerTime>"
        said = error(403, "RequestTimeTooSkewed", words, more=more)
    elif service == "ec2":
        said = error(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
    else:
        limit = f"{now - timedelta(minutes=15):%Y%m%dT%H%M%SZ}"
        words = f"Signature expired: {signed} is now earlier than {limit} ({server} - 15 min.)"
        said = error(403, "SignatureDoesNotMatch", words)
    return list(said(environ, start))


class _Handler(MotoRequestHandler):
    """Lets an answer have a date of its own; the server would send both."""

    def date_time_string(self, timestamp: float | None = None) -> str:
        return str(self.environ.get("test.date") or super().date_time_string(timestamp))


@dataclass
class Tenant:
    """A user of the test's own: its key pair, its faults, and the requests it made."""

    key: str
    secret: str
    arn: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def meets(self, answer: Any, **which: Any) -> None:
        """Add a fault."""
        self.faults.append(Fault(answer=answer, **which))


class AwsWorld:
    """The server, and who is known to it."""

    def __init__(self) -> None:
        self.tenants: dict[str | None, Tenant] = {}
        self.release = threading.Event()  # what hangs, hangs until then
        self._numbers = itertools.count(1)
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._before = moto_settings.INITIAL_NO_AUTH_ACTION_COUNT
        moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
        self._server = make_server("127.0.0.1", 0, self, threaded=True, request_handler=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.admin = self.user(EVERYTHING)

    def close(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        moto_settings.INITIAL_NO_AUTH_ACTION_COUNT = self._before

    def name(self, what: str) -> str:
        """Return a name that no other test has."""
        return f"{what}-{next(self._numbers)}"

    def user(self, *statements: Mapping[str, Any]) -> Tenant:
        """Make a user with a policy."""
        iam: Any = iam_backends[ACCOUNT]["aws"]
        name = self.name("user")
        made = iam.create_user(REGION, name)
        iam.put_user_policy(name, "own", json.dumps({"Version": "2012-10-17", "Statement": statements}))
        key = iam.create_access_key(name)
        self.tenants[key.access_key_id] = Tenant(key.access_key_id, key.secret_access_key, made.arn)
        return self.tenants[key.access_key_id]

    def role(self, *, trusting: Tenant) -> str:
        """Make a role that may do everything and that a user may assume; return its ARN."""
        iam: Any = iam_backends[ACCOUNT]["aws"]
        name = self.name("role")
        trust = {"Effect": "Allow", "Principal": {"AWS": trusting.arn}, "Action": "sts:AssumeRole"}
        made = iam.create_role(
            name, json.dumps({"Version": "2012-10-17", "Statement": [trust]}), "/", None, "", [], 3600
        )
        iam.put_role_policy(name, "own", json.dumps({"Version": "2012-10-17", "Statement": [EVERYTHING]}))
        return str(made.arn)

    def stranger(self) -> Tenant:
        """Make a key pair that AWS does not know."""
        key = f"AKIASTRANGER{next(self._numbers):08d}"
        self.tenants[key] = Tenant(key, "not-a-secret", "")
        return self.tenants[key]

    def client(self, service: str, region: str = REGION) -> Any:
        """Return a client of the administrator."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=self.admin.key,
            aws_secret_access_key=self.admin.secret,
        )

    @contextmanager
    def unsigned(self, answer: Any, *, where: str) -> Iterator[None]:
        """Answer requests that carry no signature, as those that get credentials do."""
        self.tenants[None] = Tenant("", "", "", faults=[Fault(answer=answer, where=where)])
        yield
        del self.tenants[None]

    def hang(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        """Say nothing until the world ends."""
        self.release.wait(_OVERLONG_S)
        return list(plain()(environ, start))

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        signed = _KEY.search(environ.get("HTTP_AUTHORIZATION", ""))
        key, environ["test.service"] = signed.groups() if signed else (None, "")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        what = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')} {body[:2000].decode(errors='replace')}"
        tenant = self.tenants.get(key)
        if tenant is not None:
            tenant.requests.append(f"{environ['REQUEST_METHOD']} {what}")
            for fault in tenant.faults:
                if (
                    fault.service in ("", environ["test.service"])
                    and fault.method in ("", environ["REQUEST_METHOD"])
                    and re.search(fault.where, what)
                    and (not fault.elsewhere_than or fault.elsewhere_than not in environ["HTTP_AUTHORIZATION"])
                    and fault.times > 0
                ):
                    fault.times -= 1
                    return fault.answer(environ, start)
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer


class MakeAws(Protocol):
    """Makes settings with the keys of a user."""

    def __call__(self, tenant: Tenant, **more: Any) -> Aws: ...


def scrub(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Take the user's own AWS out of the environment, and give a home without any."""
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(home))
