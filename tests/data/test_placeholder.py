"""Templates are found whatever fills them, and what healthy corpora have in common is none."""

from __future__ import annotations

import inspect
import pickle
import random
import string
from typing import TYPE_CHECKING, Any

import pytest

from data.looked_at import in_spans, records
from pytest_pipeline.data import draw
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.placeholder import findings, placeholder, skeleton
from pytest_pipeline.data.spec import Field, Kind, RecordSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TEXT = RecordSpec(fields=(Field(name="text"),))
ANSWERS = RecordSpec(fields=(Field(name="prompt"), Field(name="completion")))
CHATS = RecordSpec(fields=(Field(name="messages", kind=Kind.MESSAGES),))

DICE = random.Random(7)  # noqa: S311  # text, no secret
WORDS = ["".join(DICE.choices(string.ascii_lowercase, k=3 + number % 7)) for number in range(2_000)]


def prose(seed: int, words: int = 60) -> str:
    """Words that look drawn at random, and are the same for the same seed."""
    return (
        " ".join(WORDS[(seed * 7_919 + at * at * 31 + seed * seed * at) % 1_999] for at in range(words)).capitalize()
        + "."
    )


def said(values: Iterable[Any], spec: RecordSpec) -> tuple[Finding, ...]:
    return findings(placeholder(draw.look(records(values), spec)))


def gravities(values: Iterable[Any], spec: RecordSpec) -> list[Gravity]:
    return [finding.gravity for finding in said(values, spec)]


TEMPLATES: dict[str, Callable[[int], str]] = {
    "a file name": lambda n: f"Processed content from paper_{n:04}.pdf",
    "a file name of words": lambda n: f"Processed content from {WORDS[n]}.pdf",
    "a path": lambda n: f"Processed content from /data/econ/{WORDS[n]}/{n}.txt",
    "a link": lambda n: f"This is the text of https://example.org/{WORDS[n]}?id={n} as it was found.",
    "an object's name": lambda n: f"Processed content from s3://bucket/{WORDS[n]}/{WORDS[n + 1]}",
    "a title": lambda n: f"Processed content from The {WORDS[n].title()} of {WORDS[n + 1].title()}",
    "a quoted title": lambda n: f'Processed content from "{prose(n, 5)}"',
    "a number": lambda n: f"This is document number {n} of 51,617.",
    "an id": lambda n: f"No text could be extracted from item {n:08x}-{n % 65536:04x}-4000-8000-{n:012x}.",
    "a date": lambda n: f"This report was written on 2024-{n % 12 + 1:02}-{n % 28 + 1:02} and has no content.",
    "nothing that varies": lambda n: "Lorem ipsum dolor sit amet.",  # noqa: ARG005
    "a long text around a name": lambda n: f"{prose(0, 250)} {n}.pdf {prose(1, 250)}",
}


@pytest.mark.parametrize("fill", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("count", [40, 1_100])
def test_records_of_one_template_are_critical(fill: Callable[[int], str], count: int) -> None:
    values = [{"text": fill(number)} for number in range(count)]

    assert gravities(values, TEXT)[:1] == [Gravity.CRITICAL]
    asked = [{"prompt": f"Summarise {number}.pdf", "completion": fill(number)} for number in range(count)]
    assert gravities(asked, ANSWERS)[:1] == [Gravity.CRITICAL]


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(100, [Gravity.CRITICAL]), (60, [Gravity.CRITICAL]), (40, [Gravity.DOUBTFUL]), (25, [Gravity.DOUBTFUL]), (9, [])],
)
def test_the_share_decides(percent: int, expected: list[Gravity]) -> None:
    values = [
        {"text": f"Processed content from {number}.pdf" if number % 100 < percent else prose(number)}
        for number in range(3_000)
    ]

    assert gravities(values, TEXT) == expected


def test_what_a_user_reads() -> None:
    few = [{"text": f"Processed content from paper_{number}.pdf"} for number in range(50)]
    many = [
        {"text": f"Processed content from paper_{number}.pdf" if number % 4 else prose(number)}
        for number in range(4_000)
    ]

    assert said(few, TEXT) == (
        Finding(
            gravity=Gravity.CRITICAL,
            sentence="100.0 % of 50 records say the same but for names, numbers and quotations: "
            "'Processed content from paper_0.pdf' (a.jsonl line 1)",
        ),
    )
    assert said(many, TEXT) == (
        Finding(
            gravity=Gravity.CRITICAL,
            sentence="75.6 % (72.8-78.2 %, 95 %) of 1,000 records drawn of 4,000 say the same but for names, "
            "numbers and quotations: 'Processed content from paper_2.pdf' (a.jsonl line 3)",
        ),
    )


