"""kill -9 with 100,000 active alerts: how long until it is ready again, and what is left of them.

    python -m bench.restart [--rounds=5]

100,000 alerts in 1,000 groups are sent to Tocsin and to Alertmanager. Then each is killed and started again, round
after round, on the same folder. Ready is when `/-/ready` answers 200, from the start of the process, Python's
included: by then Tocsin has its whole state, which is counted in its metrics.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from subprocess import Popen

from bench.intake import POLICY, to_alertmanager, to_tocsin
from bench.load import send_all, spread
from bench.servers import alertmanager, metric, receiver, until_decided

ALERTS = 100_000
SIZE = 100
GOAL_SECONDS = 1.5
Started = AbstractContextManager[tuple[int, "Popen[bytes]"]]


def restarts(start: Callable[[], Started], *, count: Callable[[int], int], rounds: int) -> tuple[list[float], int]:
    """Seconds until it was ready, each time, and the fewest alerts that it then had."""
    seconds, alerts = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        with start() as (port, process):
            seconds.append(time.perf_counter() - began)
            alerts.append(count(port))
            _kill(process)
    return seconds, min(alerts)


def ours(rounds: int) -> tuple[list[float], int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with receiver(folder, POLICY) as (port, process):
            send_all(to_tocsin(SIZE, port, alerts_in_all=ALERTS), port=port)
            until_decided(port)
            _kill(process)
        return restarts(
            lambda: receiver(folder, POLICY),
            count=lambda port: int(metric(port, "tocsin_receiver_alerts_active")),
            rounds=rounds,
        )


def theirs(rounds: int) -> tuple[list[float], int]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with alertmanager(folder) as (port, process):
            send_all(to_alertmanager(SIZE, port, alerts_in_all=ALERTS), port=port)
            _kill(process)
        return restarts(lambda: alertmanager(folder), count=_count_of_alertmanager, rounds=rounds)


def _count_of_alertmanager(port: int) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v2/alerts", timeout=60) as answer:
        return len(json.load(answer))


def _kill(process: Popen[bytes]) -> None:
    process.kill()
    process.wait()


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--rounds", type=int, default=5)
    chosen = command.parse_args(arguments)
    lines = ["| | seconds until ready (min / median / max) | goal | alerts then |", "|---|---|---|---|"]
    for name, measure, goal in (("Tocsin", ours, f"< {GOAL_SECONDS:g}"), ("Alertmanager", theirs, "")):
        seconds, alerts = measure(chosen.rounds)
        lines.append(f"| {name} | {spread(seconds, 2)} | {goal} | {alerts:,} of {ALERTS:,} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(main())
