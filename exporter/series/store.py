"""The series of one page: of everything together, or of one source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.family import Family, Shape
from exporter.mapping.rule import Metric
from exporter.series.kinds import KINDS, Key, Taken


class Store:
    """Belongs to one thread."""

    def __init__(self, metrics: Sequence[Metric] = ()) -> None:
        """`metrics` are those that are known from the start."""
        self._held = {metric.name: Held(metric) for metric in metrics}

    def take(self, metric: Metric, taken: Taken) -> None:
        held = self._held.get(metric.name)
        if held is None:
            held = self._held[metric.name] = Held(metric)
        held.take(taken)

    def families(self) -> list[Family]:
        return [held.family() for held in self._held.values()]


class Held:
    """A metric and its series."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._kind = KINDS[metric.type]
        self._series: dict[Key, Any] = {}
        self._shape = Shape(metric.name, metric.type, metric.help, metric.label_names)

    def take(self, taken: Taken) -> None:
        series, new, metric = self._series, self._kind.new, self.metric

        def find(key: Key) -> Any:
            found = series.get(key)
            if found is None:
                found = series[key] = new(metric, taken.now)
            found.touched = taken.now
            return found

        self._kind.take(taken, find)

    def family(self) -> Family:
        return self._shape.of(tuple((key, series.published()) for key, series in self._series.items()))
