"""How soon floods are found, and how often detectors with a baseline cry wolf, on traffic that is generated.

    python -m bench.detection [--seed=1] [--days=2] [--attacks=5]

Traffic goes up and down by day and by night, has moods and comes in groups (`bench/traffic.py`); the seed decides all
of it. Detectors are as they are without a configuration, with warm-up and cooldown. False alarms are findings in days
without an attack. An attack comes at a random moment of an hour, after an hour and a quarter of calm, and lasts a
minute, with so many times the events of that hour; it is late by what passes from its first event to the finding.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from random import Random

from bench.traffic import DAY_SECONDS, Attack, Step, daily, steps
from exporter.detection import Detection, Watched
from exporter.detectors.rates import RATES, rate
from exporter.detectors.settings import DetectorsSettings
from exporter.finding import Finding
from exporter.identity import Address

BEGAN = 1_800_000_000.0
PER_SECOND = (0.05, 1.0, 10.0)
TIMES = (8, 20, 50)
ATTACK_SECONDS = 60.0
CALM_SECONDS = 4_500.0
ATTACKER = Address(0xCB007107)


def found_in(name: str, traffic: Iterator[Step]) -> Iterator[Finding]:
    """What the bundled detector of that name finds."""
    found: list[Finding] = []
    detection = Detection(told=found.extend)
    settings = getattr(DetectorsSettings(), name)
    detection.use([Watched(rate(name, settings), settings)], now=BEGAN)
    for at, batch in traffic:
        detection.tick(now=at)
        if batch.size:
            detection.take(batch, now=at)
        yield from found
        found.clear()


def alarms(name: str, per_second: float, *, seed: int, days: int) -> int:
    traffic = steps(RATES[name][0], per_second, seed=seed, seconds=days * DAY_SECONDS, began=BEGAN)
    return sum(1 for _ in found_in(name, traffic))


def delays(name: str, per_second: float, times: float, *, seed: int, attacks: int) -> Sequence[float]:
    """Of the attacks that were found, in seconds."""
    chance = Random(f"{seed} {name} {per_second} {times}")
    delays = []
    for number in range(attacks):
        begins = CALM_SECONDS + chance.randrange(3_600)
        attack = Attack(begins, ATTACK_SECONDS, per_second * daily(begins) * (times - 1), ATTACKER)
        traffic = steps(
            RATES[name][0],
            per_second,
            seed=seed * 1_000 + number,
            seconds=begins + ATTACK_SECONDS * 2,
            began=BEGAN,
            step=1.0,
            attacks=(attack,),
        )
        first = next((finding.at for finding in found_in(name, traffic) if finding.at >= BEGAN + begins), None)
        if first is not None:
            delays.append(first - BEGAN - begins)
    return delays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--attacks", type=int, default=5)
    asked = parser.parse_args()
    print(f"False alarms in {asked.days} days, seed {asked.seed}:\n")
    print("| detector | " + " | ".join(f"{rate:g} events/s" for rate in PER_SECOND) + " |")
    print("|---|" + "---|" * len(PER_SECOND))
    for name in RATES:
        counted = [alarms(name, rate, seed=asked.seed, days=asked.days) for rate in PER_SECOND]
        print(f"| `{name}` | " + " | ".join(map(str, counted)) + " |")
    print(f"\nOf {asked.attacks} attacks of a minute at {PER_SECOND[-1]:g} events/s, and how late they are found:\n")
    print("| detector | times as many | found | median, s | most, s |")
    print("|---|---|---|---|---|")
    for name in RATES:
        for times in TIMES:
            late = delays(name, PER_SECOND[-1], times, seed=asked.seed, attacks=asked.attacks)
            shown = f"{statistics.median(late):.1f} | {max(late):.1f}" if late else "– | –"
            print(f"| `{name}` | {times} | {len(late)} | {shown} |")


if __name__ == "__main__":
    main()
