"""How often each did something lately, within a bound: never more than it was, and by how much less at most is known.

The window is made of panes, the newest of which is still open: counts are of between five and six sixths of it. Where
there are too many to remember, as much is taken from each count of a pane that those with small ones vanish (Misra and
Gries, 1982). What was taken from a pane is what any count of it can be too small by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import add
from typing import Any, Generic, TypeVar

PANES = 6
# Of one detector, in all panes. A dictionary of so many takes 5 MB, and their numbers the same again.
KEYS_MAX = 170_000
# The share from which on it makes sense to make room, before there has to be.
NEARLY_FULL = 0.94
# What is left of a pane when there are too many.
_KEPT = 0.75

Pane = TypeVar("Pane")
_NONE: tuple[Any, ...] = ()


class Panes(Generic[Pane]):
    """The spans of time of a window in which something happened. Each of them ends with the window.

    Whoever opens one has asked before which are over.
    """

    def __init__(self, window_seconds: float) -> None:
        self._seconds = window_seconds / PANES
        self.open: dict[int, Pane] = {}
        self._over_at: int | None = None

    def at(self, now: float) -> int:
        return int(now // self._seconds)

    def over(self, now: float) -> Sequence[Pane]:
        """Those that are no part of the window any more, which are forgotten.

        Where the clock was set back, neither are those of the future: nobody knows how long ago that was.
        """
        last = int(now // self._seconds)
        if last == self._over_at:
            return _NONE
        self._over_at = last
        gone = [span for span in self.open if not last - PANES < span <= last]
        return [self.open.pop(span) for span in gone]


class _Pane:
    __slots__ = ("counts", "lost")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.lost = 0


class Counts:
    """Of numbers that stand for somebody."""

    def __init__(self, window_seconds: float, *, keys_max: int = KEYS_MAX) -> None:
        self._panes = Panes[_Pane](window_seconds)
        self._keys_max = keys_max
        # In all panes.
        self.keys = 0
        self.forgotten = 0

    def add(self, counted: Mapping[int, int], *, now: float) -> None:
        counts = self._newest(now).counts
        there = len(counts)
        if counts:
            before = map(counts.get, counted, repeat(0))
            counts.update(zip(counted, map(add, before, counted.values()), strict=True))
        else:
            counts.update(counted)
        self._grown(len(counts) - there)

    def one(self, key: int, *, now: float) -> int:
        """Once more; and how often it was then, at least. What is quick for many takes long for one."""
        counts = self._newest(now).counts
        if key in counts:
            counts[key] += 1
        else:
            counts[key] = 1
            self._grown(1)
        return sum([pane.counts.get(key, 0) for pane in self._panes.open.values()])

    def thin(self) -> bool:
        """See `Thinning`."""
        if self.keys <= self._keys_max * NEARLY_FULL:
            return False
        self._lessen()
        return True

    def slide(self, now: float) -> None:
        """What is no part of the window any more is forgotten, also where nothing happens."""
        for pane in self._panes.over(now):
            self.keys -= len(pane.counts)

    def of(self, keys: Sequence[int], *, now: float) -> Sequence[int]:
        """How often each, at least."""
        self.slide(now)
        found: Iterable[int] = repeat(0, len(keys))
        for pane in self._panes.open.values():
            found = list(map(add, found, map(pane.counts.get, keys, repeat(0))))
        return list(found)

    @property
    def undercount(self) -> int:
        """No count is too small by more."""
        return sum(pane.lost for pane in self._panes.open.values())

    def _newest(self, now: float) -> _Pane:
        self.slide(now)
        at = self._panes.at(now)
        pane = self._panes.open.get(at)
        if pane is None:
            pane = self._panes.open[at] = _Pane()
        return pane

    def _grown(self, keys: int) -> None:
        self.keys += keys
        while self.keys > self._keys_max:
            self._lessen()

    def _lessen(self) -> None:
        pane = max(self._panes.open.values(), key=lambda each: len(each.counts))
        taken = _taken(pane.counts.values(), int(len(pane.counts) * _KEPT))
        before = len(pane.counts)
        pane.counts = {key: count - taken for key, count in pane.counts.items() if count > taken}
        pane.lost += taken
        gone = before - len(pane.counts)
        self.keys -= gone
        self.forgotten += gone


def _taken(counts: Iterable[int], kept: int) -> int:
    """The largest number that is taken from more than `kept` of them in whole; so all that is taken, of all panes that
    were as full, is at most what was counted, divided by that."""
    there = 0
    for count, keys in sorted(Counter(counts).items(), reverse=True):
        there += keys
        if there > kept:
            return count
    raise AssertionError("there are more of them than are kept")
