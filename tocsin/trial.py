"""What a mapping makes of a sample: the page, and why it looks as it does. Names and numbers, never a value of it.

The same steps as in the exporter, one after the other, with everything counted on the way.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import msgspec

from exporter.control import Plan
from exporter.event import Fault, Fields, Memories, checked
from exporter.exposition import Format, render
from exporter.identity import people
from exporter.intake.logs.parsing import parser_of
from exporter.intake.logs.patterns import NOTHING
from exporter.intake.logs.settings import Log
from exporter.mapping import lint
from exporter.mapping.compiled import Compiled, fields_of
from exporter.reader import Found, Reader
from exporter.redaction import Redaction
from exporter.series.store import Store
from exporter.series.trouble import Trouble
from exporter.settings import Settings
from guard.printable import printable

FAULTS_SHOWN_MAX = 10
# Whose names are told.
FIELDS_SHOWN_MAX = 50
# Lines that are looked at for the names of fields.
LOOKED_AT_MAX = 10_000
_NAMES = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Took(msgspec.Struct, frozen=True):
    """How many events a rule has counted, of how many that it could have. Some lack the field `value`, which it needs;
    of the others, its conditions may have left out some.
    """

    metric: str
    event: str
    said_in: str
    events: int
    of: int
    value: str
    without_value: int
    left_out: int


class Report(msgspec.Struct, frozen=True):
    """`log` is the one whose format the sample has; empty: events. `unlike` are the first lines in which no pattern
    is found. `fields_unasked` are those that no rule asks for, by kind of event; `redacted` counts different values.
    """

    log: str
    lines: int
    events: Mapping[str, int]
    unmatched: Mapping[str, int]
    unlike: Sequence[int]
    faults: int
    first_faults: Sequence[Fault]
    rules: Sequence[Took]
    fields_unasked: Mapping[str, Sequence[str]]
    redacted: Mapping[str, int]
    folded: Sequence[tuple[str, str, int]]
    warnings: Sequence[str]
    page: str

    @property
    def counted(self) -> bool:
        return any(rule.events for rule in self.rules)


class Trial:
    """`settings` are those of the file. Raises `Refused` where they cannot be put into force."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._redacted: Counter[str] = Counter()
        redaction = Redaction(seen=self._seen)
        redaction.prepare(Plan((), 1.0, file=settings))()
        self._rules = settings.rules
        self.asked: Mapping[str, Fields] = fields_of(self._rules)
        self._memories = {
            kind: Memories.of(fields, partial(redaction.redact, kind), people(b""))
            for kind, fields in self.asked.items()
        }
        self._said_in = _places(settings)

    def report(self, data: bytes, log: Log | None, *, now: float) -> Report:
        """Of lines of a log, or of events as lines of JSON."""
        parse = Reader(self.asked).lines if log is None else parser_of(log, self.asked).parse
        found = parse(data)
        unlike = _unlike(data, log, self.asked) if NOTHING in found.unmatched and log is not None else []
        return self._of(found, data, log, unlike, now=now)

    def _of(self, found: Found, data: bytes, log: Log | None, unlike: Sequence[int], *, now: float) -> Report:
        trouble = Trouble()
        own = {
            rule.metric.name: rule.metric
            for rule, place in zip(self._rules, self._said_in, strict=True)
            if place != BUNDLED
        }
        store = Store(tuple(own.values()), trouble=trouble, now=now)
        compiled = [(rule, Compiled(rule)) for rule in self._rules]
        took = dict.fromkeys(range(len(compiled)), 0)
        without = dict.fromkeys(took, 0)
        left_out = dict.fromkeys(took, 0)
        events: Counter[str] = Counter()
        faults = list(found.faults)
        for raw in found.events:
            events[raw.kind] += len(raw.places)
            batch, wrong = checked(raw, self.asked[raw.kind], self._memories[raw.kind], now=now)
            faults += wrong
            for number, (rule, each) in enumerate(compiled):
                if rule.event == raw.kind:
                    chosen = each.apply(batch, [store], now=now)
                    counted = batch.size if chosen is None else sum(chosen)
                    lacking = batch.numbers(rule.value).count(None) if rule.value else 0
                    took[number] += counted
                    without[number] += lacking
                    left_out[number] += batch.size - counted - lacking if rule.where else 0
        rules = [
            Took(
                rule.metric.name,
                rule.event,
                self._said_in[number],
                took[number],
                events[rule.event],
                rule.value,
                without[number],
                left_out[number],
            )
            for number, (rule, _) in enumerate(compiled)
            if events[rule.event] or self._said_in[number] != BUNDLED
        ]
        numbers = [number for number, line in enumerate(data.split(b"\n"), start=1) if line.strip()]
        return Report(
            log="" if log is None else log.name,
            lines=len(numbers),
            events=dict(sorted(events.items())),
            unmatched={printable(kind): count for kind, count in sorted(found.unmatched.items())},
            unlike=unlike,
            faults=len(faults),
            first_faults=[
                Fault(numbers[place] if place < len(numbers) else 0, printable(text))
                for place, text in sorted(faults)[:FAULTS_SHOWN_MAX]
            ],
            rules=rules,
            fields_unasked=self._unasked(data, log),
            redacted=dict(sorted(self._redacted.items())),
            folded=[(metric, label, count) for (metric, label), count in trouble.overflowed.items() if count],
            warnings=list(self._warnings()),
            page=render(store.families(now=now), Format.TEXT).decode(),
        )

    def _seen(self, pattern: str) -> None:
        self._redacted[pattern] += 1

    def _unasked(self, data: bytes, log: Log | None) -> dict[str, list[str]]:
        found: dict[str, dict[str, None]] = {}
        for kind, names in _fields(data, log):
            fields = self.asked.get(kind)
            if fields is not None:
                theirs = {} if log is None else log.names()
                found.setdefault(kind, {}).update(dict.fromkeys(_others(names, fields, theirs)))
        return {kind: sorted(map(printable, names))[:FIELDS_SHOWN_MAX] for kind, names in found.items() if names}

    def _warnings(self) -> Iterator[str]:
        said = {
            rule.metric.name: place for rule, place in zip(reversed(self._rules), reversed(self._said_in), strict=True)
        }
        for metric in {rule.metric.name: rule.metric for rule in reversed(self._rules)}.values():
            if said[metric.name] != BUNDLED:
                for complaint in lint.complaints(metric):
                    yield f"{metric.name}: found {complaint.found}, expected {complaint.expected}"


