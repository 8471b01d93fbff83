"""How long the host's credentials last: what has an end, what is renewed, and what cannot be told."""

from __future__ import annotations

import hashlib
import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from http_script import Answer, Asked, answering
from probe_parts import part, parts

if TYPE_CHECKING:
    from pathlib import Path

HOUR_S = 3600
STATIC = "aws_access_key_id = AK\naws_secret_access_key = SK\n"
SESSION = f"{STATIC}aws_session_token = verysecret\n"


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder with nothing in it but ~/.aws."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "CREDENTIAL_EXPIRATION", "PROFILE",
                 "DEFAULT_PROFILE", "CONFIG_FILE", "SHARED_CREDENTIALS_FILE", "WEB_IDENTITY_TOKEN_FILE",
                 "EC2_METADATA_DISABLED", "CONTAINER_CREDENTIALS_FULL_URI",
                 "CONTAINER_CREDENTIALS_RELATIVE_URI"):  # fmt: skip
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path / ".aws"


def look(*, network: bool = False, metadata_address: str = "127.0.0.1:1") -> Any:
    request = {"network_credentials": network, "metadata_address": metadata_address}
    answer = part("lifetime").look(request, parts())
    assert "verysecret" not in json.dumps(answer)
    return answer


def end(hours: float, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime(form)


def lasting(source: str) -> dict[str, Any]:
    return {"source": source, "lasting": True, "renewed": False, "ends_in_s": None, "at_most_s": None}


def test_none(aws: Path) -> None:
    assert look() == {"none": "no credentials in the host's environment or files"}
    (aws / "credentials").write_text("no file of AWS\n")
    assert "cannot be read" in look()["none"]


def test_keys_of_a_user_have_no_end(monkeypatch: pytest.MonkeyPatch, aws: Path) -> None:
    (aws / "config").write_text(f"[default]\n{STATIC}")
    assert look() == lasting("~/.aws/config")
    (aws / "credentials").write_text(f"[default]\n{STATIC}")
    assert look() == lasting("~/.aws/credentials")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    assert look() == lasting("the environment")


def test_a_session_in_the_environment_hides_lasting_keys_in_a_file(monkeypatch: pytest.MonkeyPatch, aws: Path) -> None:
    (aws / "credentials").write_text(f"[default]\n{STATIC}")
    for name, value in (("ACCESS_KEY_ID", "AK"), ("SECRET_ACCESS_KEY", "SK"), ("SESSION_TOKEN", "verysecret")):
        monkeypatch.setenv(f"AWS_{name}", value)
    answer = look()
    assert (answer["lasting"], answer["ends_in_s"], answer["at_most_s"]) == (False, None, 36 * HOUR_S)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", end(1))
    assert look()["ends_in_s"] == pytest.approx(HOUR_S, abs=30)


@pytest.mark.parametrize("name", ["x_security_token_expires", "aws_session_expiration", "expiration"])
def test_the_end_that_a_tool_wrote_down(aws: Path, name: str) -> None:
    (aws / "credentials").write_text(f"[default]\n{SESSION}{name} = {end(2)}\n")
    answer = look()
    assert (answer["source"], answer["lasting"], answer["renewed"]) == ("~/.aws/credentials", False, False)
    assert answer["ends_in_s"] == pytest.approx(2 * HOUR_S, abs=30)


def test_an_unwritten_end_is_no_later_than_any_session_since_the_file_was_written(aws: Path) -> None:
    (aws / "credentials").write_text(f"[default]\n{SESSION}")

    yesterday = time.time() - 24 * HOUR_S
    os.utime(aws / "credentials", (yesterday, yesterday))
    answer = look()
    assert answer["ends_in_s"] is None
    assert answer["at_most_s"] == pytest.approx(12 * HOUR_S, abs=30)


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%SUTC", "%Y-%m-%dT%H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%S.123456Z",
        "%Y-%m-%d %H:%M:%S",
    ],
)  # fmt: skip
def test_times_as_they_are_written(form: str) -> None:
    assert part("lifetime").left_s(end(1, form)) == pytest.approx(HOUR_S, abs=30)


def test_a_time_with_an_offset() -> None:
    assert part("lifetime").left_s(end(3, "%Y-%m-%dT%H:%M:%S+02:00")) == pytest.approx(HOUR_S, abs=30)


def process(aws: Path, **more: str) -> None:
    answer = {"Version": 1, "AccessKeyId": "AK", "SecretAccessKey": "SK", **more}
    (aws / "keys.json").write_text(json.dumps(answer))
    (aws / "config").write_text(f"[default]\ncredential_process = cat {aws}/keys.json\n")


def test_a_credential_process_gives_new_ones_at_their_end(aws: Path) -> None:
    process(aws, SessionToken="verysecret", Expiration=end(1))
    answer = look()
    assert (answer["source"], answer["renewed"]) == ("credential_process", True)
    assert answer["ends_in_s"] == pytest.approx(HOUR_S, abs=30)


