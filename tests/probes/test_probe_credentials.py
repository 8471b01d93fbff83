"""The credentials that a host would use itself, source by source, and what the probe does not follow."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
from http_script import Answer, Asked, answering
from probe_parts import part, parts

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home folder with nothing in it but ~/.aws."""
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "PROFILE", "DEFAULT_PROFILE", "CONFIG_FILE",
                 "SHARED_CREDENTIALS_FILE", "WEB_IDENTITY_TOKEN_FILE", "REGION", "DEFAULT_REGION",
                 "EC2_METADATA_DISABLED", "CONTAINER_CREDENTIALS_FULL_URI", "CONTAINER_CREDENTIALS_RELATIVE_URI",
                 "CONTAINER_AUTHORIZATION_TOKEN", "CONTAINER_AUTHORIZATION_TOKEN_FILE"):  # fmt: skip
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    return tmp_path / ".aws"


def find(profile: str = "", *, network: bool = False, metadata_address: str = "127.0.0.1:1") -> Any:
    module = part("s3_credentials")
    try:
        return module.find(profile, lambda: part("metadata").Metadata(metadata_address), network=network)
    except module.Unusable as error:
        return error.code, str(error)


def keys(source: str, key: str = "AK", secret: str = "SK", token: str = "") -> dict[str, str]:  # noqa: S107  # no secret
    return {"source": source, "key": key, "secret": secret, "token": token}


FILE = "[{name}]\naws_access_key_id = AK\naws_secret_access_key = SK\n"


def test_none_at_all() -> None:
    assert find() == ("NoCredentialsError", "no credentials in the host's environment or files")


