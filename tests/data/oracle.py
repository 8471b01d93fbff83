"""What every line of a file is, told slowly by another hand: Python's own json and codecs, and RFC 8259 read again.

It shares nothing with the package but the names of the reasons, as text. Where Python's json takes a line and the
grammar here does not, or the other way about, it fails: so there are two opinions on form before ours is asked.
"""

from __future__ import annotations

import codecs
import json
import sys
from dataclasses import dataclass, field

MAX_DEPTH = 512
WHITE = " \t\r\n"
ESCAPES = '"\\/bfnrt'

sys.setrecursionlimit(20_000)


@dataclass
class Told:
    lines: int = 0
    records: int = 0
    valid: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    found: list[tuple[int, int, str, str]] = field(default_factory=list)  # line, offset, reason, required field

    def add(self, offset: int, reason: str, about: str = "") -> None:
        self.counts[reason] = self.counts.get(reason, 0) + 1
        self.found.append((self.lines, offset, reason, about))


def tell(content: bytes, fields: list[tuple[str, str]], longest_bytes: int) -> Told:
    told = Told()
    offset = 0
    pieces = content.split(b"\n")
    if pieces[-1] == b"":
        pieces.pop()
    for piece in pieces:
        told.lines += 1
        at, offset = offset, offset + len(piece) + 1
        if len(piece) > longest_bytes:
            told.records += 1
            told.add(at, "too-long")
            continue
        if piece[-1:] == b"\r":
            told.add(at, "crlf")
            piece = piece[:-1]  # noqa: PLW2901
        if all(byte in b" \t\r" for byte in piece):
            told.add(at, "blank")
            continue
        told.records += 1
        reason, about = wrong(piece, fields)
        if reason:
            told.add(at, reason, about)
        else:
            told.valid += 1
    return told


def wrong(piece: bytes, fields: list[tuple[str, str]]) -> tuple[str, str]:
    if piece.startswith(codecs.BOM_UTF8):
        return "bom", ""
    try:
        text, _ = codecs.utf_8_decode(piece, "strict", True)  # noqa: FBT003
    except UnicodeDecodeError:
        return "bad-utf8", ""
    reason = Grammar(text).reason()
    assert reason == "too-deep" or python_takes(text) is (reason in {"", "lone-surrogate"}), (text, reason)
    if reason:
        return reason, ""
    pairs = json.loads(text, object_pairs_hook=Pairs, parse_int=Digits, parse_float=float)
    if not isinstance(pairs, Pairs):
        return "not-object", ""
    required = {name for name, _ in fields}
    seen = set()
    for key, _ in pairs:
        if key in required and key in seen:
            return "duplicate-key", key
        seen.add(key)
    values = dict(pairs)
    for name, kind in fields:
        bad = "missing" if name not in values else content_reason(values[name], kind)
        if bad:
            return bad, name
    return "", ""


class Pairs(list[tuple[str, object]]):
    """An object, as its pairs."""


class NoNumberError(Exception):
    pass


def python_takes(text: str) -> bool:
    def refuse(_: str) -> None:
        raise NoNumberError

    try:
        json.loads(text, parse_constant=refuse, parse_int=str)
    except (ValueError, NoNumberError):
        return False
    return True


def content_reason(value: object, kind: str) -> str:  # noqa: C901, PLR0911, PLR0912
    if value is None:
        return "null"
    if kind == "any":
        return ""
    if kind == "number":  # integers were read as text of digits, of a type of its own
        return "" if isinstance(value, (Digits, float)) else "wrong-type"
    if kind == "boolean":
        return "" if isinstance(value, bool) else "wrong-type"
    wanted = {"text": str, "string": str, "list": list, "messages": list, "object": Pairs}[kind]
    if not isinstance(value, wanted) or isinstance(value, Digits) or (wanted is list and isinstance(value, Pairs)):
        return "wrong-type"
    if kind == "string":
        return ""
    if len(value) == 0:
        return "empty"
    if kind == "text":
        return "whitespace" if str(value).strip() == "" else ""
    if kind == "messages":
        assert isinstance(value, list)
        for one in value:
            if one is None:
                return "null"
            if not isinstance(one, Pairs):
                return "wrong-type"
            if not one:
                return "missing"
            entry = dict(one)
            for key in ("role", "content"):
                bad = "missing" if key not in entry else content_reason(entry[key], "text")
                if bad:
                    return bad
    return ""


