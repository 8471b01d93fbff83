"""A boto3 session as the gate needs it: every client of it has timeouts, a bounded number of attempts and the endpoint.

Botocore's own defaults wait 60 s for an answer, several times over.
"""

from __future__ import annotations

import copy
import functools
import ipaddress
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from botocore.configprovider import ConfiguredEndpointProvider
from botocore.exceptions import ConfigNotFound

from pytest_pipeline.observers.aws_remedy import Asked
from pytest_pipeline.observers.credential_sources import credential_chain

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_pipeline.settings import Aws

V = TypeVar("V")

CREDENTIAL_PROCESS_S = 10.0
"""How long a profile's `credential_process` may take."""

_OF_PYTEST = "PYTEST_CURRENT_TEST"
_METADATA_S = 1
_METADATA_ATTEMPTS = 1
_NO_FILE = "/dev/null"  # botocore takes what is no regular file for a file that is not there
_STILL_FROM_ENVIRONMENT = frozenset({"ca_bundle"})
"""What names neither an identity nor a place: a company's certificates are needed whichever credentials are used."""


def make_session(aws: Aws, *, process_deadline_s: float = CREDENTIAL_PROCESS_S) -> boto3.Session:
    """Return a session with region, profile, endpoint, timeouts and attempts set for every client made from it.

    Nothing is sent and no credentials are asked for yet. Clients may be made from several threads (botocore allows it
    to none); give each thread its own. Raises ProfileNotFound, ConfigParseError, and ConfigNotFound where
    `aws.credentials_file` or `aws.config_file` names a file that is not there.
    """
    for given in (aws.credentials_file, aws.config_file):
        if given is not None and not given.expanduser().is_file():
            raise ConfigNotFound(path=str(given))
    core = _BoundedCore(aws, process_deadline_s)
    session = boto3.Session(botocore_session=core, region_name=aws.region)
    paths = _models().search_paths
    paths[:] = dict.fromkeys(paths)  # boto3 appends its own to it, once a session
    return session


@functools.cache
def _models() -> botocore.loaders.Loader:
    """Return the reader of AWS's service models, shared by all sessions: EC2's alone takes a tenth of a second."""
    return botocore.loaders.create_loader(os.environ.get("AWS_DATA_PATH"))


def client(session: boto3.Session, service: str, aws: Aws, *, region: str | None = None) -> Any:
    """Return a new client of a service. `region` is where it looks, if that is not the session's.

    STS answers alike in every region, so that a region left out of the settings is not taken for bad credentials.
    """
    where = region or session.region_name or aws.region
    if where is None and service == "sts":
        where = "us-east-1"
    return session.client(service, region_name=where)


def worst_wait_s(aws: Aws) -> float:
    """Return how long one request can take until it has failed, in seconds: its attempts and the pauses between.

    Botocore's standard retry mode pauses at most 1, 2, 4 ... s, and never more than 20.
    """
    pauses_s = sum(min(2.0**attempt, 20.0) for attempt in range(aws.attempts - 1))
    return aws.attempts * (aws.connect_timeout_s + aws.read_timeout_s) + pauses_s


def asked_of(
    aws: Aws,
    action: str,
    resource: str = "*",
    *,
    session: boto3.Session | None = None,
    region: str = "",
    grant: str = "",
) -> Asked:
    """Return what the words about a trouble need to know; without a session where none could be made.

    Credentials are named by the end of the key id, and only if they are there already.
    """
    files = [str(given) for given in (aws.credentials_file, aws.config_file) if given is not None]
    held = session._session._credentials if session is not None else None  # noqa: SLF001  # asking would load them
    return Asked(
        action=action,
        resource=resource,
        grant=grant,
        region=region or (session.region_name if session is not None else None) or aws.region or "",
        profile=(session.profile_name if session is not None else None) or aws.profile or _profile_chosen(aws),
        sources=" and ".join(files) or "the environment, ~/.aws, and container or instance metadata",
        credentials_file=str(aws.credentials_file or ""),
        config_file=str(aws.config_file or ""),
        key_last4=key_last4(held),
        connect_timeout_s=aws.connect_timeout_s,
        read_timeout_s=aws.read_timeout_s,
        attempts=aws.attempts,
    )


