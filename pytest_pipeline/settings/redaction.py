"""Keeps secrets out of what a host or a command streams back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import SecretStr

from pytest_pipeline.settings.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pytest_pipeline.settings.model import Settings

SHORTEST = 4
"""Characters that a value must have to be redacted: a shorter one is found in half of all words."""


def redactor(settings: Settings, environ: Mapping[str, str]) -> Callable[[str], str]:
    """Return a function that replaces each secret in a text by `***`.

    Secrets are the values of the variables that `host.secrets` names, as `environ` has them, and all that the settings
    type as secret; of a value of several lines, each line by itself too, as output comes in lines. What was encoded
    in between (base64, percent signs) is not recognised, nor is a value shorter than 4 characters.
    """
    values = [environ[name] for name in settings.host.secrets if name in environ]
    values += [secret.get_secret_value() for secret in _secrets(settings)]
    parts = {part.strip() for value in values for part in (value, *value.splitlines())}
    # Longest first: the alternative that comes first wins, and a secret may begin with another one.
    shown = sorted((part for part in parts if len(part) >= SHORTEST), key=lambda part: (-len(part), part))
    if not shown:
        return lambda text: text
    pattern = re.compile("|".join(map(re.escape, shown)))
    return lambda text: pattern.sub("***", text)


def _secrets(value: object) -> Iterator[SecretStr]:
    match value:
        case SecretStr():
            yield value
        case Table():
            for _, entry in value:
                yield from _secrets(entry)
        case tuple() | list():
            for entry in value:
                yield from _secrets(entry)
        case dict():
            for entry in value.values():
                yield from _secrets(entry)
