"""Quantiles of many numbers in little memory, each within 1 % of the number that it stands for.

Numbers are counted in bins whose bounds grow by a constant factor, so that a bin knows each of its numbers as well as
any other bin does, whatever their size (Masson, Rim and Lee: DDSketch, 2019). Two sketches become one by adding their
bins, so that those of minutes make that of an hour.

There are at most `BINS_MAX` bins for numbers above zero, and as many for those below. Where numbers need more, as the
largest is more than 28,000 times the smallest, those closest to zero share one: quantiles among them are too large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import ceil, exp, inf, log, nan

RELATIVE_ERROR = 0.01
BINS_MAX = 512
_LOG_GROWTH = log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))
# From the upper bound of a bin to what stands for it: as far from either of its bounds.
_MIDDLE = 1 - RELATIVE_ERROR


class Sketch:
    __slots__ = ("_above", "_below", "count", "greatest", "least", "zeros")

    def __init__(self) -> None:
        self.count = 0
        self.zeros = 0
        self.least = inf
        self.greatest = -inf
        self._above: Counter[int] = Counter()
        self._below: Counter[int] = Counter()

    def add(self, numbers: Sequence[float], weights: Sequence[int] | None = None) -> None:
        """Finite ones, at least one; `weights` are how often each was met, where that is not once."""
        if len(numbers) == 1 and weights is None:
            self._add_one(numbers[0])
            return
        if weights is not None:
            met: Counter[float] = Counter()
            for number, weight in zip(numbers, weights, strict=True):
                met[number] += weight
        else:
            met = Counter(numbers)
        self.count += sum(met.values())
        self.least = min(self.least, *met)
        self.greatest = max(self.greatest, *met)
        for number, weight in met.items():
            if number > 0:
                self._above[_index_of(number)] += weight
            elif number < 0:
                self._below[_index_of(-number)] += weight
            else:
                self.zeros += weight
        _bound(self._above)
        _bound(self._below)

    def _add_one(self, number: float) -> None:
        """The same for what comes alone, without what it takes to count several."""
        self.count += 1
        self.least = min(self.least, number)
        self.greatest = max(self.greatest, number)
        if number == 0:
            self.zeros += 1
            return
        bins = self._above if number > 0 else self._below
        index = _index_of(abs(number))
        bins[index] = bins.get(index, 0) + 1
        _bound(bins)

    def merge(self, other: Sketch) -> None:
        self.count += other.count
        self.zeros += other.zeros
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)
        self._above.update(other._above)
        self._below.update(other._below)
        _bound(self._above)
        _bound(self._below)

    def quantiles(self, wanted: Sequence[float]) -> list[float]:
        """From 0 to 1, in ascending order. Without numbers there is no quantile, so each is NaN."""
        if not self.count:
            return [nan] * len(wanted)
        found: list[float] = []
        bins = self._bins()
        value, seen = next(bins)
        for quantile in wanted:
            rank = quantile * (self.count - 1)
            while seen <= rank:
                value, count = next(bins)
                seen += count
            found.append(max(self.least, min(value, self.greatest)))
        return found

    @property
    def bins(self) -> int:
        return len(self._above) + len(self._below)

    def _bins(self) -> Iterator[tuple[float, int]]:
        """Each by the number that stands for it, in ascending order."""
        for index in sorted(self._below, reverse=True):
            yield -_number_of(index), self._below[index]
        if self.zeros:
            yield 0.0, self.zeros
        for index in sorted(self._above):
            yield _number_of(index), self._above[index]


def _index_of(number: float) -> int:
    return ceil(log(number) / _LOG_GROWTH)


def _number_of(index: int) -> float:
    return exp(index * _LOG_GROWTH) * _MIDDLE


def _bound(bins: Counter[int]) -> None:
    """Where there are too many, the lowest become one."""
    if len(bins) > BINS_MAX:
        lowest = sorted(bins)[: len(bins) - BINS_MAX + 1]
        together = sum(bins.pop(index) for index in lowest)
        bins[lowest[-1]] = together
