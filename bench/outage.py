"""Every channel is down while an hour of a storm comes: what piles up, whether webhooks are taken, and the way back.

    python -m bench.outage

Five new incidents a second for an hour are 18,000; every third of them is critical. Two webhook channels are down: at
the address of one nobody listens, the other takes what is sent and never answers. The hour's webhooks come as fast as
they are taken, so the limit of a storm runs faster too: ten messages a second instead of ten a minute, and
all that is critical.

When all are decided, the channels stay down for ten seconds more, while webhooks are sent one after the other and their
answers timed, beside the attempts that fail. Then both channels take messages, and the time runs until each was told of
every critical incident, by a message of its own, and then until each was told of all, the others in digests of 100.
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
from typing import Any, cast

import uvloop

from bench.intake import to_tocsin
from bench.load import Load, answered, run_ahead, run_load
from bench.servers import free_port, metric, peak_resident_bytes, receiver, resident_bytes, until_decided

INCIDENTS = 18_000
CRITICAL = INCIDENTS // 3
CONNECTIONS = 16
AHEAD = 4
DOWN_SECONDS = 10.0
TOLD_SECONDS_MAX = 90.0
GOAL_WEBHOOK_SECONDS = 0.5
GOAL_CRITICAL_SECONDS = 45.0
GOAL_TOLD_SECONDS = 60.0
BYTES_FOR_AN_INCIDENT = 10_000
DISK_BYTES_FOR_AN_INCIDENT = 15_000
CHANNELS = ("closed", "hanging")
POLICY = """
channels:
  closed: {{type: webhook, url: 'http://127.0.0.1:{closed}/'}}
  hanging: {{type: webhook, url: 'http://127.0.0.1:{hanging}/'}}
escalations: {{tell: {{stages: [{{delay: 0s, notify: [closed, hanging]}}]}}}}
routes: [{{escalation: tell}}]
storms: {{per_channel: {{limit: 10, per: 1s}}}}
"""


@dataclass
class Told:
    """Of which incidents a channel heard, and when of the last one, and of the last critical one."""

    of: set[str] = field(default_factory=set)
    critical_at: float = 0.0
    last_at: float = 0.0

    def note(self, document: dict[str, Any]) -> None:
        for incident in document["incidents"] or [document["incident"]]:
            if incident["id"] not in self.of:
                self.of.add(incident["id"])
                self.last_at = time.perf_counter()
                if incident["severity"] == "critical":
                    self.critical_at = self.last_at


class Sink(asyncio.Protocol):
    """Takes messages, and notes of which incidents they tell; while it hangs, it answers nothing."""

    def __init__(self, told: Told, works: threading.Event) -> None:
        self._told = told
        self._works = works
        self._left = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its class

    def data_received(self, data: bytes) -> None:
        self._left += data
        while (body := answered(self._left)) is not None:
            self._left = self._left[self._left.index(b"\r\n\r\n") + 4 + len(body) :]
            if self._works.is_set():
                document = json.loads(body)
                self._told.note(document)
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@contextmanager
def listening(port: int, told: Told, works: threading.Event) -> Iterator[None]:
    """Somebody is there, in a thread of its own."""
    loop = uvloop.new_event_loop()
    server = loop.run_until_complete(loop.create_server(partial(Sink, told, works), "127.0.0.1", port))
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


@dataclass
class Found:
    storm: Load
    owed: int
    held: int
    before: int
    peak: int = 0
    disk: int = 0
    meanwhile: Load = field(default_factory=Load)
    attempts: float = 0.0  # that failed, per second, meanwhile
    told: dict[str, int] = field(default_factory=dict)
    critical_seconds: float = 0.0
    seconds: float = 0.0


def measure() -> Found:
    ports = {name: free_port() for name in CHANNELS}
    told = {name: Told() for name in CHANNELS}
    works = threading.Event()
    with (
        tempfile.TemporaryDirectory() as name,
        listening(ports["hanging"], told["hanging"], works),
        receiver(Path(name), POLICY.format(**ports)) as (port, process),
    ):
        requests = to_tocsin(1, port, alerts_in_all=INCIDENTS)
        before = resident_bytes(process)
        another = partial(next, iter(requests), None)
        storm = run_ahead(another, port=port, connections=CONNECTIONS, ahead=AHEAD, seconds_max=60)
        until_decided(port)
        owed, held = metric(port, "tocsin_receiver_messages_owed"), metric(port, "tocsin_receiver_messages_held")
        found = Found(storm, int(owed), int(held), before)
        failed = metric(port, "tocsin_receiver_delivery_failures_total")
        found.meanwhile = run_load(requests, port=port, connections=1, seconds=DOWN_SECONDS)
        failed = metric(port, "tocsin_receiver_delivery_failures_total") - failed
        found.attempts = failed / found.meanwhile.seconds
        found.peak = peak_resident_bytes(process)
        found.disk = sum(each.stat().st_size for each in Path(name).glob("receiver.db*"))
        works.set()
        with listening(ports["closed"], told["closed"], works):
            began = time.perf_counter()
            while time.perf_counter() < began + TOLD_SECONDS_MAX and any(
                len(each.of) < INCIDENTS for each in told.values()
            ):
                time.sleep(0.05)
            found.told = {name: len(each.of) for name, each in told.items()}
            found.critical_seconds = max(each.critical_at for each in told.values()) - began
            found.seconds = max(each.last_at for each in told.values()) - began
    return found


def rows(found: Found) -> list[tuple[str, str, str]]:
    otherwise = sum(
        count for load in (found.storm, found.meanwhile) for status, count in load.answers.items() if status != 200
    )
    meanwhile, bound = found.meanwhile.latency(0.99), found.before + INCIDENTS * BYTES_FOR_AN_INCIDENT
    return [
        ("webhooks of the hour, taken in", f"{INCIDENTS:,} in {found.storm.seconds:.1f} s", ""),
        ("not answered 200", str(otherwise), "0"),
        ("messages owed / incidents held for digests then", f"{found.owed:,} / {found.held:,}", ""),
        ("resident before / at most", f"{found.before / 1e6:,.0f} / {found.peak / 1e6:,.0f} MB",
         f"≤ {bound / 1e6:,.0f} MB"),
        ("on disk", f"{found.disk / 1e6:,.0f} MB", f"≤ {INCIDENTS * DISK_BYTES_FOR_AN_INCIDENT / 1e6:,.0f} MB"),
        ("attempts that fail, a second", f"{found.attempts:.1f}", ""),
        ("a webhook meanwhile, p99", f"{meanwhile * 1000:.0f} ms", f"< {GOAL_WEBHOOK_SECONDS * 1000:.0f} ms"),
        *((f"incidents of which `{name}` was told", f"{count:,} of {INCIDENTS:,}", "all")
          for name, count in found.told.items()),
        (f"the channels are back, until both were told of the {CRITICAL:,} critical ones",
         f"{found.critical_seconds:.1f} s", f"< {GOAL_CRITICAL_SECONDS:g} s"),
        ("and of all", f"{found.seconds:.1f} s", f"< {GOAL_TOLD_SECONDS:g} s"),
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> str:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args(
        arguments
    )
    return "\n".join(["| | found | goal |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows(measure()))])


if __name__ == "__main__":
    print(main())
