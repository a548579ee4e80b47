"""What it costs to find personal data in what applications say, and in log lines.

    python -m bench.redaction [--rounds=7]

Each text is searched for the first time, as a value of a field that is new; then it comes again, as most do, and is
looked up. Hostile texts are of one thing repeated, at two lengths: time must grow as the text does. A request is a
batch of 1,000 events of the bundled kind `http_request` with a route that has identifiers in it, through the whole way.
The table has the least, the middle and the most, in time of the processor.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import statistics
import time
from collections.abc import Callable

from exporter.event import Memory
from exporter.mapping.bundled import RULES
from exporter.pipeline import Pipeline
from exporter.redaction import Redaction
from guard.log import set_up
from guard.redaction.text import redacted

TEXTS = {
    "a word": ("http_request", "method", "GET"),
    "a status": ("http_request", "status", "200"),
    "a route of words": ("http_request", "route", "/cart/{id}/items"),
    "a path with identifiers": (
        "http_request",
        "route",
        "/users/12345/orders/3f9a0c11-d2e4-4bd1-9b0a-0123456789ab?page=2",
    ),
    "a statement": ("db_query", "sql", "SELECT * FROM orders WHERE email = 'ana@example.org' AND id IN (1, 2, 3)"),
    "an e-mail address": ("any", "text", "ana.smith@example.org"),
    "an IPv6 address": ("any", "text", "2001:db8:1:2::3"),
    "a card": ("any", "text", "4111 1111 1111 1111"),
    "a sentence with two addresses": ("any", "text", "login of ana@example.org from 203.0.113.7 failed: token expired"),
    "an address of the user, masked": ("auth", "user", "ana@example.org"),
}
HOSTILE = ("a", "1", "@", "a@", "1.", "1 ", "01 ", "/1", "a:", "%25", "A1", "DE12 ", "password=")
SHORT, LONG = 1_000, 8_000
TIMES = 200
EVENTS = 1_000


def microseconds(work: Callable[[], object], times: int) -> float:
    before = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - before) / times * 1e6


def row(name: str, measured: list[float]) -> str:
    return f"| {name} | {min(measured):,.1f} | {statistics.median(measured):,.1f} | {max(measured):,.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = range(parser.parse_args().rounds)
    redaction = Redaction(seen=str)
    print("| µs | least | middle | most |\n|---|---|---|---|")
    for name, (kind, field, text) in TEXTS.items():
        redact = redaction.redact(kind, field)
        redact(text)
        print(row(f"{name}, for the first time", [microseconds(lambda: redact(text), TIMES) for _ in rounds]))  # noqa: B023
    memory = Memory(redaction.redact("any", "text"))
    text = TEXTS["a sentence with two addresses"][2]
    print(row("the same sentence again", [microseconds(lambda: memory[text], TIMES * 100) for _ in rounds]))
    for size in (SHORT, LONG):
        worst = [max(microseconds(lambda: redacted((part * size)[:size]), 1) for part in HOSTILE) for _ in rounds]  # noqa: B023
        print(row(f"the worst of {len(HOSTILE)} hostile texts of {size:,} characters", worst))
    print(row("a log line with an address in it", [log_line() for _ in rounds]))
    print(
        row(
            f"an event of {EVENTS:,}, each with another path, the whole way",
            [an_event("/users/{}/orders") for _ in rounds],
        )
    )
    print(
        row(f"an event of {EVENTS:,}, with the same path, the whole way", [an_event("/users/7/orders") for _ in rounds])
    )


def log_line() -> float:
    stream = io.StringIO()
    set_up(format="json", level="info", stream=stream)
    log = logging.getLogger("bench")
    return microseconds(
        lambda: log.warning("collector failed", extra={"error": "no answer from 203.0.113.7:5432"}), TIMES
    )


def an_event(path: str) -> float:
    pipeline = Pipeline(RULES, redact=Redaction(seen=str).redact)
    event = {"event": "http_request", "method": "GET", "status": 200, "duration_seconds": 0.1}
    lines = "\n".join(json.dumps({**event, "route": path.format(number)}) for number in range(EVENTS)).encode()
    pipeline.lines(lines.partition(b"\n")[0], now=0.0)
    return microseconds(lambda: pipeline.lines(lines, now=1.0), 1) / EVENTS


if __name__ == "__main__":
    main()
