"""What went wrong with AWS, told apart and in words. Pure: exceptions and answers go in, an `AwsTrouble` comes out."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from pytest_pipeline.observers.aws_codes import Kind, kind_of_answer, kind_of_error
from pytest_pipeline.observers.aws_remedy import Asked, remedy_for

if TYPE_CHECKING:
    from collections.abc import Mapping

AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError, OSError, ValueError)
"""What looking at AWS may raise. Anything else is a defect of ours and is not caught.

OSError and ValueError come from the user's files; ResponseParserError, from a proxy's page, is no BotoCoreError.
"""

_CLOCK_TOLERANCE_S = 300  # AWS refuses signatures that are older than this; S3 takes three times as much
_STAMPS = re.compile(r"\b(\d{8}T\d{6}Z)")
_NAMED = re.compile(r"not authorized to perform:? ([\w-]+:[\w*]+)(?:.*? on resource:? \"?(arn:[^\s\"]+|\*))?")
_BEFORE_SIGNING_IN = {  # calls that only get credentials: what they meet is not what was asked
    "AssumeRole": "sts:AssumeRole",
    "AssumeRoleWithWebIdentity": "sts:AssumeRoleWithWebIdentity",
    "GetRoleCredentials": "sso:GetRoleCredentials",
}
_ACCESS_KEY = re.compile(r"\b(?:A[A-Z0-9]{3})[A-Z0-9]{8,}([A-Z0-9]{4})\b")
_LONG_SECRET = re.compile(r"(?<![\w/+=])(?=[^\s]*[a-z])(?=[^\s]*[A-Z])(?=[^\s]*\d)[A-Za-z0-9/+=]{40,}(?![\w/+=])")
_MAX_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsTrouble:
    """One thing that is wrong: its kind, what happened in words, the denied action and ARN, and what to do."""

    kind: Kind
    what: str
    action: str = ""
    resource: str = ""
    remedy: str = ""

    @property
    def is_credentials(self) -> bool:
        """Whether it belongs to the row `aws-credentials`, whatever was asked."""
        return self.kind.is_credentials or self.action in _BEFORE_SIGNING_IN.values()

    def __str__(self) -> str:
        """What happened and what to do, on one line."""
        return f"{self.what} - {self.remedy}" if self.remedy else self.what


def classify(error: BaseException, asked: Asked, *, now: datetime | None = None) -> AwsTrouble:
    """Return what an exception of boto3 means. `now` is this machine's clock when the answer came (default: now)."""
    if isinstance(error, ClientError):
        early = _BEFORE_SIGNING_IN.get(error.operation_name)
        if early:
            asked = dataclasses.replace(asked, action=early, resource="*", grant="")
        return _of_answer(error.response, asked, now or datetime.now(UTC))
    said = shown(str(error) or type(error).__name__)
    kind = kind_of_error(error)
    if kind is Kind.UNKNOWN:
        said = f"{type(error).__name__}: {said}"
    endpoint = shown(str(getattr(error, "kwargs", {}).get("endpoint_url", "")))
    return _told(kind, said, asked, endpoint=endpoint, code=type(error).__name__)


def trouble_in(
    code: str,
    message: str,
    status: int,
    asked: Asked,
    *,
    region: str = "",
    retries: int = 0,
    offset_s: float | None = None,
) -> AwsTrouble:
    """Return what a failed answer means: its error code (or the name of the exception in its place) and message.

    `region` is what the answer said is the right one; `offset_s` how far our clock is ahead of AWS's, where known.
    """
    line = shown(message)
    kind = kind_of_answer(code, message, status)
    if kind.is_credentials and offset_s is not None and abs(offset_s) > _CLOCK_TOLERANCE_S:
        kind = Kind.CLOCK_SKEWED  # EC2 says AuthFailure or RequestExpired to a clock that is off
    if kind is Kind.DENIED:
        named = _NAMED.search(message)
        if named:
            asked = dataclasses.replace(
                asked,
                action=named[1],
                resource=named[2] or asked.resource,
                grant=asked.grant if named[1] == asked.action else named[2] or "*",
            )
    name_in_place_of_code = not status and kind is not Kind.UNKNOWN  # no answer: the exception's text says it all
    said = line if line and name_in_place_of_code else ": ".join(filter(None, (code or str(status), line)))
    return _told(kind, said, asked, region=region, tries=retries + 1, offset_s=offset_s, code=code)


def clock_offset_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how far `now` is ahead of an answer's Date header, in seconds (its resolution is 1 s), or None."""
    try:
        return (now - parsedate_to_datetime(headers["date"])).total_seconds()
    except (KeyError, ValueError, TypeError):
        return None


