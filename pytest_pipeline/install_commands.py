"""What commands of a shell script install with pip or conda, read and not run. Pure.

Bash reference manual: "Redirections"; pip and conda: "install".
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

_INSTALLS = re.compile(r"\b(pip[0-9.]*|conda|mamba|micromamba)\b[^;&|]*\binstall\b")
_INSTALLERS = re.compile(r"(?:.*/)?(pip[0-9.]*|conda|mamba|micromamba)")
_FILES = re.compile(r"(-r|-c|--requirement|--constraint)=?(.*)")
_WITH_VALUE = frozenset(
    {
        "-i", "--index-url", "--extra-index-url", "-f", "--find-links", "-t", "--target", "--prefix", "--root", "--src",
        "--python", "-p", "--timeout", "--retries", "--proxy", "--cert", "--cache-dir", "--platform", "--abi", "-n",
        "--python-version", "--implementation", "--progress-bar", "--trusted-host", "--only-binary", "--no-binary",
        "--name", "--channel", "--torch-backend", "--log",
    }
)  # fmt: skip
_PRINT = frozenset({"echo", "printf"})
_BEFORE_A_COMMAND = re.compile(r"sudo|exec|time|nohup|then|do|else|!|\{|RUN|-.*|\w+=.*")
_CONDA = re.compile(r"(?:[\w.-]+::)?([A-Za-z0-9][\w.-]*)(?:[= ]=?([0-9][^=\s]*)(=[^=]+)?)?")
_CONDA_NAMES = {"pytorch": "torch"}  # packages that PyPI has under another name


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing that a command names: a requirement as pip takes it, a file of them, or what is not to be judged."""

    kind: Literal["requirement", "file", "unclear"]
    text: str


def installs(text: str) -> bool:
    """Whether a text may hold a command that installs."""
    return _INSTALLS.search(text) is not None or re.search(r'\[\s*"[^"]*pip', text) is not None


def asked_in(line: str) -> Iterator[Asked]:
    """Yield what the commands of a line install, also those that it hands to ssh or to `bash -c` as one word."""
    exec_form = re.fullmatch(r"\s*(?:RUN|CMD)\s*(\[.*\])\s*", line)
    try:
        if exec_form:
            line = shlex.join(json.loads(exec_form[1]))
        lexer = shlex.shlex(re.sub(r"(^|\s)#.*$", "", line), posix=True, punctuation_chars=";&|()<>")
        lexer.whitespace_split, lexer.commenters = True, ""
        words = [*lexer]
    except (ValueError, TypeError):  # an open quote: the command goes on in lines that are data here
        yield Asked(kind="unclear", text=line.strip()[:80])
        return
    commands: list[list[str]] = [[]]
    for word in words:
        if set(word) <= set(";&|()"):
            commands.append([])
        else:
            commands[-1].append(word)
    for command in commands:
        yield from _of_command(command)


def _of_command(words: list[str]) -> Iterator[Asked]:
    name = next((word for word in words if not _BEFORE_A_COMMAND.fullmatch(word)), "")
    for at, word in enumerate(words if name not in _PRINT else ()):
        if " " in word and _INSTALLS.search(word):
            yield from asked_in(word)
        installer = _INSTALLERS.fullmatch(word)
        arguments = _arguments_of_install(words[at + 1 :]) if installer else None
        if installer and arguments is not None:
            yield from _of_arguments(arguments, conda=not installer[1].startswith("pip"))
            return


def _arguments_of_install(words: list[str]) -> list[str] | None:
    """Return what follows `install`, where nothing but options come before it; else None."""
    for at, word in enumerate(words):
        if word == "install":
            return words[at + 1 :]
        if not word.startswith("-") and (not at or words[at - 1] not in _WITH_VALUE):
            return None
    return None


def _of_arguments(words: list[str], *, conda: bool) -> Iterator[Asked]:
    todo = iter(zip(["", *words], words, [*words[1:], ""], strict=False))
    for before, word, following in todo:
        if set(word) <= set("<>&"):
            next(todo, None)
            if before.isidentifier() and re.match(r"=|[\d.]+$", following):
                yield Asked(
                    kind="unclear", text=f"{before}{word}{following} has no quotes: the shell makes a file of it"
                )
        elif word in _WITH_VALUE or (conda and word == "-c"):
            next(todo, None)
        elif in_file := _FILES.fullmatch(word):
            if not in_file[2]:
                next(todo, None)
            yield Asked(kind="file", text=f"{in_file[1]} {in_file[2] or following}")
        elif not word.startswith("-") and not (word.isdigit() and following[:1] in ("<", ">")):
            yield Asked(kind="requirement", text=from_conda(word) if conda else word)


def from_conda(words: str) -> str:
    """Return a conda specification as pip writes it: `numpy=1.26` is any 1.26, the build after it is dropped."""
    found = _CONDA.fullmatch(words.strip())
    if found is None:
        return words
    name, version = _CONDA_NAMES.get(found[1], found[1]), found[2]
    if version is None:
        return name
    exact = "==" in words or found[3] is not None or version.endswith("*")
    return f"{name}=={version}" if exact else f"{name}=={version}.*"
