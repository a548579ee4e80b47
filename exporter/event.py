"""What applications say: events, as batches of one kind and one source, and their fields as columns.

Whoever comes behind sees redacted texts and finite numbers, and only fields that somebody asks for: what nobody asks
for is not even read. A column is redacted value by value through a memory, so that an event costs no more than a
look-up for each field. Events in which a field is not what it has to be are left out, each with a fault that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import datetime
from itertools import compress
from math import isfinite
from typing import Any, NamedTuple, TypeVar

import msgspec

from exporter.identity import Address, Numbers, Person, address_of

# Of a text, before it is redacted and after that. Where the first cut leaves half of an address, the second one ends
# before it.
TEXT_READ_MAX = 1_256
TEXT_CHARACTERS_MAX = 1_000
# Texts of one field whose redaction is remembered; then the memory begins anew.
REMEMBERED_MAX = 4_096
# A longer text is not remembered.
REMEMBERED_CHARACTERS_MAX = 200
LARGEST = 2.0**1023
# These are read of every event. They become examples of what was counted, and never labels; what does not look like an
# identifier that a program has made is left out. Digits alone may be a card or a telephone, and so may nine in a row;
# keys of others, addresses and accounts have forms of their own.
_UUID = r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}"
_SOMEBODYS = (
    r"(?:AKIA|ASIA|AROA|AIDA|AIza|eyJ|gh[opusr]_|github_pat_|gl[a-z]{2,4}-|xox[a-z]-|xapp-|sk[_-]|[pr]k_|whsec_|npm_|pypi-|shp[a-z]{2}_)"
    r"|[A-Za-z0-9_-]*?(?:[0-9](?:[_-]?[0-9]){8}|[0-9]{1,3}-[0-9]{1,3}-[0-9]{1,3}-[0-9]|(?:[0-9A-Fa-f]{2}-){5})"
)
TRACES: Mapping[str, re.Pattern[str]] = {
    "trace_id": re.compile(r"(?=[0-9]*[a-f])[0-9a-f]{16}(?:[0-9a-f]{16})?"),
    "correlation_id": re.compile(
        rf"{_UUID}|(?=[0-9]*[a-f])[0-9a-f]{{32}}|(?!{_SOMEBODYS})(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{{8,64}}"
    ),
}

Found = TypeVar("Found")
Redact = Callable[[str], str]
# Labels of an exemplar.
Trace = tuple[tuple[str, str], ...]

_PLAIN_TEXTS = {str, int, type(None)}
_PLAIN_NUMBERS = {int, float, type(None)}
_NOBODY: Mapping[str, Sequence[Any]] = {}


class Fields(msgspec.Struct, frozen=True):
    """What is asked of the events of one kind. A field may be asked for as a text and as a number.

    Numbers in `counted` are added to counters, so they cannot be negative.
    """

    texts: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    counted: tuple[str, ...] = ()
    # Whether it matters when an event happened.
    moments: bool = False
    # Who it was, as numbers, for detectors; these fields are no texts unless they are asked for as such too.
    addresses: tuple[str, ...] = ()
    people: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that is to be read."""
        return tuple(dict.fromkeys((*self.texts, *self.numbers, *self.addresses, *self.people)))


def together(*asked: Mapping[str, Fields]) -> dict[str, Fields]:
    """What several ask for, of each kind."""
    found: dict[str, Fields] = {}
    for each in asked:
        for kind, fields in each.items():
            before = found.get(kind, Fields())
            found[kind] = Fields(
                tuple(dict.fromkeys((*before.texts, *fields.texts))),
                tuple(dict.fromkeys((*before.numbers, *fields.numbers))),
                tuple(dict.fromkeys((*before.counted, *fields.counted))),
                before.moments or fields.moments,
                tuple(dict.fromkeys((*before.addresses, *fields.addresses))),
                tuple(dict.fromkeys((*before.people, *fields.people))),
            )
    return found


class Fault(NamedTuple):
    """Why an event was left out. `place` is its number in what was sent, from 0."""

    place: int
    text: str


class Memory(dict[Any, str | None]):
    """What the values of one field become, once they are redacted; bounded."""

    def __init__(self, redact: Redact) -> None:
        self._redact = redact
        super().__init__({None: None})

    def __missing__(self, value: str | float) -> str:
        text = as_text(value)[:TEXT_READ_MAX]
        found = self._redact(text)[:TEXT_CHARACTERS_MAX]
        if len(text) <= REMEMBERED_CHARACTERS_MAX:
            if len(self) > REMEMBERED_MAX:
                self.clear()
                self[None] = None
            self[value] = found
        return found


