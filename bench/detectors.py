"""Detectors: what a login costs them, and what a million addresses take.

    python -m bench.detectors [--events=50000] [--rounds=3] [--seed=1]

Logins as lines of JSON, a thousand at a time, go through the whole pipeline: read, redacted, counted by the bundled
rules on two pages, and looked at by all detectors that are on without a file; beside it without detectors. Processor
time of one thread. Once addresses and people come again, as they do; once nobody comes twice, as in an attack from
everywhere. Then a million addresses fail once each in three kinds of event, in a process of their own, and one among
them as often as is to be found. Counts of half as many events again are compared with exact ones. Last, addresses are
looked up in the longest list of malicious ones that is taken.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.events import whole
from exporter.control import Plan
from exporter.detecting import Detecting
from exporter.detection import Detection
from exporter.detectors.counting import Counts
from exporter.detectors.lists import ENTRIES_MAX, Listed, parsed
from exporter.finding import Finding
from exporter.identity import address_of, people
from exporter.mapping.bundled import RULES
from exporter.pipeline import Pipeline
from exporter.redaction import Redaction

BATCH = 1_000
GOAL_EVENTS = 100_000
GOAL_MEGABYTES = 200
ADDRESSES = 1_000_000
KINDS = ("auth", "graphql_validation", "websocket_attempt")
LOOKUPS = 100_000
NOW = 1_800_000_000.0
ATTACKER = "198.51.100.7"
# An attacker tries as often beside each thousand others: not much, and more than is ever lost.
TRIES = 1


class Watching:
    def __init__(self, *, detectors: bool) -> None:
        self.found: list[Finding] = []
        self.detection = Detection(told=self.found.extend)
        redaction = Redaction(seen=lambda _: None)
        views = (self.detection,) if detectors else ()
        self._pipeline = Pipeline((), redact=redaction.redact, person_of=people(b"key"), views=views)
        if detectors:
            Detecting(self.detection, clock=lambda: NOW).prepare(Plan((), 8.0))()
        self._pipeline.use(RULES, redact=redaction.redact)

    def take(self, lines: bytes) -> float:
        """The processor time that it took."""
        before = time.process_time()
        self._pipeline.lines(lines, now=NOW)
        return time.process_time() - before

    def metric(self, name: str) -> dict[str, float]:
        (family,) = (family for family in self.detection.families(NOW) if family.name == name)
        return {label: float(value) for (label,), value in family.samples if isinstance(value, int | float)}


def address(number: int) -> str:
    return f"{number >> 24 & 127 or 1}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def again(chance: random.Random) -> tuple[str, str]:
    """A few come often, and many seldom."""
    return address(int(chance.paretovariate(0.7)) % 60_000), f"user-{int(chance.paretovariate(0.7)) % 200_000}"


def never_again(chance: random.Random) -> tuple[str, str]:
    return address(chance.getrandbits(31)), f"user-{chance.getrandbits(60)}"


def logins(number: int, who: Callable[[random.Random], tuple[str, str]], chance: random.Random) -> Iterator[bytes]:
    for _ in range(number // BATCH):
        events = []
        for _ in range(BATCH):
            ip, user = who(chance)
            outcome = "failed" if chance.random() < 0.3 else "success"
            events.append({"event": "auth", "source": "shop", "method": "password", "outcome": outcome})
            events[-1] |= {"reason": "wrong_password", "ip": ip, "user": user}
        yield "\n".join(map(json.dumps, events)).encode()


def million() -> None:
    """In a process of its own: what is resident after that."""
    watching = Watching(detectors=True)
    before = resident()
    for batch in range(ADDRESSES // BATCH):
        numbers = range(batch * BATCH, (batch + 1) * BATCH)
        whose = [(address(number * 2_654_435_761), f"user-{number}") for number in numbers]
        whose += [(ATTACKER, "ana")] * TRIES
        failed = {"event": "KIND", "outcome": "failed", "accepted": False}
        lines = "\n".join(json.dumps({**failed, "ip": ip, "user": user}) for ip, user in whose).encode()
        for kind in KINDS:
            watching.take(lines.replace(b"KIND", kind.encode()))
    found = {finding.address for finding in watching.found if finding.address is not None}
    told = {
        "before": before,
        "after": resident(),
        "undercount": max(watching.metric("security_detector_undercount").values()),
        "found": [address_of(ATTACKER)] == sorted(found),
    }
    print(json.dumps(told))


def resident() -> float:
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description="What detectors cost.")
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--million", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.million:
        million()
        return 0
    chance = random.Random(arguments.seed)
    print(
        "| logins, a thousand at a time | events a second of one core (min / median / max) | without detectors | goal |"
    )
    print("|---|---|---|---|")
    for name, who in (("addresses and people come again", again), ("nobody comes twice", never_again)):
        rates: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(arguments.rounds):
            batches = list(logins(arguments.events, who, chance))
            for detectors, measured in rates.items():
                watching = Watching(detectors=detectors)
                measured.append(arguments.events / sum(map(watching.take, batches)))
        print(f"| {name} | {whole(rates[True])} | {whole(rates[False])} | ≥ {GOAL_EVENTS:,} |", flush=True)
    told = json.loads(subprocess.check_output([sys.executable, "-m", "bench.detectors", "--million"]))
    print(
        f"\nA million addresses, each failing once in {len(KINDS)} kinds of event: {told['after']:.0f} MB resident"
        f" in all, {told['before']:.0f} MB of\nthem before; goal ≤ {GOAL_MEGABYTES} MB. No count is too small by more"
        f" than {told['undercount']:.0f}. The one attacker among them was\n{'' if told['found'] else 'NOT '}found,"
        " and nobody else."
    )
    print(f"\n{beside_exact(chance)}")
    print(f"\n{looking_up(chance)}")
    return 0


def beside_exact(chance: random.Random) -> str:
    """How much is missing where there are too many to count, found and stated."""
    exact: Counter[int] = Counter()
    counts = Counts(3_600.0)
    for batch in range(ADDRESSES // BATCH):
        once = range(batch * BATCH, (batch + 1) * BATCH)
        often = (int(chance.paretovariate(0.7)) % ADDRESSES for _ in range(BATCH // 2))
        counted = Counter([*once, *often])
        exact.update(counted)
        # Spread over an hour.
        counts.add(counted, now=NOW + 3_599.0 * batch * BATCH / ADDRESSES)
    now = NOW + 3_599.0
    missing = [exact[key] - found for key, found in zip(exact, counts.of(list(exact), now=now), strict=True)]
    return (
        f"Beside an exact count of {exact.total():,} events of {len(exact):,} addresses within an hour: no count is too"
        f" large by more\nthan {max(0, -min(missing))}, and none too small by more than {max(missing)}; what the"
        f" detector says of itself is at most {counts.undercount}."
    )


def looking_up(chance: random.Random) -> str:
    text = "\n".join(address(chance.getrandbits(31)) for _ in range(ENTRIES_MAX))
    before = time.process_time()
    listed = Listed()
    listed.use({"list": parsed(text).ranges})
    reading = time.process_time() - before
    asked = [
        found for found in (address_of(address(chance.getrandbits(31))) for _ in range(LOOKUPS)) if found is not None
    ]
    before = time.process_time()
    number = sum(1 for _ in listed.found(asked))
    each = (time.process_time() - before) / len(asked) * 1e6
    return (
        f"A list of {ENTRIES_MAX:,} addresses: {reading:.1f} s of a thread to read, {each:.2f} µs to look up an address"
        f" ({number} of {len(asked):,} were on it)."
    )


if __name__ == "__main__":
    raise SystemExit(main())