def test_one_answer_to_everything_is_critical_however_short() -> None:
    values = [{"prompt": prose(number), "completion": "Done."} for number in range(30)]

    assert said(values, ANSWERS) == (
        Finding(
            gravity=Gravity.CRITICAL,
            sentence="all of 30 records teach the same few words, whatever is asked",
        ),
    )


def test_short_lines_that_begin_alike_are_doubtful() -> None:
    values = [{"text": f"Processed content from {prose(number, 4).lower()}"} for number in range(50)]
    (finding,) = said(values, TEXT)

    assert finding.gravity is Gravity.DOUBTFUL
    assert finding.sentence.startswith("100.0 % of 50 records are short lines that begin with the same 3 words: 'Proc")


def test_a_file_of_templates_among_good_ones_is_named() -> None:
    good = draw.look(records(({"text": prose(number)} for number in range(900)), "good.jsonl"), TEXT)
    bad = draw.look(records(({"text": f"Content of file {number}.pdf"} for number in range(100)), "bad.jsonl"), TEXT)

    assert findings(placeholder(draw.merge([good, bad]))) == (
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="100 of 100 records drawn from bad.jsonl say the same but for names, numbers and quotations: "
            "'Content of file 0.pdf' (bad.jsonl line 1)",
        ),
    )


