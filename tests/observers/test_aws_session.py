"""Where clients lead, how long they wait, and where their keys may come from."""

from __future__ import annotations

import json
import os
import select
import threading
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from typing import TYPE_CHECKING, Any

import pytest

from observers.aws_world import ACCOUNT, EVERYTHING, REGION, AwsWorld, plain
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_session import asked_of, client, make_session, worst_wait_s
from pytest_pipeline.observers.aws_trouble import AwsTrouble, classify
from pytest_pipeline.observers.credential_sources import CachedRoles, MfaNeededError, ProcessHungError
from pytest_pipeline.observers.identity import Identity, see_identity
from pytest_pipeline.settings import Aws

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from observers.aws_world import MakeAws

MFA = "arn:aws:iam::123456789012:mfa/jo"
ROLE = "arn:aws:iam::123456789012:role/Trainer"


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def prompt(*_: Any, **__: Any) -> str:
        pytest.fail("somebody was asked for something")

    monkeypatch.setattr("getpass.getpass", prompt)
    monkeypatch.setattr("builtins.input", prompt)


def with_config(aws: Aws, text: str, profile: str = "p") -> Aws:
    assert aws.credentials_file is not None
    config = aws.credentials_file.parent / "config"
    config.write_text(text, encoding="utf-8")
    return aws.model_copy(update={"config_file": config, "profile": profile})


def test_every_client_has_the_limits_the_endpoint_and_the_region(world: AwsWorld, make_aws: MakeAws) -> None:
    aws = make_aws(world.admin, connect_timeout_s=1.5, read_timeout_s=2.5, attempts=4, region="eu-west-1")
    session = make_session(aws)
    for made in (client(session, "s3", aws), session.client("ec2"), session.resource("s3").meta.client):
        assert made.meta.endpoint_url == world.url
        assert made.meta.region_name == "eu-west-1"
        assert (made.meta.config.connect_timeout, made.meta.config.read_timeout) == (1.5, 2.5)
        assert made.meta.config.retries == {"total_max_attempts": 4, "mode": "standard"}
    assert client(session, "s3", aws, region="us-west-2").meta.region_name == "us-west-2"


def test_a_rows_own_config_keeps_the_limits(world: AwsWorld, make_aws: MakeAws) -> None:
    from botocore.config import Config  # noqa: PLC0415  # what a row's author would import

    aws = make_aws(world.admin, read_timeout_s=2.5)
    made = make_session(aws).client("s3", config=Config(s3={"addressing_style": "path"}))
    assert made.meta.config.read_timeout == 2.5
    assert made.meta.config.s3["addressing_style"] == "path"


def test_the_longest_wait_counts_pauses() -> None:
    assert worst_wait_s(Aws(connect_timeout_s=3, read_timeout_s=5, attempts=3)) == 3 * 8 + 1 + 2
    assert worst_wait_s(Aws(connect_timeout_s=3, read_timeout_s=5, attempts=1)) == 8


