"""Who did something more often than may be, within the window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from exporter.detectors import Held
from exporter.detectors.counting import KEYS_MAX, Counts
from exporter.detectors.settings import Counted
from exporter.finding import Finding
from exporter.identity import Address, Person

# By how much the threshold is higher for one of them.
Allowed = Callable[[int], float]


class Many(NamedTuple):
    """`who` did it so many `times`, at least, which is more than the `limit`."""

    who: int
    times: int
    limit: float


class TooMany:
    def __init__(self, settings: Counted, *, keys_max: int = KEYS_MAX) -> None:
        self._threshold = settings.threshold
        self._counts = Counts(settings.window_seconds, keys_max=keys_max)

    def take(self, whose: Iterable[int | None], *, now: float, allowed: Allowed = lambda _: 0.0) -> Sequence[Many]:
        """Of those who did it now, who did it too often. Nobody is None."""
        them = [each for each in whose if each is not None]
        if not them:
            return ()
        if len(them) == 1:
            (who,) = them
            return self._beyond(them, [self._counts.one(who, now=now)], allowed)
        counted = Counter(them)
        self._counts.add(counted, now=now)
        keys = list(counted)
        return self._beyond(keys, self._counts.of(keys, now=now), allowed)

    def _beyond(self, keys: Sequence[int], counts: Sequence[int], allowed: Allowed) -> Sequence[Many]:
        threshold = self._threshold
        if max(counts) <= threshold:
            return ()
        many = [
            Many(who, times, threshold + allowed(who))
            for who, times in zip(keys, counts, strict=True)
            if times > threshold
        ]
        return [each for each in many if each.times > each.limit]

    def thin(self) -> bool:
        return self._counts.thin()

    def slide(self, now: float) -> None:
        self._counts.slide(now)

    @property
    def held(self) -> Held:
        return Held(self._counts.keys, self._counts.forgotten, self._counts.undercount)


def findings(
    many: Sequence[Many],
    detector: str,
    settings: Counted,
    what: str,
    *,
    now: float,
    of: Literal["address", "person"] = "address",
) -> Sequence[Finding]:
    """`what` is what they did, in words that follow a number."""
    if not many:
        return ()
    seconds = settings.window_seconds
    return [
        Finding(
            detector=detector,
            severity=settings.severity,
            at=now,
            why=f"{each.times} {what} within {settings.window}, more than {each.limit:g}",
            value=each.times,
            threshold=each.limit,
            window_seconds=seconds,
            address=Address(each.who) if of == "address" else None,
            person=Person(each.who) if of == "person" else None,
        )
        for each in many
    ]
