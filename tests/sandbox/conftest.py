"""A sandbox for the tests of this folder, and its tenants as plain clients see them: botocore and paramiko."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import botocore.exceptions
import botocore.session
import paramiko
import pytest
from botocore.config import Config
from botocore.utils import JSONFileCache

from pytest_pipeline.sandbox.child import SandboxChild, SandboxError, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class OpenWorld(Protocol):
    def __call__(self, *faults: str, variant: str | None = None) -> World: ...


class Code(Protocol):
    def __call__(self, call: Any, **arguments: Any) -> tuple[int, str, str]: ...


class World:
    """A tenant, looked at by clients that anybody might use."""

    def __init__(self, sandbox: SandboxChild, tenant: Tenant, leave: contextlib.ExitStack) -> None:
        self.id = tenant.id
        self.simulated = tenant.simulated
        self.settings = tenant.settings
        self.host: Mapping[str, Any] = tenant.settings["host"]
        self._sandbox = sandbox
        self._leave = leave
        self._ssh: paramiko.SSHClient | None = None

    def session(self, profile: str | None = None) -> Any:
        """Return a botocore session of the operator, who has the tenant's files and nothing else."""
        session = botocore.session.Session()
        session.set_config_variable("credentials_file", self.settings["aws"]["credentials_file"])
        session.set_config_variable("config_file", self.settings["aws"]["config_file"])
        session.set_config_variable("profile", profile or self.settings["aws"]["profile"])
        caches = Path(self.settings["aws"]["config_file"]).parent
        chain = session.get_component("credential_provider")
        chain.get_provider("sso")._token_cache = JSONFileCache(str(caches / "sso" / "cache"))  # botocore knows ~ alone
        chain.get_provider("assume-role").cache = JSONFileCache(str(caches / "cli" / "cache"))
        return session

    def client(self, service: str, **options: Any) -> Any:
        """Return a client with the operator's credentials."""
        return self._client(self.session(), service, **options)

    def host_client(self, service: str, **options: Any) -> Any:
        """Return a client with the credentials that lie in the home of the host's account."""
        parser = configparser.ConfigParser()
        _, brackets, text = self.run("cat ~/.aws/credentials")[1].partition("[default]")  # a noisy host says more
        parser.read_string(brackets + text)
        found = dict(parser.items("default")) if parser.has_section("default") else {}
        if "credential_process" in found:
            said = json.loads(self.run(found["credential_process"])[1])
            names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
            keys = dict(
                zip(
                    ("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
                    map(said.get, names),
                    strict=True,
                )
            )
        else:
            keys = {name: value for name, value in found.items() if name.startswith("aws_")}
        return self._client(botocore.session.Session(), service, **keys, **options)

    def _client(self, session: Any, service: str, region: str = "us-east-1", **options: Any) -> Any:
        aws = self.settings["aws"]
        config = Config(
            connect_timeout=aws["connect_timeout_s"],
            read_timeout=aws["read_timeout_s"],
            retries={"total_max_attempts": aws["attempts"], "mode": "standard"},
        )
        return session.create_client(
            service, region_name=region, endpoint_url=aws["endpoint_url"], config=config, **options
        )

    def ssh(self) -> paramiko.SSHClient:
        """Connect as a careful client does: the host's key must be known."""
        client = paramiko.SSHClient()
        self._leave.callback(client.close)
        client.load_host_keys(self.host["known_hosts"])
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        patience = self.host["connect_timeout_s"]
        client.connect(
            self.host.get("address") or "127.0.0.1",
            port=self.host["port"],
            username=self.host["user"],
            key_filename=self.host["key"],
            allow_agent=False,
            look_for_keys=False,
            timeout=patience,
            banner_timeout=patience,
            auth_timeout=patience,
        )
        return client

    def run(self, command: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """Run a command on the host; return its exit status, output and errors."""
        if self._ssh is None:
            self._ssh = self.ssh()
        transport = self._ssh.get_transport()
        assert transport is not None
        channel = transport.open_session()
        channel.settimeout(self.host["command_timeout_s"])
        channel.exec_command(command)
        channel.sendall(stdin)
        channel.shutdown_write()
        out, err = channel.makefile("rb").read(), channel.makefile_stderr("rb").read()
        return channel.recv_exit_status(), out.decode(), err.decode()

    def close(self) -> None:
        """End the tenant before the test does."""
        self._leave.close()

    def felt(self, fault: str) -> int | None:
        return self._sandbox.felt(self.id)[fault]


@pytest.fixture(autouse=True)
def _nobodys_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own AWS out of it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxChild]:
    """One sandbox for all tests of a process; each of them has tenants of its own."""
    child = SandboxChild()
    child.start(tmp_path_factory.mktemp("sandbox"))
    yield child
    child.stop()


@pytest.fixture
def open_world(sandbox: SandboxChild) -> Iterator[OpenWorld]:
    """Open tenants that end with the test."""
    with contextlib.ExitStack() as all_leave:

        def opener(*faults: str, variant: str | None = None) -> World:
            try:
                tenant = sandbox.open(faults, variant)
            except SandboxError as error:
                if "namespaces are forbidden" in str(error):
                    pytest.skip(str(error))
                raise
            leave = all_leave.enter_context(contextlib.ExitStack())
            leave.callback(sandbox.close_tenant, tenant.id)
            return World(sandbox, tenant, leave)

        yield opener


@pytest.fixture
def make_world() -> type[World]:
    """Give the class itself, for worlds of another sandbox than the session's."""
    return World


@pytest.fixture
def world(open_world: OpenWorld) -> World:
    """A healthy tenant."""
    return open_world()


@pytest.fixture
def code() -> Code:
    """Give what returns status, code and message of the error that a call must get."""

    def error_of(call: Any, **arguments: Any) -> tuple[int, str, str]:
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call(**arguments)
        response = caught.value.response
        return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]

    return error_of
