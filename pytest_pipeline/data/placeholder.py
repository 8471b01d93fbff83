"""Text that says nothing: thousands of records filled into one template, or all the same.

What is compared is all that the model learns to write (`learned`), so that a prompt or a licence that many records
begin with is no template where they go on differently.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.intervals import Interval, clopper_pearson
from pytest_pipeline.data.secrets import masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_pipeline.data.draw import Draw, Drawn
    from pytest_pipeline.data.place import Place

CRITICAL_SHARE = 0.5
DOUBTFUL_SHARE = 0.2
FEWEST_RECORDS = 20
"""In fewer records than that, nothing is the rule."""

_SHORT_ANSWER_WORDS = 12
_OPENING_WORDS = 3
_OPENING_MOST_WORDS = 16
_SHOWN_CHARACTERS = 80

_SMALL_WORDS = frozenset({"of", "the", "and", "in", "for", "on", "to", "a", "an", "de", "la", "von", "&"})
_QUOTED = re.compile(r"\"[^\"\n]{1,200}\"|\u201c[^\u201d\n]{1,200}\u201d")
_FILE = re.compile(
    r"[\w./\\()-]*\.(?:pdf|txt|md|html?|xml|docx?|xlsx?|pptx?|csv|tsv|jsonl?|epub|rtf|py|tex|zip|gz)", re.IGNORECASE
)
_NUMBER = re.compile(r"[-+$]?\d[\d.,:/%-]*")
_AROUND_WORDS = ".,;:!?()[]{}'\"\u2018\u2019"
_LONGEST_WORD = 40  # of which is remembered what it is
_LONGEST_PATH = 1_000
_QUOTED_MASK, _NAME_MASK = "\0quoted", "\0name"
_OF_A_SOURCE = frozenset({"\0link", "\0file", "\0id"})
_STRUCTURED = ("{", "[", "<", "|")


@dataclass(frozen=True, slots=True, kw_only=True)
class Skeleton:
    """A text with its variable parts masked. `plain` words are left of it; `masks` says which parts were masked."""

    text: str
    plain: int
    masks: Mapping[str, int]

    @property
    def says_something(self) -> bool:
        """Whether what is left is more than a frame about values, such as `# + # = #` and `temperature # at #`."""
        masks = sum(self.masks.values())
        return not masks or (self.plain > 1 and self.plain >= 2 * masks)


def skeleton(text: str) -> Skeleton:
    """Return a text with links, file names, ids, numbers, quotations and names masked, in single spaces.

    In a text that is data (JSON, XML, a table) quotations and names are values, and are kept.
    """
    structured = text.lstrip().startswith(_STRUCTURED)
    if not structured:
        text = _QUOTED.sub(f" {_QUOTED_MASK} ", text)
    words: list[str] = []
    before = "."
    for word in text.split():
        mask = word if word == _QUOTED_MASK else _kind_of_short(word) if len(word) <= _LONGEST_WORD else _kind_of(word)
        if mask == _NAME_MASK and (structured or not (before[-1].islower() or before[-1] in ",:")):
            mask = ""
        before = word
        if mask == _NAME_MASK:
            _join_name(words)
        words.append(mask or word)
    masks = Counter(word for word in words if word.startswith("\0"))
    plain = sum(1 for word in words if word[0] != "\0" and any(map(str.isalpha, word)))
    return Skeleton(text=" ".join(words), plain=plain, masks=dict(masks))


def _join_name(words: list[str]) -> None:
    """Take off the words that a name goes on from, so that `The Wealth of Nations` is one name."""
    at = len(words)
    while at and words[at - 1] in _SMALL_WORDS:
        at -= 1
    if at and words[at - 1] == _NAME_MASK:
        del words[at - 1 :]


def _kind_of(word: str) -> str:
    """Return the mask for a word, "" where it stands for itself."""
    bare = word.strip(_AROUND_WORDS)
    if bare.isalpha():
        return _NAME_MASK if bare[0].isupper() else ""
    if "://" in word or bare.startswith("www."):
        return "\0link"
    if len(bare) <= _LONGEST_PATH and _FILE.fullmatch(bare):
        return "\0file"
    if _NUMBER.fullmatch(bare):
        return "\0number"
    inside = bare.replace("_", "").replace("-", "")
    return "\0id" if inside.isalnum() and any(map(str.isdigit, inside)) and inside.isascii() else ""


_kind_of_short = lru_cache(maxsize=2**15)(_kind_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Text that many records have in common; `share` are the limits of how many of all records those are."""

    shown: str
    count: int
    of: int
    share: Interval
    example: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """What the drawn records have in common.

    `template` is the most frequent skeleton and `opening` the most frequent first three words of a short line;
    `same` tells that all have one text. `in_file` is the most frequent skeleton of a file that is mostly one, while
    not all files are.
    """

    records: int
    drawn: int
    template: Template | None = None
    opening: Template | None = None
    in_file: Template | None = None
    same: bool = False


