"""Keys and tokens in the text of records, which a model would learn by heart.

Forms as their issuers give them: AWS (IAM identifiers, unique prefixes), GitHub (token formats), Hugging Face, OpenAI,
Anthropic, Slack (token types, incoming webhooks), Google (API keys), Stripe, JWT (RFC 7519), PEM (RFC 7468).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from pytest_pipeline.data.counting import contains
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.records import texts_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from pytest_pipeline.data.place import Place
    from pytest_pipeline.data.records import Record

KEPT = 20
"""Sights of each kind; counts are exact."""

_SHOWN_CHARACTERS = 4
_FEWEST_DIFFERENT = 8


class Secret(StrEnum):
    """What a text gives away."""

    PRIVATE_KEY = "private key"
    AWS_SECRET_KEY = "AWS secret access key"  # noqa: S105  # the name of a kind
    AWS_KEY_ID = "AWS access key id"  # without its secret it opens nothing
    GITHUB = "GitHub token"
    HUGGING_FACE = "Hugging Face token"
    ANTHROPIC = "Anthropic key"
    OPENAI = "OpenAI key"
    SLACK = "Slack token"
    SLACK_WEBHOOK = "Slack webhook"
    GOOGLE = "Google API key"
    STRIPE = "Stripe live key"
    JWT = "JSON web token"

    @property
    def opens(self) -> bool:
        """Whether who has it may do something by it alone, for as long as it is valid."""
        return self is not Secret.AWS_KEY_ID


# Also as it stands in a program's string, where lines end in a backslash and an n.
_LINE_END = r"(?:\s|\\[nr])"
_PRIVATE_KEY = (
    rf"-----BEGIN (?:[A-Z0-9]{{1,20}} ){{0,2}}PRIVATE KEY-----{_LINE_END}{{0,9}}"
    r"(?:[\w-]{1,30}: [^\n\\]{0,200}(?:\r?\n|\\n){1,2}){0,5}"
    rf"([A-Za-z0-9+/=]{{40,}}(?:{_LINE_END}{{1,4}}[A-Za-z0-9+/=]{{40,}})*"
    rf"(?:{_LINE_END}{{1,4}}[A-Za-z0-9+/=]{{1,75}}(?={_LINE_END}{{0,4}}-----END))?)"
)
# By what a text must contain, as it is found fast, and the form of the secret then.
_FORMS: tuple[tuple[str, Secret, re.Pattern[str]], ...] = tuple(
    (mark, secret, re.compile(pattern))
    for mark, secret, pattern in (
        (
            "PRIVATE KEY-----",
            Secret.PRIVATE_KEY,
            _PRIVATE_KEY,
        ),
        ("AKIA", Secret.AWS_KEY_ID, r"(?<![A-Za-z0-9])(AKIA[A-Z2-7]{16})(?![A-Za-z0-9])"),
        ("ASIA", Secret.AWS_KEY_ID, r"(?<![A-Za-z0-9])(ASIA[A-Z2-7]{16})(?![A-Za-z0-9])"),
        ("ghp_", Secret.GITHUB, r"\b(ghp_[A-Za-z0-9]{36})\b"),
        ("gho_", Secret.GITHUB, r"\b(gho_[A-Za-z0-9]{36})\b"),
        ("ghs_", Secret.GITHUB, r"\b(ghs_[A-Za-z0-9]{36})\b"),
        ("ghu_", Secret.GITHUB, r"\b(ghu_[A-Za-z0-9]{36})\b"),
        ("ghr_", Secret.GITHUB, r"\b(ghr_[A-Za-z0-9]{36,76})\b"),
        ("github_pat_", Secret.GITHUB, r"\b(github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59})\b"),
        ("hf_", Secret.HUGGING_FACE, r"(?<![A-Za-z0-9_])(hf_[A-Za-z0-9]{34})(?![A-Za-z0-9])"),
        ("sk-ant-", Secret.ANTHROPIC, r"\b(sk-ant-[a-z0-9]{3,8}-[\w-]{80,120})(?![\w-])"),
        ("T3BlbkFJ", Secret.OPENAI, r"\b(sk-(?:[a-z]+-)?[\w-]{20,80}T3BlbkFJ[\w-]{20,80})(?![\w-])"),
        ("xoxb-", Secret.SLACK, r"\b(xoxb-\d{10,13}-\d{10,13}-[A-Za-z0-9]{24})\b"),
        ("xoxp-", Secret.SLACK, r"\b(xoxp-\d{10,13}-\d{10,13}-\d{10,13}-[a-f0-9]{32})\b"),
        ("xapp-", Secret.SLACK, r"\b(xapp-\d-[A-Z0-9]{9,13}-\d{10,13}-[a-f0-9]{64})\b"),
        (
            "hooks.slack.com/",
            Secret.SLACK_WEBHOOK,
            r"hooks\.slack\.com/(?:services|workflows)/(T[A-Z0-9]{8,12}/[A-Z][A-Z0-9]{8,12}/[A-Za-z0-9]{20,30})\b",
        ),
        ("AIza", Secret.GOOGLE, r"(?<![\w-])(AIza[\w-]{35})(?![\w-])"),
        ("k_live_", Secret.STRIPE, r"\b([rs]k_live_[A-Za-z0-9]{24,99})\b"),
        ("eyJ", Secret.JWT, r"(?<![\w-])(eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,})(?![\w-])"),
    )
)
_MARKS = frozenset(mark for mark, _, _ in _FORMS)
_SECRET_OF_A_KEY = re.compile(r"(?<![A-Za-z0-9+/=])([A-Za-z0-9+/]{40})(?![A-Za-z0-9+/=])")
_NEAR_CHARACTERS = 300
# Of documentation, so that everybody has them: AWS's own, and the example of RFC 7519 and of jwt.io.
_EXAMPLES = ("EXAMPLE", "example", "your", "YOUR", "XXXX", "xxxx", "0000000", "1234567890", "abcdefgh", "ABCDEFGH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """How often a kind of secret was found, and the first sights of it: where, and its first four characters."""

    count: int
    sights: tuple[tuple[Place, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets in records."""

    records: int = 0
    found: Mapping[Secret, Found] = field(default_factory=dict)


