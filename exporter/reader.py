"""Bytes into events: newline-delimited JSON, or one array of objects.

All lines of a batch are decoded at once, each kind into a struct that has only the fields that somebody asks for. Only
where one of them is wrong are they looked at one by one, so that the others count and the fault names its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import reduce
from itertools import compress
from operator import attrgetter, or_
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from exporter.event import TRACES, Fault, Fields, Raw

# Of one event.
LINE_BYTES_MAX = 65_536
KIND_CHARACTERS_MAX = 100
SOURCE = re.compile(r"(?:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63})?")
WRONG_SOURCE = "source: expected at most 64 letters, digits, dots, hyphens and underscores"

_At = Annotated[datetime, Meta(tz=True)] | float | int | None


class Head(msgspec.Struct):
    """What every event has."""

    event: Annotated[str, Meta(min_length=1, max_length=KIND_CHARACTERS_MAX)]
    source: str = ""


class Found(NamedTuple):
    """`unmatched` are those that nobody asks for, by kind; they are no faults."""

    events: list[Raw]
    faults: list[Fault]
    unmatched: dict[str, int]


class Reader:
    """For the kinds of event that somebody asks for."""

    def __init__(self, asked: Mapping[str, Fields]) -> None:
        self._structs = {kind: _struct(kind, fields) for kind, fields in sorted(asked.items())}
        self._columns = {struct: _columns_of(asked[kind]) for kind, struct in self._structs.items()}
        self._kinds = {struct: kind for kind, struct in self._structs.items()}
        union: Any = reduce(or_, self._structs.values()) if self._structs else Head
        self._one = msgspec.json.Decoder(union)
        self._array = msgspec.json.Decoder(list[union])
        self._parts = msgspec.json.Decoder(list[msgspec.Raw])
        self._head = msgspec.json.Decoder(Head)

    def lines(self, data: bytes, *, first: int = 0) -> Found:
        """Empty lines are none. `first` is the number of the first line."""
        try:
            events = self._one.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return self._one_by_one((line for line in data.split(b"\n") if line.strip()), first)
        return self._found(events, range(first, first + len(events)), [], {})

    def array(self, data: bytes) -> Found:
        """Raises ValueError where it is none."""
        try:
            events = self._array.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            try:
                parts = self._parts.decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ValueError(f"found no JSON array of events: {error}") from None
            return self._one_by_one(map(bytes, parts), 0)
        return self._found(events, range(len(events)), [], {})

    def _one_by_one(self, lines: Iterable[bytes], first: int) -> Found:
        events: list[Any] = []
        places: list[int] = []
        faults: list[Fault] = []
        unmatched: dict[str, int] = {}
        for place, line in enumerate(lines, start=first):
            try:
                if len(line) > LINE_BYTES_MAX:
                    raise ValueError(f"an event of {len(line)} bytes, expected at most {LINE_BYTES_MAX}")
                events.append(self._one.decode(line))
                places.append(place)
            except ValueError as error:
                kind = self._kind_of(line)
                if kind is None or kind in self._structs:
                    faults.append(Fault(place, said(error)))
                else:
                    unmatched[kind] = unmatched.get(kind, 0) + 1
        return self._found(events, places, faults, unmatched)

    def _found(
        self, events: Sequence[Any], places: Sequence[int], faults: list[Fault], unmatched: dict[str, int]
    ) -> Found:
        grouped = self._grouped(events, places, faults)
        return Found(grouped, sorted(faults), unmatched)

    def _kind_of(self, line: bytes) -> str | None:
        try:
            return self._head.decode(line).event
        except ValueError:
            return None

    def _grouped(self, events: Sequence[Any], places: Sequence[int], faults: list[Fault]) -> list[Raw]:
        """One group for each kind and source; most batches are one."""
        found: list[Raw] = []
        for kind, of_kind, at in _by(map(self._kinds.__getitem__, map(type, events)), events, places):
            columns = self._columns[self._structs[kind]]
            for source, group, where in _by(map(attrgetter("source"), of_kind), of_kind, at):
                if not SOURCE.fullmatch(source):
                    faults += [Fault(place, WRONG_SOURCE) for place in where]
                    continue
                found.append(Raw(kind, source, where, {name: list(map(get, group)) for name, get in columns.items()}))
        return found


def said(error: ValueError) -> str:
    """msgspec's words, in ours: where first, then what."""
    text, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`").removeprefix(".")
    return f"{where}: {text[:1].lower()}{text[1:]}" if where else f"{text[:1].lower()}{text[1:]}"


def _by(
    names: Iterable[str], events: Sequence[Any], places: Sequence[int]
) -> Iterable[tuple[str, Sequence[Any], Sequence[int]]]:
    """Those of each name, which all events have one of."""
    named = list(names)
    different = sorted(set(named))
    if len(different) == 1:
        yield different[0], events, places
        return
    for name in different:
        chosen = list(map(name.__eq__, named))
        yield name, list(compress(events, chosen)), list(compress(places, chosen))


def _struct(kind: str, fields: Fields) -> type[msgspec.Struct]:
    """Fields may be called anything; the attributes that hold them have numbers."""
    asked = _asked(fields)
    return msgspec.defstruct(
        "Event",
        [
            ("source", str, ""),
            ("at", _At, None),
            *((name, Any, None) for name in TRACES),
            *((attribute, Any, None) for attribute in asked.values()),
        ],
        tag_field="event",
        tag=kind,
        rename={attribute: name for name, attribute in asked.items()},
        gc=False,
    )


def _asked(fields: Fields) -> dict[str, str]:
    """The attribute that holds each field. What every event has is there anyway."""
    names = dict.fromkeys((*fields.texts, *fields.numbers))
    return {
        name: f"field_{number}" for number, name in enumerate(names) if name not in ("event", "source", "at", *TRACES)
    }


def _columns_of(fields: Fields) -> dict[str, Callable[[Any], Any]]:
    return {
        "at": attrgetter("at"),
        **{name: attrgetter(name) for name in TRACES},
        **{name: attrgetter(attribute) for name, attribute in _asked(fields).items()},
    }