def placeholder(draw: Draw) -> Placeholder:
    """Return what drawn records have in common, if it is at least a fifth of them."""
    drawn = [draw.kept[lot] for lot in sorted(draw.kept)]
    keys = [_key(one) for one in drawn]
    template = _most_frequent(drawn, keys, draw)
    return Placeholder(
        records=draw.seen,
        drawn=len(drawn),
        template=template,
        opening=_most_frequent(drawn, [_opening(one) for one in drawn], draw),
        in_file=_in_file(drawn, keys) if template is None or template.share.low <= CRITICAL_SHARE else None,
        same=len({one.text for one in drawn}) == 1 and len(drawn) >= FEWEST_RECORDS,
    )


def _key(one: Drawn) -> str:
    """Return what two records of one template have in common, "" where nothing may be concluded from it.

    A short answer ("positive", "The answer is 42.") says nothing by itself: it counts together with what was asked,
    unless it names a source.
    """
    of = skeleton(one.text)
    if not of.says_something:
        return ""
    short = of.plain <= _SHORT_ANSWER_WORDS and not (_OF_A_SOURCE & set(of.masks))
    if not (one.asked and short):
        return of.text
    asked = skeleton(one.asked)
    tells = asked.says_something or _OF_A_SOURCE & set(asked.masks)
    return f"{asked.text} -> {of.text}" if tells else ""


def _opening(one: Drawn) -> str:
    """Return the first three words of a short line without further structure, "" of any other text."""
    words = one.text.split()
    if one.asked or not _OPENING_WORDS < len(words) <= _OPENING_MOST_WORDS or "\n" in one.text.strip():
        return ""
    opening = words[:_OPENING_WORDS]
    structured = not all(map(str.isalpha, opening)) or any(
        mark in one.text for mark in (":", "?", "=>", "->", "|", "\t")
    )
    return "" if structured else " ".join(opening)


def _most_frequent(drawn: list[Drawn], keys: list[str], draw: Draw | None = None) -> Template | None:
    counts = Counter(key for key in keys if key)
    if not counts or len(drawn) < FEWEST_RECORDS:
        return None
    key, count = counts.most_common(1)[0]
    exact = count / len(drawn)
    complete = draw is not None and draw.complete
    share = Interval(low=exact, high=exact) if complete else clopper_pearson(count, len(drawn))
    if exact < DOUBTFUL_SHARE:
        return None
    example = min((one for one, of in zip(drawn, keys, strict=True) if of == key), key=lambda one: one.place)
    return Template(shown=_shown(example.text), count=count, of=len(drawn), share=share, example=example.place)


def _in_file(drawn: list[Drawn], keys: list[str]) -> Template | None:
    by_file: dict[str, list[int]] = {}
    for number, one in enumerate(drawn):
        by_file.setdefault(one.place.uri, []).append(number)
    found = (
        _most_frequent([drawn[number] for number in numbers], [keys[number] for number in numbers])
        for numbers in by_file.values()
        if len(by_file) > 1
    )
    mostly = [template for template in found if template and template.share.low > CRITICAL_SHARE]
    return max(mostly, key=lambda template: template.count, default=None)


def _shown(text: str) -> str:
    line = " ".join(masked(text).split())
    plain = line if line.isprintable() else ascii(line)[1:-1]
    return plain if len(plain) <= _SHOWN_CHARACTERS else f"{plain[:_SHOWN_CHARACTERS]}..."


def findings(of: Placeholder, lines_before: Mapping[tuple[str, int], int] | None = None) -> tuple[Finding, ...]:
    """Return what a user reads of text that says nothing; worst first."""
    if not of.drawn:
        return (Finding(gravity=Gravity.UNKNOWN, sentence="no record was looked at: nothing is known of its text"),)
    said = []
    if of.same and of.template is None:
        said.append(
            Finding(gravity=Gravity.CRITICAL, sentence=f"all of {_of(of)} teach the same few words, whatever is asked")
        )
    if of.template:
        critical = of.template.share.low > CRITICAL_SHARE
        gravity = Gravity.CRITICAL if critical else Gravity.DOUBTFUL
        what = "say the same but for names, numbers and quotations"
        said.append(Finding(gravity=gravity, sentence=_sentence(of, of.template, what, lines_before)))
    elif of.opening:
        what = f"are short lines that begin with the same {_OPENING_WORDS} words"
        said.append(Finding(gravity=Gravity.DOUBTFUL, sentence=_sentence(of, of.opening, what, lines_before)))
    if of.in_file:
        drawn = f"{of.in_file.count:,} of {of.in_file.of:,} records drawn from {of.in_file.example.uri}"
        what = f"say the same but for names, numbers and quotations: {_example(of.in_file, lines_before)}"
        said.append(Finding(gravity=Gravity.DOUBTFUL, sentence=f"{drawn} {what}"))
    return tuple(said)


def _of(of: Placeholder) -> str:
    return f"{of.records:,} records" if of.drawn == of.records else f"{of.drawn:,} records drawn of {of.records:,}"


def _sentence(
    of: Placeholder, template: Template, what: str, lines_before: Mapping[tuple[str, int], int] | None
) -> str:
    share = template.share
    limits = "" if share.low == share.high else f" ({100 * share.low:.1f}-{100 * share.high:.1f} %, 95 %)"
    percent = f"{100 * template.count / template.of:.1f}"
    return f"{percent} %{limits} of {_of(of)} {what}: {_example(template, lines_before)}"


def _example(template: Template, lines_before: Mapping[tuple[str, int], int] | None) -> str:
    return f"{template.shown!r} ({template.example.named(lines_before)})"
