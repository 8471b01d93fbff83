"""Keys in text are found and never shown; what everybody writes in documentation is not counted.

The secrets of these tests are made here, of no account, and put together so that no scanner of repositories finds them.
"""

from __future__ import annotations

import base64
import json
import pickle
import random
import string
from hashlib import sha256
from typing import Any

import pytest

from data.looked_at import in_spans, records
from pytest_pipeline.data.finding import Finding, Gravity
from pytest_pipeline.data.secrets import KEPT, Secret, findings, look, masked, merge, spots


def letters(count: int, alphabet: str = string.ascii_letters + string.digits, seed: int = 1) -> str:
    return "".join(random.Random(seed).choices(alphabet, k=count))  # noqa: S311  # a secret of nobody


def jwt(**claims: Any) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    told = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*told, letters(43)])


DASHES = "-" * 5
KEY_ID = "AKIA" + letters(16, string.ascii_uppercase + "234567")
SECRET_KEY = letters(40, string.ascii_letters + string.digits + "/+")
SLACK = "https://hooks.slack." + "com/services/"
SECRETS = {
    Secret.PRIVATE_KEY: f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\n" + letters(64),
    Secret.AWS_KEY_ID: KEY_ID,
    Secret.GITHUB: "ghp_" + letters(36),
    Secret.HUGGING_FACE: "hf_" + letters(34),
    Secret.ANTHROPIC: "sk-ant-" + "api03-" + letters(93) + "AA",
    Secret.OPENAI: "sk-" + "proj-" + letters(58) + "T3BlbkFJ" + letters(58, seed=2),
    Secret.SLACK: f"xoxb-{'123498765012'}-{'9876501234567'}-" + letters(24),
    Secret.SLACK_WEBHOOK: SLACK + "T" + letters(8, string.ascii_uppercase) + "/B" + letters(8, string.ascii_uppercase)
    + "/" + letters(24),
    Secret.GOOGLE: "AIza" + letters(35),
    Secret.STRIPE: "sk_" + "live_" + letters(24),
    Secret.JWT: jwt(sub="u-77", exp=1_900_000_000),
}  # fmt: skip
PRIVATE_KEYS = [
    f"{DASHES}BEGIN PRIVATE KEY{DASHES}\n{letters(64)}\n{letters(64)}\n{letters(20)}=\n{DASHES}END PRIVATE KEY{DASHES}",
    f"{DASHES}BEGIN PRIVATE KEY{DASHES}\\n{letters(64)}\\n{letters(64)}\\n{DASHES}END PRIVATE KEY{DASHES}\\n",
    f"{DASHES}BEGIN OPENSSH PRIVATE KEY{DASHES}\r\n{letters(70)}",
    f"{DASHES}BEGIN EC PRIVATE KEY{DASHES} {letters(64)}",
    f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n{letters(64)}",
]


def found(text: str) -> list[Secret]:
    return [secret for secret, _, _ in spots(text)]


@pytest.mark.parametrize(("secret", "text"), SECRETS.items(), ids=[secret.value for secret in SECRETS])
@pytest.mark.parametrize("around", ["{}", "key={}", '"{}"', "see ({}).", "a\n{}\nb", "TOKEN: {},", "é{}"])
def test_a_secret_is_found_in_whatever_it_stands(secret: Secret, text: str, around: str) -> None:
    if around == "é{}":
        text = f" {text}"
    assert found(around.format(text)) == [secret]


@pytest.mark.parametrize("text", PRIVATE_KEYS)
def test_private_keys_of_all_kinds(text: str) -> None:
    assert found(text) == [Secret.PRIVATE_KEY]


def test_the_secret_of_an_access_key_is_found_beside_it() -> None:
    assert found(f"aws_access_key_id = {KEY_ID}\naws_secret_access_key = {SECRET_KEY}") == [
        Secret.AWS_KEY_ID,
        Secret.AWS_SECRET_KEY,
    ]
    assert found(f"commit {sha256(b'x').hexdigest()[:40]} by {KEY_ID}") == [Secret.AWS_KEY_ID]
    assert found(f"aws_secret_access_key = {SECRET_KEY}") == []


