"""What commands install with pip, conda, uv or Poetry. Nothing is run. Pure.

pip and conda: "install"; uv and Poetry: "add"; Bash reference manual: "Redirections".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pytest_pipeline.pins.projects import from_poetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_pipeline.pins.shell_commands import Command

_INSTALLS = re.compile(
    r"\b(?:pip[0-9.]*|pipenv|conda|mamba|micromamba)\b(?:[^;&|\n]|\\\n)*\b(?:install|create|update)\b"
    r"|\b(?:uv|poetry|pdm)\b(?:[^;&|\n]|\\\n)*\badd\b"
    r'|\[\s*"[^"]*pip'
)
_TOOL = re.compile(r"(?:(.*)/)?(pip|pipenv|conda|mamba|micromamba|uv|poetry|pdm)[0-9.]*")
_CONDA = frozenset({"conda", "mamba", "micromamba"})
_VERBS = {
    **dict.fromkeys(("pip", "pipenv"), frozenset({"install"})),
    **dict.fromkeys(_CONDA, frozenset({"install", "create", "update"})),
    **dict.fromkeys(("uv", "poetry", "pdm"), frozenset({"add"})),
}
_FILES = re.compile(r"(-r|-c|--requirements?|--constraints?|--overrides?)=?(.*)")
_CONDA_FILES = re.compile(r"(-f|--file)=?(.*)")
_WITH_VALUE = frozenset(
    {
        "-i", "--index-url", "--extra-index-url", "--index", "--default-index", "-f", "--find-links", "-t", "--target",
        "--prefix", "--root", "--src", "--python", "-p", "--timeout", "--retries", "--proxy", "--cert", "--cache-dir",
        "--platform", "--abi", "--python-version", "--implementation", "--progress-bar", "--trusted-host",
        "--only-binary", "--no-binary", "--torch-backend", "--log", "--upgrade-strategy", "--exists-action", "--report",
        "--use-feature", "--config-settings", "--extra", "--group", "--source",
    }
)  # fmt: skip
_CONDA_WITH_VALUE = frozenset({"-c", "--channel", "-n", "--name"})
_PLACE = re.compile(r"(-n|--name|-p|--prefix|--python|-t|--target)(?:=(.*))?")
_SYSTEM = frozenset({"/usr", "/usr/local"})
_VERSION = re.compile(r"=.*|\d[\d.]*")
_CHANNEL = re.compile(r"^[\w./-]+::")
_CONDA_WORDS = re.compile(r"([A-Za-z0-9][\w.-]*)(?:[= ]=?([0-9][^=\s]*)(=[^=]+)?)?")
_PYTORCH = re.compile(r"^pytorch(?![\w.-])")  # PyPI has it under another name


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing that a command names: a requirement as pip takes it, a file of them, or what is not to be judged.

    `place` is the environment that it is for: a folder, conda's name for one, or "" for the one that is usual there.
    """

    kind: Literal["requirement", "file", "unclear"]
    text: str
    place: str = ""


def installs(text: str) -> bool:
    """Whether a text may hold a command that installs."""
    return _INSTALLS.search(text) is not None


def asked_in(command: Command) -> Iterator[Asked]:
    """Yield what a command installs."""
    if installs(command.torn):
        yield Asked(kind="unclear", text="a command that installs has a quote that nothing closes")
    words = command.words
    for at, word in enumerate(words):
        tool = _TOOL.fullmatch(word)
        arguments = _arguments_of_install(words[at + 1 :], _VERBS[tool[2]]) if tool else None
        if tool and arguments is not None:
            python = words[at - 2] if words[at - 1 : at] == ("-m",) else word
            place = _place_asked(words) or _place_of(python) or command.place
            for asked in (*_of_arguments(arguments, tool[2]), *_without_quotes(command)):
                yield replace(asked, place=place)
            if "xargs" in words[:at]:
                yield Asked(kind="unclear", text="xargs hands it what it installs")
            return


def _arguments_of_install(words: Sequence[str], verbs: frozenset[str]) -> Sequence[str] | None:
    """Return what follows `install`, where nothing but options come before it; else None."""
    for at, word in enumerate(words):
        if word in verbs:
            return words[at + 1 :]
        if not word.startswith("-") and word != "env" and (not at or words[at - 1] not in _WITH_VALUE):
            return None
    return None


def _place_asked(words: Sequence[str]) -> str:
    """Return the environment that options name: `-n` is conda's, also where it runs another tool."""
    first, tool = next((at, tool[2]) for at, tool in enumerate(map(_TOOL.fullmatch, words)) if tool)
    for word, following in pairwise((*words[first:], "")):
        option = _PLACE.fullmatch(word)
        value = (option[2] or following) if option else ""
        if option and ("/" in value or (tool in _CONDA and option[1] in ("-n", "--name"))):
            return _place_of(value) or value
    return ""


def _place_of(path: str) -> str:
    """Return the environment whose program a path is, "" for the system's and for one that the PATH finds."""
    found = re.fullmatch(r"(.+)/bin/[^/]+", path)
    return found[1] if found and found[1] not in _SYSTEM else ""


def _of_arguments(words: Sequence[str], tool: str) -> Iterator[Asked]:
    files = _CONDA_FILES if tool in _CONDA else _FILES
    todo = iter(words)
    for word in todo:
        if in_file := files.fullmatch(word):
            yield Asked(kind="file", text=f"{in_file[1]} {in_file[2] or next(todo, '')}")
        elif word in _WITH_VALUE or (tool in _CONDA and word in _CONDA_WITH_VALUE):
            next(todo, None)
        elif not word.startswith("-"):
            yield Asked(kind="requirement", text=_as_pip_writes(word, tool))


def _without_quotes(command: Command) -> Iterator[Asked]:
    for before, sign, target in command.redirects:
        if sign in ("<", ">") and _VERSION.fullmatch(target):
            yield Asked(kind="unclear", text=f"{before}{sign}{target} has no quotes: the shell makes a file of it")


def _as_pip_writes(word: str, tool: str) -> str:
    if tool in _CONDA:
        return from_conda(word)
    at = re.fullmatch(r"([A-Za-z][\w.-]*)(?:\[.*\])?@([^:/]+)", word) if tool == "poetry" else None
    return from_poetry(at[1], at[2]) if at else word


def from_conda(words: str) -> str:
    """Return a conda specification as pip writes it: `numpy=1.26` is any 1.26, the build after it is dropped."""
    words = _CHANNEL.sub("", words.strip())
    found = _CONDA_WORDS.fullmatch(words)
    if found is None:
        return _PYTORCH.sub("torch", words)
    name, version = _PYTORCH.sub("torch", found[1]), found[2]
    if version is None:
        return name
    exact = "==" in words or found[3] is not None or version.endswith("*")
    return f"{name}=={version}" if exact else f"{name}=={version}.*"
