"""The detectors at work: a view of the pipeline. Pure.

What a detector finds of somebody is told once, and again only when its cooldown is over. What it finds while it warms
up is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from exporter.detectors import Detector, Held, Thinning, Waiting
from exporter.detectors.settings import Common, pause_seconds
from exporter.event import Batch, Fields, together
from exporter.family import Family
from exporter.finding import EVENT, Finding, Severity

# Is told what was found in a batch, at least one thing, in the thread of the pipeline.
Told = Callable[[Sequence[Finding]], None]

# Of one detector: whom it has found lately. The one found longest ago is forgotten, and may be found again sooner.
FOUND_MAX = 50_000
# After so many events, one detector whose memory is nearly full forgets. Those of a kind are full at the same time, and
# each needs some 10 ms for it: the others have their turns later, so that no batch waits for all of them.
TURN_EVENTS = 1_000
_COOLDOWN, _WARM_UP = "cooldown", "warm_up"

# Which address, person, source or stream it is.
_Subject = tuple[int | None, int | None, str, str]


class Watched(NamedTuple):
    """A detector that is on, and what becomes of what it finds."""

    detector: Detector
    settings: Common


class _Book:
    """What is known of a detector beside what it knows itself."""

    def __init__(self, watched: Watched, *, since: float) -> None:
        self.since = since
        self.events = 0
        self.last_at = 0.0
        self.held_back = {_COOLDOWN: 0, _WARM_UP: 0}
        # When each was found last, the oldest first.
        self.found: dict[_Subject, float] = {}
        self.follow(watched)

    def follow(self, watched: Watched) -> None:
        self.detector, self.settings = watched
        self.cooldown = pause_seconds(watched.settings.cooldown)
        self.warm_up = pause_seconds(watched.settings.warm_up)

    def forget(self, now: float) -> None:
        """Those whose cooldown is over."""
        while self.found:
            first = next(iter(self.found))
            if 0 <= now - self.found[first] < self.cooldown:
                return
            del self.found[first]


class Detection:
    """Belongs to one thread."""

    def __init__(self, *, told: Told) -> None:
        self._told = told
        self._books: dict[str, _Book] = {}
        # Those that look at events of a kind.
        self._looking: dict[str, list[_Book]] = {}
        self._thinning: Sequence[Thinning] = ()
        self._off: tuple[str, ...] = ()
        self._unreadable = 0
        # Events since a detector had its turn.
        self._unturned = 0
        self.asked: Mapping[str, Fields] = {}

    def use(self, watched: Sequence[Watched], *, off: Sequence[str] = (), now: float) -> None:
        """These from now on; `off` are names of those that are not. A detector that was at work before goes on.

        The pipeline has to be told that something else is asked.
        """
        books = {}
        for each in watched:
            book = self._books.get(each.detector.name)
            if book is None:
                book = _Book(each, since=now)
            elif book.detector is not each.detector:
                book.since = now
            book.follow(each)
            books[each.detector.name] = book
        self._books = books
        self._looking = {
            kind: [book for book in books.values() if kind in book.detector.asked]
            for kind in together(*(each.detector.asked for each in watched))
        }
        self._thinning = [each.detector for each in watched if isinstance(each.detector, Thinning)]
        self._off = tuple(off)
        asked = together(*(each.detector.asked for each in watched))
        # What was found is not looked at again: it would go on for ever.
        self.asked = {kind: fields for kind, fields in asked.items() if kind != EVENT}

    def take(self, batch: Batch, *, now: float) -> None:
        self._unreadable += batch.unreadable
        found: list[Finding] = []
        for book in self._looking.get(batch.kind, ()):
            book.events += batch.size
            seen = book.detector.look(batch, now=now)
            if seen:
                found += self._fresh(book, seen, now=now)
        if found:
            self._told(found)
        self._unturned += batch.size
        if self._unturned >= TURN_EVENTS:
            self._unturned = 0
            self._thin()

    def tick(self, *, now: float) -> None:
        """Time has passed, in which nothing may have happened; some detectors look at that."""
        found: list[Finding] = []
        for book in self._books.values():
            book.forget(now)
            if isinstance(book.detector, Waiting):
                found += self._fresh(book, book.detector.tick(now=now), now=now)
        if found:
            self._told(found)

    def _thin(self) -> None:
        for detector in self._thinning:
            if detector.thin():
                return

    def _fresh(self, book: _Book, found: Sequence[Finding], *, now: float) -> Iterable[Finding]:
        if not found:
            return
        if 0 <= now - book.since < book.warm_up:
            book.held_back[_WARM_UP] += len(found)
            return
        settings, before = book.settings, book.found
        for finding in found:
            subject = finding.address, finding.person, finding.source, finding.stream
            last = before.get(subject)
            # Where the clock was set back, nobody knows how long ago it was.
            if last is not None and 0 <= now - last < book.cooldown:
                book.held_back[_COOLDOWN] += 1
                continue
            before.pop(subject, None)
            before[subject] = book.last_at = now
            if len(before) > FOUND_MAX:
                del before[next(iter(before))]
            yield replace(finding, severity=settings.severity, dry_run=settings.dry_run)

    @property
    def foreseen(self) -> tuple[tuple[str, Severity], ...]:
        """Name and severity of what can be found."""
        return tuple((name, book.settings.severity) for name, book in self._books.items())

    def families(self, now: float) -> Iterable[Family]:  # noqa: ARG002 - counts have no age
        books = self._books
        held = {name: book.detector.held for name, book in books.items()}
        yield _family(
            "security_detector_enabled",
            "gauge",
            "1 if the detector looks at events, 0 if it is off.",
            {**dict.fromkeys(books, 1), **dict.fromkeys(self._off, 0)},
        )
        yield _family(
            "security_detector_events_total",
            "counter",
            "Events that the detector has looked at.",
            {name: book.events for name, book in books.items()},
        )
        yield from _about_memory(held)
        yield Family.of(
            name="security_detector_held_back_total",
            type="counter",
            help="What was found and not told, as it had been told already (cooldown), or too soon after the start.",
            labels=("detector", "reason"),
            samples=tuple(
                ((name, reason), count) for name, book in books.items() for reason, count in book.held_back.items()
            ),
        )
        yield _family(
            "security_detector_last_finding_timestamp_seconds",
            "gauge",
            "When the detector last found something, in seconds since 1970; 0 if it never did.",
            {name: book.last_at for name, book in books.items()},
        )
        yield Family.of(
            name="security_addresses_unreadable_total",
            type="counter",
            help="Values in fields for addresses that are none, so that detectors do not know who it was.",
            samples=(((), self._unreadable),),
        )


def _about_memory(held: Mapping[str, Held]) -> Iterable[Family]:
    yield _family(
        "security_detector_keys",
        "gauge",
        "Addresses, people and pairs of them that the detector counts now.",
        {name: each.keys for name, each in held.items()},
    )
    yield _family(
        "security_detector_forgotten_total",
        "counter",
        "Counts that the detector gave up because there were too many.",
        {name: each.forgotten for name, each in held.items()},
    )
    yield _family(
        "security_detector_undercount",
        "gauge",
        "By how much a count of the detector may be too small now; it is never too large.",
        {name: each.undercount for name, each in held.items()},
    )


def _family(name: str, type: str, help: str, values: Mapping[str, float]) -> Family:  # noqa: A002
    assert type in ("gauge", "counter")
    return Family.of(
        name=name,
        type="gauge" if type == "gauge" else "counter",
        help=help,
        labels=("detector",),
        samples=tuple(((detector,), value) for detector, value in values.items()),
    )
