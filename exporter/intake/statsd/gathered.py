"""What is known of a line, and what has come for a metric and is not handed on yet."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.mapping.rule import Action, Metric
from exporter.series.taken import Key, Taken

# In the place of a type: what nobody wants.
DROPPED = ""


class Gathered:
    """A metric, and what it gets of the lines that were not handed on yet."""

    __slots__ = ("added", "amounts", "keys", "metric", "sums", "touched", "values", "weights")

    def __init__(self, metric: Metric, now: float) -> None:
        self.metric = metric
        self.touched = now
        self.clear()

    def clear(self) -> None:
        # Of a counter.
        self.sums: dict[Key, float] = {}
        # Of a gauge: what it was set to, and what was added without that.
        self.values: dict[Key, float] = {}
        self.added: dict[Key, float] = {}
        # Of a histogram.
        self.keys: list[Key] = []
        self.amounts: list[float] = []
        self.weights: list[int] = []

    @property
    def is_empty(self) -> bool:
        return not (self.sums or self.values or self.added or self.keys)

    def taken(self, now: float) -> Iterable[Taken]:
        for amounts, action in ((self.sums, Action.SET), (self.values, Action.SET), (self.added, Action.ADD)):
            if amounts:
                yield Taken(list(amounts), list(amounts.values()), action, None, now)
        if self.keys:
            yield Taken(self.keys, self.amounts, Action.SET, None, now, self.weights)


class Target:
    """What a head and a tail mean."""

    __slots__ = ("carry", "factor", "gathered", "key", "rate", "type")

    def __init__(self, gathered: Gathered, key: Key, type: str, factor: float, rate: float) -> None:  # noqa: A002
        self.gathered = gathered
        self.key = key
        self.type = type
        self.factor = factor
        self.rate = rate
        # What is left over of lines that stand for a number of lines that is not whole.
        self.carry = 0.0
