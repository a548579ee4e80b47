"""What is usual, given past numbers: a band around a centre. The present number is never among them.

A baseline that has never moved has no deviation at all, so that any wiggle would be infinitely unusual. Each method has
a floor under its deviation: a share of the centre, and for counts what chance alone does to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import fsum, log2, sqrt
from typing import NamedTuple, get_args

from exporter.detectors.settings import Method

METHODS: tuple[Method, ...] = get_args(Method)
# Whose bounds chance passes now and then: several numbers in a row have to.
OF_DEVIATION: tuple[Method, ...] = ("zscore", "iqr", "ewma")
# What each is multiplied by, where nobody says it.
LIMITS: Mapping[Method, float] = {"ratio": 5.0, "zscore": 3.0, "iqr": 1.5, "spike": 2.0, "ewma": 3.0}
# The least deviation, as a share of the centre.
FLOOR_RATIO = 0.05
# A spike stands out of the newest numbers alone.
SPIKE_INTERVALS = 30
# After so many numbers, one weighs half of what the newest weighs.
HALF_LIFE_INTERVALS = 30
# The deviation of a normal distribution, from the distance between its quartiles.
_QUARTILES_TO_DEVIATION = 1 / 1.349


class Band(NamedTuple):
    """What is between `low` and `high` is usual."""

    centre: float
    low: float
    high: float


def band(method: Method, past: Sequence[float], limit: float, *, counts: bool = False) -> Band:
    """`past` are finite numbers, oldest first, at least one. `counts`: of events, which scatter by chance."""
    return _BANDS[method](past, limit, counts)


def _ratio(past: Sequence[float], limit: float, counts: bool) -> Band:  # noqa: ARG001 - a ratio needs no deviation
    return _times(fsum(past) / len(past), limit)


def _spike(past: Sequence[float], limit: float, counts: bool) -> Band:  # noqa: ARG001
    return _times(_quantile(sorted(past[-SPIKE_INTERVALS:]), 0.5), limit)


def _zscore(past: Sequence[float], limit: float, counts: bool) -> Band:
    number = len(past)
    mean = fsum(past) / number
    # Once more through all of them: the difference of two large squares would be noise.
    variance = fsum((each - mean) * (each - mean) for each in past) / max(number - 1, 1)
    return _around(mean, limit * max(sqrt(variance), _floor(mean, counts)))


def _iqr(past: Sequence[float], limit: float, counts: bool) -> Band:
    ordered = sorted(past)
    low, middle, high = (_quantile(ordered, share) for share in (0.25, 0.5, 0.75))
    least = _floor(middle, counts) / _QUARTILES_TO_DEVIATION
    width = high - low
    missing = max(least - width, 0.0) / 2
    reach = limit * max(width, least)
    return Band(middle, low - missing - reach, high + missing + reach)


def _ewma(past: Sequence[float], limit: float, counts: bool) -> Band:
    """Begins with the plain mean, which grows into the smoothed one: a first number would weigh too much."""
    smoothing = 1 - 2 ** (-1 / HALF_LIFE_INTERVALS)
    mean = variance = 0.0
    for place, each in enumerate(past, start=1):
        weight = max(smoothing, 1 / place)
        difference = each - mean
        mean += weight * difference
        variance = (1 - weight) * (variance + weight * difference * difference)
    return _around(mean, limit * max(sqrt(variance), _floor(mean, counts)))


def memory_intervals(method: Method | None, size: int) -> int:
    """How many past numbers the method looks at, where there may be `size`."""
    match method:
        case None:
            return 1
        case "spike":
            return min(size, SPIKE_INTERVALS)
        case "ewma":
            # What is older weighs less than a hundredth.
            return min(size, HALF_LIFE_INTERVALS * int(log2(100) + 1))
        case _:
            return size


def _times(centre: float, limit: float) -> Band:
    """Below, as much less as it may be more above."""
    return Band(centre, centre / limit, centre * limit) if centre >= 0 else Band(centre, centre * limit, centre / limit)


def _around(centre: float, reach: float) -> Band:
    return Band(centre, centre - reach, centre + reach)


def _floor(centre: float, counts: bool) -> float:
    share = FLOOR_RATIO * abs(centre)
    return max(share, sqrt(max(centre, 1.0))) if counts else share


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between two of them, in proportion."""
    place = share * (len(ordered) - 1)
    below = int(place)
    rest = place - below
    return ordered[below] if not rest else ordered[below] * (1 - rest) + ordered[below + 1] * rest


_BANDS: Mapping[Method, Callable[[Sequence[float], float, bool], Band]] = {
    "ratio": _ratio,
    "zscore": _zscore,
    "iqr": _iqr,
    "spike": _spike,
    "ewma": _ewma,
}