def test_a_credential_process_that_names_no_end_is_not_asked_again(aws: Path) -> None:
    process(aws, SessionToken="verysecret")
    assert (look()["renewed"], look()["lasting"], look()["at_most_s"]) == (False, False, 36 * HOUR_S)
    process(aws)
    assert look() == lasting("credential_process")


def test_a_credential_process_that_fails(aws: Path) -> None:
    (aws / "config").write_text("[default]\ncredential_process = false\n")
    assert look() == {"none": "credential_process failed: CalledProcessError"}


def token(aws: Path, name: str, **more: str) -> None:
    cache = aws / "sso" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / f"{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()}.json"
    file.write_text(json.dumps({"accessToken": "verysecret", **more}))


def test_single_sign_on_lasts_as_long_as_its_token(aws: Path) -> None:
    (aws / "config").write_text("[default]\nsso_start_url = https://x.awsapps.com/start\nsso_account_id = 1\n")
    assert look()["none"].startswith("no token of single sign-on")
    token(aws, "https://x.awsapps.com/start", expiresAt=end(8))
    assert (look()["source"], look()["renewed"]) == ("single sign-on", False)
    assert look()["ends_in_s"] == pytest.approx(8 * HOUR_S, abs=30)


def test_a_session_of_single_sign_on_may_fetch_a_new_token(aws: Path) -> None:
    (aws / "config").write_text(
        "[default]\nsso_session = work\nsso_account_id = 1\n[sso-session work]\nsso_region = r\n"
    )
    token(aws, "work", expiresAt=end(1), refreshToken="verysecret")
    assert look()["renewed"] is True


ROLE = "[default]\nrole_arn = arn:aws:iam::1:role/r\n"


@pytest.mark.parametrize("more", ["credential_source = Ec2InstanceMetadata\n", "web_identity_token_file = /token\n"])
def test_a_role_that_is_assumed_with_what_lasts_lasts(aws: Path, more: str) -> None:
    (aws / "config").write_text(ROLE + more)
    assert look() == lasting("role of profile default")


def test_a_role_lasts_as_long_as_its_source_profile(aws: Path) -> None:
    (aws / "config").write_text(f"{ROLE}source_profile = base\n")
    (aws / "credentials").write_text(f"[base]\n{SESSION}x_security_token_expires = {end(1)}\n")
    answer = look()
    assert answer["source"] == "role of profile default, by ~/.aws/credentials"
    assert answer["ends_in_s"] == pytest.approx(HOUR_S, abs=30)
    (aws / "credentials").write_text(f"[base]\n{STATIC}")
    assert look()["lasting"] is True


def test_a_profile_that_is_its_own_source(aws: Path) -> None:
    (aws / "config").write_text(f"{ROLE}source_profile = default\n{STATIC}")
    assert look()["lasting"] is True


@pytest.mark.parametrize("source", ["source_profile = nobody\n", "source_profile = default\n", ""])
def test_a_role_that_leads_nowhere(aws: Path, source: str) -> None:
    (aws / "config").write_text(ROLE + source)
    assert look() == {"none": "what the role of profile default is assumed with cannot be followed"}


def test_profiles_that_lead_in_a_circle(aws: Path) -> None:
    (aws / "config").write_text(
        f"{ROLE}source_profile = b\n[profile b]\nrole_arn = arn:aws:iam::1:role/b\nsource_profile = default\n"
    )
    assert "cannot be followed" in look()["none"]


def test_a_role_with_mfa_is_not_assumed_again_without_anybody(aws: Path) -> None:
    (aws / "config").write_text(f"{ROLE}source_profile = base\nmfa_serial = arn:aws:iam::1:mfa/x\n")
    assert (look()["lasting"], look()["at_most_s"]) == (False, 12 * HOUR_S)


def test_the_role_of_the_instance_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(asked: Asked) -> Answer:
        roles = asked.path == "/latest/meta-data/iam/security-credentials/"
        return Answer(body="training-role" if roles else "t0ken")

    with answering(answer) as server:
        assert look(network=True, metadata_address=server.address) == lasting("instance role training-role")
        assert "none" in look(metadata_address=server.address)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials")
    assert look(network=True) == lasting("container role")


def test_an_instance_without_a_role() -> None:
    with answering(lambda asked: Answer(body="t0ken") if asked.method == "PUT" else Answer(404)) as server:
        assert look(network=True, metadata_address=server.address)["none"].startswith("no credentials in the host's")


def test_a_named_profile_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "training")
    assert look(network=True) == {"none": "profile training of the host holds no credentials"}


def test_a_web_identity_is_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/secrets/token")
    assert look() == lasting("web identity")
