"""A rule made ready: a batch in, and the metric has taken what the rule says of it.

Everything goes by columns. No step is done an event at a time where one call can do it for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from operator import and_
from typing import cast

from exporter.event import LARGEST, REMEMBERED_MAX, Batch, Fields, Trace
from exporter.mapping.pattern import LOOKED_AT_CHARACTERS_MAX, Replaced, compiled
from exporter.mapping.rule import BUCKETS, Condition, Label, Metric, Rule
from exporter.series.store import Store
from exporter.series.taken import Key, Taken


def fields_of(rules: Sequence[Rule]) -> dict[str, Fields]:
    """Which fields are asked of each kind of event."""
    texts: dict[str, dict[str, None]] = {}
    numbers: dict[str, dict[str, None]] = {}
    counted: dict[str, dict[str, None]] = {}
    for rule in rules:
        asked = texts.setdefault(rule.event, {})
        asked.update(dict.fromkeys(label.field for label in rule.metric.labels))
        asked.update(dict.fromkeys(condition.field for condition in rule.where))
        if rule.value:
            numbers.setdefault(rule.event, {})[rule.value] = None
            if _only_grows(rule.metric):
                counted.setdefault(rule.event, {})[rule.value] = None
    moments = {rule.event for rule in rules if rule.moment}
    return {
        kind: Fields(tuple(asked), tuple(numbers.get(kind, ())), tuple(counted.get(kind, ())), kind in moments)
        for kind, asked in texts.items()
    }


def _only_grows(metric: Metric) -> bool:
    """Also the sum of a histogram, unless its buckets say that it counts what is negative."""
    return metric.type == "counter" or (metric.type == "histogram" and (metric.buckets or BUCKETS)[0] >= 0)


# For each event of a batch whether it is meant; None: all of them are.
Chosen = Sequence[bool] | None


class Compiled:
    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._replaced = {label.name: Replaced(label.replace) for label in rule.metric.labels if label.replace}
        # What is beyond would be no number any more.
        self._largest = LARGEST / max(rule.scale, 1.0)
        self._from_zero = rule.from_zero and rule.metric.type == "counter" and not rule.value
        self._conditions = tuple((each.field, Verdicts(each)) for each in rule.where)

    def apply(self, batch: Batch, stores: Sequence[Store], *, now: float) -> Chosen:
        """Which events counted."""
        rule = self.rule
        amounts = self._amounts(batch, now)
        counted = chosen = self._chosen(batch, amounts)
        traces = batch.traces
        if chosen is not None and self._from_zero:
            amounts = list(map(float, chosen))
            # An example is one of those that count.
            traces = None if traces is None else list(map(_if_it_counts, traces, chosen))
            chosen = None
        if chosen is not None and True not in chosen:
            return chosen
        columns = [self._filled(batch, label) for label in rule.metric.labels]
        at = batch.at if traces else None
        size = batch.size
        if chosen is not None:
            columns = [list(compress(column, chosen)) for column in columns]
            amounts = None if amounts is None else list(compress(amounts, chosen))
            traces = None if traces is None else list(compress(traces, chosen))
            at = None if at is None else list(compress(at, chosen))
            size = sum(chosen)
        keys: list[Key] = list(zip(*columns, strict=True)) if columns else [()] * size
        taken = Taken(keys, cast("Sequence[float] | None", amounts), rule.action, traces, now, at=at)
        for store in stores:
            store.take(rule.metric, taken)
        return counted

    def _filled(self, batch: Batch, label: Label) -> Sequence[str]:
        """An empty label is none in Prometheus, so what is empty is as missing as what is not there."""
        column = batch.texts(label.field)
        if label.replace:
            column = list(map(self._replaced[label.name].__getitem__, column))
        if all(column):
            return column  # type: ignore[return-value]
        return [text or label.missing for text in column]

    def _amounts(self, batch: Batch, now: float) -> Sequence[float | None] | None:
        """None: each counts as 1."""
        rule = self.rule
        if rule.moment:
            return [now] * batch.size if batch.at is None else [now if at is None else at for at in batch.at]
        if not rule.value:
            return None
        numbers = batch.numbers(rule.value)
        if rule.scale == 1.0:
            return numbers
        most = self._largest
        return [None if number is None or not -most <= number <= most else number * rule.scale for number in numbers]

    def _chosen(self, batch: Batch, amounts: Sequence[float | None] | None) -> Chosen:
        chosen: Chosen = None
        for field, verdicts in self._conditions:
            column = batch.texts(field)
            if column is batch.nothing:
                found = [verdicts[None]] * batch.size
            else:
                found = list(map(verdicts.__getitem__, column))
            chosen = found if chosen is None else list(map(and_, chosen, found))
        if amounts is not None and None in amounts:
            there = [each is not None for each in amounts]
            chosen = there if chosen is None else list(map(and_, chosen, there))
        return None if chosen is None or False not in chosen else chosen


def _if_it_counts(trace: Trace | None, counts: bool) -> Trace | None:
    return trace if counts else None


class Verdicts(dict[str | None, bool]):
    """Whether a text fulfils a condition; remembered, and bounded."""

    def __init__(self, condition: Condition) -> None:
        self._fulfils = _TESTS[condition.operator](condition.value)
        super().__init__()

    def __missing__(self, text: str | None) -> bool:
        if len(self) > REMEMBERED_MAX:
            self.clear()
        found = self[text] = self._fulfils(text or "")
        return found


def _like(pattern: str) -> Callable[[str], bool]:
    matches = compiled(pattern).fullmatch
    return lambda text: matches(text[:LOOKED_AT_CHARACTERS_MAX]) is not None


def _unlike(pattern: str) -> Callable[[str], bool]:
    matches = compiled(pattern).fullmatch
    return lambda text: matches(text[:LOOKED_AT_CHARACTERS_MAX]) is None


_TESTS: Mapping[str, Callable[[str], Callable[[str], bool]]] = {
    "=": lambda value: lambda text: text == value,
    "!=": lambda value: lambda text: text != value,
    "=~": _like,
    "!~": _unlike,
}
