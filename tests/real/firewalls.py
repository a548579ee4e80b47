"""An exporter's door with a blocklist, played: it answers as one does, and as none should; and the script that asks."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from exporter.reputation.formats import pieces
from tests.pages import ROOT
from tests.real.servers import environment

FOLDER = ROOT / "deploy" / "blocklist"
FETCH = str(FOLDER / "tocsin-blocklist")


class Blocked(NamedTuple):
    address: str
    until: float


class Exporter:
    """Somebody who answers as an exporter does, and as none should."""

    def __init__(self) -> None:
        self.blocked: list[Blocked] = []
        self.status = 200
        self.left_out = 0  # so many bytes at the end of a text never come
        self.instead = b""
        self.asked_by: list[str | None] = []
        self.url = ""

    def block(self, *networks: str, seconds: float = 900) -> None:
        self.blocked = [Blocked(each, time.time() + seconds) for each in networks]

    def answer(self, path: str) -> bytes:
        name = path.partition("/blocklist?format=")[2]
        return self.instead or "".join(pieces(name, self.blocked, now=time.time())).encode()


@contextmanager
def answering() -> Iterator[Exporter]:
    standing = Exporter()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            standing.asked_by.append(self.headers["Authorization"])
            body = standing.answer(self.path)
            self.send_response(standing.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) - standing.left_out])

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as standing.url:
        yield standing


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def fetch(exporter: Exporter, *arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FETCH, *map(str, arguments)],
        env=environment(TOCSIN_URL=exporter.url, **more),
        capture_output=True,
        text=True,
        timeout=60,
    )
