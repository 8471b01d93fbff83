"""The kinds of value that settings are made of, and how each is held to its form.

A validator says what the value must be ("must be ..."); who gave which value, and what to do, is added by
`settings.messages`.
"""

import difflib
import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from pytest_pipeline.catalogue import CATALOGUE
from pytest_pipeline.matrix import RESERVED_CAUSES

T = TypeVar("T")

_SIMILAR = 0.9  # of difflib: one slip in an id of ten letters


class SettingsError(ValueError):
    """Settings that cannot be used. Its text is the whole message for the user, one line for each mistake."""


class ContradictionError(ValueError):
    """Two settings that cannot both hold. Its text says what `at` does, and what to do about it."""

    def __init__(self, text: str, *, at: tuple[str | int, ...]) -> None:
        super().__init__(text)
        self.at = at


class UnshownError(ValueError):
    """A value that is not what it must be, and may be a secret: no message repeats it."""


def similar(given: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one is likely to mean."""
    return next(iter(difflib.get_close_matches(given, list(known), n=1)), None)


def _account(text: str) -> str:
    if not re.fullmatch(r"[0-9]{12}", text):
        raise ValueError("must be the 12 digits of an account")
    return text


def _url(text: str) -> str:
    if not re.match(r"https?://[^/]", text):
        raise ValueError("must be a URL that begins with http:// or https://")
    return text


def _bucket_name(text: str) -> str:
    if "/" in text or ":" in text:
        raise ValueError("must be a bucket's name alone, without s3:// and prefix")
    return text


def _prefix(text: str) -> str:
    if text.startswith("s3://"):
        raise ValueError("must be a prefix inside the bucket, without s3://")
    return text


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise UnshownError("must be the name of an environment variable, never its value")
    return text


def _host_path(text: str) -> str:
    if not text.startswith(("/", "~")):
        raise ValueError("must be a path on the host that begins with '/' or '~'")
    return text


def _data_uri(text: str) -> str:
    bucket, _, key = text.removeprefix("s3://").partition("/")
    if text.startswith("s3://") and bucket and key:
        return text
    if text.startswith(("/", "~/")):
        return text
    raise ValueError("must be an s3:// URI with a bucket and a key or prefix, or a path that begins with '/' or '~/'")


def _s3_uri(text: str) -> str:
    if not text.startswith("s3://"):
        raise ValueError("must be an s3:// URI with a bucket and a key or prefix")
    return _data_uri(text)


def _command(given: object) -> str | tuple[str, ...]:
    words = tuple(given) if isinstance(given, Sequence) and not isinstance(given, str) else (given,)
    if not words or not all(isinstance(word, str) for word in words) or not words[0]:
        raise ValueError("must be a command line for bash, or a list of a program and its arguments")
    for word in words:
        _argument(word)
    return given if isinstance(given, str) else words


def _argument(text: str) -> str:
    if "\0" in text:
        raise ValueError("must have no NUL character, which ends an argument")
    return text


def _data_filter(text: str) -> str:
    if text[:1] not in ("+", "-") or len(text) == 1:
        raise ValueError("must be '+' or '-' and a pattern, such as '-processed/*' or '+*.jsonl'")
    return text


def _local_path(given: object) -> object:
    if given == "":
        raise ValueError("must not be empty")  # it would mean the working directory
    return given


def _specifier(text: str) -> str:
    try:
        SpecifierSet(text)
    except InvalidSpecifier:
        raise ValueError("must be a version specifier such as '>=3.10' or '>=2.5.1,<2.6'") from None
    return text


def _requirement(text: str) -> str:
    try:
        Requirement(text)
    except InvalidRequirement:
        raise ValueError("must be a package as pip takes it, such as 'peft' or 'transformers>=4.44'") from None
    return text


def _day(given: object) -> object:
    """Read the ISO 8601 text that JSON and environments have where TOML has a date."""
    if not isinstance(given, str):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError:
        raise ValueError("must be a date such as 2027-01-31") from None


def _row_id(text: str) -> str:
    """Refuse what is no row's id, or one slip away from a shipped row's.

    Other ids may be a user's own rows, which are not known before collection. `disk-space-eu` beside `disk-space`
    is a name somebody chose, `disk-spaces` is not.
    """
    if text in CATALOGUE:
        return text
    if text in RESERVED_CAUSES:
        raise ValueError("must be the id of a row; this is a cause that no row owns")
    meant = similar(text, CATALOGUE)
    hint = f" (did you mean {meant!r}?)" if meant else ""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", text):
        raise ValueError(f"must be the id of a row: lower-case words joined by '-'{hint}")
    if meant and not text.startswith(f"{meant}-") and difflib.SequenceMatcher(None, text, meant).ratio() >= _SIMILAR:
        raise ValueError(f"must be the id of a row (did you mean {meant!r}? a row of your own needs another name)")
    return text


Listed = Annotated[Sequence[T], AfterValidator(tuple)]
"""A list, kept as a tuple. Typed as a sequence so that a list may be given in Python too."""

Text = Annotated[str, Field(min_length=1)]
AccountId = Annotated[str, AfterValidator(_account)]
Url = Annotated[str, AfterValidator(_url)]
BucketName = Annotated[Text, AfterValidator(_bucket_name)]
Prefix = Annotated[str, AfterValidator(_prefix)]
VariableName = Annotated[str, AfterValidator(_variable)]
Specifier = Annotated[Text, AfterValidator(_specifier)]
PackageRequirement = Annotated[Text, AfterValidator(_requirement)]
RowId = Annotated[str, AfterValidator(_row_id)]
Day = Annotated[date, BeforeValidator(_day)]
Seconds = Annotated[float, Field(gt=0)]

HostPath = Annotated[Text, AfterValidator(_host_path)]
"""A path on the host: never resolved here."""

LocalPath = Annotated[Path, BeforeValidator(_local_path), Field(strict=False)]
"""A path on this machine. Not strict: TOML has text for it."""

DataUri = Annotated[Text, AfterValidator(_data_uri)]
"""Where data lies: in S3, or on the machine that the gate runs on."""

S3Uri = Annotated[Text, AfterValidator(_s3_uri)]

Argument = Annotated[str, AfterValidator(_argument)]

Command = Annotated[
    str | Sequence[str],
    PlainValidator(_command),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}, "minLength": 1, "minItems": 1}),
]
"""A command line for bash, or a program and its arguments. A union would name both kinds for each mistake."""

DataFilter = Annotated[Text, AfterValidator(_data_filter)]
Identity = Literal["operator", "host"]
VolumeKind = Literal["ebs", "instance-store", "fsx", "efs", "root", "tmpfs"]
