"""Who did something more often than may be, within the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from exporter.detectors import Held
from exporter.detectors.counting import KEYS_MAX, Counts


class Many(NamedTuple):
    """`who` did it so many `times`, at least."""

    who: int
    times: int


class TooMany:
    def __init__(self, *, threshold: int, window_seconds: float, keys_max: int = KEYS_MAX) -> None:
        self._threshold = threshold
        self._counts = Counts(window_seconds, keys_max=keys_max)

    def take(self, whose: Iterable[int | None], *, now: float) -> Sequence[Many]:
        """Of those who did it now, who did it too often. Nobody is None."""
        counted = Counter(each for each in whose if each is not None)
        if not counted:
            return ()
        self._counts.add(counted, now=now)
        keys = list(counted)
        counts = self._counts.of(keys, now=now)
        if max(counts) <= self._threshold:
            return ()
        return [Many(who, count) for who, count in zip(keys, counts, strict=True) if count > self._threshold]

    @property
    def held(self) -> Held:
        return Held(self._counts.keys, self._counts.forgotten, self._counts.undercount)
