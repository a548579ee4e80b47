"""Bytes into events: newline-delimited JSON, or one array of objects.

All lines of a batch are decoded at once, each kind into a struct that has only the fields that somebody asks for. Only
where one of them is wrong are they looked at one by one, so that the others count and the fault names its place.
"""

from __future__ import annotations

import re
from collections import Counter
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


_LINES, _ARRAY = "lines", "array"
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
# What msgspec raises; ValidationError is one of the first.
_WRONG = (ValueError, RecursionError)


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
        # One more, so that a kind must be said even where only one is asked for.
        nameless = _struct("", Fields())
        self._kinds[nameless] = ""
        union: Any = reduce(or_, self._structs.values(), nameless)
        self._one = msgspec.json.Decoder(union)
        self._array = msgspec.json.Decoder(list[union])
        self._head = msgspec.json.Decoder(Head)
        self._events = {_LINES: self._one.decode_lines, _ARRAY: self._array.decode}
        self._heads = {_LINES: self._head.decode_lines, _ARRAY: msgspec.json.Decoder(list[Head]).decode}

    def lines(self, data: bytes, *, first: int = 0) -> Found:
        """Empty lines are none. `first` is the number of the first line."""
        if not _may_have_a_long_line(data):
            try:
                events = self._one.decode_lines(data)
            except _WRONG:
                pass
            else:
                return self._found(events, range(first, first + len(events)), [], {})
        return self._apart([line for line in data.split(b"\n") if line.strip()], first, b"\n".join, _LINES)

    def array(self, data: bytes, *, first: int = 0) -> Found:
        """Raises ValueError where it is none."""
        try:
            events = self._array.decode(data)
        except _WRONG:
            try:
                parts = list(map(bytes, _PARTS.decode(data)))
            except _WRONG as error:
                raise ValueError(f"found no JSON array of events: {said(error)}") from None
            return self._apart(parts, first, _array_of, _ARRAY)
        return self._found(events, range(first, first + len(events)), [], {})

    def _apart(self, parts: list[bytes], first: int, join: Callable[[list[bytes]], bytes], form: str) -> Found:
        """Not all of them can be read. Where that is because nobody asks for some of them, the others can, at once."""
        places = range(first, first + len(parts))
        heads = self._all(self._heads[form], parts, join)
        if heads is None:
            return self._one_by_one(zip(places, parts, strict=True))
        asked = [head.event in self._structs for head in heads]
        kept, where = list(compress(parts, asked)), list(compress(places, asked))
        events = self._all(self._events[form], kept, join)
        if events is None:
            return self._one_by_one(zip(places, parts, strict=True))
        unmatched = Counter(head.event for head, wanted in zip(heads, asked, strict=True) if not wanted)
        return self._found(events, where, [], unmatched)

    def _all(
        self, decode: Callable[[bytes], list[Any]], parts: list[bytes], join: Callable[[list[bytes]], bytes]
    ) -> list[Any] | None:
        """None where one of them is wrong."""
        if any(len(part) > LINE_BYTES_MAX for part in parts):
            return None
        try:
            found = decode(join(parts))
        except _WRONG:
            return None
        return found if len(found) == len(parts) else None

    def _one_by_one(self, lines: Iterable[tuple[int, bytes]]) -> Found:
        events: list[Any] = []
        places: list[int] = []
        faults: list[Fault] = []
        unmatched: dict[str, int] = {}
        for place, line in lines:
            try:
                if len(line) > LINE_BYTES_MAX:
                    raise ValueError(f"found an event of more than {LINE_BYTES_MAX} bytes")
                events.append(self._one.decode(line))
                places.append(place)
            except _WRONG as error:
                # What is wrong with the kind itself, the decoder of all kinds would say in the sender's words.
                try:
                    kind = self._head.decode(line[: LINE_BYTES_MAX + 1]).event
                except _WRONG as worse:
                    faults.append(Fault(place, said(error if len(line) > LINE_BYTES_MAX else worse)))
                    continue
                if kind in self._structs:
                    faults.append(Fault(place, said(error)))
                else:
                    unmatched[kind] = unmatched.get(kind, 0) + 1
        return self._found(events, places, faults, unmatched)

    def _found(
        self, events: Sequence[Any], places: Sequence[int], faults: list[Fault], unmatched: dict[str, int]
    ) -> Found:
        grouped = self._grouped(events, places, faults)
        return Found(grouped, sorted(faults), unmatched)

    def _grouped(self, events: Sequence[Any], places: Sequence[int], faults: list[Fault]) -> list[Raw]:
        """One group for each kind and source; most batches are one."""
        found: list[Raw] = []
        for kind, of_kind, at in _by(map(self._kinds.__getitem__, map(type, events)), events, places):
            if not kind:
                faults += [Fault(place, "event: found an empty text, expected the kind of the event") for place in at]
                continue
            columns = self._columns[self._structs[kind]]
            for source, group, where in _by(map(attrgetter("source"), of_kind), of_kind, at):
                if not SOURCE.fullmatch(source):
                    faults += [Fault(place, WRONG_SOURCE) for place in where]
                    continue
                found.append(Raw(kind, source, where, {name: list(map(get, group)) for name, get in columns.items()}))
        return found


def said(error: Exception) -> str:
    """msgspec's words, in ours: where first, then what. Never what was found there."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    if isinstance(error, UnicodeDecodeError):
        return f"not in UTF-8 (byte {error.start})"
    text, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`").removeprefix(".")
    text = text if text.startswith("JSON") else f"{text[:1].lower()}{text[1:]}"
    return f"{where}: {text}" if where else text


def _may_have_a_long_line(data: bytes) -> bool:
    """Whether there is so much without an end of line that a line could be too long."""
    half = LINE_BYTES_MAX // 2
    return len(data) > LINE_BYTES_MAX and any(
        data.find(b"\n", start, start + half) < 0 for start in range(0, len(data) - half, half)
    )


def _array_of(parts: list[bytes]) -> bytes:
    return b"[%b]" % b",".join(parts)


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
    names |= dict.fromkeys(name.partition(".")[0] for name in list(names) if "." in name)
    return {
        name: f"field_{number}"
        for number, name in enumerate(names)
        if name not in ("", "event", "source", "at", *TRACES)
    }


def _columns_of(fields: Fields) -> dict[str, Callable[[Any], Any]]:
    asked = _asked(fields)
    return {
        "at": attrgetter("at"),
        **{name: attrgetter(name) for name in TRACES},
        **{name: _column_of(name, asked) for name in dict.fromkeys((*fields.texts, *fields.numbers)) if name in asked},
    }


def _column_of(name: str, asked: Mapping[str, str]) -> Callable[[Any], Any]:
    """A field of that very name, or else the one inside of objects that its dots lead to."""
    exactly: Callable[[Any], Any] = attrgetter(asked[name])
    first, dot, rest = name.partition(".")
    if not dot or first not in asked:
        return exactly
    around: Callable[[Any], Any] = attrgetter(asked[first])

    def reach(event: Any) -> Any:
        found = exactly(event)
        return _inside(around(event), rest) if found is None else found

    return reach


def _inside(value: Any, rest: str) -> Any:
    while isinstance(value, dict):
        if rest in value:
            return value[rest]
        name, _, rest = rest.partition(".")
        value = value.get(name)
    return None
