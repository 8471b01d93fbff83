"""What a stage finds in its environment."""

# ruff: noqa: S105, S106  # secrets of nobody

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_pipeline.observers.stage_environment import AwsAccess, stage_environment


def environment(operators: dict[str, str], *, session_token: str = "", **own: str) -> dict[str, str]:
    access = AwsAccess(
        endpoint_url="http://127.0.0.1:5000",
        region="us-west-2",
        access_key="AKIA",
        secret_key="sandbox-secret",
        session_token=session_token,
    )
    return stage_environment(
        operators,
        access=access,
        run_id="gate-1",
        stage_token="t0",
        temporary=Path("/scratch/tmp"),
        refusing_proxy="http://127.0.0.1:3",
        own=own,
    )


def test_a_stage_is_given_the_way_to_our_world() -> None:
    assert environment({"PATH": "/bin"}) == {
        "PATH": "/bin",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:5000",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "sandbox-secret",
        "AWS_REGION": "us-west-2",
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "HTTP_PROXY": "http://127.0.0.1:3",
        "HTTPS_PROXY": "http://127.0.0.1:3",
        "ALL_PROXY": "http://127.0.0.1:3",
        "NO_PROXY": "localhost,127.0.0.1,::1,127.0.0.0/8",
        "http_proxy": "http://127.0.0.1:3",
        "https_proxy": "http://127.0.0.1:3",
        "all_proxy": "http://127.0.0.1:3",
        "no_proxy": "localhost,127.0.0.1,::1,127.0.0.0/8",
        "TMPDIR": "/scratch/tmp",
        "PYTHONUNBUFFERED": "1",
        "PIPELINE_GATE_RUN": "gate-1",
        "PIPELINE_GATE_STAGE": "t0",
    }


@pytest.mark.parametrize(
    "name",
    [
        "AWS_PROFILE", "AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_WEB_IDENTITY_TOKEN_FILE", "PYTEST_ADDOPTS", "ftp_proxy", "SSH_AUTH_SOCK", "KUBECONFIG", "NETRC",
        "SLACK_WEBHOOK_URL", "WANDB_API_KEY", "HF_TOKEN", "GITHUB_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS",
        "DB_PASSWORD", "SENTRY_DSN", "OPENAI_APIKEY", "CLIENT_SECRET", "R2_ACCESS_KEY_ID", "slack_webhook",
        "PIPELINE_GATE_OTHER",
    ],
)  # fmt: skip
def test_what_makes_a_stage_the_operator_is_left_out(name: str) -> None:
    assert environment({name: "theirs"}) == environment({})


@pytest.mark.parametrize(
    "name",
    ["HOME", "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "TOKENIZERS_PARALLELISM", "KEYBOARD", "HF_HOME", "PROXYCHAINS"],
)
def test_what_a_program_needs_to_run_is_kept(name: str) -> None:
    assert environment({name: "theirs"})[name] == "theirs"


def test_the_settings_have_the_last_word_but_for_the_mark() -> None:
    found = environment({}, HF_TOKEN="mine", AWS_REGION="eu-west-1", PIPELINE_GATE_STAGE="none")

    assert (found["HF_TOKEN"], found["AWS_REGION"], found["PIPELINE_GATE_STAGE"]) == ("mine", "eu-west-1", "t0")


def test_a_session_has_its_token() -> None:
    assert environment({}, session_token="a-token")["AWS_SESSION_TOKEN"] == "a-token"


def test_credentials_are_in_no_repr() -> None:
    access = AwsAccess(endpoint_url="", region="", access_key="AKIA", secret_key="hunter2", session_token="hunter3")

    assert "hunter" not in repr(access)
