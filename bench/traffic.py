"""Days of traffic that never were: what a site is told by day and by night, with chance, moods and bursts, and attacks.

How many events there are in a step depends on the hour, on how the site does that day, and on chance that scatters more
than independent events would; so it is with people, who come in groups. The same seed makes the same traffic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, pi, sin, sqrt
from random import Random
from typing import NamedTuple

from exporter.event import Batch
from exporter.identity import Address

DAY_SECONDS = 86_400
# The share by which the busiest hour is above the mean, and the quietest below it.
DAILY_SWING = 0.8
# How much of the mood of the site is left after an hour, and its deviation.
MOOD_HOURS = 1.0
MOOD_DEVIATION = 0.15
# The smaller, the more events come in groups: the variance is the mean and the square of the mean over this.
GROUPING = 15.0


class Attack(NamedTuple):
    """So many events a second more, for a while; from one address, or from as many as there are events."""

    begins: float
    seconds: float
    per_second: float
    address: Address | None = None


class Step(NamedTuple):
    at: float
    batch: Batch


def steps(
    kind: str,
    per_second: float,
    *,
    seed: int,
    seconds: float,
    began: float = 0.0,
    step: float = 5.0,
    attacks: Sequence[Attack] = (),
) -> Iterator[Step]:
    """`per_second` is the mean of the day. A step without events has a batch of none."""
    chance = Random(f"{seed} {kind}")
    mood = 0.0
    kept = exp(-step / (MOOD_HOURS * 3_600))
    shaken = MOOD_DEVIATION * sqrt(1 - kept * kept)
    for number in range(int(seconds / step)):
        since = number * step
        mood = mood * kept + chance.gauss(0.0, shaken)
        usual = _scattered(chance, per_second * step * daily(since) * exp(mood))
        addresses: list[Address | None] = [Address(chance.getrandbits(30) + 1) for _ in range(usual)]
        for attack in attacks:
            if attack.begins <= since < attack.begins + attack.seconds:
                more = _poisson(chance, attack.per_second * step)
                addresses += [attack.address or Address(chance.getrandbits(30) + 1) for _ in range(more)]
        yield Step(began + since, events(kind, addresses))


def daily(since: float) -> float:
    """How many times the mean of the day is to be expected then."""
    return 1 + DAILY_SWING * sin(2 * pi * since / DAY_SECONDS)


def events(kind: str, addresses: Sequence[Address | None]) -> Batch:
    return Batch(kind, "", places=range(len(addresses)), texts={}, numbers={}, addresses={"ip": addresses})


def _scattered(chance: Random, mean: float) -> int:
    return _poisson(chance, mean * chance.gammavariate(GROUPING, 1 / GROUPING))


def _poisson(chance: Random, mean: float) -> int:
    """Beyond a hundred, the normal distribution is as good."""
    if mean > 100:
        return max(0, round(chance.gauss(mean, sqrt(mean))))
    left, number = exp(-mean), 0
    product = chance.random()
    while product > left:
        number += 1
        product *= chance.random()
    return number