def test_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch, aws: Path) -> None:
    (aws / "credentials").write_text(FILE.format(name="default").replace("AK", "OTHER"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SK")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "T")
    assert find() == keys("environment", token="T")  # noqa: S106  # no secret


def test_the_files(aws: Path) -> None:
    (aws / "config").write_text(FILE.format(name="default") + "aws_session_token = T\n")
    assert find() == keys(str(aws / "config"), token="T")  # noqa: S106  # no secret
    (aws / "credentials").write_text(FILE.format(name="default"))
    assert find() == keys(str(aws / "credentials"))


def test_a_profile(monkeypatch: pytest.MonkeyPatch, aws: Path) -> None:
    (aws / "config").write_text(FILE.format(name="profile trainer"))
    monkeypatch.setenv("AWS_PROFILE", "trainer")
    assert find() == keys(str(aws / "config"))
    assert find("other") == (
        "ProfileNotFound",
        "profile other is in neither of the host's files, or holds no credentials",
    )


@pytest.mark.parametrize("setting", ["role_arn", "sso_session", "sso_start_url", "web_identity_token_file"])
def test_what_is_not_followed_is_said(aws: Path, setting: str) -> None:
    (aws / "config").write_text(f"[default]\n{setting} = x\n")
    assert find() == (
        "CredentialRetrievalError", f"profile default of the host uses {setting}, which this probe does not follow"
    )  # fmt: skip


def test_a_web_identity_of_the_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/x")
    assert find()[0] == "CredentialRetrievalError"


def test_a_file_that_cannot_be_read(aws: Path) -> None:
    (aws / "credentials").write_text("aws_access_key_id = AK\n")
    code, message = find()
    assert code == "CredentialRetrievalError"
    assert message == f"{aws}/credentials cannot be read: File contains no section headers."


def test_a_credential_process(aws: Path) -> None:
    answer = json.dumps({"Version": 1, "AccessKeyId": "AK", "SecretAccessKey": "SK", "SessionToken": "T"})
    (aws / "out").write_text(answer)
    (aws / "config").write_text(f"[default]\ncredential_process = cat '{aws}/out'\n")
    assert find() == keys("credential_process", token="T")  # noqa: S106  # no secret
    (aws / "config").write_text("[default]\ncredential_process = false\n")
    assert find() == ("CredentialRetrievalError", "credential_process failed: CalledProcessError")


def test_a_credential_process_that_is_late_leaves_nothing_behind(aws: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = part("s3_credentials")
    monkeypatch.setattr(module, "TIMEOUT_S", 0.3)
    with pytest.raises(module.Unusable, match="credential_process failed: TimeoutExpired"):
        module.asked_of_process(f"sh -c 'echo $$ > {aws}/pid; sleep 60 & sleep 61'")
    group = int((aws / "pid").read_text())
    end = time.monotonic() + 5
    while alive(group) and time.monotonic() < end:
        time.sleep(0.02)
    assert alive(group) == []


def alive(group: int) -> list[str]:
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    words = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [args for pgid, state, args in words if int(pgid) == group and not state.startswith("Z")]


def metadata(asked: Asked) -> Answer:
    folder = "/latest/meta-data/iam/security-credentials/"
    if asked.method == "PUT":
        return Answer(body="t0ken")
    if asked.headers.get("x-aws-ec2-metadata-token") != "t0ken":
        return Answer(401)
    role = json.dumps({"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T"})
    known = {folder: "trainer-role\n", folder + "trainer-role": role}
    return Answer(body=known[asked.path]) if asked.path in known else Answer(404)


def test_the_instances_role() -> None:
    with answering(metadata) as server:
        found = find(network=True, metadata_address=server.address)
    assert found == keys("instance role trainer-role", token="T")  # noqa: S106  # no secret
    assert server.lines[0] == "PUT /latest/api/token"


def test_an_instance_without_a_role() -> None:
    def answer(asked: Asked) -> Answer:
        return Answer(body="t0ken") if asked.method == "PUT" else Answer(404)

    with answering(answer) as server:
        assert find(network=True, metadata_address=server.address) == (
            "NoCredentialsError",
            "no credentials in the host's environment or files, and the instance has no role: the metadata service "
            "answered /latest/meta-data/iam/security-credentials/ with status 404",
        )


def test_the_network_is_not_asked_where_it_must_not_be() -> None:
    with answering(metadata) as server:
        assert find(metadata_address=server.address)[0] == "NoCredentialsError"
        assert server.asked == []


def test_the_network_is_not_asked_where_the_host_forbids_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with answering(metadata) as server:
        code, message = find(network=True, metadata_address=server.address)
        assert server.asked == []
    assert code == "NoCredentialsError"
    assert message.endswith("no instance metadata: AWS_EC2_METADATA_DISABLED is set on the host")


def test_a_containers_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("b3arer\n")

    def answer(asked: Asked) -> Answer:
        if asked.headers.get("authorization") != "b3arer":
            return Answer(403)
        return Answer(body=json.dumps({"AccessKeyId": "AK", "SecretAccessKey": "SK", "Token": "T"}))

    with answering(answer) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{server.url}/creds")
        monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
        assert find(network=True) == keys("container", token="T")  # noqa: S106  # no secret
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "file:///etc/passwd")
        assert find(network=True)[0] == "CredentialRetrievalError"


def test_region_of_the_host(monkeypatch: pytest.MonkeyPatch, aws: Path) -> None:
    assert part("s3_credentials").default_region() == ""
    (aws / "config").write_text("[default]\nregion = eu-west-1\n[profile p]\nregion = eu-west-2\n")
    assert part("s3_credentials").default_region() == "eu-west-1"
    monkeypatch.setenv("AWS_PROFILE", "p")
    assert part("s3_credentials").default_region() == "eu-west-2"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-2")
    assert part("s3_credentials").default_region() == "us-west-2"


def test_the_instance_says_who_it_is() -> None:
    document = {"instanceId": "i-0abc", "instanceType": "g5.xlarge", "region": "us-east-1",
                "availabilityZone": "us-east-1a", "accountId": "123456789012", "imageId": None}  # fmt: skip

    def answer(asked: Asked) -> Answer:
        mapping = "/latest/meta-data/block-device-mapping/"
        known = {
            "/latest/api/token": "t0ken",
            "/latest/dynamic/instance-identity/document": json.dumps(document),
            mapping: "ami\nephemeral0\nroot",
            f"{mapping}ephemeral0": "sdb",
        }
        return Answer(body=known[asked.path])

    with answering(answer) as server:
        found = part("host").read({"metadata": True, "metadata_address": server.address}, parts())
    assert found["instance"] == {
        "value": {
            "id": "i-0abc", "type": "g5.xlarge", "region": "us-east-1", "zone": "us-east-1a",
            "account": "123456789012", "image": "", "ephemeral": ["sdb"],
        }
    }  # fmt: skip
    assert found["identity"]["value"]["hostname"]


def test_no_metadata_service_is_an_error_of_its_own_reading() -> None:
    found = part("host").read({"metadata": True, "metadata_address": "127.0.0.1:1"}, parts())
    assert found["instance"] == {"error": "Connection refused"}
    assert "value" in found["identity"]


def test_nothing_secret_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAVERYSECRET1234")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "verysecretkey")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "verysecrettoken")
    request = {
        "buckets": [{"name": "b", "region": "", "reads": [{"prefix": "p/"}], "writes": [], "request_payer": False}],
        "effects": False, "profile": "", "network_credentials": False, "region": "", "nonce": "n", "deadline_s": 5,
        "timeout_s": 1, "attempts": 1, "endpoint_url": "http://127.0.0.1:1", "metadata_address": "",
    }  # fmt: skip
    answer = json.dumps(part("s3").read(request, parts()))
    assert '"key_ends": "1234"' in answer
    for secret in ("AKIAVERY", "verysecretkey", "verysecrettoken"):
        assert secret not in answer