def shown(text: str) -> str:
    """Return the first line of a foreign text, fit to be shown: no query string, full key id or secret in it."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"(https?://[^\s\"?]+)\?[^\s\"]*", r"\1", line)
    line = line.partition(" Encoded authorization failure message")[0]
    line = _LONG_SECRET.sub("****", _ACCESS_KEY.sub(r"****\1", line))
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}..."


def _of_answer(response: Mapping[str, Any], asked: Asked, now: datetime) -> AwsTrouble:
    error: Mapping[str, Any] = response.get("Error", {})
    answer: Mapping[str, Any] = response.get("ResponseMetadata", {})
    headers: Mapping[str, str] = answer.get("HTTPHeaders", {})
    message = str(error.get("Message", ""))
    # What AWS itself compared comes first: its answer may have been on the way for long.
    compared = " ".join((message, str(error.get("RequestTime", "")), str(error.get("ServerTime", ""))))
    offset_s = _compared_s(compared)
    return trouble_in(
        str(error.get("Code", "")),
        message,
        int(answer.get("HTTPStatusCode", 0)),
        asked,
        region=headers.get("x-amz-bucket-region") or str(error.get("Region", "")),
        retries=int(answer.get("RetryAttempts", 0)),
        offset_s=clock_offset_s(headers, now) if offset_s is None else offset_s,
    )


def _compared_s(text: str) -> float | None:
    """Return request time minus server time: the first and the last stamp of what AWS says about a skewed clock.

    "Signature expired: REQUEST is now earlier than LIMIT (SERVER - 15 min.)".
    """
    stamps = [datetime.fromisoformat(stamp) for stamp in _STAMPS.findall(text)]
    return (stamps[0] - stamps[-1]).total_seconds() if len(stamps) > 1 else None


def _told(
    kind: Kind,
    said: str,
    asked: Asked,
    *,
    code: str,
    endpoint: str = "",
    region: str = "",
    tries: int = 1,
    offset_s: float | None = None,
) -> AwsTrouble:
    if kind.is_credentials:
        what = _about_credentials(kind, said, asked, code=code, offset_s=offset_s)
    else:
        what = _about_the_call(kind, said, asked, code=code, region=region, tries=tries)
    remedy = remedy_for(kind, asked, said=said, region=region, endpoint=endpoint)
    return AwsTrouble(kind=kind, what=what, action=asked.action, resource=asked.resource, remedy=remedy)


def _about_credentials(kind: Kind, said: str, asked: Asked, *, code: str, offset_s: float | None) -> str:
    match kind:
        case Kind.ABSENT | Kind.PROFILE_MISSING if asked.sources and code != "ConfigNotFound":
            return f"{said} in {asked.sources} (profile {asked.profile})"
        case Kind.INVALID | Kind.WRONG_SECRET | Kind.EXPIRED if asked.key_last4:
            return f"{said} (access key ****{asked.key_last4} of profile {asked.profile})"
        case Kind.MFA_NEEDED:
            return f"{said} (profile {asked.profile}); the gate never prompts"
        case Kind.CLOCK_SKEWED:
            return f"{_clock(offset_s)}: {said}"
    return said


def _about_the_call(kind: Kind, said: str, asked: Asked, *, code: str, region: str, tries: int) -> str:
    match kind:
        case Kind.DENIED:
            return f"{asked.action} on {asked.resource} denied: {said}"
        case Kind.MISSING if asked.resource != "*":
            return f"{said} ({asked.resource})"
        case Kind.WRONG_REGION:
            return f"{asked.resource} is in {region or 'another region'}, not in {asked.region or 'no region'}: {said}"
        case Kind.UNREACHABLE:
            within = f" within {asked.connect_timeout_s:g} s" if code == "ConnectTimeoutError" else ""
            return f"cannot reach {asked.service}{within}: {said}"
        case Kind.TIMED_OUT:
            # A TimeoutError is a deadline of ours, and not the settings'.
            after = "" if code == "TimeoutError" else f" after {asked.read_timeout_s:g} s ({_times(asked.attempts)})"
            return f"{asked.service} timed out{after}: {said}"
        case Kind.WRONG_ANSWER:
            return f"{asked.service} gave a wrong answer: {said.removeprefix('WrongAnswer: ')}"
        case Kind.THROTTLED | Kind.SERVICE_FAILED:
            return f"{said} ({_times(tries)})"
    return said


def _clock(offset_s: float | None) -> str:
    if offset_s is None:
        return f"clock off by more than {_CLOCK_TOLERANCE_S} s"
    return f"clock off by {abs(offset_s):.0f} s (this machine is {'ahead' if offset_s > 0 else 'behind'})"


def _times(tries: int) -> str:
    return f"{tries} attempt{'s' if tries != 1 else ''}"
