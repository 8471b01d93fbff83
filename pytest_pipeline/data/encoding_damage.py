"""Text that was decoded wrongly before it became a record: mojibake, and characters that were lost.

Mojibake is told by undoing it, exactly: UTF-8 that was read as Latin-1 or Windows-1252 gives its bytes back, and these
are UTF-8. Some such pairs are good text too ("MANHÃ…", „Spaß“, NESCAFÉ®): what stands around a pair decides, and pairs
that Western text is not damaged into count only several together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.records import texts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_pipeline.data.place import Place
    from pytest_pipeline.data.records import Record

WRONG_SHARE = 0.1
DOUBTFUL_SHARE = 0.01
"""Texts that tell of mojibake, or were copied from where it stands, are fewer."""

FEWEST_RECORDS = 20
"""With damage, before a single file is said to be damaged."""

_WHOLE_PERCENT = 10  # from here on, figures behind the point say nothing
_REPLACEMENT = "\ufffd"
_SHOWN_CHARACTERS = 12
_BYTES: Mapping[int, int] = {
    **{byte: byte for byte in range(0x80, 0x100)},
    **{ord(character): byte for byte in range(0x80, 0xA0) if (character := bytes([byte]).decode("cp1252", "ignore"))},
}


def _class(first: int, last: int) -> str:
    return "[" + "".join(re.escape(chr(character)) for character, byte in _BYTES.items() if first <= byte <= last) + "]"


_CONTINUES = _class(0x80, 0xBF)
_SEQUENCE = (
    f"(?:{_class(0xC2, 0xDF)}{_CONTINUES}|{_class(0xE0, 0xEF)}{_CONTINUES}{{2}}|{_class(0xF0, 0xF4)}{_CONTINUES}{{3}})"
)
_SEQUENCES = re.compile(f"{_SEQUENCE}+")
# The same, less exactly, in UTF-8, where it is found ten times as fast: a letter of Latin-1, and what may go on.
_MAY_BE = re.compile(rb"\xc3[\x82-\xb4](?:\xc2|\xe2(?:\x80|\x82|\x84)|\xc5|\xc6|\xcb)")
# What good text may have after a capital letter with an accent: quotation marks, dashes, the signs of trade marks.
_PUNCTUATION = frozenset("\u2026\u2018\u2019\u201c\u201d\u2013\u2014\u2122\xab\xbb\xae\xa9\xba\xaa\xb0\xa0")
_OPENING = frozenset("\xab\u201c\u201e\u2018\"'([")


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Of a file: its records, those with a kind of damage, and the first of these with what it shows."""

    records: int = 0
    mojibake: int = 0
    lost: int = 0
    first_mojibake: tuple[Place, str, str] | None = None  # as it stands, and as it was meant
    first_lost: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingDamage:
    """The damage of files, by uri."""

    files: Mapping[str, Damage] = field(default_factory=dict)


def mojibake(text: str) -> tuple[str, str] | None:
    """Return the first mojibake in a text, and what was meant; None where there is none."""
    if text.isascii() or not _MAY_BE.search(text.encode("utf-8", "surrogatepass")):
        return None
    for match in _SEQUENCES.finditer(text):
        try:
            meant = bytes(_BYTES[ord(character)] for character in match[0]).decode()
        except UnicodeDecodeError:  # a sequence longer than need be, or half a surrogate pair
            continue
        if _is_damage(text, match.start(), match.end(), meant):
            return match[0], meant
    return None


def _is_damage(text: str, start: int, end: int, meant: str) -> bool:
    if len(meant) > 2 or end - start == 4 * len(meant):  # noqa: PLR2004  # 4 bytes are an emoji's
        return True
    if end - start == 3 * len(meant):
        # Typographic signs, the euro, the byte order mark and what was lost: no text has these by chance.
        return all("\u2010" <= character <= "\u2122" or character in "\ufeff\ufffd" for character in meant)
    if len(meant) > 1:
        return True
    if not "\xa0" <= meant <= "\u017f":
        return False
    if text[end - 1] not in _PUNCTUATION:
        return True
    before, after = text[start - 1 : start], text[end : end + 1]
    alone = text[start] in "\xc2\xc3" and before not in _OPENING
    return not before.isupper() and (before.islower() or after.isalpha() or alone)


