"""Alerts accepted per second, each on disk before its answer, against Alertmanager's own intake in memory.

    python -m bench.intake [--seconds=4] [--rounds=3]

The same alerts in the same sizes: to Alertmanager as POST /api/v2/alerts, to Tocsin as the webhook that it would
send. First each alert is new: of every request Tocsin makes an incident with its story, and Alertmanager a line in
memory. Then the same alerts go round and round, which is most of what either ever sees.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import NamedTuple

from bench.load import Load, post, run_load, send_all, spread
from bench.servers import alertmanager, receiver, until_decided
from receiver.alert import fingerprint_of

ALERTS = {1: 20_000, 10: 40_000, 100: 100_000}
SIZES = tuple(ALERTS)
CONNECTIONS = 64
GOALS = {1: 0.6, 10: 1.0, 100: 1.5}
# Shown, and nobody is told: the intake and the deciding are measured, not a sink.
POLICY = "routes: [{}]\n"


def labels_of(number: int) -> dict[str, str]:
    return {
        "alertname": f"HighErrorRate{number % 50}",
        "group": str(number // 100),
        "instance": f"10.0.{number // 250}.{number % 250}:9100",
        "job": "node",
        "severity": ("critical", "warning", "info")[number % 3],
        "service": f"shop{number % 40}",
    }


def annotations_of(number: int) -> dict[str, str]:
    return {"summary": f"Too many errors on shop{number % 40}", "description": "More than 10 % of all requests fail."}


def to_alertmanager(size: int, port: int, *, alerts_in_all: int) -> list[bytes]:
    requests = []
    for first in range(0, alerts_in_all, size):
        alerts = [
            {
                "labels": labels_of(number),
                "annotations": annotations_of(number),
                "startsAt": "2026-11-21T08:00:00.000Z",
                "endsAt": "2036-11-21T08:00:00.000Z",
                "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
            }
            for number in range(first, first + size)
        ]
        requests.append(post("/api/v2/alerts", json.dumps(alerts).encode(), f"127.0.0.1:{port}"))
    return requests


def to_tocsin(size: int, port: int, *, alerts_in_all: int) -> list[bytes]:
    requests = []
    for first in range(0, alerts_in_all, size):
        alerts = [
            {
                "status": "firing",
                "labels": labels_of(number),
                "annotations": annotations_of(number),
                "startsAt": "2026-11-21T08:00:00.000Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
                "fingerprint": fingerprint_of(labels_of(number)),
            }
            for number in range(first, first + size)
        ]
        body = {
            "version": "4", "groupKey": f'{{}}:{{group="{first}"}}', "truncatedAlerts": 0, "receiver": "tocsin",
            "status": "firing", "groupLabels": {"group": str(first)}, "commonLabels": {}, "commonAnnotations": {},
            "externalURL": "http://alertmanager:9093", "alerts": alerts,
        }  # fmt: skip
        requests.append(post("/webhook/bench", json.dumps(body).encode(), f"127.0.0.1:{port}"))
    return requests


class Phases(NamedTuple):
    """What one program did: with alerts that it never saw, and then with those that it has."""

    new: Load
    repeated: Load


def measure(requests: list[bytes], port: int, seconds: float, *, settle: Callable[[int], None]) -> Phases:
    new = run_load(requests, port=port, connections=CONNECTIONS, seconds=seconds, once=True)
    send_all(requests, port=port)
    settle(port)
    return Phases(new, run_load(requests, port=port, connections=CONNECTIONS, seconds=seconds))


def pair(size: int, seconds: float) -> tuple[Phases, Phases]:
    """Both, one after the other, each started fresh."""
    with tempfile.TemporaryDirectory() as folder, alertmanager(Path(folder)) as (port, _):
        requests = to_alertmanager(size, port, alerts_in_all=ALERTS[size])
        theirs = measure(requests, port, seconds, settle=lambda _: None)
    with tempfile.TemporaryDirectory() as folder, receiver(Path(folder), POLICY) as (port, _):
        requests = to_tocsin(size, port, alerts_in_all=ALERTS[size])
        ours = measure(requests, port, seconds, settle=until_decided)
    return ours, theirs


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--seconds", type=float, default=4.0)
    command.add_argument("--rounds", type=int, default=3)
    chosen = command.parse_args(arguments)
    head: tuple[str, ...] = (
        "alerts a request",
        "they are",
        "Tocsin, alerts/s (min / median / max)",
        "Alertmanager, alerts/s",
        "ratio of medians",
    )
    head = (*head, "goal", "Tocsin p99", "not answered 200")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for size in SIZES:
        pairs = [pair(size, chosen.seconds) for _ in range(chosen.rounds)]
        for number, phase in enumerate(Phases._fields):
            ours, theirs = [each[0][number] for each in pairs], [each[1][number] for each in pairs]
            lines.append(_line(size, phase, ours, theirs))
            print(lines[-1], file=sys.stderr, flush=True)  # it takes a while
    return "\n".join(lines)


def _line(size: int, phase: str, ours: list[Load], theirs: list[Load]) -> str:
    mine, peers = [load.rate() * size for load in ours], [load.rate() * size for load in theirs]
    failed = sum(count for load in ours for status, count in load.answers.items() if status != 200)
    p99 = median(load.latency(0.99) for load in ours) * 1000
    return (
        f"| {size} | {phase} | {spread(mine)} | {spread(peers)} | {median(mine) / median(peers):.2f} | ≥ {GOALS[size]}"
        f" | {p99:.1f} ms | {failed} |"
    )


if __name__ == "__main__":
    print(main())