class Digits(str):
    """An integer, as it is spelled."""

    __slots__ = ()


class WrongError(Exception):
    pass


class Grammar:
    """RFC 8259 by recursive descent over characters."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lone = False

    def reason(self) -> str:
        try:
            self.white()
            self.value(0)
            self.white()
            if self.at < len(self.text):
                return self.behind(self.text[self.at :])
        except WrongError as error:
            return str(error)
        return "lone-surrogate" if self.lone else ""

    def behind(self, rest: str) -> str:
        if rest[:2] == "\\n" or rest[:4] == "\\r\\n":
            return "literal-newline"
        if rest[0] == ",":
            after = rest[1:].strip(WHITE)
            if not after:
                return "trailing-comma"
            return "concatenated" if after[0] == "{" else "trailing-garbage"
        return "concatenated" if rest[0] == "{" else "trailing-garbage"

    def peek(self) -> str:
        if self.at >= len(self.text):
            raise WrongError("truncated")
        return self.text[self.at]

    def other(self, character: str, *, inside: bool = False) -> WrongError:
        if character == "'" and not inside:
            return WrongError("single-quotes")
        if ord(character) < 32 and (inside or character not in WHITE):
            return WrongError("control-character")
        return WrongError("malformed")

    def white(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in WHITE:
            self.at += 1

    def value(self, depth: int) -> None:
        character = self.peek()
        if character in "{[":
            if depth == MAX_DEPTH:
                raise WrongError("too-deep")
            self.at += 1
            self.container(depth, "}" if character == "{" else "]")
        elif character == '"':
            self.string()
        elif character in "-0123456789":
            self.number()
        else:
            self.word(character)

    def container(self, depth: int, closer: str) -> None:
        self.white()
        if self.peek() == closer:
            self.at += 1
            return
        while True:
            if closer == "}":
                if self.peek() != '"':
                    raise self.other(self.peek())
                self.string()
                self.white()
                if self.peek() != ":":
                    raise self.other(self.peek())
                self.at += 1
                self.white()
            self.value(depth + 1)
            self.white()
            if self.peek() == closer:
                self.at += 1
                return
            if self.peek() != ",":
                raise self.other(self.peek())
            self.at += 1
            self.white()
            if self.peek() == closer:
                raise WrongError("trailing-comma")

    def string(self) -> None:  # noqa: C901
        self.at += 1
        high = -1  # where a low surrogate would have to stand
        while (character := self.peek()) != '"':
            start = self.at
            if character == "\\":
                self.at += 1
                escape = self.peek()
                self.at += 1
                if escape == "u":
                    code = 0
                    for _ in range(4):
                        if self.peek() not in "0123456789abcdefABCDEF":
                            raise WrongError("malformed")
                        code = 16 * code + int(self.peek(), 16)
                        self.at += 1
                    if 0xDC00 <= code < 0xE000 and high == start:
                        high = -1
                        continue
                    if high >= 0 or 0xDC00 <= code < 0xE000:
                        self.lone = True
                    high = self.at if 0xD800 <= code < 0xDC00 else -1
                    continue
                if escape not in ESCAPES:
                    raise WrongError("malformed")
            elif ord(character) < 32:
                raise self.other(character, inside=True)
            else:
                self.at += 1
            if high >= 0:
                self.lone, high = True, -1
        if high >= 0:
            self.lone = True
        self.at += 1

    def number(self) -> None:
        if self.text[self.at] == "-":
            self.at += 1
            if self.text.startswith("Infinity", self.at):
                raise WrongError("nan")
            if self.peek() not in "0123456789":
                self.at -= 1
                raise self.other("-")
        if self.peek() == "0":
            self.at += 1
        else:
            self.digits()
        if self.text[self.at : self.at + 1] == ".":
            self.at += 1
            self.digits()
        if self.text[self.at : self.at + 1] in ("e", "E"):
            self.at += 1
            if self.peek() in "+-":
                self.at += 1
            self.digits()

    def digits(self) -> None:
        if self.peek() not in "0123456789":
            raise WrongError("malformed")
        while self.at < len(self.text) and self.text[self.at] in "0123456789":
            self.at += 1

    def word(self, character: str) -> None:
        for word in ("true", "false", "null"):
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return
            if word.startswith(self.text[self.at :]):
                raise WrongError("truncated")
        if self.text.startswith(("NaN", "Infinity"), self.at):
            raise WrongError("nan")
        raise self.other(character)
