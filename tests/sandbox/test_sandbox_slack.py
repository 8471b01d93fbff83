"""The receiver of webhooks gives Slack's documented answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from pytest_pipeline.sandbox.slack import REFUSALS, SlackReceiver

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = "/services/T000/B000/secret"


@pytest.fixture
def slack() -> Iterator[SlackReceiver]:
    receiver = SlackReceiver()
    receiver.start()
    yield receiver
    receiver.stop()


def test_a_message_is_delivered_and_answered_ok(slack: SlackReceiver) -> None:
    slack.open(PATH)

    answer = requests.post(slack.url + PATH, json={"text": "done"}, timeout=5)

    assert (answer.status_code, answer.text) == (200, "ok")
    assert slack.received(PATH) == [{"text": "done"}]


@pytest.mark.parametrize(
    ("body", "said"), [('{"text": ""}', "no_text"), ("not JSON", "invalid_payload"), ("[]", "invalid_payload")]
)
def test_what_is_no_message_is_refused_and_not_delivered(slack: SlackReceiver, body: str, said: str) -> None:
    slack.open(PATH)

    answer = requests.post(slack.url + PATH, data=body, timeout=5)

    assert (answer.status_code, answer.text) == (400, said)
    assert slack.received(PATH) == []


@pytest.mark.parametrize("name", REFUSALS)
def test_a_webhook_may_refuse(slack: SlackReceiver, name: str) -> None:
    slack.open(PATH, REFUSALS[name])

    answer = requests.post(slack.url + PATH, json={"text": "done"}, timeout=5)

    assert (answer.status_code, answer.text) == (REFUSALS[name].status, REFUSALS[name].body)
    assert answer.headers.get("Retry-After") == ("30" if name == "rate_limited" else None)


def test_each_path_has_an_answer_of_its_own_and_others_have_none(slack: SlackReceiver) -> None:
    slack.open(PATH)
    slack.open("/services/T000/B000/other", REFUSALS["no_service"])

    assert requests.post(f"{slack.url}/services/T000/B000/other", json={"text": "x"}, timeout=5).text == "no_service"
    assert requests.post(f"{slack.url}/services/nobody", json={"text": "x"}, timeout=5).text == "no_team"
    slack.close(PATH)
    assert requests.post(slack.url + PATH, json={"text": "x"}, timeout=5).text == "no_team"