HEALTHY = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY",
    "AKIA" + "X" * 16,
    "ghp_" + "x" * 36,
    "ghp_" + "1234567890" * 4,
    "hf_" + "your" + "token" * 6,
    f"export HF_TOKEN=hf_{'x' * 34}",
    SLACK + "T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    jwt(sub="1234567890", name="John Doe", iat=1_516_239_022),
    "eyJ" + letters(20) + ".eyJ" + letters(20) + "." + letters(43),
    f"{DASHES}BEGIN PUBLIC KEY{DASHES}\n{letters(64)}",
    f"{DASHES}BEGIN CERTIFICATE{DASHES}\n{letters(64)}",
    f"A key file begins with {DASHES}BEGIN PRIVATE KEY{DASHES} and goes on in base64.",
    f"{DASHES}BEGIN RSA PRIVATE KEY{DASHES}\n...\n{DASHES}END RSA PRIVATE KEY{DASHES}",
    "sk-" + "learn and sk-" + "image are libraries",
    "AKIA is the prefix of keys, ghp_ that of tokens, hf_hub_download a function, eyJ how a JWT begins",
    "the ASIAN market; ASIAPACIFICREGIONALOFFICE",
    "hf_" + letters(50),
    f"base64 that has one by chance: {letters(9)}{KEY_ID}",
    f"base64 that has one by chance: {KEY_ID}{letters(9)}",
    "data:image/png;base64," + base64.b64encode(sha256(b"z").digest() * 99).decode(),
    sha256(b"y").hexdigest(),
]


@pytest.mark.parametrize("text", HEALTHY, ids=range(len(HEALTHY)))
def test_examples_and_what_looks_alike_are_not_counted(text: str) -> None:
    assert found(text) == []


def test_what_a_user_reads() -> None:
    whole = records([{"text": "fine"}, {"meta": {"notes": [f"push with {SECRETS[Secret.GITHUB]}"]}}, {"text": KEY_ID}])

    assert findings(look(whole)) == (
        Finding(
            gravity=Gravity.DOUBTFUL,
            sentence="AWS access key id found once in 3 records, first at a.jsonl line 3: "
            "AKIA... (without its secret it opens nothing)",
        ),
        Finding(
            gravity=Gravity.WRONG,
            sentence="GitHub token found once in 3 records, first at a.jsonl line 2: ghp_... "
            "(revoke it and take it out)",
        ),
    )


def test_nothing_looked_at_is_not_fine_and_clean_text_is() -> None:
    assert findings(look(records([{"text": "x"}]))) == ()
    assert findings(look([])) == (
        Finding(
            gravity=Gravity.UNKNOWN,
            sentence="no record was looked at: nothing is known of its text",
        ),
    )


@pytest.mark.parametrize("text", [*SECRETS.values(), *PRIVATE_KEYS[:1], f"{KEY_ID} {SECRET_KEY} {KEY_ID}"])
def test_what_is_masked_shows_four_characters_of_a_secret(text: str) -> None:
    shown = masked(f"before {text} after")

    assert found(shown) == []
    assert shown.startswith("before ")
    assert not any(text[at : at + 16] in shown for at in range(40, len(text) - 40))


def test_of_several_secrets_each_is_masked_where_it_stands() -> None:
    text = f"a {SECRETS[Secret.GOOGLE]} b {SECRETS[Secret.GITHUB]} c {KEY_ID} {SECRET_KEY} d"

    assert masked(text) == f"a AIza... b ghp_... c AKIA... {SECRET_KEY[:4]}... d"
    assert masked("nothing to hide") == "nothing to hide"


def test_no_secret_is_in_any_result() -> None:
    values = [{"text": f"{KEY_ID} {SECRET_KEY} {' '.join(SECRETS.values())}"}]
    secrets = look(records(values))

    assert len(secrets.found) == len(Secret)
    for text in (repr(secrets), " ".join(finding.sentence for finding in findings(secrets))):
        assert not any(secret[:12] in text for secret in SECRETS.values() if not secret.startswith((DASHES, "https")))
        assert SECRET_KEY[:8] not in text


def test_spans_in_any_order_make_the_same_whole() -> None:
    whole = records({"text": f"ghp_{letters(36, seed=number)}" if number % 3 else "x"} for number in range(90))
    at_once = look(whole)

    assert at_once.found[Secret.GITHUB].count == 60
    assert len(at_once.found[Secret.GITHUB].sights) == KEPT
    for count in (2, 7, 90):
        parts = [pickle.loads(pickle.dumps(look(span))) for span in in_spans(whole, count)]  # noqa: S301  # our own
        forth, back = merge(parts), merge([merge(parts[1:]), parts[0]])
        assert forth == back
        assert forth.records == 90
        assert [place.offset for place, _ in forth.found[Secret.GITHUB].sights] == [
            place.offset for place, _ in at_once.found[Secret.GITHUB].sights
        ]
