"""Events over HTTP, and what they cost the exporter.

    python -m bench.events [--seconds=1] [--rounds=5]

Requests of a site as events of 187 bytes, with fields that nobody asks for, are posted to `POST /events` over two kept
connections, in bodies of 1, 10 and 1,000, plain and gzip. There is no peer for it; beside it stands what it costs this
machine to decode the same lines into dictionaries, and nothing else. Each event is checked, redacted, mapped and
counted on two pages. Then somebody asks `/-/healthy` again and again while bodies of 15 MB are taken.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import msgspec

from bench.scrape import cpu_seconds, spread
from bench.servers import free_port, running
from exporter.control import Plan
from exporter.detecting import Detecting
from exporter.detection import Detection
from exporter.mapping.bundled import RULES
from exporter.pipeline import Pipeline
from exporter.redaction import Redaction

SIZES = (1, 10, 1_000)
CONNECTIONS = 2
BODIES = 20
GOAL_EVENTS = 200_000
GOAL_MICROSECONDS = 50
LOGIN = b"""{"event":"auth","source":"shop","method":"password","outcome":"failed","ip":"192.0.%d.%d","user":"u%d"}"""
# From so many addresses, by as many people: none of them fails often.
LOGINS = 600
LARGE_EVENTS = 80_000
GOAL_HEALTHY_MILLISECONDS = 50


def main() -> int:
    parser = argparse.ArgumentParser(description="Events a second over HTTP.")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "exporter", f"--web.listen-address=127.0.0.1:{port}", "--log.level=warning"]
    chance = random.Random(6)
    with (
        tempfile.TemporaryDirectory() as folder,
        running(command, ready=f"http://127.0.0.1:{port}/-/ready", folder=Path(folder)) as process,
    ):
        print("| | events a second (min / median / max) | CPU of the exporter, µs an event | only decoded, µs | goal |")
        print("|---|---|---|---|---|")
        for size in SIZES:
            bodies = [lines(size, chance) for _ in range(BODIES)]
            decoded = decoding(bodies, size)
            for name, sent in (("plain", bodies), ("gzip", [gzip.compress(each, 6) for each in bodies])):
                requests = [request(each, compressed=name == "gzip") for each in sent]
                rates, costs = [], []
                for _ in range(arguments.rounds):
                    before = cpu_seconds(process.pid)
                    events, seconds = flood(port, requests, size, arguments.seconds)
                    rates.append(events / seconds)
                    costs.append((cpu_seconds(process.pid) - before) / events * 1e6)
                goal = f"≥ {GOAL_EVENTS:,}" if size == max(SIZES) else ""
                title = f"{size:,} in a body, {name}"
                print(f"| {title} | {whole(rates)} | {spread(costs)} | {decoded:.2f} | {goal} |", flush=True)
        waits = beside(
            port, request(lines(LARGE_EVENTS, chance), compressed=False), arguments.seconds * arguments.rounds
        )
    requests = [lines(1, chance)]
    with_detectors, without = handling(requests), handling(requests, detectors=False)
    logins = [LOGIN % (number // 250, number % 250, number) for number in range(LOGINS)]
    login, login_without = handling(logins), handling(logins, detectors=False)
    attack = handling(logins[:1])
    print(
        f"\nOne event alone, without HTTP, with all detectors: {with_detectors:.1f} µs, goal ≤ {GOAL_MICROSECONDS} µs"
        f" ({without:.1f} µs without detectors).\nA login that failed, at which most of them look: {login:.1f} µs"
        f" ({login_without:.1f} µs without); of an attack that has been found already, {attack:.1f} µs."
    )
    ninety_nine = statistics.quantiles(waits, n=100)[98]
    print(
        f"`/-/healthy` beside bodies of {LARGE_EVENTS:,} events: {len(waits)} answers, median"
        f" {statistics.median(waits):.1f} ms, 99 of 100 within {ninety_nine:.1f} ms, the longest {max(waits):.1f} ms;"
        f" goal < {GOAL_HEALTHY_MILLISECONDS} ms."
    )
    return 0


def lines(count: int, chance: random.Random) -> bytes:
    return b"\n".join(
        json.dumps(
            {
                "event": "http_request",
                "source": "shop",
                "method": chance.choice(("GET", "GET", "POST")),
                "route": chance.choice(("/", "/items", "/items/{id}", "/cart", "/login")),
                "status": chance.choice((200, 200, 200, 201, 404, 500)),
                "duration_seconds": round(chance.expovariate(20), 4),
                "ip": "192.0.2.7",
                "user": "ana@example.org",
                "agent": "Mozilla/5.0 (X11; Linux)",
            },
            separators=(",", ":"),
        ).encode()
        for _ in range(count)
    )


def request(body: bytes, *, compressed: bool) -> bytes:
    encoding = b"Content-Encoding: gzip\r\n" if compressed else b""
    return b"POST /events HTTP/1.1\r\nHost: bench\r\n%bContent-Length: %d\r\n\r\n%b" % (encoding, len(body), body)


def flood(port: int, requests: Sequence[bytes], size: int, seconds: float) -> tuple[int, float]:
    """How many events were accepted, and in which time."""
    accepted: list[int] = []

    def post() -> None:
        count = 0
        with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
            for each in cycle(requests):
                connection.sendall(each)
                if not answered(connection).startswith(b"HTTP/1.1 202"):
                    raise RuntimeError("the exporter did not accept the events")
                count += size
                if time.perf_counter() >= end:
                    break
        accepted.append(count)

    began = time.perf_counter()
    end = began + seconds
    senders = [threading.Thread(target=post) for _ in range(CONNECTIONS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    if len(accepted) != CONNECTIONS:
        raise RuntimeError("a connection failed")
    return sum(accepted), time.perf_counter() - began


def answered(connection: socket.socket) -> bytes:
    """One whole answer; those of these doors are small."""
    data = b""
    while True:
        head, end, body = data.partition(b"\r\n\r\n")
        if end and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return data
        part = connection.recv(65_536)
        if not part:
            raise RuntimeError("the exporter closed the connection")
        data += part


def decoding(bodies: Sequence[bytes], size: int) -> float:
    """The least of many, in µs an event."""
    decode = msgspec.json.Decoder().decode_lines
    return min(timed(partial(decode, body)) for body in bodies * 5) / size * 1e6


def handling(lines: Sequence[bytes], *, detectors: bool = True) -> float:
    """One event after the other, each alone, as the exporter takes it, up to the detectors; the median in µs."""
    detection = Detection(told=lambda _: None)
    if detectors:
        Detecting(detection).prepare(Plan((), 8.0))()
    pipeline = Pipeline(RULES, redact=Redaction(seen=lambda _: None).redact, views=(detection,))
    taken = islice(cycle(lines), 3_000)
    return statistics.median(timed(partial(pipeline.lines, line, now=time.time())) for line in taken) * 1e6


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def beside(port: int, large: bytes, seconds: float) -> list[float]:
    """How long each answer of `/-/healthy` took while large bodies were taken, in milliseconds."""
    waits: list[float] = []
    sender = threading.Thread(target=flood, args=(port, [large], LARGE_EVENTS, seconds))
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        sender.start()
        while sender.is_alive():
            began = time.perf_counter()
            connection.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: bench\r\n\r\n")
            answered(connection)
            waits.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
        sender.join()
    return waits


def whole(values: Sequence[float]) -> str:
    return " / ".join(f"{of(values):,.0f}" for of in (min, statistics.median, max))


if __name__ == "__main__":
    raise SystemExit(main())
