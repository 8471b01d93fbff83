"""What is shown of a line: short, printable, and without secrets."""

from __future__ import annotations

import pytest

from pytest_pipeline.data.excerpt import LONGEST, excerpt

PEM = "-----BEGIN RSA PRIVATE KEY-----\\nMIIE" + "Ab1+" * 400 + "\\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    "secret",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ASIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "hf_abcdefghijklmnop",
        "sk-abc123def456ghi7",
        "sk-proj-abc123def456",
        "ghp_abcdefghij0123456789",
        "github_pat_11ABCDEFG0123456789",
        "xoxb-123456789012-abcdef",
        "https://hooks.slack.com/services/T0/B0/xyz"[8:],
        "hooks.slack.com\\/services\\/T0\\/B0\\/xyz",
        "discord.com/api/webhooks/1/abc",
        PEM,
        PEM[:700],
    ],
)
def test_a_secret_is_masked_whole(secret: str) -> None:
    line = f'{{"text": "before {secret} '.encode()

    for at in (0, len(line) // 2, len(line)):
        shown = excerpt(line, at)
        assert len(shown) <= LONGEST
        assert not any(secret[n : n + 12] in shown for n in range(len(secret) - 11))
    assert excerpt(line, 18).startswith('{"text": "before ***')


def test_a_password_in_an_address_is_masked() -> None:
    assert excerpt(b"see https://me:secret@host/x", 0) == "see https://***@host/x"


def test_a_short_line_is_shown_whole() -> None:
    assert excerpt(b'{"text": 1}', 5) == '{"text": 1}'


@pytest.mark.parametrize("at", [0, 30, 500, 970, 1000])
def test_a_long_line_is_cut_around_the_fault(at: int) -> None:
    line = bytearray(b"ab cd ef " * 112)[:1000]
    line[at:at] = b"@"
    shown = excerpt(bytes(line), at)

    assert len(shown) == LONGEST
    assert "@" in shown
    assert shown.startswith("…") == (at > 40)
    assert shown.endswith("…") == (at < 960)


def test_what_is_not_printable_is_escaped() -> None:
    line = "\x1b[31m\u202e\u2028é數\x7f\n".encode() + b"\xff"

    assert excerpt(line, 0) == "\\x1b[31m\\u202e\\u2028é數\\x7f\\n\\xff"
