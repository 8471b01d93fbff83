"""Ordered include and exclude patterns, with the meaning that the pipeline's own tool gives them.

A pattern is written with its sign: `-processed/*` leaves out, `+*.jsonl` takes in. Keys are relative to the source.
"""

from __future__ import annotations

import fnmatch
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_CATCH_ALL = frozenset({"*", "**", "**/*"})
_ANY_DEPTH = "**"


class Meaning(StrEnum):
    """What a list of patterns means.

    `AWS_CLI`: as `aws s3 sync --exclude/--include` has it. All is in at first, the last match decides, and `*` matches
    `/` too (AWS CLI Command Reference, s3, "Use of Exclude and Include Filters").
    `GITIGNORE`: as gitignore(5) has it, `-` being a line and `+` one that begins with `!`. The last match decides, `*`
    stops at `/`, and what lies in a folder that is out cannot be taken in again.
    `EXCLUDE_WINS`: what no `-` matches and, where there is any `+`, one of them does. `*` matches `/` too.
    """

    AWS_CLI = "aws-cli"
    GITIGNORE = "gitignore"
    EXCLUDE_WINS = "exclude-wins"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Patterns in their order. Raises ValueError for one without a sign.

    `root` is what stands before a key in the tool's eyes, such as `bucket/prefix/`: the AWS CLI reads it as part of
    each pattern, so that a `[` in it is no bracket but a class of characters.
    """

    rules: tuple[str, ...] = ()
    meaning: Meaning = Meaning.AWS_CLI
    root: str = ""

    def __post_init__(self) -> None:
        for rule in self.rules:
            if rule[:1] not in ("-", "+"):
                raise ValueError(f"{rule!r} begins with neither '-' (leave out) nor '+' (take in)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What patterns make of one key. `matched` are the numbers of those that match it.

    `brought_back` are an exclude that names the key and the later include that took it in all the same. An exclude of
    everything is not meant: it is how the AWS CLI is told "only these".
    """

    chosen: bool
    matched: tuple[int, ...] = ()
    brought_back: tuple[str, str] | None = None


Judge = Callable[[str], Judgement]


def judging(filters: Filters) -> Judge:
    """Return what says of a key, relative to the source, whether it is chosen and by which patterns."""
    rules = filters.rules
    match filters.meaning:
        case Meaning.GITIGNORE:
            return _judging_as_git(rules)
        case Meaning.EXCLUDE_WINS:
            return _judging(rules, "", functools.partial(_exclude_wins, rules))
        case Meaning.AWS_CLI:
            return _judging(rules, filters.root, functools.partial(_last_wins, rules))


def _judging(rules: tuple[str, ...], root: str, decide: Callable[[tuple[int, ...]], Judgement]) -> Judge:
    """Return a judge by patterns that are matched with a whole key.

    The AWS CLI joins the root and the pattern as paths: one that begins with `/` takes the root's place, and so matches
    no object of a bucket.
    """
    patterns = [rule[1:] if rule[1:].startswith("/") and root else root + rule[1:] for rule in rules]
    matchers = [re.compile(fnmatch.translate(pattern)).match for pattern in patterns]
    decided = functools.cache(decide)  # there are few combinations of patterns, and many keys

    def judge(key: str) -> Judgement:
        seen = root + key
        return decided(tuple([number for number, matches in enumerate(matchers) if matches(seen)]))

    return judge


def _exclude_wins(rules: tuple[str, ...], matched: tuple[int, ...]) -> Judgement:
    signs = {rules[number][0] for number in matched}
    wanted = "+" in signs or not any(rule.startswith("+") for rule in rules)
    return Judgement(chosen=wanted and "-" not in signs, matched=matched)


def _last_wins(rules: tuple[str, ...], matched: tuple[int, ...]) -> Judgement:
    if not matched:
        return Judgement(chosen=True)
    last = rules[matched[-1]]
    if last.startswith("-"):
        return Judgement(chosen=False, matched=matched)
    named = [rules[number] for number in matched if rules[number][0] == "-" and rules[number][1:] not in _CATCH_ALL]
    return Judgement(chosen=True, matched=matched, brought_back=(named[-1], last) if named else None)


def _judging_as_git(rules: tuple[str, ...]) -> Judge:
    patterns = [(rule.endswith("/"), _git_segments(rule[1:])) for rule in rules]

    def own(path: str, *, is_folder: bool) -> Judgement:
        segments = tuple(path.split("/"))
        matched = [
            number
            for number, (folders_only, pattern) in enumerate(patterns)
            if (is_folder or not folders_only) and _segments_match(segments, pattern)
        ]
        return _last_wins(rules, tuple(matched))

    @functools.lru_cache(maxsize=4096)
    def of_folder(folder: str) -> Judgement:
        """Judge a folder, and what lies around it first."""
        around = of_folder(folder.rpartition("/")[0]) if folder else Judgement(chosen=True)
        return own(folder, is_folder=True) if folder and around.chosen else around

    def judge(key: str) -> Judgement:
        around = of_folder(key.rpartition("/")[0])
        return own(key, is_folder=False) if around.chosen else around

    return judge


def _git_segments(pattern: str) -> tuple[str, ...]:
    """Return a pattern's segments from the root on. One without a `/` before its end matches at any depth."""
    trimmed = pattern.removesuffix("/")
    segments = trimmed.removeprefix("/").split("/")
    return tuple(segments if "/" in trimmed else [_ANY_DEPTH, *segments])


def _segments_match(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not path
    first, rest = pattern[0], pattern[1:]
    if first == _ANY_DEPTH:
        if not rest:
            return bool(path)
        return any(_segments_match(path[skipped:], rest) for skipped in range(len(path)))
    return bool(path) and bool(_segment_matcher(first)(path[0])) and _segments_match(path[1:], rest)


@functools.lru_cache(maxsize=1024)
def _segment_matcher(segment: str) -> Callable[[str], object]:
    """Return the matcher of one segment. Git escapes with a backslash and negates a class with `^` too."""
    escaped = re.sub(r"\\(.)", lambda found: f"[{found[1]}]", segment)
    return re.compile(fnmatch.translate(escaped.replace("[^", "[!"))).match
