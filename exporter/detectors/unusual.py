"""What happens much more often than it used to, or otherwise than it used to: a detector with a baseline.

Events are counted, or a number in them is measured, interval by interval; each interval is judged by those before it.
With `by`, each value of a field is a stream for itself. What can only grow is found as soon as it is too much, not when
its interval is over. Intervals without events count as zeros: they are made up when time has passed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import nan
from typing import Any

import msgspec

from exporter.detectors import Held
from exporter.detectors.anomaly.amounts import DISTINCT_MAX, OF_NUMBERS, Amount, Room, amounts
from exporter.detectors.anomaly.intervals import Intervals
from exporter.detectors.anomaly.stream import Manner, Stream
from exporter.detectors.anomaly.suspects import BEGIN_RATIO, Suspects
from exporter.detectors.choosing import Choosing, Chosen, of, told
from exporter.detectors.settings import Measure
from exporter.event import Batch, Fields
from exporter.finding import Finding, Severity
from exporter.identity import Address
from exporter.mapping.rule import OTHER, UNKNOWN, Condition

# Of one detector. Further values are one stream, `other`.
STREAMS_MAX = 100


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked at, and how.

    `field` is what is measured, or of which different values are counted; `by` splits; `who` has the address of who
    may be alone to blame, where all events are counted together. An interval with fewer than `samples` says nothing.
    """

    events: tuple[str, ...]
    seconds: float
    manner: Manner
    where: tuple[Condition, ...] = ()
    measure: Measure = "count"
    field: str = ""
    by: str = ""
    who: str = ""
    samples: int = 0

    @property
    def asked(self) -> Mapping[str, Fields]:
        texts = tuple(dict.fromkeys((*(each.field for each in self.where), *([self.by] if self.by else []))))
        fields = Fields(
            texts=texts,
            numbers=(self.field,) if self.measure in OF_NUMBERS else (),
            # Of many values little is left once they are redacted; as numbers they stay different.
            people=(self.field,) if self.measure == "distinct" else (),
            addresses=(self.who,) if self.who else (),
        )
        return dict.fromkeys(self.events, fields)


class _Open:
    """A stream, and its interval that is not over."""

    __slots__ = ("amount", "quiet", "size", "stream", "told")

    def __init__(self, stream: Stream, amount: Amount) -> None:
        self.stream = stream
        self.amount = amount
        # How much has been taken in this interval, and how many intervals have passed since there was something.
        self.size = 0
        self.quiet = 0
        self.told = False


class Unusual:
    """Belongs to one thread."""

    def __init__(self, name: str, look: Look, *, severity: Severity = "medium") -> None:
        self.name = name
        self.asked = look.asked
        self._look = look
        self._severity: Severity = severity
        self._choosing = Choosing(look.where)
        self._room = Room(DISTINCT_MAX)
        self._amount = amounts(look.measure, self._room)
        self._intervals = Intervals(look.seconds)
        self._streams: dict[str, _Open] = {}
        self._suspects = Suspects()
        self._folded = 0

    @property
    def held(self) -> Held:
        """Streams, and events and values that found no place."""
        return Held(len(self._streams), self._folded + self._room.lost)

    def look(self, batch: Batch, *, now: float) -> Sequence[Finding]:
        found = list(self.tick(now=now))
        chosen = self._choosing.of(batch)
        for label, values in self._groups(batch, chosen):
            each = self._open(label, len(values))
            each.amount.take(values)
            each.size += len(values)
            usual = each.stream.band
            if usual is None or not each.amount.grows:
                continue
            number = each.amount.number
            exceeds = each.stream.exceeds(number)
            if self._look.who and number > usual.high * BEGIN_RATIO:
                self._suspects.take(of(batch.addresses(self._look.who), chosen))
                if exceeds:
                    found += [
                        self._finding(label, float(count), usual.high, now, address=who)
                        for who, count in self._suspects.beyond(usual.high)
                    ]
            if exceeds and not each.told and each.size >= self._look.samples:
                each.told = True
                found.append(self._finding(label, number, usual.high, now))
        return found

    def tick(self, *, now: float) -> Sequence[Finding]:
        """Time has passed, whether or not something has happened."""
        over = self._intervals.turn(now)
        if over is None:
            for each in self._streams.values():
                each.amount.clear()
            self._streams = {}
            if not self._look.by:
                # What nobody sends is a zero from now on.
                self._open("", 0)
            return ()
        return [finding for _ in range(over) for finding in self._end(now)] if over else ()

    def _end(self, now: float) -> Iterator[Finding]:
        """An interval is over."""
        for label, each in self._streams.items():
            usual = each.stream.band
            number = nan if each.size < self._look.samples else each.amount.number
            if each.stream.close(number) and not each.told and usual is not None:
                yield self._finding(label, number, usual.low if number < usual.low else usual.high, now)
            each.quiet = 0 if each.size else each.quiet + 1
            each.size = 0
            each.told = False
            each.amount.clear()
        self._suspects.clear()
        if len(self._streams) >= STREAMS_MAX:
            # In which nothing has happened for as long as anybody remembers.
            most = self._look.manner.size
            self._streams = {label: each for label, each in self._streams.items() if each.quiet < most}

    def _groups(self, batch: Batch, chosen: Chosen) -> Iterator[tuple[str, Sequence[Any]]]:
        """The values of each stream, at least one."""
        look = self._look
        size = batch.size if chosen is None else sum(chosen)
        if look.measure == "count":
            if look.by:
                labels = Counter(of(batch.texts(look.by), chosen))
                yield from ((label or UNKNOWN, range(count)) for label, count in labels.items())
            elif size:
                yield "", range(size)
            return
        column = batch.numbers(look.field) if look.measure in OF_NUMBERS else batch.people(look.field)
        values = of(column, chosen)
        if not look.by:
            there = [each for each in values if each is not None]
            if there:
                yield "", there
            return
        groups: dict[str, list[Any]] = {}
        for label, value in zip(of(batch.texts(look.by), chosen), values, strict=True):
            if value is not None:
                groups.setdefault(label or UNKNOWN, []).append(value)
        yield from groups.items()

    def _open(self, label: str, size: int) -> _Open:
        found = self._streams.get(label)
        if found is None and len(self._streams) >= STREAMS_MAX - 1:
            # The last place is for all that have none.
            self._folded += size
            label = OTHER
            found = self._streams.get(label)
        if found is None:
            found = self._streams[label] = _Open(Stream(self._look.manner), self._amount())
        return found

    def _finding(
        self, label: str, number: float, bound: float, now: float, *, address: Address | None = None
    ) -> Finding:
        return Finding(
            detector=self.name,
            severity=self._severity,
            at=now,
            why=self._why(label, number, bound, alone=" from one address" if address is not None else ""),
            value=number,
            threshold=bound,
            window_seconds=self._look.seconds,
            address=address,
            stream=label,
        )

    def _why(self, label: str, number: float, bound: float, *, alone: str) -> str:
        look = self._look
        kinds = " and ".join(look.events)
        what = {"count": f"{number:.6g} {kinds}", "distinct": f"{number:.6g} different {look.field} of {kinds}"}.get(
            look.measure, f"a {look.measure} of {number:.6g} of {look.field} of {kinds}"
        )
        bounds = f"at most {bound:.6g}" if number > bound else f"at least {bound:.6g}"
        why = f"{bounds} may be" if look.manner.method is None else f"going by what is usual, {bounds} may be expected"
        return f"{what}{alone} in {look.seconds:g} s{told(look.by, label)}; {why}"