class Batch:
    """Events of one kind from one source, checked and redacted. Not changed once it is made."""

    __slots__ = (
        *("_addresses", "_numbers", "_once", "_people", "_texts"),
        *("at", "kind", "nothing", "places", "size", "source", "traces", "unreadable"),
    )

    def __init__(
        self,
        kind: str,
        source: str,
        *,
        places: Sequence[int],
        texts: Mapping[str, Sequence[str | None]],
        numbers: Mapping[str, Sequence[float | None]],
        at: Sequence[float | None] | None = None,
        traces: Sequence[Trace | None] | None = None,
        addresses: Mapping[str, Sequence[Address | None]] = _NOBODY,
        people: Mapping[str, Sequence[Person | None]] = _NOBODY,
        unreadable: int = 0,
    ) -> None:
        """`at` is when each happened, in seconds since 1970; None where no event of the batch says so. So with
        `traces`. `unreadable` are values in fields for addresses that are none."""
        self.kind = kind
        self.source = source
        self.places = places
        self.size = len(places)
        # The column of a field that none of them has.
        self.nothing: Sequence[None] = [None] * self.size
        self._texts = texts
        self._numbers = numbers
        self._addresses = addresses
        self._people = people
        self.at = at
        self.traces = traces
        self.unreadable = unreadable
        self._once: dict[Hashable, Any] = {}

    def once(self, who: Hashable, find: Callable[[], Found]) -> Found:
        """What several want to know of the batch, which is found out when the first of them asks."""
        if who not in self._once:
            self._once[who] = find()
        found: Found = self._once[who]
        return found

    def texts(self, field: str) -> Sequence[str | None]:
        return self._texts.get(field, self.nothing)

    def numbers(self, field: str) -> Sequence[float | None]:
        return self._numbers.get(field, self.nothing)

    def addresses(self, field: str) -> Sequence[Address | None]:
        return self._addresses.get(field, self.nothing)

    def people(self, field: str) -> Sequence[Person | None]:
        return self._people.get(field, self.nothing)


class Raw(NamedTuple):
    """Events as they were sent: one list a field, of the same length. Fields that none of them has are not there."""

    kind: str
    source: str
    places: Sequence[int]
    columns: Mapping[str, Sequence[Any]]


class Memories(NamedTuple):
    """Those of the fields of one kind of event."""

    texts: Mapping[str, Memory]
    addresses: Mapping[str, Numbers]
    people: Mapping[str, Numbers]

    @classmethod
    def of(cls, fields: Fields, redact: Callable[[str], Redact], person_of: Callable[[str], Person]) -> Memories:
        """`redact` makes what removes personal data from a field."""
        return cls(
            {name: Memory(redact(name)) for name in fields.texts},
            {name: Numbers(address_of) for name in fields.addresses},
            {name: Numbers(person_of) for name in fields.people},
        )


def checked(raw: Raw, fields: Fields, memories: Memories, *, now: float) -> tuple[Batch, list[Fault]]:
    """What can be used of these events, and why the others cannot."""
    columns = raw.columns
    faults: dict[int, str] = {}
    texts = {name: _plain(name, columns[name], faults) for name in fields.texts if name in columns}
    numbers = {
        name: _finite(name, columns[name], faults, counted=name in fields.counted)
        for name in fields.numbers
        if name in columns
    }
    traces = _traces(columns, len(raw.places))
    at = _moments(columns["at"], faults, now=now) if "at" in columns and (fields.moments or traces) else None
    addresses, people = _who(columns, memories.addresses), _who(columns, memories.people)
    unreadable = 0
    for name, column in addresses.items():
        unreadable += column.count(None) - columns[name].count(None)
    places = raw.places
    if faults:
        kept = [row not in faults for row in range(len(places))]
        texts = {name: list(compress(column, kept)) for name, column in texts.items()}
        numbers = {name: list(compress(column, kept)) for name, column in numbers.items()}
        at = None if at is None else list(compress(at, kept))
        traces = None if traces is None else list(compress(traces, kept))
        addresses = {name: list(compress(column, kept)) for name, column in addresses.items()}
        people = {name: list(compress(column, kept)) for name, column in people.items()}
        places = list(compress(places, kept))
    redacted = {name: list(map(memories.texts[name].__getitem__, column)) for name, column in texts.items()}
    batch = Batch(
        raw.kind,
        raw.source,
        places=places,
        texts=redacted,
        numbers=numbers,
        at=at,
        traces=traces,
        addresses=addresses,
        people=people,
        unreadable=unreadable,
    )
    return batch, [Fault(raw.places[row], text) for row, text in sorted(faults.items())]


