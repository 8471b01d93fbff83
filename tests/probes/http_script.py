"""An HTTP server on loopback that answers as a test's function says, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer; a status of 0 closes the connection, one of -1 says nothing until the end."""

    status: int = 200
    body: str | bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Server:
    """A running server."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.url.removeprefix("http://")

    @property
    def lines(self) -> list[str]:
        """What was asked, as METHOD /path."""
        return [f"{one.method} {one.path}" for one in self.asked]


@contextlib.contextmanager
def answering(answer: Callable[[Asked], Answer]) -> Iterator[Server]:
    """Run a server until the end of the block."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            # A client that leaves early is part of some tests.
            with contextlib.suppress(ConnectionError):
                super().handle_one_request()

        def answer(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, urllib.parse.unquote(parts.path), query, headers, body)
            server.asked.append(asked)
            said = answer(asked)
            if said.status == -1:
                server.ended.wait(30)
            if said.status <= 0:
                self.close_connection = True
                return
            data = said.body.encode() if isinstance(said.body, str) else said.body
            self.send_response(said.status)
            for name, value in {"content-length": str(len(data)), **said.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815  # http.server's names

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = False  # they are waited for at the end

    with Quiet(("127.0.0.1", 0), Handler) as listener:
        server.url = f"http://127.0.0.1:{listener.server_address[1]}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            listener.shutdown()
            thread.join()