def look(records: Iterable[Record]) -> EncodingDamage:
    """Return the damage in all strings of records."""
    counts: dict[str, int] = {}
    files: dict[str, Damage] = {}
    for record in records:
        uri = record.file.uri
        counts[uri] = counts.get(uri, 0) + 1
        if damage := _damage(record):
            files[uri] = _both(files[uri], damage) if uri in files else damage
    return EncodingDamage(
        files={uri: _both(files.get(uri, Damage()), Damage(records=count)) for uri, count in counts.items()}
    )


def merge(parts: Iterable[EncodingDamage]) -> EncodingDamage:
    """Return the damage of all parts; a record may have been seen in one of them only."""
    files: dict[str, Damage] = {}
    for part in parts:
        for uri, damage in part.files.items():
            files[uri] = _both(files[uri], damage) if uri in files else damage
    return EncodingDamage(files=files)


def _damage(record: Record) -> Damage | None:
    """Return the damage of a record, which does not count as one yet."""
    texts = [text for text in texts_of(record.values) if not text.isascii()]
    lost = any(_REPLACEMENT in text for text in texts)
    wrong = next((found for text in texts if (found := mojibake(text))), None)
    if not (lost or wrong):
        return None
    return Damage(
        mojibake=int(wrong is not None),
        lost=int(lost),
        first_mojibake=(record.place, wrong[0][:_SHOWN_CHARACTERS], wrong[1][:_SHOWN_CHARACTERS]) if wrong else None,
        first_lost=record.place if lost else None,
    )


def _both(one: Damage, other: Damage) -> Damage:
    return Damage(
        records=one.records + other.records,
        mojibake=one.mojibake + other.mojibake,
        lost=one.lost + other.lost,
        first_mojibake=min((each for each in (one.first_mojibake, other.first_mojibake) if each), default=None),
        first_lost=min((each for each in (one.first_lost, other.first_lost) if each), default=None),
    )


def findings(damage: EncodingDamage, lines_before: Mapping[tuple[str, int], int] | None = None) -> tuple[Finding, ...]:
    """Return what a user reads of damage: of all records, and of a file that is damaged more than all are."""
    whole = Damage()
    for each in damage.files.values():
        whole = _both(whole, each)
    if not whole.records:
        return (Finding(gravity=Gravity.UNKNOWN, sentence="no record was looked at: nothing is known of its text"),)
    said = []
    for word, count_of, first_of in (
        ("mojibake", _mojibake_of, _first_mojibake),
        ("characters that were lost (U+FFFD)", _lost_of, _first_lost),
    ):
        if not (count := count_of(whole)):
            continue
        gravity = _gravity(count / whole.records)
        sentence = f"{_share(count, whole.records)} hold {word}, first {first_of(whole, lines_before)}"
        said.append(Finding(gravity=gravity, sentence=sentence))
        uri, worst = max(damage.files.items(), key=lambda item: count_of(item[1]) / item[1].records)
        share = count_of(worst) / worst.records
        if gravity is Gravity.NOTE and count_of(worst) >= FEWEST_RECORDS and _gravity(share) is Gravity.WRONG:
            of = f"{_share(count_of(worst), worst.records)} of {uri}"
            sentence = f"{of} hold {word}, first {first_of(worst, lines_before)}"
            said.append(Finding(gravity=Gravity.DOUBTFUL, sentence=sentence))
    order = list(Gravity)
    return tuple(sorted(said, key=lambda finding: order.index(finding.gravity)))


def _mojibake_of(damage: Damage) -> int:
    return damage.mojibake


def _lost_of(damage: Damage) -> int:
    return damage.lost


def _first_mojibake(damage: Damage, lines_before: Mapping[tuple[str, int], int] | None) -> str:
    if damage.first_mojibake is None:
        return ""
    place, stands, meant = damage.first_mojibake
    return f"{ascii(stands)[1:-1] if not stands.isprintable() else stands} for {meant} at {place.named(lines_before)}"


def _first_lost(damage: Damage, lines_before: Mapping[tuple[str, int], int] | None) -> str:
    return f"at {damage.first_lost.named(lines_before)}" if damage.first_lost else ""


def _gravity(share: float) -> Gravity:
    if share >= WRONG_SHARE:
        return Gravity.WRONG
    return Gravity.DOUBTFUL if share >= DOUBTFUL_SHARE else Gravity.NOTE


def _share(count: int, records: int) -> str:
    percent = 100 * count / records
    return f"{count:,} of {records:,} records ({percent:.{0 if percent >= _WHOLE_PERCENT else 2}f} %)"