LEAKS = {
    "keys": {"AWS_ACCESS_KEY_ID": "AKIAFROMENVIRONMENT0", "AWS_SECRET_ACCESS_KEY": "x"},
    "profile": {"AWS_PROFILE": "other", "AWS_DEFAULT_PROFILE": "other"},
    "endpoint": {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"},
    "files": {"AWS_CONFIG_FILE": "/none", "AWS_SHARED_CREDENTIALS_FILE": "/none"},
    "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1/"},
    "web identity": {"AWS_WEB_IDENTITY_TOKEN_FILE": "/none", "AWS_ROLE_ARN": ROLE, "AWS_ROLE_SESSION_NAME": "s"},
    "region": {"AWS_DEFAULT_REGION": "ap-south-1", "AWS_REGION": "ap-south-1"},
    "retries": {"AWS_MAX_ATTEMPTS": "50", "AWS_RETRY_MODE": "legacy"},
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
def test_named_files_are_the_only_source(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch, leak: dict[str, str]
) -> None:
    for name, text in leak.items():
        monkeypatch.setenv(name, text)
    aws = make_aws(world.admin)
    met = see_identity(aws)
    assert isinstance(met, Identity), met
    assert met.access_key_last4 == world.admin.key[-4:]
    made = client(make_session(aws), "sts", aws)
    assert (made.meta.endpoint_url, made.meta.region_name) == (world.url, REGION)
    assert made.meta.config.retries == {"total_max_attempts": 1, "mode": "standard"}


def test_named_files_without_keys_are_absent_whatever_the_environment_has(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", world.admin.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", world.admin.secret)
    aws = make_aws(world.admin)
    assert aws.credentials_file is not None
    aws.credentials_file.write_text("", encoding="utf-8")
    met = see_identity(aws)
    assert isinstance(met, AwsTrouble)
    assert met.kind is Kind.ABSENT


def test_a_named_file_may_name_the_endpoint(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    aws = make_aws(world.admin, endpoint_url=None)
    aws = with_config(aws, f"[profile p]\nendpoint_url={world.url}\n")
    assert aws.credentials_file is not None
    aws.credentials_file.write_text(aws.credentials_file.read_text().replace("default", "p"), encoding="utf-8")
    assert isinstance(see_identity(aws), Identity)


def test_without_named_files_the_environment_counts(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", world.admin.key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", world.admin.secret)
    met = see_identity(make_aws(world.admin, credentials_file=None))
    assert isinstance(met, Identity), met
    assert met.source == "env"


def test_a_profile_of_the_settings_goes_before_keys_in_the_environment(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (home / ".aws").mkdir()
    keys = f"aws_access_key_id={world.admin.key}\naws_secret_access_key={world.admin.secret}\n"
    (home / ".aws" / "credentials").write_text(f"[mine]\n{keys}", encoding="utf-8")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMENVIRONMENT0")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    met = see_identity(make_aws(world.admin, credentials_file=None, profile="mine"))
    assert isinstance(met, Identity), met
    assert met.access_key_last4 == world.admin.key[-4:]


def test_this_machine_is_not_reached_through_a_proxy(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert isinstance(see_identity(make_aws(world.admin)), Identity)


def test_a_session_makes_clients_for_many_threads(world: AwsWorld, make_aws: MakeAws) -> None:
    aws = make_aws(world.admin)
    session = make_session(aws)
    start, made = threading.Barrier(8), []

    def make() -> None:
        start.wait()
        made.append(client(session, "sts", aws).get_caller_identity()["Account"])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [ACCOUNT] * 8


@pytest.mark.parametrize("where", ["botocore.utils.get_environ_proxies", "botocore.endpoint.get_environ_proxies"])
def test_a_variable_that_goes_away_meanwhile_costs_nothing(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest takes one of its own out of the environment, while a thread of ours reads all of it."""
    asked: list[str] = []

    def proxies(url: str) -> dict[str, str]:
        asked.append(url)
        if len(asked) == 1:
            raise KeyError("PYTEST_CURRENT_TEST")
        return {}

    monkeypatch.setattr(where, proxies)
    aws = Aws(region="us-east-1")
    session = make_session(aws)
    session._session.get_component("credential_provider")
    client(session, "sts", aws)
    assert len(asked) >= 2


def test_another_missing_key_is_no_such_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.get_environ_proxies", lambda url: {}[url])
    aws = Aws(region="us-east-1")
    with pytest.raises(KeyError, match="https"):
        client(make_session(aws), "sts", aws)


def test_botocore_makes_one_client_at_a_time(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws = make_aws(world.admin)
    session = make_session(aws)
    inside, met = threading.Semaphore(1), threading.Event()

    def make(*_: Any, **__: Any) -> None:
        if not inside.acquire(blocking=False):
            met.set()
            return
        met.wait(0.2)  # long enough for the other, who is at the door
        inside.release()

    monkeypatch.setattr("botocore.session.Session.create_client", make)
    threads = [threading.Thread(target=client, args=(session, "sts", aws)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not met.is_set(), "two were in botocore at once"


# --- Roles, MFA and the sessions the AWS CLI has cached


def cached_by_the_cli(folder: Path, world: AwsWorld, *, expires_in: timedelta, damage: str = "") -> Path:
    """Write a role session the way the CLI does: the file is named for what would be asked of STS."""
    asked = {"RoleArn": ROLE, "SerialNumber": MFA}
    name = sha1(json.dumps(asked, sort_keys=True).encode()).hexdigest()  # noqa: S324  # the CLI's choice
    (folder / "cli" / "cache").mkdir(parents=True)
    keys = {"AccessKeyId": world.admin.key, "SecretAccessKey": world.admin.secret, "SessionToken": ""}
    keys["Expiration"] = f"{datetime.now(UTC) + expires_in:%Y-%m-%dT%H:%M:%SUTC}"
    cached = folder / "cli" / "cache" / f"{name}.json"
    cached.write_text(damage or json.dumps({"Credentials": keys}), encoding="utf-8")
    return cached


def mfa_profile(aws: Aws) -> Aws:
    return with_config(aws, f"[profile p]\nrole_arn={ROLE}\nsource_profile=default\nmfa_serial={MFA}\n")


@pytest.mark.parametrize("where", ["beside the files", "home"])
def test_a_session_the_cli_has_cached_is_used(
    world: AwsWorld, make_aws: MakeAws, tmp_path: Path, home: Path, where: str
) -> None:
    folder = tmp_path if where == "beside the files" else home / ".aws"
    cached = cached_by_the_cli(folder, world, expires_in=timedelta(hours=1))
    before = cached.read_bytes()
    met = see_identity(mfa_profile(make_aws(world.admin)))
    assert isinstance(met, Identity), met
    assert met.source == "assume-role"
    assert met.access_key_last4 == world.admin.key[-4:]
    assert met.expires_in_s == pytest.approx(3600, abs=5)
    assert [cached.read_bytes(), *cached.parent.iterdir()] == [before, cached], "the CLI's cache was touched"


@pytest.mark.parametrize(
    ("expires_in", "damage"),
    [
        (timedelta(minutes=-1), ""),
        (timedelta(hours=1), "{"),
        (timedelta(hours=1), '{"Credentials": {}}'),
        (timedelta(hours=1), "[]"),
        (timedelta(hours=1), '{"Credentials": {"AccessKeyId": "A", "Expiration": "2999-01-01T00:00:00Z"}}'),
    ],
    ids=["expired", "cut off", "without keys", "no table", "half of the keys"],
)
def test_mfa_without_a_live_session_is_said_and_never_asked(
    world: AwsWorld, make_aws: MakeAws, tmp_path: Path, expires_in: timedelta, damage: str
) -> None:
    cached_by_the_cli(tmp_path, world, expires_in=expires_in, damage=damage)
    aws = mfa_profile(make_aws(world.admin))
    met = see_identity(aws)
    assert isinstance(met, AwsTrouble), met
    assert met.kind is Kind.MFA_NEEDED
    assert met.what == (
        f"MFA code needed for {MFA}, and the AWS CLI has no live session cached (profile p); the gate never prompts"
    )
    files = f"AWS_SHARED_CREDENTIALS_FILE={aws.credentials_file} AWS_CONFIG_FILE={aws.config_file}"
    assert met.remedy == f"{files} aws sts get-caller-identity --profile p"


def test_a_role_that_may_not_be_assumed_names_the_role_of_the_denial(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    met = see_identity(with_config(make_aws(user), f"[profile p]\nrole_arn={ROLE}\nsource_profile=default\n"))
    assert isinstance(met, AwsTrouble)
    assert (met.kind, met.action, met.is_credentials) == (Kind.DENIED, "sts:AssumeRole", True)
    assert met.what == (
        f"sts:AssumeRole on * denied: AccessDenied: User: {user.arn} is not authorized to perform: sts:AssumeRole"
    )
    assert met.remedy == (
        f'add to the policy of {user.arn}: {{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}}'
    )


def test_a_new_role_session_stays_in_memory(world: AwsWorld, make_aws: MakeAws, tmp_path: Path, home: Path) -> None:
    user = world.user(EVERYTHING)
    role = world.role(trusting=user)
    aws = with_config(make_aws(user), f"[profile p]\nrole_arn={role}\nsource_profile=default\n")
    assert isinstance(see_identity(aws), Identity)
    assert not list(home.iterdir())
    assert {entry.name for entry in tmp_path.iterdir()} == {"home", "config", "credentials"}


def test_the_cache_is_a_mapping(tmp_path: Path) -> None:
    cache = CachedRoles(tmp_path)
    assert "key" not in cache
    with pytest.raises(KeyError):
        cache["key"]
    cache["key"] = {"Credentials": {}}
    assert cache["key"] == {"Credentials": {}}


# --- SSO

SSO = """
[profile p]
sso_session=corp
sso_account_id=123456789012
sso_role_name=Trainer
[sso-session corp]
sso_start_url=https://corp.example/start
sso_region=us-east-1
"""


def sign_in(folder: Path, *, expires_in: timedelta) -> None:
    (folder / "sso" / "cache").mkdir(parents=True)
    token = {"accessToken": "signed-in", "expiresAt": f"{datetime.now(UTC) + expires_in:%Y-%m-%dT%H:%M:%SZ}"}
    name = sha1(b"corp").hexdigest()  # noqa: S324  # the CLI's choice
    (folder / "sso" / "cache" / f"{name}.json").write_text(json.dumps(token), encoding="utf-8")


def hand_out_role(world: AwsWorld) -> Any:
    """Answer as IAM Identity Center does to a token that is alive. The request carries no signature."""
    role: dict[str, Any] = {"accessKeyId": world.admin.key, "secretAccessKey": world.admin.secret, "sessionToken": ""}
    role["expiration"] = int((datetime.now(UTC) + timedelta(hours=2)).timestamp() * 1000)
    return plain(json.dumps({"roleCredentials": role}).encode(), content_type="application/json")


@pytest.mark.parametrize("where", ["beside the files", "home"])
def test_an_sso_profile_that_is_signed_in(
    world: AwsWorld, make_aws: MakeAws, tmp_path: Path, home: Path, where: str
) -> None:
    sign_in(tmp_path if where == "beside the files" else home / ".aws", expires_in=timedelta(hours=1))
    with world.unsigned(hand_out_role(world), where="/federation/credentials"):
        met = see_identity(with_config(make_aws(world.admin), SSO))
    assert isinstance(met, Identity), met
    assert met.source == "sso"
    assert met.expires_in_s == pytest.approx(7200, abs=5)


@pytest.mark.parametrize(
    ("signed_in", "words"),
    [
        (None, "Error loading SSO Token: Token for corp does not exist"),
        (timedelta(hours=-1), "Error when retrieving token from sso: Token has expired and refresh failed"),
    ],
    ids=["never", "expired"],
)
def test_sso_names_the_command_that_signs_in(
    world: AwsWorld, make_aws: MakeAws, tmp_path: Path, signed_in: timedelta | None, words: str
) -> None:
    if signed_in is not None:
        sign_in(tmp_path, expires_in=signed_in)
    aws = with_config(make_aws(world.admin), SSO)
    met = see_identity(aws)
    assert isinstance(met, AwsTrouble), met
    assert (met.kind, met.what) == (Kind.SSO_EXPIRED, words)
    files = f"AWS_SHARED_CREDENTIALS_FILE={aws.credentials_file} AWS_CONFIG_FILE={aws.config_file}"
    assert met.remedy == f"{files} aws sso login --profile p"


# --- credential_process


def process(aws: Aws, script: str) -> Aws:
    assert aws.credentials_file is not None
    program = aws.credentials_file.parent / "give-keys"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return with_config(aws, f"[profile p]\ncredential_process={program} --token=very-secret\n")


def failed(aws: Aws, deadline_s: float = 20.0) -> AwsTrouble:
    session = make_session(aws, process_deadline_s=deadline_s)
    with pytest.raises(Exception) as met:  # noqa: PT011  # its kind and words are what the tests are about
        client(session, "sts", aws).get_caller_identity()
    return classify(met.value, asked_of(aws, "sts:GetCallerIdentity", session=session))


def test_keys_of_a_process(world: AwsWorld, make_aws: MakeAws) -> None:
    keys = {"Version": 1, "AccessKeyId": world.admin.key, "SecretAccessKey": world.admin.secret}
    met = see_identity(process(make_aws(world.admin), f"echo '{json.dumps(keys)}'"))
    assert isinstance(met, Identity), met
    assert met.source == "custom-process"


def test_a_process_that_hangs_is_ended_with_all_it_started(world: AwsWorld, make_aws: MakeAws, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 1000 & echo $! $$ > {pids}.new && mv {pids}.new {pids}; wait"
    aws = process(make_aws(world.admin), script)
    met = failed(aws, deadline_s=1.0)
    assert (met.kind, met.what) == (
        Kind.PROCESS_HUNG,
        "credential_process (give-keys) gave no answer within 1 s",
    )
    files = f"AWS_SHARED_CREDENTIALS_FILE={aws.credentials_file} AWS_CONFIG_FILE={aws.config_file}"
    assert met.remedy == f"{files} aws configure get credential_process --profile p"
    assert [ended(int(pid)) for pid in pids.read_text(encoding="utf-8").split()] == [True, True]


def ended(pid: int) -> bool:
    """Whether a process has ended, waiting for a signal that is on its way to it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with open(descriptor):  # noqa: PTH123  # closes it
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        return bool(waiting.poll(5000))


@pytest.fixture
def waiting_stdin() -> Iterator[None]:
    """A standard input on which nothing ever comes, as in a terminal that nobody sits at."""
    kept = os.dup(0)
    ours, theirs = os.pipe()
    os.dup2(ours, 0)
    yield
    os.dup2(kept, 0)
    for descriptor in (kept, ours, theirs):
        os.close(descriptor)


@pytest.mark.usefixtures("waiting_stdin")
def test_a_process_has_no_terminal_to_ask_on(world: AwsWorld, make_aws: MakeAws) -> None:
    script = "if read answer || (: < /dev/tty) 2>/dev/null; then sleep 1000; fi; echo 'cannot ask' >&2; exit 3"
    met = failed(process(make_aws(world.admin), script), deadline_s=5.0)
    assert (met.kind, met.what) == (
        Kind.SOURCE_FAILED,
        "Error when retrieving credentials from custom-process: cannot ask",
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'vault is sealed' >&2; echo more >&2; exit 1", "vault is sealed"),
        ("exit 4", "give-keys ended with status 4"),
        ("echo hello", "give-keys printed something other than JSON"),
        (
            "echo '{}'",
            "Unsupported version '<Version key not provided>' for credential process provider, supported versions: 1",
        ),
    ],
)
def test_a_process_that_fails_says_why(world: AwsWorld, make_aws: MakeAws, script: str, words: str) -> None:
    met = failed(process(make_aws(world.admin), script))
    assert (met.kind, met.what) == (
        Kind.SOURCE_FAILED,
        f"Error when retrieving credentials from custom-process: {words}",
    )
    assert met.remedy.endswith("aws configure get credential_process --profile p")
    assert "very-secret" not in str(met)


def test_a_process_that_is_not_there(world: AwsWorld, make_aws: MakeAws) -> None:
    aws = with_config(make_aws(world.admin), "[profile p]\ncredential_process=/none/give-keys\n")
    met = failed(aws)
    assert met.what == (
        "Error when retrieving credentials from custom-process: cannot run give-keys: No such file or directory"
    )


def test_our_errors_say_enough_by_themselves() -> None:
    assert str(MfaNeededError(serial="S")) == "MFA code needed for S, and the AWS CLI has no live session cached"
    assert str(ProcessHungError(program="p", deadline_s=10.0)) == "credential_process (p) gave no answer within 10 s"
