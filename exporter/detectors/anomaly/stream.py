"""One stream of numbers, one an interval: which are unusual, and which become part of what is usual.

An attack that goes on would soon be usual, if its numbers were taken as they are; and a stream that has moved to
another level for good would be unusual for ever, if they were not taken at all. So:

- an outlier that is not yet a finding is taken as the bound that it has passed;
- what is found is not taken, for as many intervals in a row as a quarter of the history has;
- after that numbers are taken as they are, and what they say is the new usual.
"""

from __future__ import annotations

from math import isfinite

import msgspec

from exporter.detectors.anomaly.history import History
from exporter.detectors.anomaly.methods import Band, band, memory_intervals
from exporter.detectors.settings import Direction, Method

# Beyond this, the square of a number would be none.
LARGEST = 1e150
# What is found is left out of the history for so much of it at a time.
HELD_RATIO = 0.25


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream is judged.

    Nothing is unusual before `known_least` numbers are known. A number that is not above `least` is never high, and one
    below a centre that is less than `least` is never low: the ratio of little is noise. `row` numbers in a row have to
    be beyond the band. Without a method, the limit is the bound itself.
    """

    method: Method | None
    limit: float
    size: int
    known_least: int
    direction: Direction = "up"
    least: float = -LARGEST
    row: int = 1
    counts: bool = False


class Stream:
    """Belongs to one thread."""

    __slots__ = ("_band", "_history", "_known", "_manner", "_row")

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._history = History(memory_intervals(manner.method, manner.size))
        self._band: Band | None = None
        # How many numbers have been taken; the history may have forgotten some of them.
        self._known = 0
        # How many in a row have been beyond the band.
        self._row = 0

    @property
    def band(self) -> Band | None:
        """What is usual now; None as long as too little is known."""
        manner = self._manner
        if self._band is None and self._known >= manner.known_least:
            past, limit = self._history.all(), manner.limit
            if manner.method is None:
                self._band = _bounded(Band(limit, limit, limit), manner)
            elif past:
                self._band = _bounded(band(manner.method, past, limit, counts=manner.counts), manner)
        return self._band

    def exceeds(self, number: float) -> bool:
        """Whether a number that can only grow is too high already, before its interval is over."""
        usual = self.band
        return usual is not None and number > usual.high and self._row + 1 >= self._manner.row

    def close(self, number: float) -> bool:
        """The number of an interval that is over. Whether it is unusual; what is no number is nothing."""
        if not isfinite(number):
            return False
        number = min(max(number, -LARGEST), LARGEST)
        usual = self.band
        if usual is None or usual.low <= number <= usual.high:
            self._row = 0
            self._take(number)
            return False
        self._row += 1
        if self._row < self._manner.row:
            self._take(min(max(number, usual.low), usual.high))
            return False
        if self._row - self._manner.row >= self._manner.size * HELD_RATIO:
            self._take(number)
        return True

    def _take(self, number: float) -> None:
        self._history.take(number)
        self._known += 1
        self._band = None


def _bounded(usual: Band, manner: Manner) -> Band:
    """Only what the manner looks for is beyond."""
    low, high = usual.low, max(usual.high, manner.least)
    if manner.direction == "up" or usual.centre < manner.least:
        low = -LARGEST
    if manner.direction == "down":
        high = LARGEST
    return Band(usual.centre, low, high)
