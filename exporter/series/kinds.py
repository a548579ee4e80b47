"""What a series of each type takes, and what of it is published.

Each takes a whole batch: label values in the order of the metric's labels, one tuple an event, beside what each event
brings. What can be added up by series first is, so that a series is touched once a batch.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Generic, Protocol, TypeVar

import msgspec

from exporter.event import Trace
from exporter.mapping.rule import BUCKETS, Action, Metric
from exporter.points import Bucket, Count, Exemplar, Histogram, Value

Key = tuple[str, ...]
Series = TypeVar("Series")


class Taken(msgspec.Struct, frozen=True):
    """What a batch brings to a metric: all lists have the same length.

    `amounts` is None where each event counts as 1, `traces` where no event has one.
    """

    keys: Sequence[Key]
    amounts: Sequence[float] | None
    action: Action
    traces: Sequence[Trace | None] | None
    now: float


class CounterSeries:
    __slots__ = ("created", "exemplar", "touched", "value")

    def __init__(self, now: float) -> None:
        self.value = 0.0
        self.exemplar: Exemplar | None = None
        self.created = self.touched = now

    def published(self) -> Value:
        return Count(self.value, self.exemplar, self.created)


class GaugeSeries:
    __slots__ = ("touched", "value")

    def __init__(self, now: float) -> None:
        self.value = 0.0
        self.touched = now

    def published(self) -> Value:
        return self.value


class HistogramSeries:
    """`counts` are those of each bucket alone, the last one that of what is beyond the bounds."""

    __slots__ = ("bounds", "counts", "created", "exemplars", "sum", "touched")

    def __init__(self, bounds: Sequence[float], now: float) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.exemplars: dict[int, Exemplar] = {}
        self.sum = 0.0
        self.created = self.touched = now

    def published(self) -> Value:
        buckets = []
        total = 0
        for place, (bound, count) in enumerate(zip((*self.bounds, inf), self.counts, strict=True)):
            total += count
            buckets.append(Bucket(bound, total, self.exemplars.get(place)))
        return Histogram(tuple(buckets), self.sum, self.created)


class Kind(Protocol, Generic[Series]):
    """One type: how a series begins, and what a batch does to the series that it meets."""

    def new(self, metric: Metric, now: float) -> Series: ...

    def take(self, taken: Taken, series: Callable[[Key], Series]) -> None:
        """`series` finds the one for these label values; it may be one that several share."""


class Counters:
    def new(self, metric: Metric, now: float) -> CounterSeries:  # noqa: ARG002
        return CounterSeries(now)

    def take(self, taken: Taken, series: Callable[[Key], CounterSeries]) -> None:
        if taken.amounts is None:
            for key, count in Counter(taken.keys).items():
                series(key).value += count
        else:
            for key, amount in _sums(taken.keys, taken.amounts).items():
                series(key).value += amount
        for key, trace, amount in _last_traces(taken):
            series(key).exemplar = Exemplar(trace, amount, taken.now)


class Gauges:
    def new(self, metric: Metric, now: float) -> GaugeSeries:  # noqa: ARG002
        return GaugeSeries(now)

    def take(self, taken: Taken, series: Callable[[Key], GaugeSeries]) -> None:
        amounts = [1.0] * len(taken.keys) if taken.amounts is None else taken.amounts
        if taken.action is Action.SET:
            for key, value in dict(zip(taken.keys, amounts, strict=True)).items():
                series(key).value = value
            return
        sign = 1 if taken.action is Action.ADD else -1
        for key, amount in _sums(taken.keys, amounts).items():
            series(key).value += sign * amount


class Histograms:
    def new(self, metric: Metric, now: float) -> HistogramSeries:
        return HistogramSeries(metric.buckets or BUCKETS, now)

    def take(self, taken: Taken, series: Callable[[Key], HistogramSeries]) -> None:
        amounts = taken.amounts
        assert amounts is not None  # a histogram without a value is no rule
        met: dict[Key, HistogramSeries] = {}
        for key, amount in zip(taken.keys, amounts, strict=True):
            found = met.get(key)
            if found is None:
                found = met[key] = series(key)
            found.counts[bisect_left(found.bounds, amount)] += 1
            found.sum += amount
        for key, trace, amount in _last_traces(taken):
            found = met[key]
            found.exemplars[bisect_left(found.bounds, amount)] = Exemplar(trace, amount, taken.now)


KINDS: Mapping[str, Kind] = {"counter": Counters(), "gauge": Gauges(), "histogram": Histograms()}  # type: ignore[type-arg]


def _sums(keys: Sequence[Key], amounts: Sequence[float]) -> dict[Key, float]:
    sums: dict[Key, float] = {}
    for key, amount in zip(keys, amounts, strict=True):
        sums[key] = sums.get(key, 0.0) + amount
    return sums


def _last_traces(taken: Taken) -> Sequence[tuple[Key, Trace, float]]:
    """For each series that the batch meets, the last event that can be found again."""
    if taken.traces is None:
        return ()
    amounts = [1.0] * len(taken.keys) if taken.amounts is None else taken.amounts
    last = {key: (trace, amount) for key, trace, amount in zip(taken.keys, taken.traces, amounts, strict=True) if trace}
    return [(key, trace, amount) for key, (trace, amount) in last.items()]
