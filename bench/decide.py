"""Alerts decided per second: the pure engine alone, without a disk and without a network.

    python -m bench.decide [--rounds=5]

Webhooks of 100 alerts each, parsed beforehand. First every alert is new, then every alert is repeated, then every
alert is over: the three things that most of a receiver's life consists of.
"""

from __future__ import annotations

import argparse
import time
from datetime import UTC, datetime, timedelta
from statistics import median

from bench.intake import POLICY, to_tocsin
from guard import configfile
from receiver.alert import parse
from receiver.engine import decide, policy_for
from receiver.entry import AlertsReceived, Entry, Fact, PolicyLoaded
from receiver.policy.freeze import policy_of
from receiver.settings import KIND
from receiver.state import State

BEGIN = datetime(2026, 11, 21, 8, tzinfo=UTC)
ALERTS = 20_000
GOAL = 100_000


def main(arguments: list[str] | None = None) -> str:
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--rounds", type=int, default=5)
    chosen = command.parse_args(arguments)
    bodies = [request.partition(b"\r\n\r\n")[2] for request in to_tocsin(100, 0, alerts_in_all=ALERTS)]
    over = [body.replace(b'"firing"', b'"resolved"').replace(b"0001-01-01", b"2026-11-22") for body in bodies]
    first = [_fact(body) for body in bodies]
    again = [_fact(body) for body in bodies]
    end = [_fact(body) for body in over]
    results: dict[str, list[float]] = {"new": [], "repeated": [], "resolved": []}
    for _ in range(chosen.rounds):
        state = State(journal="bench")
        policy = policy_of(configfile.read_text(POLICY, "receiver.yml", KIND, environ={}), digest="bench")
        _decide_all(state, [PolicyLoaded(policy)])
        for name, facts in (("new", first), ("repeated", again), ("resolved", end)):
            results[name].append(ALERTS / _decide_all(state, facts))
    lines = ["| what the alerts are | alerts/s (min / median / max) | goal |", "|---|---|---|"]
    for name, rates in results.items():
        lines.append(f"| {name} | {min(rates):,.0f} / {median(rates):,.0f} / {max(rates):,.0f} | ≥ {GOAL:,} |")
    return "\n".join(lines)


def _fact(body: bytes) -> Fact:
    return AlertsReceived("bench", body, parse(body))


def _decide_all(state: State, facts: list[Fact]) -> float:
    began = time.perf_counter()
    for position, fact in enumerate(facts, start=1):
        entry = Entry(position, BEGIN + timedelta(seconds=position), fact)
        state.apply(decide(state, entry, policy_for(state, entry)).changes)
    return time.perf_counter() - began


if __name__ == "__main__":
    print(main())
