"""What to do about trouble with AWS: a command to paste, a statement to add to a policy, or a setting to change."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.observers.aws_codes import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EXPLICIT_DENY = re.compile(r"explicit deny(?: in (?:a|an) ([\w -]+? policy))?", re.IGNORECASE)
_WHO = re.compile(r"User: (arn:\S+)")
_WRITTEN = {"cloudwatch": "CloudWatch"}  # the services that are not written in capitals


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of AWS, and with what: all that words and remedies need besides the answer.

    `action` and `resource` are what a policy would have to allow; `grant` is the resource to allow where that is wider
    than the one asked for. `key_last4` is the end of the access key id, never more of it.
    """

    action: str
    resource: str = "*"
    grant: str = ""
    region: str = ""
    profile: str = "default"
    sources: str = ""
    credentials_file: str = ""
    config_file: str = ""
    key_last4: str = ""
    connect_timeout_s: float = 0.0
    read_timeout_s: float = 0.0
    attempts: int = 1

    @property
    def service(self) -> str:
        """The service as people write it."""
        name = self.action.partition(":")[0]
        return _WRITTEN.get(name, name.upper())

    def cli(self, command: str) -> str:
        """Return a command of the AWS CLI that means the same profile and the same files."""
        files = {"AWS_SHARED_CREDENTIALS_FILE": self.credentials_file, "AWS_CONFIG_FILE": self.config_file}
        where = "".join(f"{name}={shlex.quote(path)} " for name, path in files.items() if path)
        return f"{where}aws {command} --profile {shlex.quote(self.profile)}"


def allow(action: str, resource: str) -> str:
    """Return the statement of an IAM policy that allows an action on a resource, as JSON."""
    return json.dumps({"Effect": "Allow", "Action": action, "Resource": resource})


def remedy_for(kind: Kind, asked: Asked, *, said: str, region: str = "", endpoint: str = "") -> str:
    """Return what to do, or "" where nobody can know.

    `said` is what AWS or botocore said, `region` the right one where it was named, `endpoint` what was not reached.
    """
    if kind is Kind.DENIED:
        return _to_allow(asked, said)
    if kind is Kind.MISSING:
        return _to_find(asked)
    if kind is Kind.WRONG_REGION:
        return f'set region = "{region}" for this bucket in aws.buckets' if region else "correct the region in settings"
    if kind in (Kind.UNREACHABLE, Kind.TIMED_OUT):
        reach = f"curl -sS -m 5 -o /dev/null {shlex.quote(endpoint)}  # " if endpoint else ""
        return f"{reach}check the network, HTTPS_PROXY and aws.endpoint_url"
    return _FIXED[kind](asked, said) if kind in _FIXED else ""


def _to_allow(asked: Asked, said: str) -> str:
    denied = _EXPLICIT_DENY.search(said)
    who = _WHO.search(said)
    whose = f" of {who[1]}" if who else ""
    if denied:
        return f"remove the Deny of {asked.action} from the {denied[1] or 'policy'}{whose}; an Allow does not lift it"
    return f"add to the policy{whose}: {allow(asked.action, asked.grant or asked.resource)}"


def _to_find(asked: Asked) -> str:
    region = f" --region {asked.region}" if asked.region else ""
    if asked.service == "S3":
        bucket = asked.resource.rpartition(":::")[2].partition("/")[0]
        return f"correct aws.buckets, or: {asked.cli(f's3 mb s3://{bucket}{region}')}"
    if asked.service == "EC2":
        query = "'Reservations[].Instances[].[InstanceId,State.Name]'"
        return asked.cli(f"ec2 describe-instances{region} --output text --query {query}")
    return ""


def _sign_in(asked: Asked, said: str) -> str:
    return asked.cli("login" if "aws login" in said or "login session" in said else "sso login")


def _look_at_source(asked: Asked, said: str) -> str:
    process = "credential_process" in said or "custom-process" in said
    return asked.cli("configure get credential_process" if process else "configure list")


_FIXED: Mapping[Kind, Callable[[Asked, str], str]] = {
    Kind.ABSENT: lambda asked, _: asked.cli("configure"),
    Kind.PARTIAL: lambda asked, _: asked.cli("configure"),
    Kind.PROFILE_MISSING: lambda asked, _: asked.cli("configure"),
    Kind.INVALID: lambda asked, _: asked.cli("configure"),
    Kind.WRONG_SECRET: lambda asked, _: asked.cli("configure"),
    # Where the keys come from decides how they are renewed, and this command says where.
    Kind.EXPIRED: lambda asked, _: asked.cli("configure list"),
    Kind.CONFIG_BROKEN: lambda asked, _: asked.cli("configure list"),
    Kind.SSO_EXPIRED: _sign_in,
    # Any command of the CLI asks for the code once and caches the session, which is then found.
    Kind.MFA_NEEDED: lambda asked, _: asked.cli("sts get-caller-identity"),
    Kind.PROCESS_HUNG: _look_at_source,
    Kind.SOURCE_FAILED: _look_at_source,
    Kind.CLOCK_SKEWED: lambda *_: "sudo timedatectl set-ntp true",
    Kind.NO_REGION: lambda *_: 'set aws.region, such as region = "us-east-1"',
    Kind.THROTTLED: lambda *_: "run again in a minute; if it stays, raise aws.attempts",
    Kind.WRONG_ANSWER: lambda *_: (
        "something answers in AWS's place or changes it: check HTTPS_PROXY and aws.endpoint_url"
    ),
    Kind.SERVICE_FAILED: lambda *_: "see https://health.aws.amazon.com/health/status and run again",
}
