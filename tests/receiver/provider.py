"""A provider's server for tests: real HTTP, in a thread of its own, with scripted answers before its own ones."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Reply(NamedTuple):
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = {}


def json_reply(status: int, /, **document: object) -> Reply:
    return Reply(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


class Provider(ABC):
    """`faults` is what it was sent against its documentation: a test that ends with one has failed."""

    def __init__(self) -> None:
        self.url = ""
        self.scripted: deque[Reply | None] = deque()  # None: the connection is cut
        self.requests = 0
        self.faults: list[str] = []
        self.lock = threading.Lock()

    @abstractmethod
    def answer(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply: ...

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        with self.lock:
            self.requests += 1
            if self.scripted:
                return self.scripted.popleft()
            try:
                return self.answer(path, headers, body)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                self.faults.append(f"{type(error).__name__}: {error}")
                return Reply(400)


@contextmanager
def serving(provider: Provider) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            reply = provider.take(self.path, dict(self.headers.items()), body)
            if reply is None:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # as many as connect at once in any test

        def handle_error(self, *_: object) -> None:
            """A receiver that is killed breaks off in the middle of a request."""

    with Quiet(("127.0.0.1", 0), Handler) as server:
        provider.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
