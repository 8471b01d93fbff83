"""Mojibake is told by undoing it; good text that looks like it is left in peace."""

# ruff: noqa: RUF001  # characters that look like others are what this is about

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

from data.looked_at import in_spans, records
from pytest_pipeline.data.encoding_damage import findings, look, merge, mojibake
from pytest_pipeline.data.finding import Finding, Gravity

if TYPE_CHECKING:
    from collections.abc import Iterable

# Ordinary sentences of many languages.
SENTENCES = {
    "French": "L'été dernier, à Paris, Élodie a mangé une crêpe ; « voilà », dit-elle… ça coûte 5 €.",
    "French in capitals": "L’ÉTÉ À PARIS : « CAFÉ », MÊME ÇA… NESCAFÉ® ET CAFÉ™ — DÉJÀ",
    "Portuguese": "A maçã não é só pão: coração, avô, você — amanhã…",
    "Portuguese in capitals": "O PÃO É BOM: “IRMÃ” “AMANHÔ, MANHÃ… MAÇû E IRMÃ— MAÇÃ.",
    "Vietnamese": "Tiếng Việt có dấu: Ấn Độ, đường phố, Âu Lạc, “ông bà”, mùa xuân…",
    "Vietnamese in capitals": "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM, ÂU LẠC",
    "German": "„Spaß“ und „Fuß“… groß» – Öl, Übermut, »Maß«, „Gruß”, Straße.",
    "Spanish": "¿Qué pasó, señor? ¡Mañana será otro día! «Niñez» — corazón.",
    "Swedish": "Å, sade han. ”Å” och ”Ä” är vokaler… på ön Å– i går",
    "Danish": "Blåbærgrød på Ærø – «Å»",
    "Polish": "Zażółć gęślą jaźń; „łódź”, źdźbło…",
    "Czech": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Turkish": "Şişli’de çığır açan gözlükçü İĞÜŞ.",
    "Romanian": "Însă țara noastră „Â” și „Ă”, «Â», 'Â' — când, în câmp.",
    "Icelandic": "Þetta er gott að vita: Ísland, ð, þ, æ, ö… Æ»",
    "Russian": "Съешь ещё этих мягких французских булок, да выпей «чаю».",
    "Greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "Chinese": "我能吞下玻璃而不伤身体。",
    "Japanese": "私はガラスを食べられます。それは私を傷つけません。",
    "Hindi": "मैं काँच खा सकता हूँ",
    "mathematics": "∀x ∈ ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β, 2×3÷4 ± 5°, µm²",
    "phonetics": "[ðə ˈkæfeɪ] [øː] [ɛ̃ɡlɪʃ]",
    "emoji": "😀 👍🏽 ❤️ – “good” ™ ® ©",
    "prices": "£5, €7, 20 °C, ½, §4, ¶, «x», ª, º",
}
DAMAGED = ["French", "Portuguese", "German", "Spanish", "Swedish", "Polish", "Czech", "Turkish", "Russian", "Greek",
           "Chinese", "Japanese", "emoji", "prices", "Vietnamese", "Danish", "Romanian", "Hindi"]  # fmt: skip


def damaged(text: str, codec: str) -> str:
    """A text as a program sees it that takes its UTF-8 for another encoding."""
    return "".join(
        chr(byte) if codec == "latin-1" else bytes([byte]).decode("cp1252", "ignore") or chr(byte)
        for byte in text.encode()
    )


@pytest.mark.parametrize("name", SENTENCES)
def test_good_text_is_left_in_peace(name: str) -> None:
    assert mojibake(SENTENCES[name]) is None
    assert mojibake(SENTENCES[name].upper()) is None
    assert findings(look(records([{"text": SENTENCES[name]}] * 30))) == ()


@pytest.mark.parametrize("codec", ["latin-1", "cp1252"])
@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_text_is_found_in_every_language(name: str, codec: str) -> None:
    assert mojibake(damaged(SENTENCES[name], codec)) is not None


