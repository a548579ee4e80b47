"""Alerts accepted per second, each on disk before its answer, against Alertmanager's own intake in memory.

    python -m bench.intake [--seconds=4] [--rounds=3]

The same alerts in the same sizes: to Alertmanager as POST /api/v2/alerts, to Tocsin as the webhook that it would
send. 20,000 different alerts go round and round: the first time they are new and open incidents, then repeats.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

from bench.load import Load, post, run_load, spread
from bench.servers import alertmanager, receiver
from receiver.alert import fingerprint_of

ALERTS = 20_000
SIZES = (1, 10, 100)
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


def to_alertmanager(size: int, port: int, *, alerts_in_all: int = ALERTS) -> list[bytes]:
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


def to_tocsin(size: int, port: int, *, alerts_in_all: int = ALERTS) -> list[bytes]:
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


def measure(size: int, seconds: float) -> tuple[Load, Load]:
    """Both, one after the other, each started fresh."""
    with tempfile.TemporaryDirectory() as folder, alertmanager(Path(folder)) as (port, _):
        theirs = run_load(to_alertmanager(size, port), port=port, connections=CONNECTIONS, seconds=seconds)
    with tempfile.TemporaryDirectory() as folder, receiver(Path(folder), POLICY) as (port, _):
        ours = run_load(to_tocsin(size, port), port=port, connections=CONNECTIONS, seconds=seconds)
    return ours, theirs


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--seconds", type=float, default=4.0)
    command.add_argument("--rounds", type=int, default=3)
    chosen = command.parse_args(arguments)
    head: tuple[str, ...] = (
        "alerts a request",
        "Tocsin, alerts/s (min / median / max)",
        "Alertmanager, alerts/s",
        "ratio of medians",
    )
    head = (*head, "goal", "Tocsin p99", "not answered 200")
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for size in SIZES:
        pairs = [measure(size, chosen.seconds) for _ in range(chosen.rounds)]
        ours = [pair[0].rate() * size for pair in pairs]
        theirs = [pair[1].rate() * size for pair in pairs]
        failed = sum(count for pair in pairs for status, count in pair[0].answers.items() if status != 200)
        p99 = median(pair[0].latency(0.99) for pair in pairs) * 1000
        lines.append(
            f"| {size} | {spread(ours)} | {spread(theirs)} | {median(ours) / median(theirs):.2f} | ≥ {GOALS[size]}"
            f" | {p99:.1f} ms | {failed} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)  # it takes a while
    return "\n".join(lines)


if __name__ == "__main__":
    print(main())
