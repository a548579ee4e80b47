"""A metric and its series: which label values get a series of their own, and when a series vanishes.

Theory of operation. A label has at most `values_max` different values at a time; what comes beyond becomes `other`, for
this label alone. A metric has at most `series_max` series; beyond, a new series gives up the label that has the most
values, then the next. Series in which a label was given up may be a tenth more, and the one that has given up all of
its labels is always let in. So whatever comes is counted somewhere, sums over labels that were not given up stay right,
and the number of series is bounded.

What was not touched for as long as the metric says vanishes, and its label values make room for others. No sweep looks
at anything before the oldest series can be old enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress, product
from math import inf, prod
from operator import ne
from typing import Any

from msgspec.structs import replace

from exporter.family import Family, Shape
from exporter.mapping.rule import OTHER, Label, Metric
from exporter.points import InvalidFamily
from exporter.series.kinds import KINDS
from exporter.series.room import Room
from exporter.series.taken import Key, Taken

# A family of no more lines is kept as it was shown, and its text with it, until something happens that it counts. Of
# the metrics that come with Tocsin, an application has a few, and all others would be written at each scrape.
KEPT_LINES_MAX = 100
# Is told the metric, the label and the number of events whose value became `other`.
Overflowed = Callable[[str, str, int], None]


class Places(dict[str, int]):
    """The values of one label, each with the number of series that have it, and one more where it stays anyway."""

    def __init__(self, label: Label) -> None:
        super().__init__(dict.fromkeys(label.known, 1))
        self.missing = label.missing
        self._values_max = label.values_max
        # What stands for all others takes no place, nor does what stands for none.
        self[OTHER] = 1

    @property
    def full(self) -> bool:
        return len(self) > self._values_max

    def let_in(self, value: str) -> bool:
        return value in self or not self.full or value == self.missing

    def leave(self, value: str) -> None:
        self[value] -= 1
        if not self[value]:
            del self[value]


class Held:
    def __init__(self, metric: Metric, *, room: Room, overflowed: Overflowed, now: float | None) -> None:
        """Raises InvalidFamily where its names are none."""
        # Whether it is there even when nobody has touched it for long.
        self.stays = False
        self._kind = KINDS[metric.type]
        self._lines = self._kind.lines(metric)
        self._room = room
        self._overflowed = overflowed
        # When that was last looked at.
        self._swept_at = -inf
        self._series: dict[Key, Any] = {}
        # Which label is given up first; found out again after the series have changed.
        self._order: Sequence[int] | None = None
        # What was shown last, while that is still so.
        self._shown: Family | None = None
        self.use(metric, now=now)

    def use(self, metric: Metric, *, now: float | None = None) -> None:
        """Of the same shape, so the series stay; what is said about them may be new."""
        self.metric = metric
        self._shown = None
        self._shape = Shape(metric.name, metric.published_type, metric.help, metric.label_names)
        self._ttl_seconds = inf if metric.ttl_seconds is None else metric.ttl_seconds
        self._places = [Places(label) for label in metric.labels]
        for key in self._series:
            self._enter(key)
        # When the oldest series can be old enough; the next sweep finds out.
        self._due = -inf
        self._known = dict.fromkeys(self._foreseen())
        for key in self._known:
            if key not in self._series:
                self._begin(key, now)

    def follows(self, metric: Metric) -> bool:
        """Whether this metric is the same, perhaps with further labels behind those that it had: series from before
        have none of them. What has its name and is something else is not taken. Buckets and quantiles stay: series
        of a metric have the same.
        """
        width = len(self.metric.labels)
        if metric.type != self.metric.type or metric.label_names[:width] != self.metric.label_names:
            return False
        missing = ("",) * (len(metric.labels) - width)
        if missing:
            if (metric.buckets, metric.quantiles) != (self.metric.buckets, self.metric.quantiles):
                metric = replace(metric, buckets=self.metric.buckets, quantiles=self.metric.quantiles)
            try:
                Shape(metric.name, metric.published_type, metric.help, metric.label_names)
            except InvalidFamily:
                return False
            self._series = {key + missing: series for key, series in self._series.items()}
            self.use(metric)
        return True

    @property
    def series(self) -> int:
        return len(self._series)

    @property
    def values(self) -> dict[str, int]:
        """How many different values each label has."""
        there = zip(self.metric.label_names, self._places, strict=True)
        return {name: len(places) - 1 for name, places in there}

    def take(self, taken: Taken) -> None:
        series, now = self._series, taken.now
        self._shown = None
        if not taken.counts.keys() <= series.keys():
            taken = self._placed([key for key in taken.counts if key not in series], taken)
        for key in taken.counts:
            series[key].touched = now
        self._kind.take(taken, series)

    def family(self, now: float, *, zero_first_seconds: float = 0.0) -> Family:
        if self._shown is not None:
            return self._shown
        shown: Iterable[tuple[Key, Any]] = self._series.items()
        if zero_first_seconds and self._kind.counts:
            shown = [(key, self._zero_first(key, series, now, zero_first_seconds)) for key, series in shown]
        samples = tuple([(key, series.published(now)) for key, series in shown])
        found = Family.vouched(self._shape, samples) if self._kind.counts else self._shape.of(samples)
        if self._kind.lasts and not zero_first_seconds and found.size <= KEPT_LINES_MAX:
            found.written = {}
            self._shown = found
        return found

    def _zero_first(self, key: Key, series: Any, now: float, seconds: float) -> Any:
        """What is shown of it: nothing has happened, for as long as it is new and nobody could know it beforehand."""
        created = series.created
        if created is None or key in self._known or not created <= now < created + seconds:
            return series
        return self._kind.new(self.metric, created)

    def sweep(self, now: float) -> bool:
        """Whether anything is left that somebody has touched lately, or that stays."""
        if self._swept_at <= now < self._due:
            return True
        self._swept_at = now
        limit = now - self._ttl_seconds
        for key, series in list(self._series.items()):
            # Where the clock was set back, nothing is younger than now.
            series.touched = min(series.touched, now)
            if series.touched <= limit and key not in self._known:
                del self._series[key]
                self._order = self._shown = None
                self._room.give(self._lines)
                for value, places in zip(key, self._places, strict=True):
                    places.leave(value)
        vanish = (each.touched for key, each in self._series.items() if not (self.stays and key in self._known))
        oldest = min(vanish, default=inf)
        self._due = oldest + self._ttl_seconds
        return self.stays or any(each.touched > limit for each in self._series.values())

    def leave(self) -> None:
        """The room is for others. Not to be used any more."""
        self._room.give(self._lines * len(self._series))

    def _foreseen(self) -> Sequence[Key]:
        """The series that are there before anything has happened; none where they would be too many."""
        known = [label.known for label in self.metric.labels]
        if not self._kind.counts or prod(map(len, known)) > self.metric.series_max:
            return ()
        return list(product(*known))

    def _placed(self, new: Sequence[Key], taken: Taken) -> Taken:
        """The same, with label values of which each has a series."""
        series, now = self._series, taken.now
        said = list(zip(*new, strict=True))
        # In a flood nearly all that is new ends here, so this goes by columns.
        folded: Sequence[Key] = list(zip(*map(_folded, said, self._places), strict=True)) if said else new
        places = dict(zip(new, folded, strict=True))
        for key, place in places.items():
            if place not in series:
                places[key] = self._let_in(place, now)
        kept = list(zip(*places.values(), strict=True))
        if said == kept:
            return taken
        counts = [taken.counts[key] for key in new]
        for name, before, after in zip(self.metric.label_names, said, kept, strict=True):
            if events := sum(compress(counts, map(ne, before, after))):
                self._overflowed(self.metric.name, name, events)
        return taken.elsewhere(places)

    def _let_in(self, key: Key, now: float) -> Key:
        """The label values under which it counts."""
        series, metric = self._series, self.metric
        values = [value if places.let_in(value) else OTHER for value, places in zip(key, self._places, strict=True)]
        place = tuple(values)
        if place in series:
            return place
        if place == key:
            if len(series) < metric.series_max and self._room.has(self._lines):
                self._begin(key, now)
                return key
        elif self._has_room_for_folded():
            self._begin(place, now)
            return place
        for label in self._by_values():
            values[label] = OTHER
            place = tuple(values)
            if place in series:
                return place
            if self._has_room_for_folded():
                break
        self._begin(place, now)
        return place

    def _by_values(self) -> Sequence[int]:
        """The labels, those with the most values first; among equals in their order."""
        if self._order is None:
            self._order = sorted(range(len(self._places)), key=lambda label: -len(self._places[label]))
        return self._order

    def _has_room_for_folded(self) -> bool:
        series_max = self.metric.series_max
        return len(self._series) < series_max + series_max // 10 and self._room.has(self._lines)

    def _begin(self, key: Key, now: float | None) -> None:
        self._series[key] = self._kind.new(self.metric, now)
        self._room.take(self._lines)
        self._enter(key)
        if now is not None:
            self._due = min(self._due, now + self._ttl_seconds)

    def _enter(self, key: Key) -> None:
        self._order = None
        for value, places in zip(key, self._places, strict=True):
            places[value] = places.get(value, 0) + 1


def _folded(column: Sequence[str], places: Places) -> Sequence[str]:
    """Where there is no place for another value, each that has none is `other`."""
    if not places.full:
        return column
    missing = places.missing
    return [value if value in places or value == missing else OTHER for value in column]
