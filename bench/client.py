"""What one line of code costs an application, also when the exporter does not answer.

    python -m bench.client [--events=15000] [--rounds=5]

`tocsin.event` is called with the five fields of a request: with an exporter that takes them, with none at its address,
and with one that accepts connections and never answers. Beside it, in turns, `logging` writes the same to a file,
as an application would do otherwise. A request through the middleware is two events, and identifiers. Each round is a
process of its own; the table has the least, the middle and the most.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.servers import free_port, running

FIELDS = "method='GET', route='/cart/{id}', status=200, duration_seconds=0.0123, started=True"
TIMED = f"""
import time
count = int(COUNT)
say({FIELDS})
began = time.perf_counter()
for _ in range(count):
    say({FIELDS})
print((time.perf_counter() - began) / count * 1e6)
"""
EVENT = "import tocsin\ndef say(**fields):\n    tocsin.event('http_request', **fields)\n"
LOGGING = """
import logging, sys
logging.basicConfig(filename=sys.argv[1], level='INFO')
def say(**fields):
    logging.info('http_request %s', fields)
"""
ASGI = """
from tocsin.asgi import Middleware
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
async def nothing(*_):
    pass
ours = Middleware(app)
def say(**_):
    call = ours({"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"shop")]}, nothing, nothing)
    try:
        call.send(None)
    except StopIteration:
        pass
"""
WSGI = """
from tocsin.wsgi import Middleware
def app(environ, start_response):
    start_response("200 OK", [])
    return [b""]
ours = Middleware(app)
def say(**_):
    answer = ours({"REQUEST_METHOD": "GET", "wsgi.url_scheme": "http"}, lambda *_: None)
    list(answer)
    answer.close()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Microseconds a call of tocsin.event.")
    parser.add_argument("--events", type=int, default=15_000, help="calls in a round; no more than fit into the queue")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "exporter", f"--web.listen-address=127.0.0.1:{port}"]
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, ready=f"http://127.0.0.1:{port}/-/ready", folder=Path(folder)),
        socket.create_server(("127.0.0.1", 0)) as mute,
    ):
        places = {"taken": port, "nobody there": free_port(), "never answered": mute.getsockname()[1]}
        found: dict[str, list[float]] = {}
        for _ in range(arguments.rounds):
            found.setdefault("`logging` to a file", []).append(timed(LOGGING, arguments.events, f"{folder}/log"))
            for title, place in places.items():
                found.setdefault(f"`tocsin.event`, {title}", []).append(
                    timed(EVENT, arguments.events, TOCSIN_EVENTS_URL=f"http://127.0.0.1:{place}/events")
                )
            for title, program in {"ASGI": ASGI, "WSGI": WSGI}.items():
                found.setdefault(f"a request through the {title} middleware, taken", []).append(
                    timed(program, arguments.events // 2, TOCSIN_EVENTS_URL=f"http://127.0.0.1:{port}/events")
                )
    print(f"Five fields; {arguments.rounds} rounds of {arguments.events:,} calls.\n")
    print("| µs a call | least | middle | most |\n|---|---|---|---|")
    for title, times in found.items():
        print(f"| {title} | {min(times):.1f} | {statistics.median(times):.1f} | {max(times):.1f} |")
    return 0


def timed(program: str, count: int, *arguments: str, **environ: str) -> float:
    written = program + TIMED.replace("COUNT", str(count))
    done = subprocess.run(
        [sys.executable, "-c", written, *arguments],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
