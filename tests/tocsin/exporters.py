"""An exporter's door that behaves as a test says: it takes, refuses, hangs, drips, or is not there."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tocsin.sending import Pace
from tocsin.telling import Client

# How long a test waits for what must happen, before it fails instead of hanging.
SURELY = 30.0
# No faster than the tests need it, and no slower.
QUICK = Pace(batch_seconds=0.01, retry_seconds=0.01)


@dataclass
class Door:
    """`answers` are for the next requests in turn; then each is 202."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: list[Callable[[BaseHTTPRequestHandler], None]] = field(default_factory=list)
    connections: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def environ(self) -> dict[str, str]:
        return {"TOCSIN_EVENTS_URL": self.url}

    @property
    def events(self) -> list[dict[str, Any]]:
        """But for those about events that were lost, which come some time later."""
        return [event for event in self._all() if event["event"] != "events_dropped"]

    @property
    def losses(self) -> list[tuple[str, int]]:
        return [(event["reason"], event["count"]) for event in self._all() if event["event"] == "events_dropped"]

    def _all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for body in self.bodies if body != b"[]" for line in body.splitlines()]

    def wait_for(self, enough: Callable[[], object], what: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: bool(enough()), SURELY), what


def says(status: int, body: bytes = b"{}", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def breaks_off(handler: BaseHTTPRequestHandler) -> None:
    """The request has come as a whole, and nobody says anything."""
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def door(port: int = 0) -> Iterator[Door]:
    standing = Door()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            standing.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            with standing.changed:
                standing.bodies.append(body)
                standing.headers.append({name.lower(): value for name, value in self.headers.items()})
                answer = standing.answers.pop(0) if standing.answers else says(202)
            answer(self)
            with standing.changed:
                standing.changed.notify_all()

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Who asks may be killed in the middle; that is what some tests are about."""

    with Quiet(("127.0.0.1", port), Handler) as server:
        standing.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield standing
        finally:
            server.shutdown()
            thread.join()


def client(there: Door, pace: Pace = QUICK, **more: str) -> Client:
    return Client({**there.environ, **more}, pace=pace)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