LICENCE = "# Licensed under the Apache License, Version 2.0\n# you may not use this file except in compliance.\n" * 9
HEALTHY: dict[str, tuple[RecordSpec, Callable[[int], dict[str, Any]]]] = {
    "prose": (TEXT, lambda n: {"text": prose(n)}),
    "short sentences": (TEXT, lambda n: {"text": prose(n, 7)}),
    "one instruction, other completions": (
        ANSWERS,
        lambda n: {"prompt": "Write a short story about economics.", "completion": prose(n)},
    ),
    "one instruction, short completions": (
        ANSWERS,
        lambda n: {"prompt": "Write a slogan.", "completion": prose(n, 4)},
    ),
    "an instruction template in the text": (
        TEXT,
        lambda n: {"text": f"### Instruction:\nSummarise the text below.\n### Input:\n{prose(n)}\n### Response:\nYes."},
    ),
    "a system prompt": (
        CHATS,
        lambda n: {
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Tell me something."},
                {"role": "assistant", "content": prose(n, 30)},
            ]
        },
    ),
    "a system prompt in the text": (
        TEXT,
        lambda n: {"text": f"<|im_start|>system\n{prose(1, 300)}<|im_end|>\n<|im_start|>user\n{prose(n, 9)}<|im_end|>"},
    ),
    "code with one licence": (TEXT, lambda n: {"text": f"{LICENCE}\ndef {WORDS[n]}():\n    return {WORDS[-n]}\n"}),
    "questions and answers": (TEXT, lambda n: {"text": f"Q: What is {prose(n, 3)}?\nA: It is {prose(-n, 3)}."}),
    "two labels": (ANSWERS, lambda n: {"prompt": prose(n), "completion": ("positive", "negative")[n % 5 == 0]}),
    "labels in a sentence": (
        ANSWERS,
        lambda n: {"prompt": prose(n), "completion": f"The sentiment is {('positive', 'negative')[n % 2]}."},
    ),
    "yes and no": (ANSWERS, lambda n: {"prompt": f"Is {prose(n, 6)} true?", "completion": ("Yes", "No")[n % 3 == 0]}),
    "numbers as answers": (ANSWERS, lambda n: {"prompt": prose(n, 20), "completion": f"The answer is {n}."}),
    "arithmetic": (TEXT, lambda n: {"text": f"{n} + {n * 7} = {n * 8}"}),
    "arithmetic with a prompt": (ANSWERS, lambda n: {"prompt": f"{n} + {n * 7} =", "completion": f"{n * 8}"}),
    "readings of an instrument": (TEXT, lambda n: {"text": f"temperature {n / 7:.1f} humidity {n % 100} wind {n % 9}"}),
    "structured answers": (
        ANSWERS,
        lambda n: {"prompt": prose(n), "completion": f'{{"name": "{WORDS[n]}", "city": "{WORDS[-n]}", "age": {n}}}'},
    ),
    "calls of functions": (
        ANSWERS,
        lambda n: {
            "prompt": prose(n),
            "completion": f'[{{"tool": "search", "query": "{prose(n, 5)}", "limit": 5, "sort": "by date of use"}}]',
        },
    ),
    "translations": (TEXT, lambda n: {"text": f"Translate English to French: {prose(n, 4)} => {prose(-n, 4)}"}),
    "refusals, one in ten": (
        ANSWERS,
        lambda n: {
            "prompt": prose(n),
            "completion": prose(n) if n % 10 else "I am sorry, but I cannot help with that request, as it may do harm.",
        },
    ),
    "many capitals": (TEXT, lambda n: {"text": " ".join(word[::2].title() + " " + word for word in prose(n).split())}),
    "Chinese": (TEXT, lambda n: {"text": "".join(chr(0x4E00 + (n * i * i + 31 * n) % 4_999) for i in range(40))}),
    "every record three times": (TEXT, lambda n: {"text": prose(n // 3)}),
    "long texts with one beginning and one end": (
        TEXT,
        lambda n: {"text": f"{prose(0, 220)}\n{prose(n, 30)}\n{prose(1, 220)}"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "make"), HEALTHY.values(), ids=HEALTHY)
def test_healthy_corpora_are_not_complained_of(spec: RecordSpec, make: Callable[[int], dict[str, Any]]) -> None:
    assert said([make(number) for number in range(1_100)], spec) == ()


def test_the_programs_of_a_library_are_no_templates() -> None:
    sources = [inspect.getsource(module) for module in (inspect, random, string, pickle)]
    chunks = [{"text": source[at : at + 900]} for source in sources for at in range(0, len(source), 900)]

    assert said(chunks, TEXT) == ()


def test_few_records_have_no_rule_and_none_are_not_fine() -> None:
    assert said([{"text": "Processed content from a.pdf"}] * 19, TEXT) == ()
    assert said([], TEXT) == (
        Finding(
            gravity=Gravity.UNKNOWN,
            sentence="no record was looked at: nothing is known of its text",
        ),
    )


def test_spans_in_any_order_make_the_same_draw() -> None:
    whole = records([{"text": prose(number, 3)} for number in range(3_000)])
    at_once = draw.look(whole, TEXT)

    assert (at_once.seen, len(at_once.kept), at_once.complete) == (3_000, draw.DRAWN, False)
    for count in (2, 5, 17):
        parts = [pickle.loads(pickle.dumps(draw.look(span, TEXT))) for span in in_spans(whole, count)]  # noqa: S301
        forth, back = draw.merge(parts), draw.merge([draw.merge(parts[1:]), parts[0]])
        assert forth.seen == back.seen == 3_000
        assert dict(sorted(forth.kept.items())) == dict(sorted(back.kept.items()))
        assert {lot: one.text for lot, one in forth.kept.items()} == {
            lot: one.text for lot, one in at_once.kept.items()
        }


def test_what_is_drawn_is_drawn_evenly() -> None:
    whole = records([{"text": "x" * (number % 50)} for number in range(20_000)])
    halves = [one.place.offset for one in draw.look(whole, TEXT).kept.values()]

    assert 430 < sum(offset < whole[10_000].offset for offset in halves) < 570


def test_what_is_kept_of_a_record_is_bounded() -> None:
    values = {"prompt": "a" * 100_000 + "b" * 100_000, "completion": "c" * 100_000 + "d" * 100_000}
    (one,) = draw.look(records([values]), ANSWERS).kept.values()

    assert (one.asked, one.asked_characters) == ("a" * 2_048 + "b" * 2_048, 200_000)
    assert (one.text, one.characters) == ("c" * 8_192 + "d" * 8_192, 200_000)


def test_a_secret_in_an_example_is_masked() -> None:
    token = "ghp_" + "Ab1Cd2Ef3Gh4Ij5Kl6Mn7Op8Qr9St0Uv1Wx2"
    (finding,) = said([{"text": f"Log in as the user by the token {token}"}] * 30, TEXT)

    assert token[:12] not in finding.sentence
    assert "'Log in as the user by the token ghp_...'" in finding.sentence


def test_what_is_masked() -> None:
    assert skeleton('See "The End", p. 12 of https://a.b/c by Adam Smith, in a_1.pdf').text == (
        "See \0quoted , p. \0number of \0link by \0name in \0file"
    )
    assert skeleton('{"a": "The End", "b": 12}').text == '{"a": "The End", "b": \0number'
