"""What a batch brings to a metric. It is added up by series once, however many pages take it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TypeVar

from exporter.event import Trace
from exporter.mapping.rule import Action
from exporter.points import Exemplar

Key = tuple[str, ...]
T = TypeVar("T")


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

    @cached_property
    def counts(self) -> Mapping[Key, int]:
        """How many events each series has, in the order in which they come."""
        return Counter(self.keys)

    @cached_property
    def sums(self) -> Mapping[Key, float]:
        if self.amounts is None:
            return self.counts
        sums = dict.fromkeys(self.counts, 0.0)
        for key, amount in zip(self.keys, self.amounts, strict=True):
            sums[key] += amount
        return sums

    @cached_property
    def groups(self) -> Mapping[Key, Sequence[float]]:
        """The amounts of each series."""
        return self._by_series(self.every_amount)

    @cached_property
    def weight_groups(self) -> Mapping[Key, Sequence[int]]:
        """How often each of these was observed, where that is said."""
        return self._by_series(self.weights or ())

    def _by_series(self, column: Sequence[T]) -> Mapping[Key, Sequence[T]]:
        if len(self.counts) == 1:
            return dict.fromkeys(self.counts, column)
        groups: dict[Key, list[T]] = {key: [] for key in self.counts}
        for key, value in zip(self.keys, column, strict=True):
            groups[key].append(value)
        return groups

    @property
    def every_amount(self) -> Sequence[float]:
        return [1.0] * len(self.keys) if self.amounts is None else self.amounts

    @cached_property
    def examples(self) -> Mapping[Key, Exemplar]:
        """For each series, the last event that can be found again."""
        if self.traces is None:
            return {}
        moments = self.at or [None] * len(self.keys)
        rows = zip(self.keys, self.traces, self.every_amount, moments, strict=True)
        last = {key: (trace, amount, at) for key, trace, amount, at in rows if trace}
        return {
            key: Exemplar(trace, amount, self.now if at is None else at) for key, (trace, amount, at) in last.items()
        }

    def elsewhere(self, places: Mapping[Key, Key]) -> Taken:
        """The same, with these label values in the place of those."""
        keys = [places.get(key, key) for key in self.keys]
        return Taken(keys, self.amounts, self.action, self.traces, self.now, self.weights, self.at)
