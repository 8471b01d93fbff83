"""What of a record a model learns to write, apart from what it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.data.records import texts_of
from pytest_pipeline.data.spec import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.data.spec import RecordSpec

_ANSWERS = frozenset({"answer", "chosen", "completion", "output", "response", "target"})
_TEXTS = frozenset({Kind.TEXT, Kind.STRING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A record's text, `asked` and `text`: what comes before, and what the model learns to write."""

    asked: str
    text: str


def learned(values: Mapping[str, object], spec: RecordSpec) -> Learned:
    """Return what a model learns from a record.

    Of messages it is what the assistant says; where a required field is named `completion`, `response`, `output`,
    `answer`, `chosen` or `target`, that field; else all required text fields together, or all strings where no field
    is required.
    """
    for field in spec.fields:
        if field.kind is Kind.MESSAGES:
            return _conversation(values.get(field.name))
    required = [field.name for field in spec.fields if field.kind in _TEXTS]
    if not required:
        return Learned(asked="", text="\n".join(texts_of(dict(values))))
    answers = [name for name in required if name in _ANSWERS]
    asked = [name for name in required if name not in _ANSWERS] if answers else []
    return Learned(asked=_joined(values, asked), text=_joined(values, answers or required))


def _joined(values: Mapping[str, object], names: list[str]) -> str:
    return "\n".join(value for name in names if isinstance(value := values.get(name), str))


def _conversation(messages: object) -> Learned:
    said: dict[bool, list[str]] = {True: [], False: []}
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and isinstance(content := message.get("content"), str):
            said[message.get("role") == "assistant"].append(content)
    return Learned(asked="\n".join(said[False]), text="\n".join(said[True]))
