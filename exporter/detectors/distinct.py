"""How many different people, or what else, each was seen with lately, within a bound: never more than there were.

A pair is in the pane in which it was last seen, and nowhere else, so nobody counts twice. Where there are too many
pairs, those are forgotten whose owners have the fewest; the others keep theirs. Of a pair only a hash is kept: two that
are the same by chance count as one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import repeat

from exporter.detectors.counting import NEARLY_FULL, Panes

# Of one detector, in all panes.
PAIRS_MAX = 170_000
# Of one owner; further ones are not counted.
EACH_MAX = 1_000
# What is left of the pairs when there are too many.
_KEPT = 0.75
# Any odd number of so many bits; and how many bits of a number take no more memory than one of them.
_SPREAD, _BITS = 0x9E3779B97F4A7C15, (1 << 60) - 1


class _Pane:
    __slots__ = ("lost", "owners")

    def __init__(self) -> None:
        # By pair.
        self.owners: dict[int, int] = {}
        self.lost = 0


class Distinct:
    """Of numbers that stand for somebody, each with numbers that do."""

    def __init__(self, window_seconds: float, *, pairs_max: int = PAIRS_MAX, each_max: int = EACH_MAX) -> None:
        self._panes = Panes[_Pane](window_seconds)
        self._pairs_max = pairs_max
        self._each_max = each_max
        self._counts: dict[int, int] = {}
        self.pairs = 0
        self.forgotten = 0

    def add(self, seen: Iterable[tuple[int, int]], *, now: float) -> None:
        """Pairs of an owner and one that it was seen with."""
        self.slide(now)
        at = self._panes.at(now)
        pane = self._panes.open.get(at)
        if pane is None:
            pane = self._panes.open[at] = _Pane()
        owners, counts = pane.owners, self._counts
        before = [each.owners for span, each in self._panes.open.items() if span != at]
        for owner, one in dict.fromkeys(seen):
            pair = (one ^ owner * _SPREAD) & _BITS
            if pair in owners:
                continue
            for older in before:
                known = older.pop(pair, None)
                if known is not None:
                    owners[pair] = known
                    break
            else:
                count = counts.get(owner, 0)
                if count < self._each_max:
                    owners[pair] = owner
                    counts[owner] = count + 1
                    self.pairs += 1
        if self.pairs > self._pairs_max:
            self._forget()

    def thin(self) -> bool:
        """See `Thinning`."""
        if self.pairs <= self._pairs_max * NEARLY_FULL:
            return False
        self._forget()
        return True

    def of(self, owners: Sequence[int], *, now: float) -> Sequence[int]:
        """How many different ones each was seen with, at least."""
        self.slide(now)
        if len(owners) == 1:
            return [self._counts.get(owners[0], 0)]
        return list(map(self._counts.get, owners, repeat(0)))

    @property
    def undercount(self) -> int:
        """No count up to the most that one may have is too small by more."""
        return sum(pane.lost for pane in self._panes.open.values())

    def slide(self, now: float) -> None:
        """What is no part of the window any more is forgotten, also where nothing happens."""
        for pane in self._panes.over(now):
            for owner, gone in Counter(pane.owners.values()).items():
                left = self._counts[owner] - gone
                if left:
                    self._counts[owner] = left
                else:
                    del self._counts[owner]
            self.pairs -= len(pane.owners)

    def _forget(self) -> None:
        left, most = self.pairs, 0
        for count, owners in sorted(Counter(self._counts.values()).items()):
            left, most = left - count * owners, count
            if left <= self._pairs_max * _KEPT:
                break
        counts = self._counts = {owner: count for owner, count in self._counts.items() if count > most}
        for pane in self._panes.open.values():
            pane.owners = {pair: owner for pair, owner in pane.owners.items() if owner in counts}
        self.forgotten += self.pairs - left
        self.pairs = left
        # So many pairs an owner had at most that was forgotten; none of them was seen later than in this pane.
        self._panes.open[max(self._panes.open)].lost += most
