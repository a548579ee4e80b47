"""Memory per active alert, beside Alertmanager with the same alerts.

    python -m bench.memory [--rounds=3]

100,000 alerts in 1,000 groups are sent to each, fresh in each round. What is resident then, less what was resident
before the first of them, is divided by the alerts. For Tocsin all of it is decided before it is read.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from bench.intake import POLICY, to_alertmanager, to_tocsin
from bench.load import send_all, spread
from bench.servers import alertmanager, receiver, resident_bytes, until_decided

ALERTS = 100_000
SIZE = 100
GOAL_KILOBYTES = 1.5


def ours() -> float:
    with tempfile.TemporaryDirectory() as folder, receiver(Path(folder), POLICY) as (port, process):
        requests = to_tocsin(SIZE, port, alerts_in_all=ALERTS)
        before = resident_bytes(process)
        send_all(requests, port=port)
        until_decided(port)
        return (resident_bytes(process) - before) / ALERTS / 1000


def theirs() -> float:
    with tempfile.TemporaryDirectory() as folder, alertmanager(Path(folder)) as (port, process):
        requests = to_alertmanager(SIZE, port, alerts_in_all=ALERTS)
        before = resident_bytes(process)
        send_all(requests, port=port)
        return (resident_bytes(process) - before) / ALERTS / 1000


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--rounds", type=int, default=3)
    chosen = command.parse_args(arguments)
    pairs = [(ours(), theirs()) for _ in range(chosen.rounds)]
    tocsin, peer = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return "\n".join(
        [
            "| | KB for each of 100,000 active alerts (min / median / max) | goal |",
            "|---|---|---|",
            f"| Tocsin | {spread(tocsin, 2)} | ≤ {GOAL_KILOBYTES:g} |",
            f"| Alertmanager | {spread(peer, 2)} | |",
            f"| ratio of medians | {median(tocsin) / median(peer):.2f} | |",
        ]
    )


if __name__ == "__main__":
    print(main())
