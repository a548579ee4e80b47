"""From a webhook to the first message about it, at a steady rate.

    python -m bench.latency [--seconds=8] [--rounds=3]

5,000 alerts a second: 50 webhooks of 100 alerts each, at even distances and whether or not those before were answered.
Every webhook is a new group, so that each opens an incident and owes one message to a webhook channel, which is
this program. The time runs from the moment at which a webhook should have left until its message is here, whole.

Then the same once more with two channels beside it, which are owed as much: one takes half a second for each answer, so
that it falls behind, and at the address of the other nobody listens.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

from bench.intake import to_tocsin
from bench.load import answered, spread
from bench.servers import free_port, receiver

ALERTS_A_SECOND = 5_000
SIZE = 100
GOAL_MILLISECONDS = 100
# After the last webhook; what is not here then is counted as missing.
PATIENCE_SECONDS = 10.0
SLOW_SECONDS = 0.5
ALONE, BESIDE = "here", "here, slow, dead"
POLICY = """
channels:
  here: {{type: webhook, url: 'http://127.0.0.1:{port}/'}}
  slow: {{type: webhook, url: 'http://127.0.0.1:{slow}/'}}
  dead: {{type: webhook, url: 'http://127.0.0.1:{dead}/'}}
escalations: {{tell: {{stages: [{{delay: 0s, notify: [{told}]}}]}}}}
routes: [{{escalation: tell}}]
storms: {{per_channel: {{limit: 10000, per: 1m}}}}
"""


class Sink(asyncio.Protocol):
    """Takes messages, and notes when that of each group came first."""

    def __init__(self, came: dict[str, float]) -> None:
        self._came = came
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (body := answered(self._left)) is not None:
            self._left = self._left[self._left.index(b"\r\n\r\n") + 4 + len(body) :]
            group = json.loads(body)["incident"]["labels"]["group"]
            self._came.setdefault(group, asyncio.get_running_loop().time())
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


class Slow(asyncio.Protocol):
    """Takes its time."""

    def __init__(self) -> None:
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # likewise

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (body := answered(self._left)) is not None:
            self._left = self._left[self._left.index(b"\r\n\r\n") + 4 + len(body) :]
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            asyncio.get_running_loop().call_later(SLOW_SECONDS, self._transport.write, answer)


async def run(requests: list[bytes], *, port: int, sink_port: int, slow_port: int) -> list[float]:
    """Seconds for each webhook whose message came."""
    loop = asyncio.get_running_loop()
    came: dict[str, float] = {}
    sink = await loop.create_server(partial(Sink, came), "127.0.0.1", sink_port)
    slow = await loop.create_server(Slow, "127.0.0.1", slow_port)
    connections = [await loop.create_connection(asyncio.Protocol, "127.0.0.1", port) for _ in range(16)]
    begin = loop.time() + 0.1
    due = [begin + number * SIZE / ALERTS_A_SECOND for number in range(len(requests))]
    for number, request in enumerate(requests):
        await asyncio.sleep(due[number] - loop.time())
        connections[number % len(connections)][0].write(request)
    while len(came) < len(requests) and loop.time() < due[-1] + PATIENCE_SECONDS:  # noqa: ASYNC110 - it may never be so
        await asyncio.sleep(0.01)
    for transport, _ in connections:
        transport.close()
    sink.close()
    slow.close()
    return [came[str(number)] - due[number] for number in range(len(requests)) if str(number) in came]


def measure(seconds: float, told: str) -> tuple[list[float], int]:
    """In milliseconds, the fastest first; and how many messages are missing."""
    sink_port, slow_port, dead_port = free_port(), free_port(), free_port()
    policy = POLICY.format(port=sink_port, slow=slow_port, dead=dead_port, told=told)
    with tempfile.TemporaryDirectory() as folder, receiver(Path(folder), policy) as (port, _):
        requests = to_tocsin(SIZE, port, alerts_in_all=int(seconds * ALERTS_A_SECOND))
        found = uvloop.run(run(requests, port=port, sink_port=sink_port, slow_port=slow_port))
    return sorted(each * 1000 for each in found), len(requests) - len(found)


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--seconds", type=float, default=8.0)
    command.add_argument("--rounds", type=int, default=3)
    chosen = command.parse_args(arguments)
    lines = [
        "| alerts/s | the channel is | | milliseconds (min / median / max of the rounds) | goal | missing |",
        "|---|---|---|---|---|---|",
    ]
    for how, told in (("alone", ALONE), ("beside a slow and a dead one", BESIDE)):
        rounds = [measure(chosen.seconds, told) for _ in range(chosen.rounds)]
        for name, share, goal in (("p50", 0.5, ""), ("p99", 0.99, f"< {GOAL_MILLISECONDS}"), ("most", 1.0, "")):
            values = [found[min(len(found) - 1, int(share * len(found)))] for found, _ in rounds]
            missing = sum(each for _, each in rounds)
            lines.append(f"| {ALERTS_A_SECOND:,} | {how} | {name} | {spread(values, 1)} | {goal} | {missing} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(main())
