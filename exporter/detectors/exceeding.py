"""More of something than a fixed number within a sliding window: in all, or of one address, person or value of a field.

Events are counted, or different values of a field.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from exporter.detectors import Held
from exporter.detectors.choosing import Choosing, Chosen, of, told
from exporter.detectors.counting import Counts
from exporter.detectors.distinct import EACH_MAX, Distinct
from exporter.detectors.unusual import STREAMS_MAX
from exporter.event import Batch, Fields
from exporter.finding import Finding, Severity
from exporter.identity import Address, Person
from exporter.mapping.rule import OTHER, UNKNOWN, Condition

# Who everybody is, where nobody is looked at alone.
_ALL = 0


class Excess(msgspec.Struct, frozen=True, kw_only=True):
    """What is too much. With `distinct`, different values of that field; `by…` are fields, of which one at most is
    said."""

    events: tuple[str, ...]
    seconds: float
    window: str
    threshold: float
    where: tuple[Condition, ...] = ()
    distinct: str = ""
    by: str = ""
    by_address: str = ""
    by_person: str = ""

    @property
    def asked(self) -> Mapping[str, Fields]:
        fields = Fields(
            texts=tuple(dict.fromkeys((*(each.field for each in self.where), *_said(self.by)))),
            addresses=_said(self.by_address),
            people=tuple(dict.fromkeys((*_said(self.by_person), *_said(self.distinct)))),
        )
        return dict.fromkeys(self.events, fields)


class Exceeding:
    """Belongs to one thread."""

    def __init__(self, name: str, excess: Excess, *, severity: Severity) -> None:
        self.name = name
        self.asked = excess.asked
        self._excess = excess
        self._severity: Severity = severity
        self._choosing = Choosing(excess.where)
        self._labels: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        self._last = _ALL
        self._folded = 0
        self._counts = Counts(excess.seconds)
        self._different = Distinct(excess.seconds, each_max=max(EACH_MAX, 2 * int(excess.threshold)))

    @property
    def held(self) -> Held:
        counts, different = self._counts, self._different
        return Held(
            counts.keys + different.pairs,
            counts.forgotten + different.forgotten + self._folded,
            max(counts.undercount, different.undercount),
        )

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        excess = self._excess
        chosen = self._choosing.of(batch)
        whose = self._whose(batch, chosen, now)
        if excess.distinct:
            ones = of(batch.people(excess.distinct), chosen)
            pairs = [(who, one) for who, one in zip(whose, ones, strict=True) if who is not None and one is not None]
            if not pairs:
                return ()
            self._different.add(pairs, now=now)
        else:
            counted = Counter(each for each in whose if each is not None)
            if not counted:
                return ()
            self._counts.add(counted, now=now)
        keys = list(dict.fromkeys(each for each in whose if each is not None))
        found = zip(keys, self._of(keys, now), strict=True)
        return [self._finding(who, number, now) for who, number in found if number > excess.threshold]

    def thin(self) -> bool:
        return self._counts.thin() or self._different.thin()

    def _of(self, keys: Sequence[int], now: float) -> Sequence[int]:
        return (self._different if self._excess.distinct else self._counts).of(keys, now=now)

    def _whose(self, batch: Batch, chosen: Chosen, now: float) -> Sequence[int | None]:
        excess = self._excess
        if excess.by_address:
            return of(batch.addresses(excess.by_address), chosen)
        if excess.by_person:
            return of(batch.people(excess.by_person), chosen)
        if excess.by:
            return list(self._labelled(of(batch.texts(excess.by), chosen), now))
        return [_ALL] * (batch.size if chosen is None else sum(chosen))

    def _labelled(self, texts: Sequence[str | None], now: float) -> Iterator[int]:
        """A number for each value; beyond as many as there may be, all have the same."""
        if len(self._labels) >= STREAMS_MAX - 1:
            self._make_room(now)
        for text in texts:
            label = text or UNKNOWN
            number = self._labels.get(label)
            if number is None:
                if len(self._labels) >= STREAMS_MAX - 1:
                    self._folded += 1
                    label = OTHER
                number = self._labels.get(label) or self._begun(label)
            yield number

    def _begun(self, label: str) -> int:
        self._last += 1
        self._labels[label] = self._last
        self._texts[self._last] = label
        return self._last

    def _make_room(self, now: float) -> None:
        """Values of which nothing is in the window any more are nobody."""
        numbers = list(self._texts)
        alive = {number for number, count in zip(numbers, self._of(numbers, now), strict=True) if count}
        self._texts = {number: label for number, label in self._texts.items() if number in alive}
        self._labels = {label: number for number, label in self._texts.items()}

    def _finding(self, who: int, number: int, now: float) -> Finding:
        excess = self._excess
        label = self._texts.get(who, "") if excess.by else ""
        kinds = " and ".join(excess.events)
        what = f"different values of {excess.distinct} in {kinds}" if excess.distinct else kinds
        whose = " from one address" if excess.by_address else " of one person" if excess.by_person else ""
        return Finding(
            detector=self.name,
            severity=self._severity,
            at=now,
            why=f"{number} {what} events{whose} within {excess.window}{told(excess.by, label)}, "
            f"more than {excess.threshold:.6g}",
            value=number,
            threshold=excess.threshold,
            window_seconds=excess.seconds,
            address=Address(who) if excess.by_address else None,
            person=Person(who) if excess.by_person else None,
            stream=label,
        )


def _said(field: str) -> tuple[Any, ...]:
    return (field,) if field else ()
