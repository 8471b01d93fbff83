"""The tokens of a shell script, and what a shell makes of a word. Pure.

Bash reference manual: "Quoting", "Shell Parameter Expansion", "Redirections".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Kind = Literal["word", "array", "function", "redirect", "operator", "document", "torn"]

_TOKEN = re.compile(
    r"""
      (?P<nothing> (?:[^\S\n]|\\(?:\n|\Z))+ | (?<![^\s;&|()])\#[^\n]* )
    | (?P<array> [A-Za-z_]\w*\+?=\( )
    | (?P<function> (?: function\s+[\w:.-]+\s*(?:\(\s*\))? | [\w:.-]+\s*\(\s*\) ) (?=\s*\{) )
    | (?P<document> <<-?(?!<)[^\S\n]*['"\\]?(?P<end>[\w.-]+)['"]? )
    | (?P<redirect> (?:\d+|&)?(?:<<<|<>|>>|>\||[<>]&?) )
    | (?P<word> \$?\(\((?:[^()]|\([^()]*\))*\)\)
              | (?:'[^']*'|"(?:\\.|[^"\\])*"|\$\{[^}\n]*\}|\\.|[^\s;&|()<>'"\\])+ )
    | (?P<operator> &&|\|\||;;?|\|&?|[&()\n] )
    """,
    re.VERBOSE | re.DOTALL,
)
_PIECE = re.compile(
    r"""'(?P<plain>[^']*)' | "(?P<quoted>(?:\\.|[^"\\])*)" | \\(?P<one>.) | (?P<bare>[^'"\\]+)""",
    re.VERBOSE | re.DOTALL,
)
_VARIABLE = re.compile(r"\$(?:(?P<name>\w+)|\{(?P<braced>\w+)(?:\[[@*]\])?(?::?[-=](?P<default>[^}$]*))?\})")
BETWEEN = "\0"  # the elements of an array: a shell knows no such character


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token with its quotes. A here-document is one, and so is the rest of a line whose quote nothing closes."""

    kind: Kind
    text: str
    line: int


def tokens(text: str, line: int) -> Iterator[Token]:
    """Yield the tokens of a script that begins at a line. A here-document comes before the end of the line it is of."""
    at, awaited = 0, list[str]()
    while at < len(text):
        number = line + text.count("\n", 0, at)
        found = _TOKEN.match(text, at)
        if found is None:
            torn = text[at:].partition("\n")[0]
            yield Token(kind="torn", text=torn, line=number)
            at += len(torn)
            continue
        at = found.end()
        if found["end"]:
            awaited.append(found["end"])
            continue
        for end in awaited if found[0] == "\n" else ():
            close = re.compile(rf"^[^\S\n]*{re.escape(end)}[^\S\n]*(?:\n|\Z)", re.MULTILINE).search(text, at)
            body = text[at : close.start()] if close else text[at:]
            yield Token(kind="document", text=body, line=line + text.count("\n", 0, at))
            at = close.end() if close else len(text)
        awaited = [] if found[0] == "\n" else awaited
        if not found["nothing"]:
            yield Token(kind=cast("Kind", found.lastgroup), text=found[0], line=number)


def expanded(word: str, values: Mapping[str, str | None]) -> list[str]:
    """Return the words that a shell makes of one, without quotes. A variable that is not known stays as it is."""

    def value(found: re.Match[str]) -> str:
        known = values.get(found["name"] or found["braced"], found["default"])
        return found[0] if known is None else known

    text = ""
    for piece in _PIECE.finditer(word):
        if piece["plain"] is not None:
            text += piece["plain"]
        elif piece["quoted"] is not None:
            text += re.sub(r"\\([\\\"$\n])", lambda one: one[1].strip("\n"), _VARIABLE.sub(value, piece["quoted"]))
        elif piece["one"]:
            text += piece["one"].strip("\n")
        else:
            text += re.sub(r"\s+", BETWEEN, _VARIABLE.sub(value, piece["bare"]))
    return [*filter(None, text.split(BETWEEN))]
