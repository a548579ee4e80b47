"""One body of 20,000 alerts: how long until it is answered 200, and until it is decided.

    python -m bench.body [--rounds=5]

Alertmanager without `max_alerts` sends a group whole. Each round is a fresh receiver and one webhook of 20,000 alerts,
which are all new and become one incident.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from bench.intake import POLICY, to_tocsin
from bench.load import send_all, spread
from bench.servers import receiver, until_decided

ALERTS = 20_000
GOAL_SECONDS = 1.0


def measure() -> tuple[float, float, int]:
    with tempfile.TemporaryDirectory() as folder, receiver(Path(folder), POLICY) as (port, _):
        requests = to_tocsin(ALERTS, port, alerts_in_all=ALERTS)
        began = time.perf_counter()
        answered = send_all(requests, port=port)
        until_decided(port)
        return answered, time.perf_counter() - began, len(requests[0])


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--rounds", type=int, default=5)
    chosen = command.parse_args(arguments)
    rounds = [measure() for _ in range(chosen.rounds)]
    answered = spread([each[0] for each in rounds], 2)
    decided = spread([each[1] for each in rounds], 2)
    body = f"{ALERTS:,} alerts, {rounds[0][2] / 1e6:.1f} MB"
    return "\n".join(
        [
            "| body | what | seconds (min / median / max) | goal |",
            "|---|---|---|---|",
            f"| {body} | answered 200, on disk | {answered} | < {GOAL_SECONDS:g} |",
            f"| | decided | {decided} | |",
        ]
    )


if __name__ == "__main__":
    print(main())
