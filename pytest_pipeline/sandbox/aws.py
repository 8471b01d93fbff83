"""The sandbox's AWS: moto's WSGI application behind `Front`, on a loopback port."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from pytest_pipeline.sandbox.aws_front import Front, Tenancy
from pytest_pipeline.sandbox.aws_link import Link
from pytest_pipeline.sandbox.aws_seed import (
    forget,
    limit_regions,
    seed_alarms,
    seed_bucket,
    seed_instances,
    seed_role_session,
    seed_user,
)

if TYPE_CHECKING:
    from pytest_pipeline.sandbox.aws_identity import Identity
    from pytest_pipeline.sandbox.plan import TenantPlan

_BACKLOG = 128


class AwsServer:
    """AWS on 127.0.0.1. Clients may connect once it is made; they are answered after `start`."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._front: Front | None = None
        self._ec2_ready = threading.Event()

    def start(self) -> None:
        """Import moto, answer, and go on importing its EC2 (seconds) in the background."""
        # Read by moto while it is imported. From the first request on, keys and signatures are checked; the hundreds of
        # public machine images are of no use to us and slow to load.
        os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "0"
        os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415  # slow to import: the port is open by now
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415  # likewise

        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)  # it reports every request, and each one we cut

        class Handler(MotoRequestHandler):
            """moto's handler, but for two headers: `Front` says what time it is, and an SSO token is let through."""

            def send_response(self, code: int, message: str | None = None) -> None:
                self.send_response_only(code, message)

            def make_environ(self) -> dict[str, Any]:
                environ: dict[str, Any] = super().make_environ()
                # werkzeug drops it: its name has underscores.
                token = self.headers.get("x-amz-sso_bearer_token")
                return {**environ, "HTTP_X_AMZ_SSO_BEARER_TOKEN": token} if token else environ

        self._front = Front(DomainDispatcherApplication(create_backend_app), self.wait_for_ec2)
        server = make_server(
            "127.0.0.1",
            self._socket.getsockname()[1],
            self._front,
            threaded=True,
            request_handler=Handler,
            fd=self._socket.fileno(),
        )
        threading.Thread(target=server.serve_forever, name="aws", daemon=True).start()
        threading.Thread(target=self._warm_up, name="aws-ec2", daemon=True).start()

    def _warm_up(self) -> None:
        import moto.cloudwatch.responses  # noqa: PLC0415  # asked beside EC2
        import moto.ec2.responses  # noqa: F401, PLC0415  # this is the slow import
        from moto.ec2.models import ec2_backends  # noqa: PLC0415  # likewise

        limit_regions()
        ec2_backends["999999999999"]["us-east-1"].describe_instance_types(["g5.2xlarge"])
        self._ec2_ready.set()

    def wait_for_ec2(self) -> None:
        """Wait until EC2 answers at once: impatient clients would take the first answer's import for a hang."""
        self._ec2_ready.wait()

    def user(self, account: str, name: str) -> Identity:
        """Make an IAM user of this account."""
        return seed_user(account, name)

    def role_session(self, account: str, role: str, session: str) -> Identity:
        """Make a session of a role of this account."""
        return seed_role_session(account, role, session)

    def forget(self, account: str) -> None:
        """Drop everything of an account that is no more."""
        forget(account)

    def open(self, plan: TenantPlan) -> Tenancy:
        """Build what a plan says of AWS. Instances are made when EC2 is first asked."""
        if self._front is None:
            raise RuntimeError("AwsServer.open comes after start")
        for bucket in plan.buckets.values():
            seed_bucket(plan.account, bucket)
        seed_alarms(plan.account, plan.instances)
        tenancy = Tenancy(
            account=plan.account,
            identities={i.access_key: i for i in (plan.operator, plan.host_identity)},
            strangers=plan.strangers,
            rules=plan.rules,
            bucket_regions={bucket.name: bucket.region for bucket in plan.buckets.values()},
            sso=plan.sso,
            link=Link(plan.link_bytes_s),
            prepare_ec2=_Once(lambda: seed_instances(plan.account, plan.instances)),
        )
        self._front.add(tenancy)
        return tenancy

    def close(self, tenancy: Tenancy) -> None:
        """Answer a tenant's calls no more."""
        if self._front:
            self._front.remove(tenancy)


class _Once:
    """A call that is made once, by whoever comes first; the others wait for it."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._done = False

    def __call__(self) -> None:
        with self._lock:
            if not self._done:
                self._call()
                self._done = True
