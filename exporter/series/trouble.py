"""What could not be counted as it was said: label values that were too many, and metrics that contradict each other.

Numbers for the exporter's own page. Bounded, like everything that can be named from outside.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporter.family import Family, Shape
from exporter.mapping.rule import OTHER, Metric

# Pairs of a metric and a label that are counted by name.
OVERFLOWED_MAX = 1_000

OVERFLOWED = Shape(
    "tocsin_exporter_overflowed_total",
    "counter",
    "Events of which this label's value was replaced by `other`, as the metric had too many of them.",
    ("metric", "label"),
)


class Trouble:
    def __init__(self) -> None:
        self.overflowed: dict[tuple[str, str], int] = {}

    def foresee(self, metrics: Iterable[Metric]) -> None:
        """What is known from the start is there at 0."""
        for metric in metrics:
            for label in metric.labels:
                self.overflow(metric.name, label.name, 0)

    def overflow(self, metric: str, label: str, events: int) -> None:
        pair = metric, label
        if pair not in self.overflowed and len(self.overflowed) >= OVERFLOWED_MAX:
            pair = OTHER, OTHER
        self.overflowed[pair] = self.overflowed.get(pair, 0) + events

    def families(self) -> list[Family]:
        return [OVERFLOWED.of(tuple(self.overflowed.items()))]
