"""What was counted and measured lately: the last hour by minutes, the last day by hours.

A window ends now. It begins with a whole minute, or with a whole hour where it is longer than one hour, so it may be up
to that much shorter than it was asked for. All of it is bounded: bins, names of counts, and the size of a sketch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.mapping.rule import OTHER
from exporter.series.sketch import Sketch

WINDOW_MINUTES_MAX = 1_440
# Of one kind, in one bin; further ones are counted as `other`.
NAMES_MAX = 50
QUANTILES = {"p50": 0.5, "p95": 0.95}

_MINUTE, _HOUR = 60, 3_600
_MINUTES, _HOURS = 60, 24


class Measure:
    """Numbers that were observed."""

    __slots__ = ("sketch", "sum")

    def __init__(self) -> None:
        self.sum = 0.0
        self.sketch = Sketch()

    def take(self, values: Sequence[float]) -> None:
        """At least one."""
        self.sum += sum(values)
        self.sketch.add(values)

    def add(self, other: Measure) -> None:
        self.sum += other.sum
        self.sketch.merge(other.sketch)

    def said(self) -> dict[str, float | None]:
        """Null where nothing was observed."""
        if not self.sketch.count:
            return {"average": None, **dict.fromkeys(QUANTILES), "max": None}
        quantiles = dict(zip(QUANTILES, self.sketch.quantiles(tuple(QUANTILES.values())), strict=True))
        return {"average": self.sum / self.sketch.count, **quantiles, "max": self.sketch.greatest}


class Bin:
    """Counts by kind and by name within it, and measures."""

    __slots__ = ("counts", "measures")

    def __init__(self) -> None:
        self.counts: dict[str, dict[str, int]] = {}
        self.measures: dict[str, Measure] = {}

    def count(self, kind: str, named: Mapping[str, int]) -> None:
        counts = self.counts.setdefault(kind, {})
        for name, number in named.items():
            known = name in counts or len(counts) < NAMES_MAX
            where = name if known else OTHER
            counts[where] = counts.get(where, 0) + number

    def measure(self, name: str, values: Sequence[float | None]) -> None:
        there = [value for value in values if value is not None]
        if there:
            measure = self.measures.get(name)
            if measure is None:
                measure = self.measures[name] = Measure()
            measure.take(there)

    def add(self, other: Bin) -> None:
        for kind, named in other.counts.items():
            self.count(kind, named)
        for name, measure in other.measures.items():
            self.measures.setdefault(name, Measure()).add(measure)

    def of(self, kind: str) -> dict[str, int]:
        return dict(sorted(self.counts.get(kind, {}).items()))

    def total(self, kind: str) -> int:
        return sum(self.counts.get(kind, {}).values())

    def said(self, name: str) -> dict[str, float | None]:
        return self.measures.get(name, Measure()).said()


class Ring:
    """The bins of the last `number` spans of time. A span of which nothing is known has none."""

    def __init__(self, seconds: int, number: int) -> None:
        self._seconds = seconds
        self._number = number
        self._bins: dict[int, Bin] = {}

    def bin(self, now: float) -> Bin:
        span = int(now // self._seconds)
        found = self._bins.get(span)
        if found is None:
            found = self._bins[span] = Bin()
            # A clock that was set back leaves spans in the future; they are no part of any window.
            self._bins = {at: each for at, each in self._bins.items() if span - self._number < at <= span}
        return found

    def last(self, spans: int, now: float) -> list[Bin]:
        span = int(now // self._seconds)
        return [each for at, each in self._bins.items() if span - spans < at <= span]


class Lately:
    """Takes what happens now, and tells what happened in a window."""

    def __init__(self) -> None:
        self._minutes = Ring(_MINUTE, _MINUTES)
        self._hours = Ring(_HOUR, _HOURS)

    def bins(self, now: float) -> tuple[Bin, Bin]:
        """Each has to be told what happens now."""
        return self._minutes.bin(now), self._hours.bin(now)

    def window(self, minutes: int, now: float) -> Bin:
        """`minutes` from 1 to WINDOW_MINUTES_MAX."""
        whole = Bin()
        hours = -(-minutes // _MINUTES)
        found = self._minutes.last(minutes, now) if minutes <= _MINUTES else self._hours.last(hours, now)
        for each in found:
            whole.add(each)
        return whole


def seconds_of(minutes: int, now: float, *, since: float) -> float:
    """How long the window is that ends now, and begins neither before whole bins nor before we did."""
    span, number = (_MINUTE, minutes) if minutes <= _MINUTES else (_HOUR, -(-minutes // _MINUTES))
    begins = (now // span - number + 1) * span
    # Where the clock was set back, we began after now, and nobody knows when that was.
    return max(now - (max(begins, since) if since <= now else begins), 1.0)


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