def look(records: Sequence[Record]) -> Secrets:
    """Return the secrets in all strings of records; keys aside, which are columns."""
    texts = [texts_of(record.values) for record in records]
    together = memoryview("\n".join(chain.from_iterable(texts)).encode("utf-8", "surrogatepass"))
    # Records without any of the marks, as nearly all are, are not looked at one by one.
    marks = frozenset(mark for mark, _, _ in _FORMS if contains(together, mark.encode()))
    sights: dict[Secret, list[tuple[Place, str]]] = {}
    for record, own in zip(records, texts, strict=True) if marks else ():
        for text in own:
            for secret, start, end in spots(text, marks):
                shown = f"{text[start : min(end, start + _SHOWN_CHARACTERS)]}..."
                sights.setdefault(secret, []).append((record.place, shown))
    found = {secret: Found(count=len(each), sights=tuple(each[:KEPT])) for secret, each in sights.items()}
    return Secrets(records=len(records), found=found)


def merge(parts: Iterable[Secrets]) -> Secrets:
    """Return the secrets of all parts; a record may have been seen in one of them only."""
    seen = 0
    found: dict[Secret, Found] = {}
    for part in parts:
        seen += part.records
        for secret, more in part.found.items():
            had = found.get(secret)
            found[secret] = (
                Found(count=had.count + more.count, sights=tuple(sorted(had.sights + more.sights)[:KEPT]))
                if had
                else more
            )
    return Secrets(records=seen, found=found)


def spots(text: str, marks: Container[str] = _MARKS) -> Iterator[tuple[Secret, int, int]]:
    """Return the secrets in a text, each with its start and end, examples of documentation left out.

    Only forms of `marks` are looked for.
    """
    for mark, secret, form in _FORMS:
        if mark not in marks or mark not in text:
            continue
        for match in form.finditer(text):
            start, end = match.span(1)
            if secret is Secret.JWT and not _is_jwt(match[1]):
                continue
            if not _is_example(match[1]):
                yield secret, start, end
                if secret is Secret.AWS_KEY_ID:
                    yield from _beside(text, start, end)


def masked(text: str) -> str:
    """Return a text whose secrets are cut to their first four characters."""
    for _, start, end in sorted(spots(text), key=lambda spot: -spot[1]):
        text = f"{text[: start + _SHOWN_CHARACTERS]}...{text[end:]}"
    return text


def _beside(text: str, start: int, end: int) -> Iterator[tuple[Secret, int, int]]:
    """Return the secret of an access key: 40 characters of base64 near its id, and no hash."""
    for match in _SECRET_OF_A_KEY.finditer(text, max(0, start - _NEAR_CHARACTERS), end + _NEAR_CHARACTERS):
        mixed = all(any(map(test, match[1])) for test in (str.isupper, str.islower, str.isdigit))
        if mixed and not _is_example(match[1]):
            yield Secret.AWS_SECRET_KEY, match.start(1), match.end(1)
            return


def _is_example(secret: str) -> bool:
    return any(mark in secret for mark in _EXAMPLES) or len(set(secret)) < _FEWEST_DIFFERENT


def _is_jwt(token: str) -> bool:
    head, claims, _ = token.split(".")
    try:
        decoded = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, claims)]
    except (binascii.Error, ValueError, RecursionError):
        return False
    # Without a time it is the example that everybody shows, or as good as it.
    return all(isinstance(part, dict) for part in decoded) and "alg" in decoded[0] and "exp" in decoded[1]


def findings(secrets: Secrets, lines_before: Mapping[tuple[str, int], int] | None = None) -> tuple[Finding, ...]:
    """Return what a user reads of secrets, one sentence a kind; worst first."""
    if not secrets.records:
        return (Finding(gravity=Gravity.UNKNOWN, sentence="no record was looked at: nothing is known of its text"),)
    return tuple(
        Finding(
            gravity=Gravity.WRONG if secret.opens else Gravity.DOUBTFUL,
            sentence=_sentence(secret, secrets.found[secret], secrets.records, lines_before),
        )
        for secret in Secret
        if secret in secrets.found
    )


def _sentence(secret: Secret, found: Found, records: int, lines_before: Mapping[tuple[str, int], int] | None) -> str:
    place, shown = found.sights[0]
    times = "once" if found.count == 1 else f"{found.count:,} times"
    todo = "revoke it and take it out" if secret.opens else "without its secret it opens nothing"
    return f"{secret} found {times} in {records:,} records, first at {place.named(lines_before)}: {shown} ({todo})"
