"""The commands of a shell script or Dockerfile, read and not run. Pure.

Bash reference manual: "Shell Grammar"; Dockerfile reference: "Format", "Shell and exec form", "Here-Documents".
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from pytest_pipeline.pins.shell_tokens import BETWEEN, Token, expanded, tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*\+?)=(.*)", re.DOTALL)
_EXEC_FORM = re.compile(r"^[^\S\n]*(RUN|CMD|ENTRYPOINT)\s*(\[.*\])[^\S\n]*$", re.MULTILINE)
# Docker drops comments between lines that go on, and a shell can mean nothing else by them
_NOTHING = re.compile(r"^[^\S\n]*(?:#.*|MAINTAINER\s.*)?$", re.MULTILINE)
_BEFORE_A_COMMAND = re.compile(r"sudo|exec|time|nohup|!|-.*|\w+\+?=.*", re.DOTALL)
_OPEN = frozenset({"if", "case", "{"})
_CLOSE = {"fi": "if", "esac": "case", "}": "{"}
_RESERVED = frozenset({*_OPEN, *_CLOSE, "then", "elif", "else", "while", "until", "do", "done", "!", "RUN"})
_ASSIGN = frozenset({"export", "readonly", "local", "declare", "typeset", "ARG", "ENV"})
_FILL = frozenset({"for", "select", "read", "mapfile", "readarray", "unset"})
_TEST = frozenset({"[", "[[", "test", "command", "which", "type", "hash", "grep", "nvidia-smi"})
_EXITS = frozenset({"exit", "return", "true", "false", ":"})
_UNLESS = "unless "
_PRINT = frozenset({"echo", "printf"})
_WRITE = frozenset({"tee", "COPY", "ADD"})
_SHELLS = frozenset({"ssh", "bash", "sh", "dash", "zsh", "su"})
_INTO_A_FILE = frozenset({">", ">>", ">|", "&>"})
_DEEPEST = 10  # scripts in words of scripts


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command. `path` is the branches, functions and build stages around it, () where it runs in any case.

    `place` is the environment that is activated there. A redirect is the word before it, its sign and its target.
    `kept` is a here-document that goes to a file or a variable, `torn` a command with a quote that nothing closes.
    """

    line: int
    words: tuple[str, ...] = ()
    redirects: tuple[tuple[str, str, str], ...] = ()
    path: tuple[str, ...] = ()
    place: str = ""
    kept: str = ""
    torn: str = ""


def commands_in(text: str) -> list[Command]:
    """Return the commands of a script, also those that it hands on as one word (`ssh`, `bash -c`) or here-document.

    What is only shown is left out: the arguments of `echo`, the here-documents of `cat`.
    """
    text = _EXEC_FORM.sub(_shell_form, text.replace("\r\n", "\n"))
    text = re.sub(r"`([^`\n]*)`", r"$(\1)", text)
    text = _NOTHING.sub(r"\\", text)
    commands = [*_Script().read(text, 1)]
    # what has nothing but an exit for the case that it fails is no branch, nor is a function that is called in any case
    instead = {step for one in commands if name_of(one.words) not in _EXITS for step in one.path}
    steps = {step for one in commands for step in one.path if step.startswith(_UNLESS)}
    certain = {step for step in steps if step.removeprefix(_UNLESS) not in instead}
    while more := {_function(name_of(one.words)) for one in commands if certain.issuperset(one.path)} - certain:
        certain |= more
    return [replace(one, path=tuple(step for step in one.path if step not in certain)) for one in commands]


def name_of(words: Sequence[str]) -> str:
    """Return the name of a command, behind what only goes before one; "" for none."""
    return next((word for word in words if not _BEFORE_A_COMMAND.fullmatch(word)), "")


def _function(name: str) -> str:
    return f"{name}()"


