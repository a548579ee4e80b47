"""10,000 messages are owed when a channel comes back: how fast they leave, and in which order.

    python -m bench.drain

At the address of one webhook channel nobody listens, while 2,500 incidents are opened, escalated twice and resolved:
each owes four messages. Then somebody listens there. The channel is down, so the receiver tries one message for all, at
the latest 15 seconds after the attempt before; the time runs from the first message that arrives to the last one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

from bench.intake import to_tocsin
from bench.load import answered, post, send_all
from bench.servers import free_port, metric, receiver, until_decided

INCIDENTS = 2_500
STEPS = 4  # messages about each: opened, escalated twice, resolved
MESSAGES = INCIDENTS * STEPS
PILING_SECONDS_MAX = 120.0
DRAIN_SECONDS_MAX = 120.0
POLICY = """
channels: {{here: {{type: webhook, url: 'http://127.0.0.1:{port}/'}}}}
escalations:
  tell: {{stages: [{{delay: 0s, notify: [here]}}, {{delay: 1s, notify: [here]}}, {{delay: 2s, notify: [here]}}]}}
routes: [{{escalation: tell}}]
storms: {{per_channel: {{limit: 0, per: 1m}}}}
"""


@dataclass
class Came:
    """Each message, in the order in which it came: its incident, and which step of that it tells."""

    steps: dict[str, list[int]] = field(default_factory=dict)
    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def note(self, identifier: str) -> None:
        incident, step, _ = identifier.partition("-")[2].rsplit("-", 2)
        self.steps.setdefault(incident, []).append(int(step))
        self.count += 1
        self.last_at = time.perf_counter()
        self.first_at = self.first_at or self.last_at

    def out_of_order(self) -> int:
        return sum(1 for steps in self.steps.values() if list(dict.fromkeys(steps)) != sorted(set(steps)))

    def twice(self) -> int:
        return self.count - sum(len(set(steps)) for steps in self.steps.values())


class Sink(asyncio.Protocol):
    def __init__(self, came: Came) -> None:
        self._came = came
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (body := answered(self._left)) is not None:
            self._left = self._left[self._left.index(b"\r\n\r\n") + 4 + len(body) :]
            self._came.note(json.loads(body)["id"])
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@contextmanager
def listening(port: int, came: Came) -> Iterator[None]:
    """Somebody is there, in a thread of its own."""
    loop = uvloop.new_event_loop()
    server = loop.run_until_complete(loop.create_server(partial(Sink, came), "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def over(request: bytes, port: int) -> bytes:
    """The same alerts, resolved."""
    body = json.loads(request.partition(b"\r\n\r\n")[2])
    body["status"] = "resolved"
    for alert in body["alerts"]:
        alert |= {"status": "resolved", "endsAt": "2026-11-21T09:00:00.000Z"}
    return post("/webhook/bench", json.dumps(body).encode(), f"127.0.0.1:{port}")


def until_owed(port: int, count: int) -> None:
    deadline = time.monotonic() + PILING_SECONDS_MAX
    while metric(port, "tocsin_receiver_messages_owed") < count:
        if time.monotonic() > deadline:
            raise RuntimeError(f"{metric(port, 'tocsin_receiver_messages_owed'):.0f} of {count} messages are owed")
        time.sleep(0.05)


def measure() -> tuple[Came, float, float]:
    """What came, after how many seconds the first one, and how many were owed then."""
    sink_port, came = free_port(), Came()
    with (
        tempfile.TemporaryDirectory() as folder,
        receiver(Path(folder), POLICY.format(port=sink_port)) as (port, _),
    ):
        requests = to_tocsin(1, port, alerts_in_all=INCIDENTS)
        send_all(requests, port=port)
        until_owed(port, INCIDENTS * (STEPS - 1))
        send_all([over(request, port) for request in requests], port=port)
        until_decided(port)
        owed = metric(port, "tocsin_receiver_messages_owed")
        began = time.perf_counter()
        with listening(sink_port, came):
            while came.count < MESSAGES and time.perf_counter() < began + DRAIN_SECONDS_MAX:
                time.sleep(0.02)
    return came, came.first_at - began, owed


def main(arguments: list[str] | None = None) -> str:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(
        arguments
    )
    came, waited, owed = measure()
    seconds = came.last_at - came.first_at
    rows = [
        ("messages owed when the channel is back", f"{owed:,.0f}", f"{MESSAGES:,}"),
        ("until the first one arrives", f"{waited:.1f} s", "< 15 s"),
        ("from the first to the last", f"{seconds:.1f} s ({came.count / seconds:,.0f} a second)", ""),
        ("arrived", f"{came.count:,}", f"{MESSAGES:,}"),
        ("twice", str(came.twice()), "0"),
        ("incidents whose messages came out of order", str(came.out_of_order()), "0"),
    ]
    return "\n".join(["| | found | goal |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    print(main())