BUNDLED = "bundled"
_OWN = ("source", "at", "trace_id", "correlation_id")


def _fields(data: bytes, log: Log | None) -> Iterator[tuple[str, Iterable[str]]]:
    """The names of fields that lines have, and the kind of event of those lines."""
    if log is not None and log.format == "pattern":
        yield from ((each.event or log.event, re.compile(each.match).groupindex) for each in log.regexes())
    elif log is None or log.format == "json":
        said = "event" if log is None else log.names().get("event", "event")
        for line in data.split(b"\n", LOOKED_AT_MAX)[:LOOKED_AT_MAX]:
            try:
                names = _NAMES.decode(line)
                own = msgspec.json.decode(names.pop(said, b'""'), type=str)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            yield (log.event if log is not None and log.event else own), names


def _others(names: Iterable[str], fields: Fields, theirs: Mapping[str, str]) -> Iterator[str]:
    """Those that are neither asked for nor led through. `theirs` is what our fields are called there."""
    asked = {theirs.get(name, name) for name in (*fields.names, *_OWN)}
    around = {name.partition(".")[0] for name in asked}
    return (name for name in names if name not in asked and name not in around)


def _unlike(data: bytes, log: Log, asked: Mapping[str, Fields]) -> list[int]:
    """The first lines of those that are looked at in which no pattern is found."""
    if log.multiline is not None:
        return []
    parser = parser_of(log, asked)
    lines = enumerate(data.split(b"\n", LOOKED_AT_MAX)[:LOOKED_AT_MAX], start=1)
    return list(islice((number for number, line in lines if NOTHING in parser.parse(line).unmatched), FAULTS_SHOWN_MAX))


def _places(settings: Settings) -> list[str]:
    """Where each rule is said, in the order in which they are in force."""
    own = [f"mapping[{at}]" for at, entry in enumerate(settings.mapping) for _ in entry.kinds]
    return [BUNDLED] * (len(settings.rules) - len(own)) + own
