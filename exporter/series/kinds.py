"""What a series of each type takes, and what of it is published.

A series is touched once a batch, with what the batch has added up for it. A number never grows beyond what a float can
hold, so that none becomes infinite, and no difference of such numbers becomes none at all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from operator import mul
from typing import Generic, Protocol, TypeVar

from exporter.event import LARGEST
from exporter.mapping.rule import BUCKETS, QUANTILES, Action, Metric
from exporter.points import Count, Distribution, Exemplar, Summary, Value
from exporter.series.taken import Key, Taken
from exporter.series.window import Window

Series = TypeVar("Series")
# What a summary counts for where the lines of a page are limited: it has few, but takes as much memory as so many.
SUMMARY_LINES = 50


class CounterSeries:
    __slots__ = ("created", "exemplar", "touched", "value")

    def __init__(self, now: float | None) -> None:
        self.value = 0.0
        self.exemplar: Exemplar | None = None
        self.created = now
        self.touched = now or 0.0

    def published(self, now: float) -> Value:  # noqa: ARG002
        return Count(self.value, self.exemplar, self.created)


class GaugeSeries:
    __slots__ = ("created", "least", "touched", "value")

    def __init__(self, least: float | None, now: float | None) -> None:
        self.value = 0.0
        self.least = -LARGEST if least is None else least
        self.created = now
        self.touched = now or 0.0

    def published(self, now: float) -> Value:  # noqa: ARG002
        return self.value


class HistogramSeries:
    """`counts` are those of each bucket alone, the last one that of what is beyond the bounds."""

    __slots__ = ("bounds", "counts", "created", "exemplars", "sum", "touched")

    def __init__(self, bounds: tuple[float, ...], now: float | None) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, Exemplar] = {}
        self.sum = 0.0
        self.created = now
        self.touched = now or 0.0

    def published(self, now: float) -> Value:  # noqa: ARG002
        return Distribution(self.bounds, tuple(self.counts), self.sum, self.created, dict(self.exemplars))


class SummarySeries:
    """`count` and `sum` are of all that was observed, the quantiles of the last minutes."""

    __slots__ = ("count", "created", "quantiles", "sum", "touched", "window")

    def __init__(self, quantiles: tuple[float, ...], now: float | None) -> None:
        self.quantiles = quantiles
        self.count = 0
        self.sum = 0.0
        self.window = Window()
        self.created = now
        self.touched = now or 0.0

    def published(self, now: float) -> Value:
        found = self.window.whole(now=now).quantiles(self.quantiles)
        return Summary(self.count, self.sum, tuple(zip(self.quantiles, found, strict=True)), self.created)


class Kind(Protocol, Generic[Series]):
    """One type: how a series begins, and what a batch does to the series that it meets."""

    # Whether a series that nobody has touched yet says something: nothing has happened so far.
    counts: bool
    # Whether it stays the same while nothing happens.
    lasts: bool

    def new(self, metric: Metric, now: float | None) -> Series: ...

    def lines(self, metric: Metric) -> int:
        """How many a series takes on the page."""

    def take(self, taken: Taken, series: Mapping[Key, Series]) -> None: ...


class Counters:
    counts = True
    lasts = True

    def new(self, metric: Metric, now: float | None) -> CounterSeries:  # noqa: ARG002
        return CounterSeries(now)

    def lines(self, metric: Metric) -> int:  # noqa: ARG002
        return 1

    def take(self, taken: Taken, series: Mapping[Key, CounterSeries]) -> None:
        for key, amount in taken.sums.items():
            found = series[key]
            found.value = min(found.value + amount, LARGEST)
        for key, example in taken.examples.items():
            series[key].exemplar = example


class Gauges:
    counts = False
    lasts = True

    def new(self, metric: Metric, now: float | None) -> GaugeSeries:
        return GaugeSeries(metric.least, now)

    def lines(self, metric: Metric) -> int:  # noqa: ARG002
        return 1

    def take(self, taken: Taken, series: Mapping[Key, GaugeSeries]) -> None:
        if taken.action is Action.SET:
            for key, value in dict(zip(taken.keys, taken.every_amount, strict=True)).items():
                series[key].value = value
            return
        sign = 1 if taken.action is Action.ADD else -1
        for key, amount in taken.sums.items():
            found = series[key]
            found.value = max(_within_bounds(found.value + sign * amount), found.least)


class Histograms:
    counts = True
    lasts = True

    def new(self, metric: Metric, now: float | None) -> HistogramSeries:
        return HistogramSeries(metric.buckets or BUCKETS, now)

    def lines(self, metric: Metric) -> int:
        # One without a bound, the sum and the count.
        return len(metric.buckets or BUCKETS) + 3

    def take(self, taken: Taken, series: Mapping[Key, HistogramSeries]) -> None:
        if not taken.keys:
            return
        # All of a metric have the same.
        bounds = series[taken.keys[0]].bounds
        for key, (places, total) in taken.observed(bounds).items():
            found = series[key]
            counts = found.counts
            for place, events in places:
                counts[place] += events
            found.sum = _within_bounds(found.sum + total)
        for key, example in taken.examples.items():
            found = series[key]
            found.exemplars[bisect_left(found.bounds, example.value)] = example


class Summaries:
    counts = True
    lasts = False

    def new(self, metric: Metric, now: float | None) -> SummarySeries:
        return SummarySeries(metric.quantiles or QUANTILES, now)

    def lines(self, metric: Metric) -> int:  # noqa: ARG002
        return SUMMARY_LINES

    def take(self, taken: Taken, series: Mapping[Key, SummarySeries]) -> None:
        for key, amounts in taken.groups.items():
            found = series[key]
            if taken.weights is None:
                weights, total = None, sum(amounts)
            else:
                weights = taken.weight_groups[key]
                total = sum(map(mul, amounts, weights))
            found.count += len(amounts) if weights is None else sum(weights)
            found.sum = _within_bounds(found.sum + total)
            found.window.add(amounts, weights, now=taken.now)


KINDS: Mapping[str, Kind] = {  # type: ignore[type-arg]
    "counter": Counters(),
    "gauge": Gauges(),
    "histogram": Histograms(),
    "summary": Summaries(),
}


def _within_bounds(value: float) -> float:
    return max(-LARGEST, min(value, LARGEST))
