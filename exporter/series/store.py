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
        self._held: dict[str, Held] = {}
        self._known: tuple[str, ...] = ()
        self.use(metrics)

    def use(self, metrics: Sequence[Metric]) -> None:
        """Other ones are known from now on. Those that were, and are no more, are gone; what came otherwise stays."""
        before = {name: self._held.pop(name) for name in self._known if name in self._held}
        found: dict[str, Held] = {}
        for metric in metrics:
            held = before.get(metric.name)
            if held is not None and held.metric.shape == metric.shape:
                held.use(metric)
            else:
                held = Held(metric)
            found[metric.name] = held
        self._held = found | {name: held for name, held in self._held.items() if name not in found}
        self._known = tuple(found)

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

    def use(self, metric: Metric) -> None:
        """Of the same shape, so the series stay; what is said about them may be new."""
        self.metric = metric
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
