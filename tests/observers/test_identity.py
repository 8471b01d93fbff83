"""Who the operator is, and every way in which that cannot be said: the whole sentence, and the whole remedy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from observers.aws_world import ACCOUNT, EVERYTHING, AwsWorld, Tenant, error, in_time_of, plain, reset
from pytest_pipeline.observers.aws_codes import Kind
from pytest_pipeline.observers.aws_trouble import AwsTrouble
from pytest_pipeline.observers.identity import Identity, IdentityKind, look_at_identity, see_identity
from pytest_pipeline.outcome import Reading

if TYPE_CHECKING:
    from pathlib import Path

    from observers.aws_world import MakeAws
    from pytest_pipeline.settings import Aws

REACH = "curl -sS -m 5 -o /dev/null {url}/  # check the network, HTTPS_PROXY and aws.endpoint_url"
WRONG = "something answers in AWS's place or changes it: check HTTPS_PROXY and aws.endpoint_url"


def seen(aws: Aws) -> Identity:
    identity = look_at_identity(aws).value
    assert isinstance(identity, Identity)
    return identity


def trouble(aws: Aws, kind: Kind) -> tuple[str, str]:
    """Return what is said and what to do, having seen that both roads say the same."""
    met = see_identity(aws)
    assert isinstance(met, AwsTrouble), met
    assert met.kind is kind
    reading = look_at_identity(aws)
    assert not reading.is_known
    assert reading.by == "aws-credentials"
    return reading.reason, reading.remedy


def cli(aws: Aws, command: str) -> str:
    return f"AWS_SHARED_CREDENTIALS_FILE={aws.credentials_file} aws {command} --profile default"


def key_of(tenant: Tenant) -> str:
    return f"(access key ****{tenant.key[-4:]} of profile default)"


def test_a_user_is_named_with_where_the_keys_came_from(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    identity = seen(make_aws(user))
    assert (identity.account, identity.arn, identity.kind) == (ACCOUNT, user.arn, IdentityKind.USER)
    assert identity.name == user.arn.rpartition("/")[2]
    assert identity.session_name == ""
    assert identity.access_key_last4 == user.key[-4:]
    assert identity.source == "shared-credentials-file"
    assert identity.expires_in_s is None
    assert identity.clock_offset_s is not None
    assert -1 <= identity.clock_offset_s <= 3


def test_a_role_is_named_with_its_session_and_how_long_it_lasts(
    world: AwsWorld, make_aws: MakeAws, tmp_path: Path
) -> None:
    user = world.user(EVERYTHING)
    role = world.role(trusting=user)
    aws = make_aws(user)
    config = tmp_path / "config"
    config.write_text(f"[profile r]\nrole_arn={role}\nsource_profile=default\nrole_session_name=me\n")
    identity = seen(aws.model_copy(update={"config_file": config, "profile": "r"}))
    assert (identity.kind, identity.name, identity.session_name) == (IdentityKind.ROLE, role.rpartition("/")[2], "me")
    assert identity.source == "assume-role"
    assert identity.expires_in_s is not None
    assert 3000 < identity.expires_in_s <= 3600


@pytest.mark.parametrize(
    ("arn", "kind", "name", "session"),
    [
        (f"arn:aws:iam::{ACCOUNT}:root", IdentityKind.ROOT, "", ""),
        (f"arn:aws:iam::{ACCOUNT}:user/team/ml/jo", IdentityKind.USER, "jo", ""),
        (f"arn:aws:sts::{ACCOUNT}:federated-user/jo", IdentityKind.FEDERATED, "jo", ""),
        (f"arn:aws-cn:sts::{ACCOUNT}:assumed-role/Train/i-0abc", IdentityKind.ROLE, "Train", "i-0abc"),
    ],
)
def test_every_kind_of_principal_is_known(  # noqa: PLR0917  # one column of the table each
    world: AwsWorld, make_aws: MakeAws, arn: str, kind: IdentityKind, name: str, session: str
) -> None:
    user = world.user(EVERYTHING)
    said = f"<Arn>{arn}</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account>"
    body = f"<A><GetCallerIdentityResult>{said}</GetCallerIdentityResult></A>".encode()
    user.meets(plain(body, content_type="text/xml"))
    identity = seen(make_aws(user))
    assert (identity.kind, identity.name, identity.session_name) == (kind, name, session)


def test_it_survives_the_way_through_json(world: AwsWorld, make_aws: MakeAws) -> None:
    reading: TypeAdapter[Any] = TypeAdapter(Reading[Identity])
    either: TypeAdapter[Any] = TypeAdapter(Identity | AwsTrouble)
    for tenant in (world.user(EVERYTHING), world.stranger()):
        looked, met = look_at_identity(make_aws(tenant)), see_identity(make_aws(tenant))
        assert reading.validate_json(reading.dump_json(looked)) == looked
        assert either.validate_json(either.dump_json(met)) == met


def test_one_request_is_all_it_takes(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    seen(make_aws(user))
    assert len(user.requests) == 1
    assert "Action=GetCallerIdentity" in user.requests[0]


def test_a_key_nobody_knows(world: AwsWorld, make_aws: MakeAws) -> None:
    stranger = world.stranger()
    aws = make_aws(stranger)
    assert trouble(aws, Kind.INVALID) == (
        f"InvalidClientTokenId: The security token included in the request is invalid. {key_of(stranger)}",
        cli(aws, "configure"),
    )


def test_a_wrong_secret(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.secret = "not-the-secret"  # noqa: S105  # and that is the point
    aws = make_aws(user)
    what, remedy = trouble(aws, Kind.WRONG_SECRET)
    assert what == (
        "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check "
        "your AWS Secret Access Key and signing method. Consult the service documentation for details. " + key_of(user)
    )
    assert remedy == cli(aws, "configure")


def test_expired_keys(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(403, "ExpiredToken", "The security token included in the request is expired"))
    aws = make_aws(user)
    assert trouble(aws, Kind.EXPIRED) == (
        f"ExpiredToken: The security token included in the request is expired {key_of(user)}",
        cli(aws, "configure list"),
    )


@pytest.mark.parametrize(("offset_s", "word"), [(7200, "behind"), (-7200, "ahead")])
def test_a_clock_that_is_off_is_no_bad_key(world: AwsWorld, make_aws: MakeAws, offset_s: int, word: str) -> None:
    user = world.user(EVERYTHING)
    user.meets(in_time_of(offset_s)(lambda *_: []))
    what, remedy = trouble(make_aws(user), Kind.CLOCK_SKEWED)
    found = what.partition(":")[0]
    assert found in {f"clock off by {7200 + late} s (this machine is {word})" for late in (-1, 0, 1)}
    assert "SignatureDoesNotMatch: Signature expired: " in what
    assert remedy == "sudo timedatectl set-ntp true"


def test_no_credentials(world: AwsWorld, make_aws: MakeAws) -> None:
    aws = make_aws(world.admin)
    assert aws.credentials_file is not None
    aws.credentials_file.write_text("", encoding="utf-8")
    assert trouble(aws, Kind.ABSENT) == (
        f"Unable to locate credentials in {aws.credentials_file} (profile default)",
        cli(aws, "configure"),
    )


def test_no_credentials_anywhere(world: AwsWorld, make_aws: MakeAws) -> None:
    assert trouble(make_aws(world.admin, credentials_file=None), Kind.ABSENT) == (
        "Unable to locate credentials in the environment, ~/.aws, and container or instance metadata (profile default)",
        "aws configure --profile default",
    )


def test_a_credentials_file_that_is_not_there(world: AwsWorld, make_aws: MakeAws, tmp_path: Path) -> None:
    aws = make_aws(world.admin, credentials_file=tmp_path / "none")
    assert trouble(aws, Kind.ABSENT) == (
        f"The specified config file ({tmp_path / 'none'}) could not be found.",
        cli(aws, "configure"),
    )


def test_half_a_key_pair(world: AwsWorld, make_aws: MakeAws) -> None:
    aws = make_aws(world.admin)
    assert aws.credentials_file is not None
    aws.credentials_file.write_text("[default]\naws_access_key_id=AKIAHALFAKEYPAIR0000\n", encoding="utf-8")
    assert trouble(aws, Kind.PARTIAL) == (
        "Partial credentials found in shared-credentials-file, missing: aws_secret_access_key",
        cli(aws, "configure"),
    )


def test_a_profile_that_is_not_there(world: AwsWorld, make_aws: MakeAws) -> None:
    aws = make_aws(world.admin, profile="nobody")
    assert trouble(aws, Kind.PROFILE_MISSING) == (
        f"The config profile (nobody) could not be found in {aws.credentials_file} (profile nobody)",
        f"AWS_SHARED_CREDENTIALS_FILE={aws.credentials_file} aws configure --profile nobody",
    )


def test_a_profile_that_the_environment_chose_is_named(
    world: AwsWorld, make_aws: MakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "team")
    assert trouble(make_aws(world.admin, credentials_file=None), Kind.PROFILE_MISSING) == (
        "The config profile (team) could not be found in the environment, ~/.aws, and container or instance metadata "
        "(profile team)",
        "aws configure --profile team",
    )


def test_a_file_that_is_no_configuration(world: AwsWorld, make_aws: MakeAws) -> None:
    aws = make_aws(world.admin)
    assert aws.credentials_file is not None
    aws.credentials_file.write_text("[default\nkey", encoding="utf-8")
    assert trouble(aws, Kind.CONFIG_BROKEN) == (
        f"Unable to parse config file: {aws.credentials_file}",
        cli(aws, "configure list"),
    )


def test_unreachable_is_never_invalid(world: AwsWorld, make_aws: MakeAws, closed_port: int) -> None:
    url = f"http://127.0.0.1:{closed_port}"
    assert trouble(make_aws(world.admin, endpoint_url=url), Kind.UNREACHABLE) == (
        f'cannot reach STS: Could not connect to the endpoint URL: "{url}/"',
        REACH.format(url=url),
    )


def test_a_connection_that_is_not_taken_up(world: AwsWorld, make_aws: MakeAws, full_port: int) -> None:
    url = f"http://127.0.0.1:{full_port}"
    assert trouble(make_aws(world.admin, endpoint_url=url, connect_timeout_s=0.1), Kind.UNREACHABLE) == (
        f'cannot reach STS within 0.1 s: Connect timeout on endpoint URL: "{url}/"',
        REACH.format(url=url),
    )


def test_a_reset_connection(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(reset)
    assert trouble(make_aws(user), Kind.UNREACHABLE) == (
        "cannot reach STS: Connection was closed before we received a valid response from endpoint URL: "
        f'"{world.url}/".',
        REACH.format(url=world.url),
    )


def test_silence_ends_when_the_settings_say(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(world.hang)
    assert trouble(make_aws(user, read_timeout_s=0.1), Kind.TIMED_OUT) == (
        f'STS timed out after 0.1 s (1 attempt): Read timeout on endpoint URL: "{world.url}/"',
        REACH.format(url=world.url),
    )


@pytest.mark.usefixtures("no_pause")
def test_throttling_says_how_often_it_was_tried(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(400, "Throttling", "Rate exceeded"))
    assert trouble(make_aws(user, attempts=3), Kind.THROTTLED) == (
        "Throttling: Rate exceeded (3 attempts)",
        "run again in a minute; if it stays, raise aws.attempts",
    )


def test_aws_out_of_order(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(500, "InternalFailure", "We are sorry"))
    assert trouble(make_aws(user), Kind.SERVICE_FAILED) == (
        "InternalFailure: We are sorry (1 attempt)",
        "see https://health.aws.amazon.com/health/status and run again",
    )


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "text/xml", "Unable to parse response (no element found: line 1, column 0), invalid XML received."),
        (b"<html><p>Please sign in to the guest network<br></html>", "text/html", "Unable to parse response"),
        (b"<A><GetCallerIdentityResult/></A>", "text/xml", "no account and ARN in it"),
        (
            b"<A><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><Account>999999999999</Account>"
            b"</GetCallerIdentityResult></A>",
            "text/xml",
            "no account and ARN in it",
        ),
    ],
    ids=["empty", "captive portal", "no account", "another account"],
)
def test_a_good_status_with_a_wrong_answer_is_no_identity(  # one column of the table each
    world: AwsWorld, make_aws: MakeAws, body: bytes, kind: str, words: str
) -> None:
    user = world.user(EVERYTHING)
    user.meets(plain(body, content_type=kind))
    what, remedy = trouble(make_aws(user), Kind.WRONG_ANSWER)
    assert what.startswith(f"STS gave a wrong answer: {words}")
    assert remedy == WRONG


def test_what_is_in_no_table_says_what_it_is(world: AwsWorld, make_aws: MakeAws) -> None:
    user = world.user(EVERYTHING)
    user.meets(error(400, "BrandNewError", "Nobody has seen this yet"))
    assert trouble(make_aws(user), Kind.UNKNOWN) == ("BrandNewError: Nobody has seen this yet", "")


def test_a_region_left_out_is_no_matter_of_credentials(world: AwsWorld, make_aws: MakeAws) -> None:
    assert seen(make_aws(world.admin, region=None)).account == ACCOUNT
