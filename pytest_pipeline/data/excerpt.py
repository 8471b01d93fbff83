"""A short piece of a line to show to a person: what is around the fault, without secrets and without surprises."""

from __future__ import annotations

import re

LONGEST = 80
_AROUND_BYTES = 16 * 1024  # a secret that begins or ends this far away is still seen whole
_BEFORE = LONGEST // 2

_SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}"
    r"|\bhf_[A-Za-z0-9]{8,}"
    r"|\b[sr]k[-_][A-Za-z0-9_-]{8,}"
    r"|\bgh[opsur]_[A-Za-z0-9]{8,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{8,}"
    r"|\bglpat-[A-Za-z0-9_-]{8,}"
    r"|\bxox[a-z]-[A-Za-z0-9-]{8,}"
    r"|\bAIza[A-Za-z0-9_-]{16,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]+"  # JWT
    r"|(?:hooks\.slack\.com|discord(?:app)?\.com(?:\\?/)api|[a-z0-9.-]*webhook\.office\.com)\\?/[^\s\"'<>]+"
    r"|(?<=://)[^\s/@:\"]+:[^\s/@\"]+(?=@)"
    r"|(?i:(?<=x-amz-signature=)|(?<=x-amz-security-token=)|(?<=bearer ))[^\s&\"'\\]+"
    r"|[A-Za-z0-9+/_=-]{32,}",  # long, and in no language: a key without a name
    re.DOTALL,
)
_MASK = "***"


def excerpt(line: bytes, at: int) -> str:
    """Return up to 80 characters around the byte `at` of a line.

    What looks like a key, a token, a webhook or a password in an address reads `***`; what is not printable is escaped.
    """
    first = max(at - _AROUND_BYTES, 0)
    piece = line[first : at + _AROUND_BYTES]
    text = piece.decode("utf-8", "backslashreplace")
    fault = len(piece[: at - first].decode("utf-8", "backslashreplace"))
    shown: list[str] = []  # one a character of the text, so that where the fault is stays known
    position = 0
    for secret in _SECRETS.finditer(text):
        shown += map(_printable, text[position : secret.start()])
        shown += [_MASK, *[""] * (secret.end() - secret.start() - 1)]
        position = secret.end()
    shown += map(_printable, text[position:])
    return _cut(shown[:fault], shown[fault:], whole=(first == 0, at + _AROUND_BYTES >= len(line)))


def _cut(before: list[str], behind: list[str], *, whole: tuple[bool, bool]) -> str:
    left, right = "".join(before), "".join(behind)
    from_left = min(len(left), max(_BEFORE, LONGEST - len(right)))
    kept = left[len(left) - from_left :]
    rest = right[: LONGEST - len(kept)]
    starts = "" if whole[0] and len(kept) == len(left) else "…"
    ends = "" if whole[1] and len(rest) == len(right) else "…"
    if starts:
        kept = kept[1:]
    if ends and len(starts + kept + rest + ends) > LONGEST:
        rest = rest[: LONGEST - len(starts + kept + ends)]
    return starts + kept + rest + ends


def _printable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