def _profile_chosen(aws: Aws) -> str:
    """Return the profile that would be used if a session could be made, where the settings name none."""
    names = () if aws.credentials_file or aws.config_file else ("AWS_DEFAULT_PROFILE", "AWS_PROFILE")
    return next((os.environ[name] for name in names if os.environ.get(name)), "default")


def key_last4(credentials: Any) -> str:
    """Return the end of the access key id of botocore's credentials, or "" where none is loaded yet."""
    held = getattr(credentials, "_access_key", None) or getattr(credentials, "__dict__", {}).get("access_key")
    return str(held or "")[-4:]


class _BoundedCore(botocore.session.Session):  # type: ignore[misc]  # botocore ships no types
    """Botocore's session, bounded, and making one client at a time.

    Clients that botocore makes for itself (STS to assume a role, SSO) are made here too, and so go to the same endpoint
    with the same timeouts.
    """

    def __init__(self, aws: Aws, process_deadline_s: float) -> None:
        self._making = threading.RLock()
        self._files_alone = aws.credentials_file is not None or aws.config_file is not None
        self._endpoint_url = aws.endpoint_url
        super().__init__(session_vars=_without_environment() if self._files_alone else None, profile=aws.profile)
        if self._files_alone:
            self.set_config_variable("credentials_file", str(aws.credentials_file or _NO_FILE))
            self.set_config_variable("config_file", str(aws.config_file or _NO_FILE))
        self.register_component("data_loader", _models())
        self.set_config_variable("metadata_service_timeout", _METADATA_S)
        self.set_config_variable("metadata_service_num_attempts", _METADATA_ATTEMPTS)
        self.set_default_client_config(
            Config(
                connect_timeout=aws.connect_timeout_s,
                read_timeout=aws.read_timeout_s,
                retries={"total_max_attempts": aws.attempts, "mode": "standard"},
                # What is on this machine is not reached through a proxy.
                proxies={} if is_loopback(aws.endpoint_url) else None,
            )
        )
        self.lazy_register_component(
            "credential_provider",
            lambda: _undisturbed(
                lambda: credential_chain(
                    self,
                    files_alone=self._files_alone,
                    caches=_caches_beside(aws.config_file or aws.credentials_file),
                    process_deadline_s=process_deadline_s,
                )
            ),
        )

    def create_client(self, service_name: str, **options: Any) -> Any:
        with self._making:
            options["endpoint_url"] = options.get("endpoint_url") or self._endpoint_of(service_name)
            if self._files_alone:
                alone = Config(ignore_configured_endpoint_urls=True)
                options["config"] = options["config"].merge(alone) if options.get("config") else alone
            make = super().create_client
            return _undisturbed(lambda: make(service_name, **options))

    def _endpoint_of(self, service_name: str) -> str | None:
        if self._endpoint_url is not None or not self._files_alone:
            return self._endpoint_url
        from_file = ConfiguredEndpointProvider(self.full_config, self.get_scoped_config(), service_name, environ={})
        found: str | None = from_file.provide()
        return found


def _undisturbed(make: Callable[[], V]) -> V:
    """Make what reads all of the environment, and make it again where a variable went away meanwhile.

    Botocore asks os.environ for each name that it has just listed (for proxies, for instance metadata), in a thread;
    and pytest takes a variable of its own out of it after each test.
    """
    while True:
        try:
            return make()
        except KeyError as gone:
            if gone.args != (_OF_PYTEST,):
                raise


def _without_environment() -> dict[str, tuple[Any, ...]]:
    """Return botocore's session variables, none of them read from the environment."""
    variables = copy.copy(botocore.session.Session.SESSION_VARIABLES)
    return {
        name: (in_file, None, *rest)
        for name, (in_file, _, *rest) in variables.items()
        if name not in _STILL_FROM_ENVIRONMENT
    }


def _caches_beside(given: Path | None) -> Path:
    """Return the folder with the AWS CLI's caches: beside the named file where there are any, else ~/.aws.

    So a whole configuration, sign-in sessions included, can live in a folder of its own.
    """
    if given is not None:
        beside = given.expanduser().parent
        if (beside / "cli" / "cache").is_dir() or (beside / "sso" / "cache").is_dir():
            return beside
    return Path("~/.aws").expanduser()


def is_loopback(endpoint_url: str | None) -> bool:
    """Whether an endpoint is on this machine, as the sandbox's is."""
    host = urlsplit(endpoint_url or "").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
