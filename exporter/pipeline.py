"""From what was sent to series: read, checked, redacted, mapped, counted. Pure: bytes and a time in, an outcome out.

There are two kinds of page: everything together, and each source for itself. An event counts on one of either kind, so
each page can be scraped alone and none of them is a sum that could fall. What no source has sent is on a page too, and
so is what further sources send than there can be pages: all sources together are everything, once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, Protocol

import msgspec

from exporter.event import Batch, Fault, Fields, Memories, Memory, Raw, Redact, checked, together
from exporter.family import Family
from exporter.identity import Person, people
from exporter.mapping.compiled import Compiled, fields_of
from exporter.mapping.rule import OTHER, Metric, Rule
from exporter.reader import Found, Reader
from exporter.series.report import report
from exporter.series.room import Room
from exporter.series.store import SWEEP_SECONDS, Store
from exporter.series.taken import Taken
from exporter.series.trouble import Trouble

# Further sources are one, `other`.
SOURCES_MAX = 100
FOREIGN = "source: none of those for which the sender may speak"
# The source of what has none.
UNNAMED = "unnamed"
# Of the page of one source, and of those of all of them.
SOURCE_LINES_MAX = 20_000
SOURCES_LINES_MAX = 100_000


class Outcome(msgspec.Struct, frozen=True):
    """`unmatched` are events that no rule counts; they are accepted all the same."""

    accepted: int
    faults: tuple[Fault, ...] = ()
    unmatched: int = 0


class Counted(NamedTuple):
    """`nowhere` are events that are right, and that no rule counts."""

    faults: list[Fault]
    nowhere: int


class Sender(NamedTuple):
    """Who hands events in. `sources` are those for which it may speak; none: for all."""

    sources: tuple[str, ...] = ()


ANYBODY = Sender()


class View(Protocol):
    """Who looks at batches beside the rules, and says which fields of which kinds of event it needs."""

    asked: Mapping[str, Fields]

    def take(self, batch: Batch, *, now: float) -> None: ...


class Pipeline:
    """Belongs to one thread. `redact` makes what removes personal data from one field of one kind of event; that of no
    kind is for names of sources."""

    def __init__(
        self,
        rules: Sequence[Rule],
        *,
        redact: Callable[[str, str], Redact],
        person_of: Callable[[str], Person] | None = None,
        trouble: Trouble | None = None,
        views: Sequence[View] = (),
        now: float | None = None,
    ) -> None:
        """`person_of` makes a number of a name. `trouble` is told what cannot be counted as it was said; what is there
        from the start begins `now`."""
        self._views = tuple(views)
        self._person_of = person_of or people(b"")
        self._everything = Store(trouble=trouble, now=now)
        self._sources: dict[str, Store] = {}
        self._sources_swept_at = 0.0
        self._sources_room = Room(SOURCES_LINES_MAX)
        self.use(rules, redact=redact, now=now)

    def use(
        self,
        rules: Sequence[Rule],
        *,
        redact: Callable[[str, str], Redact],
        now: float | None = None,
        zero_first_seconds: float = 0.0,
    ) -> None:
        """Something else from now on. Series of metrics whose shape stays the same go on.

        For `zero_first_seconds` a new count is shown as 0 before its value.
        """
        self._zero_first_seconds = zero_first_seconds
        self._asked = together(fields_of(rules), *(view.asked for view in self._views))
        self._reader = Reader(self._asked)
        self._memories = {
            kind: Memories.of(fields, partial(redact, kind), self._person_of) for kind, fields in self._asked.items()
        }
        # A name of a source is a part of addresses; one that is somebody's is none.
        self._clean = Memory(redact("", "source"))
        self._looking = {kind: [view for view in self._views if kind in view.asked] for kind in self._asked}
        self._compiled = {kind: [Compiled(rule) for rule in rules if rule.event == kind] for kind in self._asked}
        # Of one batch, kinds count in the order of their rules: what opens before what closes.
        self._order = {kind: place for place, kind in enumerate(self._asked)}
        self._metrics = tuple(dict.fromkeys(rule.metric for rule in rules))
        self._everything.use(self._metrics, now=now)
        self._everything.zero_first_seconds = zero_first_seconds
        for store in self._sources.values():
            store.follow(self._metrics)
            store.zero_first_seconds = zero_first_seconds

    def lines(self, data: bytes, *, now: float, first: int = 0, sender: Sender = ANYBODY) -> Outcome:
        """`first` is the number of the first event."""
        return self._take(self._reader.lines(data, first=first), sender, now=now)

    def array(self, data: bytes, *, now: float, first: int = 0, sender: Sender = ANYBODY) -> Outcome:
        """Raises ValueError where it is none."""
        return self._take(self._reader.array(data, first=first), sender, now=now)

    def found(self, found: Found, *, now: float) -> Outcome:
        """Of an intake that reads lines of its own; `found` are in the order in which they count."""
        return self._take(found, ANYBODY, now=now)

    def raw(self, raw: Raw, *, now: float) -> list[Fault]:
        """Events of a kind that somebody asks for."""
        return self._counted(raw, now=now).faults

    def _counted(self, raw: Raw, *, now: float) -> Counted:
        batch, faults = checked(raw, self._asked[raw.kind], self._memories[raw.kind], now=now)
        stores = self.stores(raw.source, now=now)
        chosen = [compiled.apply(batch, stores, now=now) for compiled in self._compiled[raw.kind]]
        views = self._looking[raw.kind]
        for view in views:
            view.take(batch, now=now)
        some = [each for each in chosen if each is not None]
        nowhere = batch.size - sum(map(any, zip(*some, strict=True))) if len(some) == len(chosen) and not views else 0
        return Counted(faults, nowhere)

    def take(self, metric: Metric, taken: Taken, *, source: str = "") -> None:
        """Of an intake that knows no events: what it has counted itself, redacted as it must be."""
        for store in self.stores(source, now=taken.now):
            store.take(metric, taken)

    def families(self, source: str = "", *, now: float | None = None) -> list[Family]:
        """Of one source, or of everything; what is old by `now` is gone. KeyError where there is no such source."""
        return list(self.published(source, now=now))

    def published(self, source: str = "", *, now: float | None = None) -> Iterator[Family]:
        """The same one by one; events may come in between."""
        return (self._sources[source] if source else self._everything).published(now=now)

    def report(self) -> Mapping[str, object]:
        """What is held of everything, and what was too much."""
        return report(self._everything)

    def sources(self, *, now: float) -> tuple[str, ...]:
        """Those that have a page: it vanishes with the last of its series."""
        self._sources_swept_at = now
        self._sources = {source: store for source, store in self._sources.items() if store.sweep(now)}
        return tuple(sorted(self._sources))

    @property
    def asked(self) -> Mapping[str, Fields]:
        """Which fields matter, by kind of event; another object where other rules are in force."""
        return self._asked

    def stores(self, source: str, *, now: float) -> Sequence[Store]:
        """Where something from this source counts."""
        source = source or UNNAMED
        store = self._sources.get(source)
        if store is None:
            store = self._begin(source if self._clean[source] == source else UNNAMED, now)
        return self._everything, store

    def _take(self, found: Found, sender: Sender, *, now: float) -> Outcome:
        faults = list(found.faults)
        unmatched = sum(found.unmatched.values())
        accepted = unmatched
        for raw in sorted(found.events, key=lambda raw: self._order[raw.kind]):
            named = _named(raw, sender)
            if named is None:
                faults += [Fault(place, FOREIGN) for place in raw.places]
                continue
            wrong, nowhere = self._counted(named, now=now)
            faults += wrong
            unmatched += nowhere
            accepted += len(raw.places) - len(wrong)
        return Outcome(accepted, tuple(sorted(faults)), unmatched)

    def _begin(self, source: str, now: float) -> Store:
        if source in self._sources:
            return self._sources[source]
        if len(self._sources) >= SOURCES_MAX:
            if not self._sources_swept_at <= now < self._sources_swept_at + SWEEP_SECONDS:
                self.sources(now=now)
            if len(self._sources) >= SOURCES_MAX:
                source = OTHER
                if source in self._sources:
                    return self._sources[source]
        store = self._sources[source] = Store(room=Room(SOURCE_LINES_MAX, within=self._sources_room))
        store.follow(self._metrics)
        store.zero_first_seconds = self._zero_first_seconds
        return store


def _named(raw: Raw, sender: Sender) -> Raw | None:
    """The same events, under the name of the sender where they say none. None where it may not speak for them."""
    if not sender.sources or raw.source in sender.sources:
        return raw
    if raw.source or len(sender.sources) > 1:
        return None
    return raw._replace(source=sender.sources[0])
