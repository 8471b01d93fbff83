"""How much of records is cut off where sequences end, on records drawn evenly from all that were looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.intervals import Interval, clopper_pearson

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_pipeline.data.draw import Draw, Drawn
    from pytest_pipeline.data.place import Place

BYTES_A_TOKEN = (1.5, 6.0)
"""Without a tokenizer: fewest and most that vocabularies of 16,000 to 256,000 tokens need a token, of most languages
and of code. What holds by the most holds by all of them."""

WRONG_SHARE = 0.5
DOUBTFUL_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """What a limit of `sequence_length` tokens does to records.

    Of `drawn` records `cut` are longer, and `unanswered` are so with what is asked alone, so that nothing of the
    answer is left to learn. `lost` of `tokens` are beyond the limit. Where the tokens are not `exact`, all four count
    what is so by the most bytes a token, and `cut_at_most` by the fewest.
    """

    sequence_length: int
    exact: bool
    records: int
    drawn: int
    cut: int
    cut_at_most: int
    unanswered: int
    tokens: int
    lost: int
    share: Interval
    example: Place | None = None


def lengths(draw: Draw, sequence_length: int, tokens_in: Callable[[str], int] | None = None) -> Lengths:
    """Return what a limit does to drawn records; without `tokens_in` from their bytes.

    What a chat template adds to a record is not counted. Raises ValueError where no record was drawn.
    """
    if not draw.kept:
        raise ValueError("no record was drawn")
    sizes = []
    for lot in sorted(draw.kept):
        one = draw.kept[lot]
        if tokens_in:
            asked, text = _tokens(one, tokens_in)
            sizes.append((one, asked, asked + text, asked + text))
        else:
            asked_bytes, text_bytes = _bytes(one)
            fewest, most = BYTES_A_TOKEN
            both = asked_bytes + text_bytes
            sizes.append((one, int(asked_bytes / most), int(both / most), int(both / fewest)))
    cut = [size for size in sizes if size[2] > sequence_length]
    exactly = draw.complete and tokens_in is not None
    share = len(cut) / len(sizes)
    return Lengths(
        sequence_length=sequence_length,
        exact=tokens_in is not None,
        records=draw.seen,
        drawn=len(sizes),
        cut=len(cut),
        cut_at_most=sum(1 for _, _, _, at_most in sizes if at_most > sequence_length),
        unanswered=sum(1 for one, asked, _, _ in sizes if one.asked and asked >= sequence_length),
        tokens=sum(size for _, _, size, _ in sizes),
        lost=sum(size - sequence_length for _, _, size, _ in cut),
        share=Interval(low=share, high=share) if exactly else clopper_pearson(len(cut), len(sizes)),
        example=max(cut, key=lambda size: size[2])[0].place if cut else None,
    )


def _tokens(one: Drawn, tokens_in: Callable[[str], int]) -> tuple[int, int]:
    """Tokens of what is asked and of the text; of a text of which only the ends were kept, as many as those need."""
    asked, text = tokens_in(one.asked), tokens_in(one.text)
    return (
        round(asked * one.asked_characters / len(one.asked)) if one.asked else 0,
        round(text * one.characters / len(one.text)) if one.text else 0,
    )


def _bytes(one: Drawn) -> tuple[float, float]:
    return _tokens_of_bytes(one.asked, one.asked_characters), _tokens_of_bytes(one.text, one.characters)


def _tokens_of_bytes(kept: str, characters: int) -> float:
    return len(kept.encode("utf-8", "surrogatepass")) * characters / len(kept) if kept else 0.0


def findings(of: Lengths, lines_before: Mapping[tuple[str, int], int] | None = None) -> tuple[Finding, ...]:
    """Return what a user reads of what is cut off."""
    drawn = f"{of.records:,} records" if of.drawn == of.records else f"{of.drawn:,} records drawn of {of.records:,}"
    if not of.exact:
        return _estimated(of, drawn)
    if not of.cut or of.example is None:
        return ()
    lost = of.lost / of.tokens
    limits = "" if of.share.low == of.share.high else f" ({100 * of.share.low:.1f}-{100 * of.share.high:.1f} %, 95 %)"
    sentence = (
        f"{100 * of.cut / of.drawn:.1f} %{limits} of {drawn} are longer than {of.sequence_length:,} tokens: "
        f"{100 * lost:.1f} % of all tokens are cut off, most at {of.example.named(lines_before)}"
    )
    said = [Finding(gravity=_gravity(max(of.cut / of.drawn, lost), lost), sentence=sentence)]
    if of.unanswered:
        share = of.unanswered / of.drawn
        sentence = (
            f"{100 * share:.1f} % of {drawn} ask {of.sequence_length:,} tokens or more: "
            "nothing of their answers is left to learn"
        )
        said.insert(0, Finding(gravity=_gravity(share, share), sentence=sentence))
    return tuple(said)


def _gravity(share: float, lost: float) -> Gravity:
    if lost > WRONG_SHARE:
        return Gravity.WRONG
    return Gravity.DOUBTFUL if share >= DOUBTFUL_SHARE else Gravity.NOTE


def _estimated(of: Lengths, drawn: str) -> tuple[Finding, ...]:
    fewest, most = BYTES_A_TOKEN
    if of.cut_at_most / of.drawn < DOUBTFUL_SHARE:
        return ()
    sentence = (
        f"{100 * of.cut / of.drawn:.0f} to {100 * of.cut_at_most / of.drawn:.0f} % of {drawn} are longer than "
        f"{of.sequence_length:,} tokens, estimated by {fewest} to {most} bytes a token: "
        "the model's tokenizer was not there to count them"
    )
    gravity = Gravity.DOUBTFUL if of.cut / of.drawn >= DOUBTFUL_SHARE else Gravity.NOTE
    return (Finding(gravity=gravity, sentence=sentence),)