def _who(columns: Mapping[str, Sequence[Any]], numbers_of: Mapping[str, Numbers]) -> Mapping[str, list[Any]]:
    if not numbers_of:
        return {}
    return {name: _numbered(columns[name], numbers) for name, numbers in numbers_of.items() if name in columns}


def as_text(value: str | float) -> str:
    """200 and 200.0 are the same in JSON, and so they are here."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def number_of(value: object) -> float | None:
    """A finite number; from a log it may come as a text. Raises ValueError."""
    match value:
        case None | "":
            return None
        case bool():
            return float(value)
        case int() if abs(value) <= LARGEST:
            return value
        case float() if isfinite(value):
            return value
        case str() if "_" not in value:
            number = float(value)
            if isfinite(number):
                return number
    raise ValueError


def _plain(name: str, column: Sequence[Any], faults: dict[int, str]) -> Sequence[Any]:
    """Texts and whole numbers, which a memory can tell apart; most columns are that."""
    if type(column[0]) in _PLAIN_TEXTS if len(column) == 1 else _PLAIN_TEXTS.issuperset(map(type, column)):
        return column
    found: list[Any] = []
    for row, value in enumerate(column):
        match value:
            case bool():
                found.append("true" if value else "false")
            case str() | int() | float() | None:
                found.append(value)
            case _:
                found.append(None)
                faults.setdefault(row, f"{name}: found {_shown(value)}, expected a text, a number or true or false")
    return found


def _numbered(column: Sequence[Any], numbers: Numbers) -> list[Any]:
    """What is neither a text nor a whole number is nobody; it is a fault only where it should be a text."""
    if not _PLAIN_TEXTS.issuperset(map(type, column)):
        column = [value if type(value) in (str, int) else None for value in column]
    return list(map(numbers.__getitem__, column))


def _finite(name: str, column: Sequence[Any], faults: dict[int, str], *, counted: bool) -> Sequence[Any]:
    if _PLAIN_NUMBERS.issuperset(map(type, column)):
        there = column if None not in column else [each for each in column if each is not None]
        try:
            if isfinite(sum(there)) and not (counted and there and min(there) < 0):
                return column
        except OverflowError:
            pass
    found: list[float | None] = []
    for row, value in enumerate(column):
        try:
            number = number_of(value)
        except ValueError:
            number = None
            faults.setdefault(row, f"{name}: found {_shown(value)}, expected a finite number")
        if counted and number is not None and number < 0:
            faults.setdefault(row, f"{name}: found {_shown(value)}, expected a number that is not negative")
        found.append(number)
    return found


def _moments(column: Sequence[Any], faults: dict[int, str], *, now: float) -> Sequence[float | None] | None:
    """In seconds since 1970. Nothing has happened later than now, whatever a clock elsewhere says."""
    if {type(None)}.issuperset(map(type, column)):
        return None
    found: list[float | None] = []
    for row, value in enumerate(column):
        match value:
            case None:
                found.append(None)
            case datetime() if value.tzinfo is not None:
                found.append(min(value.timestamp(), now))
            case int() | float() if not isinstance(value, bool) and 0 <= value <= LARGEST:
                found.append(min(float(value), now))
            case _:
                found.append(None)
                faults.setdefault(
                    row, f"at: found {_shown(value)}, expected a time with its zone, or seconds since 1970"
                )
    return found


def _traces(columns: Mapping[str, Sequence[Any]], size: int) -> Sequence[Trace | None] | None:
    if columns.keys().isdisjoint(TRACES):
        return None
    there = [name for name in TRACES if name in columns]
    found: list[Trace] = [()] * size
    for name in there:
        column, pattern = columns[name], TRACES[name]
        for row, value in enumerate(column):
            if isinstance(value, str) and pattern.fullmatch(value):
                found[row] = (*found[row], (name, value))
    return [each or None for each in found] if any(found) else None


def _shown(value: object) -> str:
    """What was found, without telling it: it may be what nobody should see."""
    match value:
        case str():
            return f"a text of {len(value)} characters"
        case bool():
            return "true or false"
        case int() | float():
            return "a number that is too large" if not -LARGEST <= value <= LARGEST else "a negative number"
        case dict():
            return "an object"
        case list():
            return "a list"
    return "something else"
