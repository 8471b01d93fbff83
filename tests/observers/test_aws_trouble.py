"""Errors become one kind, one sentence and one remedy. Pure: no server, no clock but the one that is given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.exceptions as raised
import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from pydantic import TypeAdapter

from pytest_pipeline.observers.aws_codes import Kind, kind_of_answer
from pytest_pipeline.observers.aws_remedy import Asked, allow
from pytest_pipeline.observers.aws_trouble import AwsTrouble, classify, clock_offset_s, shown, trouble_in

NOW = datetime(2026, 11, 24, 2, 0, 0, tzinfo=UTC)
GET = Asked(
    action="s3:GetObject",
    resource="arn:aws:s3:::b/in/a.jsonl",
    grant="arn:aws:s3:::b/in/*",
    region="us-east-1",
    profile="jo",
    sources="/f",
    key_last4="WXYZ",
    connect_timeout_s=3,
    read_timeout_s=5,
    attempts=3,
)
DESCRIBE = Asked(action="ec2:DescribeInstances", region="eu-west-1", profile="jo", key_last4="WXYZ")
REACH = "check the network, HTTPS_PROXY and aws.endpoint_url"
URL = "https://b.s3.amazonaws.com/?list-type=2&prefix=in"


def answered(code: str, message: str = "words", status: int = 403, **more: Any) -> ClientError:
    answer = {"HTTPStatusCode": status, "RetryAttempts": more.pop("retries", 0), "HTTPHeaders": more.pop("headers", {})}
    return ClientError({"Error": {"Code": code, "Message": message, **more}, "ResponseMetadata": answer}, "GetObject")


def dated(offset: timedelta) -> dict[str, str]:
    return {"date": (NOW + offset).strftime("%a, %d %b %Y %H:%M:%S GMT")}


# What is raised, what was asked, and what is made of it: kind, sentence, remedy.
CASES: list[tuple[BaseException, Asked, Kind, str, str]] = [
    (
        raised.NoCredentialsError(),
        GET,
        Kind.ABSENT,
        "Unable to locate credentials in /f (profile jo)",
        "aws configure --profile jo",
    ),
    (
        raised.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        GET,
        Kind.PARTIAL,
        "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
        "aws configure --profile jo",
    ),
    (
        raised.ProfileNotFound(profile="jo"),
        GET,
        Kind.PROFILE_MISSING,
        "The config profile (jo) could not be found in /f (profile jo)",
        "aws configure --profile jo",
    ),
    (
        raised.InvalidConfigError(error_msg="The source_profile does not exist."),
        GET,
        Kind.CONFIG_BROKEN,
        "The source_profile does not exist.",
        "aws configure list --profile jo",
    ),
    (
        PermissionError(13, "Permission denied", "/f"),
        GET,
        Kind.CONFIG_BROKEN,
        "[Errno 13] Permission denied: '/f'",
        "aws configure list --profile jo",
    ),
    (
        raised.UnauthorizedSSOTokenError(),
        GET,
        Kind.SSO_EXPIRED,
        "The SSO session associated with this profile has expired or is otherwise invalid. To refresh this SSO session "
        "run aws sso login with the corresponding profile.",
        "aws sso login --profile jo",
    ),
    (
        raised.LoginRefreshRequired(),
        GET,
        Kind.SSO_EXPIRED,
        "Your session has expired or credentials have changed. Please reauthenticate using 'aws login'.",
        "aws login --profile jo",
    ),
    (
        raised.RefreshWithMFAUnsupportedError(),
        GET,
        Kind.MFA_NEEDED,
        "Cannot refresh credentials: MFA token required. (profile jo); the gate never prompts",
        "aws sts get-caller-identity --profile jo",
    ),
    (
        raised.CredentialRetrievalError(provider="iam-role", error_msg="no role\nsecond line"),
        GET,
        Kind.SOURCE_FAILED,
        "Error when retrieving credentials from iam-role: no role",
        "aws configure list --profile jo",
    ),
    (
        raised.NoRegionError(),
        DESCRIBE,
        Kind.NO_REGION,
        "You must specify a region.",
        'set aws.region, such as region = "us-east-1"',
    ),
    (
        raised.EndpointConnectionError(endpoint_url=URL),
        GET,
        Kind.UNREACHABLE,
        'cannot reach S3: Could not connect to the endpoint URL: "https://b.s3.amazonaws.com/"',
        f"curl -sS -m 5 -o /dev/null https://b.s3.amazonaws.com/  # {REACH}",
    ),
    (
        raised.ConnectTimeoutError(endpoint_url=URL),
        GET,
        Kind.UNREACHABLE,
        'cannot reach S3 within 3 s: Connect timeout on endpoint URL: "https://b.s3.amazonaws.com/"',
        f"curl -sS -m 5 -o /dev/null https://b.s3.amazonaws.com/  # {REACH}",
    ),
    (
        raised.ProxyConnectionError(proxy_url="http://proxy:3128", error="refused"),
        GET,
        Kind.UNREACHABLE,
        'cannot reach S3: Failed to connect to proxy URL: "http://proxy:3128"',
        REACH,
    ),
    (
        raised.SSLError(endpoint_url="https://x/", error="self-signed certificate"),
        GET,
        Kind.UNREACHABLE,
        "cannot reach S3: SSL validation failed for https://x/ self-signed certificate",
        f"curl -sS -m 5 -o /dev/null https://x/  # {REACH}",
    ),
    (
        raised.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        GET,
        Kind.UNREACHABLE,
        "cannot reach S3: 1 read, but total bytes expected is 2.",
        REACH,
    ),
    (
        raised.ReadTimeoutError(endpoint_url=URL),
        GET,
        Kind.TIMED_OUT,
        'S3 timed out after 5 s (3 attempts): Read timeout on endpoint URL: "https://b.s3.amazonaws.com/"',
        f"curl -sS -m 5 -o /dev/null https://b.s3.amazonaws.com/  # {REACH}",
    ),
    (
        ResponseParserError("Unable to parse response\n<html>"),
        GET,
        Kind.WRONG_ANSWER,
        "S3 gave a wrong answer: Unable to parse response",
        "something answers in AWS's place or changes it: check HTTPS_PROXY and aws.endpoint_url",
    ),
    (
        raised.UnknownServiceError(service_name="s4", known_service_names="s3"),
        GET,
        Kind.UNKNOWN,
        "UnknownServiceError: Unknown service: 's4'. Valid service names are: s3",
        "",
    ),
    (
        answered("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."),
        GET,
        Kind.INVALID,
        "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records. (access key ****WXYZ of "
        "profile jo)",
        "aws configure --profile jo",
    ),
    (
        answered("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
        DESCRIBE,
        Kind.INVALID,
        "AuthFailure: AWS was not able to validate the provided access credentials (access key ****WXYZ of profile jo)",
        "aws configure --profile jo",
    ),
    (
        answered("SignatureDoesNotMatch", "The signatures differ."),
        GET,
        Kind.WRONG_SECRET,
        "SignatureDoesNotMatch: The signatures differ. (access key ****WXYZ of profile jo)",
        "aws configure --profile jo",
    ),
    (
        answered("RequestExpired", "Request has expired.", 400, headers=dated(timedelta(seconds=1))),
        DESCRIBE,
        Kind.EXPIRED,
        "RequestExpired: Request has expired. (access key ****WXYZ of profile jo)",
        "aws configure list --profile jo",
    ),
    (
        # EC2 has the same code for a clock that is off; its Date tells which it is.
        answered("RequestExpired", "Request has expired.", 400, headers=dated(timedelta(hours=2))),
        DESCRIBE,
        Kind.CLOCK_SKEWED,
        "clock off by 7200 s (this machine is behind): RequestExpired: Request has expired.",
        "sudo timedatectl set-ntp true",
    ),
    (
        answered("AuthFailure", "not able to validate", 401, headers=dated(timedelta(seconds=-301))),
        DESCRIBE,
        Kind.CLOCK_SKEWED,
        "clock off by 301 s (this machine is ahead): AuthFailure: not able to validate",
        "sudo timedatectl set-ntp true",
    ),
    (
        # What S3 compared counts, whatever time it is here now.
        answered("RequestTimeTooSkewed", "Too large.", RequestTime="20261124T000000Z", ServerTime="20261124T020000Z"),
        GET,
        Kind.CLOCK_SKEWED,
        "clock off by 7200 s (this machine is behind): RequestTimeTooSkewed: Too large.",
        "sudo timedatectl set-ntp true",
    ),
    (
        answered("RequestTimeTooSkewed", "Too large."),
        GET,
        Kind.CLOCK_SKEWED,
        "clock off by more than 300 s: RequestTimeTooSkewed: Too large.",
        "sudo timedatectl set-ntp true",
    ),
    (
        answered(
            "SignatureDoesNotMatch",
            "Signature not yet current: 20261124T040000Z is still later than 20261124T021500Z (20261124T020000Z + 15 "
            "min.)",
        ),
        GET,
        Kind.CLOCK_SKEWED,
        "clock off by 7200 s (this machine is ahead): SignatureDoesNotMatch: Signature not yet current: "
        "20261124T040000Z is still later than 20261124T021500Z (20261124T020000Z + 15 min.)",
        "sudo timedatectl set-ntp true",
    ),
    (
        answered("AccessDenied", "Access Denied"),
        GET,
        Kind.DENIED,
        "s3:GetObject on arn:aws:s3:::b/in/a.jsonl denied: AccessDenied: Access Denied",
        'add to the policy: {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/in/*"}',
    ),
    (
        answered(
            "AccessDenied",
            "User: arn:aws:sts::1:assumed-role/T/s is not authorized to perform: kms:Decrypt on the resource "
            "associated with this ciphertext because no identity-based policy allows the kms:Decrypt action",
        ),
        GET,
        Kind.DENIED,
        "kms:Decrypt on arn:aws:s3:::b/in/a.jsonl denied: AccessDenied: User: arn:aws:sts::1:assumed-role/T/s is not "
        "authorized to perform: kms:Decrypt on the resource associated with this ciphertext because no identity-based "
        "policy allows the kms:Decrypt action",
        "add to the policy of arn:aws:sts::1:assumed-role/T/s: "
        '{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}',
    ),
    (
        answered(
            "AccessDenied",
            'User: arn:aws:iam::1:user/jo is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/in/a"'
            " with an explicit deny in a resource-based policy",
        ),
        GET,
        Kind.DENIED,
        "s3:GetObject on arn:aws:s3:::b/in/a denied: AccessDenied: User: arn:aws:iam::1:user/jo is not authorized to "
        'perform: s3:GetObject on resource: "arn:aws:s3:::b/in/a" with an explicit deny in a resource-based policy',
        "remove the Deny of s3:GetObject from the resource-based policy of arn:aws:iam::1:user/jo; an Allow does not "
        "lift it",
    ),
    (
        answered(
            "UnauthorizedOperation",
            "You are not authorized to perform this operation. User: arn:aws:iam::1:user/jo is not authorized to "
            "perform: ec2:DescribeInstances because no identity-based policy allows it. Encoded authorization failure "
            "message: abcDEF123",
        ),
        DESCRIBE,
        Kind.DENIED,
        "ec2:DescribeInstances on * denied: UnauthorizedOperation: You are not authorized to perform this operation. "
        "User: arn:aws:iam::1:user/jo is not authorized to perform: ec2:DescribeInstances because no identity-based "
        "policy allows it.",
        'add to the policy of arn:aws:iam::1:user/jo: {"Effect": "Allow", "Action": "ec2:DescribeInstances", '
        '"Resource": "*"}',
    ),
    (
        answered("NoSuchBucket", "The specified bucket does not exist", 404),
        GET,
        Kind.MISSING,
        "NoSuchBucket: The specified bucket does not exist (arn:aws:s3:::b/in/a.jsonl)",
        "correct aws.buckets, or: aws s3 mb s3://b --region us-east-1 --profile jo",
    ),
    (
        answered("InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist", 400),
        DESCRIBE,
        Kind.MISSING,
        "InvalidInstanceID.NotFound: The instance ID 'i-1' does not exist",
        "aws ec2 describe-instances --region eu-west-1 --output text --query "
        "'Reservations[].Instances[].[InstanceId,State.Name]' --profile jo",
    ),
    (
        answered("PermanentRedirect", "Use the endpoint.", 301, headers={"x-amz-bucket-region": "eu-west-1"}),
        GET,
        Kind.WRONG_REGION,
        "arn:aws:s3:::b/in/a.jsonl is in eu-west-1, not in us-east-1: PermanentRedirect: Use the endpoint.",
        'set region = "eu-west-1" for this bucket in aws.buckets',
    ),
    (
        answered("AuthorizationHeaderMalformed", "Wrong region.", 400, Region="ap-south-1"),
        GET,
        Kind.WRONG_REGION,
        "arn:aws:s3:::b/in/a.jsonl is in ap-south-1, not in us-east-1: AuthorizationHeaderMalformed: Wrong region.",
        'set region = "ap-south-1" for this bucket in aws.buckets',
    ),
    (
        answered("301", "Moved Permanently", 301),
        GET,
        Kind.WRONG_REGION,
        "arn:aws:s3:::b/in/a.jsonl is in another region, not in us-east-1: 301: Moved Permanently",
        "correct the region in settings",
    ),
    (
        answered("SlowDown", "Please reduce your request rate.", 503, retries=2),
        GET,
        Kind.THROTTLED,
        "SlowDown: Please reduce your request rate. (3 attempts)",
        "run again in a minute; if it stays, raise aws.attempts",
    ),
    (
        answered("SomethingOfTheirs", "Sorry", 502),
        GET,
        Kind.SERVICE_FAILED,
        "SomethingOfTheirs: Sorry (1 attempt)",
        "see https://health.aws.amazon.com/health/status and run again",
    ),
    (answered("Unheard", "Of", 418), GET, Kind.UNKNOWN, "Unheard: Of", ""),
]


@pytest.mark.parametrize(
    ("error", "asked", "kind", "what", "remedy"),
    CASES,
    ids=[f"{number}-{case[2]}" for number, case in enumerate(CASES)],
)
def test_every_error_has_its_kind_its_sentence_and_its_remedy(  # one column of the table each
    error: BaseException, asked: Asked, kind: Kind, what: str, remedy: str
) -> None:
    trouble = classify(error, asked, now=NOW)
    assert (trouble.kind, trouble.what, trouble.remedy) == (kind, what, remedy)
    through_json: TypeAdapter[AwsTrouble] = TypeAdapter(AwsTrouble)
    assert through_json.validate_json(through_json.dump_json(trouble)) == trouble


def test_every_kind_is_in_a_case_or_tested_elsewhere() -> None:
    elsewhere = {Kind.PROCESS_HUNG}  # with a real process, in test_aws_session.py
    assert {case[2] for case in CASES} | elsewhere == set(Kind)


@pytest.mark.parametrize("kind", Kind)
def test_only_what_new_credentials_would_mend_is_a_matter_of_credentials(kind: Kind) -> None:
    others = "denied missing wrong-region no-region unreachable timed-out throttled service-failed wrong-answer unknown"
    assert kind.is_credentials is (kind.value not in others.split())


def test_the_name_of_an_exception_means_the_same_in_the_place_of_a_code() -> None:
    # A probe on the host, or an attempt read back from a file, has the name alone.
    for error, _, kind, _, _ in CASES:
        if not isinstance(error, ClientError):
            assert kind_of_answer(type(error).__name__) is kind


def test_a_denial_is_not_turned_into_a_skewed_clock() -> None:
    denied = answered("AccessDenied", "Access Denied", headers=dated(timedelta(hours=3)))
    assert classify(denied, GET, now=NOW).kind is Kind.DENIED


def test_an_answer_without_a_code_is_known_by_its_status() -> None:
    assert trouble_in("", "", 403, GET).what == "s3:GetObject on arn:aws:s3:::b/in/a.jsonl denied: 403"
    assert trouble_in("", "", 503, GET).kind is Kind.THROTTLED


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("key AKIAIOSFODNN7EXAMPLE is off", "key ****MPLE is off"),
        ("secret wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "secret ****"),
        ("at https://x/y?X-Amz-Signature=abc&X-Amz-Security-Token=def now", "at https://x/y now"),
        ("\n  first line\nsecond", "first line"),
        ("arn:aws:s3:::policy-database/federal/some-long-folder-name/and/another/one/part-00001.jsonl",) * 2,
        ("x" * 400, "x" * 300 + "..."),
    ],
)
def test_what_others_said_is_one_line_without_secrets(text: str, safe: str) -> None:
    assert shown(text) == safe


def test_no_remedy_shows_more_of_a_key_than_its_end() -> None:
    error = answered("InvalidClientTokenId", "token AKIAIOSFODNN7EXAMPLE is invalid")
    assert "AKIA" not in str(classify(error, GET, now=NOW))


def test_the_clock_is_compared_with_the_date_of_the_answer() -> None:
    assert clock_offset_s(dated(timedelta(seconds=-30)), NOW) == 30
    assert clock_offset_s({}, NOW) is None
    assert clock_offset_s({"date": "yesterday"}, NOW) is None


def test_a_statement_can_be_pasted() -> None:
    assert allow("s3:GetObject", "arn:aws:s3:::b/*") == (
        '{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}'
    )


def test_files_of_the_settings_are_in_the_command() -> None:
    asked = Asked(action="sts:GetCallerIdentity", profile="my team", credentials_file="/a b/c", config_file="/d")
    assert (
        asked.cli("sso login")
        == "AWS_SHARED_CREDENTIALS_FILE='/a b/c' AWS_CONFIG_FILE=/d aws sso login --profile 'my team'"
    )
