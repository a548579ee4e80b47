"""More webhooks than can be decided: whether what is too much is refused early, and nothing that was taken is lost.

    python -m bench.overload [--seconds=8]

64 connections send bodies of 1,000 alerts each, four ahead of the answers, every alert new, and at a 503 the next at
once: no sender is so rude. One such body is parsed and written sooner than it is decided, so the pile grows until the
receiver says 503. Then the load ends, and a small webhook is sent every 10 ms until it is answered 200. Then the
receiver is killed with -9, with what is piled up, and started again: the alerts that it has are counted against those
that were answered 200.

The time of an answer runs from when its request was sent and everything before it on its connection was answered. The
bound on memory is 2 KB for each alert that is known; six bytes for each byte that may wait, since a body waits together
with what was parsed from it; and twice what can arrive at a time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.intake import CONNECTIONS, POLICY, annotations_of, labels_of, to_tocsin
from bench.load import Load, post, run_ahead, send_all
from bench.servers import metric, peak_resident_bytes, receiver, resident_bytes
from receiver.runner import UNDECIDED_BYTES_MAX

SIZE = 1_000
AHEAD = 4
PROBE_SECONDS = 0.01
GOAL_REFUSED_SECONDS = 1.0
GOAL_RECOVERED_SECONDS = 1.0
BYTES_FOR_AN_ALERT = 2_000
BYTES_FOR_A_BYTE = 6
_NUMBER = b"@@number"


@dataclass
class Found:
    load: Load = field(default_factory=Load)
    recovered: float = 0.0
    kept: int = 0
    restarted: float = 0.0
    body_bytes: int = 0
    before: int = 0
    peak: int = 0

    @property
    def accepted(self) -> int:
        """Alerts."""
        return self.load.answers.get(200, 0) * SIZE

    @property
    def bound(self) -> int:
        waiting = UNDECIDED_BYTES_MAX * BYTES_FOR_A_BYTE
        return self.before + self.accepted * BYTES_FOR_AN_ALERT + waiting + 2 * CONNECTIONS * self.body_bytes


def template(port: int) -> bytes:
    """A webhook; what takes the place of its number, of as many characters, makes each of its alerts a new one."""
    number = _NUMBER.decode()
    alerts = [
        {
            "status": "firing",
            "labels": {**labels_of(each), "group": number},
            "annotations": annotations_of(each),
            "startsAt": "2026-11-21T08:00:00.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
            "fingerprint": f"{number}{each:08x}",
        }
        for each in range(SIZE)
    ]
    body = {
        "version": "4", "groupKey": f'{{}}:{{group="{number}"}}', "truncatedAlerts": 0, "receiver": "tocsin",
        "status": "firing", "groupLabels": {"group": number}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093", "alerts": alerts,
    }  # fmt: skip
    return post("/webhook/bench", json.dumps(body).encode(), f"127.0.0.1:{port}")


def overload(found: Found, *, port: int, seconds: float) -> None:
    request, sent, end = template(port), itertools.count(), time.perf_counter() + seconds
    found.body_bytes = len(request)

    def another() -> bytes | None:
        return request.replace(_NUMBER, f"{next(sent):08x}".encode()) if time.perf_counter() < end else None

    found.load = run_ahead(another, port=port, connections=CONNECTIONS, ahead=AHEAD, seconds_max=seconds + 60)


def until_taken(port: int) -> float:
    """Seconds until a small webhook is answered 200."""
    began = time.perf_counter()
    request = to_tocsin(1, port, alerts_in_all=1)
    while True:
        try:
            send_all(request, port=port)
        except RuntimeError:  # answered 503
            time.sleep(PROBE_SECONDS)
        else:
            return time.perf_counter() - began


def measure(seconds: float) -> Found:
    found = Found()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with receiver(folder, POLICY) as (port, process):
            found.before = resident_bytes(process)
            overload(found, port=port, seconds=seconds)
            found.recovered = until_taken(port)
            found.peak = peak_resident_bytes(process)
            process.kill()
            process.wait()
        began = time.perf_counter()
        with receiver(folder, POLICY) as (port, _):
            found.restarted = time.perf_counter() - began
            found.kept = int(metric(port, "tocsin_receiver_alerts_active")) - 1  # the small one
    return found


def rows(found: Found) -> list[tuple[str, str, str]]:
    load = found.load
    refused = load.answers.get(503, 0)
    others = {status: count for status, count in load.answers.items() if status not in (200, 503)}
    p99 = load.latency(0.99, 503)
    return [
        ("sent", f"{sum(load.answers.values()) * SIZE / load.seconds:,.0f} alerts/s for {load.seconds:.1f} s", ""),
        ("answered 200, on disk", f"{found.accepted / load.seconds:,.0f} alerts/s", ""),
        ("refused with 503 and `Retry-After`", f"{refused:,} bodies", "> 0"),
        ("answered otherwise", f"{sum(others.values()) + load.no_retry_after}", "0"),
        ("a refusal, p50 / p99", f"{load.latency(0.5, 503):.2f} / {p99:.2f} s", f"< {GOAL_REFUSED_SECONDS:g} s"),
        ("the load ends, until 200 again", f"{found.recovered:.2f} s", f"< {GOAL_RECOVERED_SECONDS:g} s"),
        ("alerts that are there after kill -9", f"{found.kept:,} of {found.accepted:,}", "all"),
        ("until it is ready then, with what was piled up", f"{found.restarted:.1f} s", ""),
        ("resident before / at most", f"{found.before / 1e6:,.0f} / {found.peak / 1e6:,.0f} MB",
         f"≤ {found.bound / 1e6:,.0f} MB"),
    ]  # fmt: skip


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--seconds", type=float, default=8.0)
    chosen = command.parse_args(arguments)
    found = measure(chosen.seconds)
    return "\n".join(["| | found | goal |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows(found))])


if __name__ == "__main__":
    print(main())
