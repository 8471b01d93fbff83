"""A receiver of Slack's incoming webhooks that gives Slack's documented answers; what a path gets is set by its tenant.

Sources: "Handling errors" of Slack's page on incoming webhooks, and its changelog of 2016-05-17.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackAnswer:
    """What a webhook answers."""

    status: int
    body: str
    retry_after_s: int | None = None


REFUSALS = {
    "no_service": SlackAnswer(status=404, body="no_service"),
    "no_team": SlackAnswer(status=404, body="no_team"),
    "invalid_token": SlackAnswer(status=403, body="invalid_token"),
    "action_prohibited": SlackAnswer(status=403, body="action_prohibited"),
    "channel_not_found": SlackAnswer(status=404, body="channel_not_found"),
    "channel_is_archived": SlackAnswer(status=410, body="channel_is_archived"),
    "rollup_error": SlackAnswer(status=500, body="rollup_error"),
    "rate_limited": SlackAnswer(status=429, body="rate_limited", retry_after_s=30),
    "html": SlackAnswer(status=200, body="<html>Sign in to the network</html>"),
}
"""How a webhook may refuse (or a proxy in its place), by name."""


class SlackReceiver:
    """Webhooks on a loopback port. A path answers from `start` on, once `open` named it; others are `no_team`."""

    def __init__(self) -> None:
        self._answers: dict[str, SlackAnswer | None] = {}
        self._received: dict[str, list[dict[str, object]]] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = receiver.answer(self.path, body)
                text = answer.body.encode()
                self.send_response(answer.status)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(text)))
                if answer.retry_after_s is not None:
                    self.send_header("Retry-After", str(answer.retry_after_s))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                """Say nothing: standard error is for trouble."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Answer in the background."""
        threading.Thread(target=self._server.serve_forever, name="slack", daemon=True).start()

    def stop(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def open(self, path: str, refusal: SlackAnswer | None = None) -> None:
        """Make a webhook of this path, alive unless it must answer with a refusal."""
        self._received[path] = []
        self._answers[path] = refusal

    def close(self, path: str) -> None:
        """Forget a webhook, and what it received."""
        self._answers.pop(path, None)
        self._received.pop(path, None)

    def received(self, path: str) -> list[dict[str, object]]:
        """Return the messages that were delivered to a webhook."""
        return list(self._received.get(path, ()))

    def answer(self, path: str, body: bytes) -> SlackAnswer:
        """Take a message in, as Slack would, and return the answer to it."""
        if path not in self._answers:
            return REFUSALS["no_team"]
        refusal = self._answers[path]
        if refusal:
            return refusal
        try:
            message = json.loads(body)
        except ValueError:
            return SlackAnswer(status=400, body="invalid_payload")
        if not isinstance(message, dict):
            return SlackAnswer(status=400, body="invalid_payload")
        if not any(message.get(part) for part in ("text", "blocks", "attachments")):
            return SlackAnswer(status=400, body="no_text")
        self._received[path].append(message)
        return SlackAnswer(status=200, body="ok")
