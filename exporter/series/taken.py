"""What a batch brings to a metric. It is added up by series once, however many pages take it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from operator import mul
from typing import TypeVar

from exporter.event import Trace
from exporter.mapping.rule import Action
from exporter.points import Exemplar

Key = tuple[str, ...]
# How many events in which bucket, and the sum of all of them.
Observed = tuple[Iterable[tuple[int, int]], float]
T = TypeVar("T")

# From so many on, sorting them first is quicker than looking for the bucket of each.
_WORTH_SORTING = 32


class Taken:
    """Label values in the order of the metric's labels, one tuple an event, beside what each event brings.

    All lists have the same length. `amounts` is None where each event counts as 1, `traces` where no event has one.
    `weights` are how often each amount was observed; None where each was once, and for counters and gauges.
    `at` is None where no event says when it happened.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        amounts: Sequence[float] | None,
        action: Action,
        traces: Sequence[Trace | None] | None,
        now: float,
        weights: Sequence[int] | None = None,
        at: Sequence[float | None] | None = None,
    ) -> None:
        self.keys = keys
        self.amounts = amounts
        self.action = action
        self.traces = traces
        self.now = now
        self.weights = weights
        self.at = at

        # How many events each series has, in the order in which they come.
        self.counts: Mapping[Key, int] = Counter(keys) if len(keys) > 1 else dict.fromkeys(keys, 1)
        self._sums: Mapping[Key, float] | None = None
        self._groups: Mapping[Key, Sequence[float]] | None = None
        self._weight_groups: Mapping[Key, Sequence[int]] | None = None
        self._observed: dict[Sequence[float], Mapping[Key, Observed]] = {}
        self._examples: Mapping[Key, Exemplar] | None = None

    @property
    def sums(self) -> Mapping[Key, float]:
        if self._sums is None:
            self._sums = self.counts if self.amounts is None else self._added_up(self.amounts)
        return self._sums

    @property
    def groups(self) -> Mapping[Key, Sequence[float]]:
        """The amounts of each series."""
        if self._groups is None:
            self._groups = self._by_series(self.every_amount)
        return self._groups

    @property
    def weight_groups(self) -> Mapping[Key, Sequence[int]]:
        """How often each of these was observed, where that is said."""
        if self._weight_groups is None:
            self._weight_groups = self._by_series(self.weights) if self.weights is not None else {}
        return self._weight_groups

    def observed(self, bounds: Sequence[float]) -> Mapping[Key, Observed]:
        """What each series of a histogram with these bounds gets."""
        found = self._observed.get(bounds)
        if found is None:
            weights = self.weight_groups
            found = {
                key: _weighed(amounts, weights[key], bounds) if weights else _observed(amounts, bounds)
                for key, amounts in self.groups.items()
            }
            self._observed[bounds] = found
        return found

    @property
    def examples(self) -> Mapping[Key, Exemplar]:
        """For each series, the last event that can be found again."""
        if self.traces is None:
            return {}
        if self._examples is None:
            moments = self.at or [None] * len(self.keys)
            rows = zip(self.keys, self.traces, self.every_amount, moments, strict=True)
            last = {key: (trace, amount, at) for key, trace, amount, at in rows if trace}
            self._examples = {
                key: Exemplar(trace, amount, self.now if at is None else at)
                for key, (trace, amount, at) in last.items()
            }
        return self._examples

    @property
    def every_amount(self) -> Sequence[float]:
        return [1.0] * len(self.keys) if self.amounts is None else self.amounts

    def _added_up(self, amounts: Sequence[float]) -> Mapping[Key, float]:
        if len(self.counts) == len(self.keys):
            return dict(zip(self.keys, map(float, amounts), strict=True))
        sums = dict.fromkeys(self.counts, 0.0)
        for key, amount in zip(self.keys, amounts, strict=True):
            sums[key] += amount
        return sums

    def _by_series(self, column: Sequence[T]) -> Mapping[Key, Sequence[T]]:
        if len(self.counts) == 1:
            return dict.fromkeys(self.counts, column)
        groups: dict[Key, list[T]] = {key: [] for key in self.counts}
        for key, value in zip(self.keys, column, strict=True):
            groups[key].append(value)
        return groups

    def elsewhere(self, places: Mapping[Key, Key]) -> Taken:
        """The same, with these label values in the place of those."""
        keys = [places.get(key, key) for key in self.keys]
        return Taken(keys, self.amounts, self.action, self.traces, self.now, self.weights, self.at)


def _observed(amounts: Sequence[float], bounds: Sequence[float]) -> Observed:
    """A bucket holds what is not larger than its bound."""
    if len(amounts) == 1:
        return ((bisect_left(bounds, amounts[0]), 1),), amounts[0]
    if len(amounts) < _WORTH_SORTING:
        return Counter(map(partial(bisect_left, bounds), amounts)).items(), sum(amounts)
    ascending = sorted(amounts)
    ends = [0, *map(partial(bisect_right, ascending), bounds), len(ascending)]
    return [(place, end - start) for place, (start, end) in enumerate(pairwise(ends)) if end > start], sum(amounts)


def _weighed(amounts: Sequence[float], weights: Sequence[int], bounds: Sequence[float]) -> Observed:
    places = map(partial(bisect_left, bounds), amounts)
    return list(zip(places, weights, strict=True)), sum(map(mul, amounts, weights))