@pytest.mark.parametrize(
    ("text", "stands", "meant"),
    [
        ("a cafÃ© there", "Ã©", "é"),
        ("itâ€™s", "â€™", "\u2019"),
        ("â‚¬ 5", "â‚¬", "€"),
        ("5Â\xa0km", "Â\xa0", "\xa0"),
        ("Ã‰cole", "Ã‰", "É"),
        ("ÃŸ", "ÃŸ", "ß"),
        ("Ã–sterreich", "Ã–", "Ö"),
        ("jÄ™zyk", "Ä™", "ę"),
        ("ÃƒÂ© twice", "ÃƒÂ©", "Ã©"),
        ("ï»¿name", "ï»¿", "\ufeff"),
        ("ðŸ˜€", "ðŸ˜€", "😀"),
        ("Ð¿Ñ€Ð¸", "Ð¿Ñ€Ð¸", "при"),
    ],
)
def test_what_was_meant_is_said(text: str, stands: str, meant: str) -> None:
    assert mojibake(text) == (stands, meant)


def with_damage(percent: float, bad: str = "It was a cafÃ©.") -> Iterable[Any]:
    return ({"text": bad if number % 1000 < percent * 10 else "It was a café."} for number in range(2_000))


@pytest.mark.parametrize(
    ("percent", "gravity"),
    [(100, "wrong"), (10, "wrong"), (2, "doubtful"), (1, "doubtful"), (0.5, "note"), (0.1, "note")],
)
@pytest.mark.parametrize("bad", ["It was a cafÃ©.", "It was a caf\ufffd."])
def test_the_share_of_records_decides(percent: float, gravity: str, bad: str) -> None:
    assert [finding.gravity.value for finding in findings(look(records(with_damage(percent, bad))))] == [gravity]


def test_what_a_user_reads() -> None:
    values = [{"text": "fine"}, {"meta": ["caf\ufffd"]}, {"text": "naÃ¯ve"}, {"text": "a na\ufffdve cafÃ©"}]

    assert findings(look(records(values))) == (
        Finding(
            gravity=Gravity.WRONG,
            sentence="2 of 4 records (50 %) hold mojibake, first Ã¯ for ï at a.jsonl line 3",
        ),
        Finding(
            gravity=Gravity.WRONG,
            sentence="2 of 4 records (50 %) hold characters that were lost (U+FFFD), first at a.jsonl line 2",
        ),
    )


def test_a_damaged_file_among_many_good_ones_is_named() -> None:
    good = look(records([{"text": "fine"}] * 9_000, "good.jsonl"))
    bad = look(records([{"text": "naÃ¯ve"}] * 50, "bad.jsonl"))

    assert findings(merge([good, bad])) == (
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="50 of 50 records (100 %) of bad.jsonl hold mojibake, first Ã¯ for ï at bad.jsonl line 1",
        ),
        Finding(
            gravity=Gravity.NOTE,
            sentence="50 of 9,050 records (0.55 %) hold mojibake, first Ã¯ for ï at bad.jsonl line 1",
        ),
    )


def test_a_text_about_mojibake_is_a_note_only() -> None:
    values = [{"text": "fine"}] * 500 + [{"text": "Read as Latin-1, é becomes Ã© and ’ becomes â€™."}]

    assert [finding.gravity for finding in findings(look(records(values)))] == [Gravity.NOTE]


def test_nothing_looked_at_is_not_fine() -> None:
    assert findings(look([])) == (
        Finding(
            gravity=Gravity.UNKNOWN,
            sentence="no record was looked at: nothing is known of its text",
        ),
    )


def test_spans_in_any_order_make_the_same_whole() -> None:
    whole = records(with_damage(40))
    at_once = look(whole).files["a.jsonl"]
    for count in (2, 7, 90):
        parts = [pickle.loads(pickle.dumps(look(span))) for span in in_spans(whole, count)]  # noqa: S301  # our own
        forth, back = merge(parts), merge([merge(parts[1:]), parts[0]])
        assert forth == back
        assert (forth.files["a.jsonl"].records, forth.files["a.jsonl"].mojibake) == (2_000, at_once.mojibake)


def test_a_hostile_text_takes_no_time_to_speak_of() -> None:
    for text in ("Ã" * 500_000, "â€" * 300_000, "ð\x9f" * 300_000, "Ã©" * 300_000):
        mojibake(text)
