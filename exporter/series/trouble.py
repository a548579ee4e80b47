"""What could not be counted as it was said: label values that were too many, and metrics that contradict each other.

Numbers for the exporter's own page. Bounded, like everything that can be named from outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from exporter.family import Family, Shape
from exporter.mapping.rule import OTHER, Metric
from exporter.series.taken import Key

# Pairs of a metric and a label that are counted by name.
OVERFLOWED_MAX = 1_000
# Names of metrics that were not taken, of which the last event is kept; which was refused longest ago is forgotten.
CONFLICTS_MAX = 100

OVERFLOWED = Shape(
    "tocsin_exporter_overflowed_total",
    "counter",
    "Events of which this label's value was replaced by `other`, as the metric had too many of them.",
    ("metric", "label"),
)


CONFLICTS = Shape(
    "tocsin_exporter_conflicts_total",
    "counter",
    "Events that counted for no metric, as another one has its name or there were too many, by reason.",
    ("reason",),
)


class Reason(StrEnum):
    """Why a metric was not taken; the values are those of the label `reason`."""

    TYPE = "type"
    LABELS = "labels"
    NAME = "name"
    RESERVED = "reserved"
    ILLEGAL = "illegal"
    METRICS = "metrics"


class Conflict(msgspec.Struct):
    """What was offered and not taken. `owner` is the metric that is there; None where there is none."""

    offered: Metric
    reason: Reason
    owner: Metric | None
    events: int
    last: Key


class Trouble:
    def __init__(self) -> None:
        self.overflowed: dict[tuple[str, str], int] = {}
        self.refused = dict.fromkeys(Reason, 0)
        # By name, the latest last.
        self.conflicts: dict[str, Conflict] = {}

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

    def conflict(self, metric: Metric, reason: Reason, owner: Metric | None, *, events: int, last: Key) -> None:
        self.refused[reason] += events
        before = self.conflicts.pop(metric.name, None)
        if before is None and len(self.conflicts) >= CONFLICTS_MAX:
            del self.conflicts[next(iter(self.conflicts))]
        events += before.events if before else 0
        self.conflicts[metric.name] = Conflict(metric, reason, owner, events, last)

    def families(self) -> list[Family]:
        refused = tuple(((reason.value,), events) for reason, events in self.refused.items())
        return [OVERFLOWED.of(tuple(self.overflowed.items())), CONFLICTS.of(refused)]