def _shell_form(found: re.Match[str]) -> str:
    try:
        return f"{found[1]} {shlex.join(json.loads(found[2]))}"
    except (ValueError, TypeError):  # a shell's own `[ ... ]`
        return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """What is open: an `if`, a `case`, a function or group, a stage. It is a branch where it has a label."""

    kind: str
    label: str
    arm: int = 0

    @property
    def step(self) -> str:
        return f"{self.label}.{self.arm}" if self.arm else self.label


@dataclass(slots=True, kw_only=True)
class _Script:
    """What is remembered of a script while it is read. The value of a variable is kept with the path that gave it."""

    outer: tuple[str, ...] = ()
    depth: int = 0
    place: str = ""
    values: dict[str, tuple[str | None, tuple[str, ...]]] = field(default_factory=lambda: {"HOME": ("~", ())})
    frames: list[_Frame] = field(default_factory=list)
    condition: str = ""  # of what is read now: behind `||`, or behind a test and `&&`
    fallback: str = ""  # the condition of what comes behind the `||` that ends a command
    subshells: list[tuple[str, list[str]]] = field(default_factory=list)  # what goes on behind each that is open
    labels: Iterator[int] = field(default_factory=count)
    # of the line
    line_words: set[str] = field(default_factory=set)
    writes: bool = False
    # of the command
    words: list[str] = field(default_factory=list)
    redirects: list[tuple[str, str, str]] = field(default_factory=list)
    function: str = ""
    tested: bool = False  # the one before was a test
    goes_on: bool = False  # at the end of the line, as it ends with an operator

    def read(self, text: str, line: int) -> Iterator[Command]:
        coming = tokens(text, line)
        began = line
        for token in coming:
            began = began if self.words else token.line
            if token.kind == "word":
                self._word(token.text)
            elif token.kind == "redirect":
                self.redirects.append((self.words[-1] if self.words else "", token.text, ""))
            elif token.kind == "array":
                self._array(token, coming)
            elif token.kind == "function":
                self.function = token.text.removeprefix("function").strip("() \t\n")
            elif token.kind == "torn":
                yield Command(line=began, torn=" ".join([*self.words, token.text]))
                self.words, self.redirects = [], []
            elif token.kind == "document":
                yield from self._end(began)
                yield from self._document(token)
            else:
                self.fallback = self._label("||") if token.text == "||" else ""
                if not (token.text == "(" and "".join(self.words[-1:]).endswith("$")):
                    yield from self._end(began)
                self._between(token.text)
        yield from self._end(began)

    def _word(self, text: str) -> None:
        if self.redirects and not self.redirects[-1][2]:
            before, sign, _ = self.redirects.pop()
            self.redirects.append((before, sign, text))
            self.writes |= sign in _INTO_A_FILE and text != "/dev/null"
        else:
            self.words.append(text)
        self.goes_on = False

    def _array(self, token: Token, coming: Iterator[Token]) -> None:
        known, elements = self._known(), list[str]()
        for one in coming:
            if one.text == ")":
                break
            elements += expanded(one.text, known) if one.kind == "word" else ()
        self._assign(token.text.removesuffix("=("), BETWEEN.join(elements))

    def _end(self, line: int) -> Iterator[Command]:
        """Take what was read for a command."""
        raw, redirects = self.words, tuple(self.redirects)
        self.words, self.redirects = [], []
        while raw and (raw[0] in _RESERVED or raw[0].startswith("--")):  # `RUN --mount=...`
            self._reserved(raw.pop(0))
        if not raw:
            return
        name = name_of(raw)
        self.tested = name in _TEST or name.startswith("((") or raw[-1] in ("]", "]]")
        self.line_words |= {word.rpartition("/")[2] for word in raw}
        known = self._known()
        words = tuple(word for one in raw for word in expanded(one, known))
        scripts = words
        if all(map(_ASSIGNMENT.fullmatch, raw)) or name in _ASSIGN | _FILL:
            self._variables(name, words)
            scripts = tuple(word for word in words if "$(" in word)
        elif name == "FROM":
            self.frames, self.place = [_Frame(kind="FROM", label=f"FROM {line}")], ""
        elif name in _PRINT:
            scripts = ()
        else:
            self.place = _activated(words, self.place)
            yield Command(line=line, words=words, redirects=redirects, path=self._path(), place=self.place)
        for script in scripts:
            yield from self._inner(script, line)

    def _inner(self, text: str, line: int) -> Iterator[Command]:
        if self.depth < _DEEPEST and re.search(r"\s", text):
            inner = _Script(outer=self._path(), depth=self.depth + 1, place=self.place, labels=self.labels)
            inner.values |= self.values
            yield from inner.read(text, line)

    def _document(self, token: Token) -> Iterator[Command]:
        captured = any(words for _, words in self.subshells)
        if self.line_words & _SHELLS or not self.line_words & {"cat", *_WRITE}:
            yield from self._inner(token.text, token.line)
        elif captured or self.writes or self.line_words & _WRITE:
            yield Command(line=token.line, path=self._path(), kept=token.text)

    def _between(self, operator: str) -> None:
        if operator in ("&&", "||"):
            self.condition = self.fallback or (self._label("&&") if self.tested else self.condition)
            self.goes_on, self.fallback = True, ""
        elif operator == "(":
            self.subshells.append((self.condition, self.words))
            self.words = []
        elif operator == ")":
            self.condition, self.words = self.subshells.pop() if self.subshells else ("", [])
        elif operator not in ("|", "|&") and not self.goes_on:
            self.condition = self.subshells[-1][0] if self.subshells else ""
        if operator == ";;":
            self._next_arm("case")
        if operator == "\n":
            self.line_words, self.writes = set(), False
        self.tested = False

    def _reserved(self, word: str) -> None:
        if word == "{":
            label = _function(self.function) if self.function else self.condition
            self.frames.append(_Frame(kind=word, label=label))
            self.function = self.condition = ""
        elif word in _OPEN:
            self.frames.append(_Frame(kind=word, label=self._label(word)))
        elif word in ("elif", "else"):
            self._next_arm("if")
        elif word in _CLOSE and any(frame.kind == _CLOSE[word] for frame in self.frames):
            while self.frames.pop().kind != _CLOSE[word]:
                pass

    def _next_arm(self, kind: str) -> None:
        if self.frames and self.frames[-1].kind == kind:
            self.frames[-1] = replace(self.frames[-1], arm=self.frames[-1].arm + 1)

    def _label(self, kind: str) -> str:
        return f"{kind} {next(self.labels)}"

    def _path(self) -> tuple[str, ...]:
        unless = self.fallback and f"{_UNLESS}{self.fallback}"
        return (*self.outer, *filter(None, (*(frame.step for frame in self.frames), self.condition, unless)))

    def _variables(self, name: str, words: Sequence[str]) -> None:
        """Remember what a command gives variables: `ENV NAME value` too, and that `read NAME` is not known."""
        named = [word for word in words if word != name]
        if name == "ENV" and named and "=" not in named[0]:
            named = [f"{named[0]}={' '.join(named[1:])}"]
        for word in named:
            if given := _ASSIGNMENT.fullmatch(word):
                self._assign(given[1], given[2])
            elif name in _FILL:
                self._assign(word, None)

    def _assign(self, name: str, value: str | None) -> None:
        literal = value is not None and "$" not in value and not name.endswith("+")
        self.values[name.removesuffix("+")] = (value if literal else None, self._path())

    def _known(self) -> dict[str, str | None]:
        """Return the values of the variables that were given one; None for one that another branch may have given."""
        here = self._path()
        return {name: value if path == here[: len(path)] else None for name, (value, path) in self.values.items()}


def _activated(words: Sequence[str], place: str) -> str:
    """Return the environment that is active after a command."""
    match words:
        case ["source" | ".", path, *_] if path.endswith("/bin/activate"):
            return path.removesuffix("/bin/activate")
        case ["conda" | "mamba" | "micromamba" | "source", "activate", *names]:
            return "".join(names[:1])
        case ["deactivate"] | [_, "deactivate"]:
            return ""
        case _:
            return place
