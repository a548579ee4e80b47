"""Bytes into events: newline-delimited JSON, or one array of objects.

All lines of a batch are decoded at once, each kind into a struct that has only the fields that somebody asks for. Only
where one of them is wrong are they looked at one by one, so that the others count and the fault names its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from itertools import compress
from operator import or_
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from msgspec import Meta

from exporter.columns import OURS, Columns, Written, rows_of
from exporter.event import Fault, Fields, Raw

# Of one event.
LINE_BYTES_MAX = 65_536
KIND_CHARACTERS_MAX = 100
_LINES, _ARRAY = "lines", "array"
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
# What msgspec raises; ValidationError is one of the first.
_WRONG = (ValueError, RecursionError)
_Kind = Annotated[str, Meta(min_length=1, max_length=KIND_CHARACTERS_MAX)]


class Head(msgspec.Struct):
    """What every event has."""

    event: _Kind
    source: str = ""


class Found(NamedTuple):
    """`unmatched` are those that nobody asks for, by kind; they are no faults."""

    events: list[Raw]
    faults: list[Fault]
    unmatched: dict[str, int]


class Reader:
    """For the kinds of event that somebody asks for."""

    def __init__(self, asked: Mapping[str, Fields], written: Written = OURS) -> None:
        self._asked = asked
        self._kind = written.kind
        kinds = [Columns(kind, asked[kind], written) for kind in ([written.kind] if written.kind else sorted(asked))]
        if not written.kind:
            # One more, so that a kind must be said even where only one is asked for.
            kinds.append(Columns("", Fields(), written))
        self._columns = {columns.struct: columns for columns in kinds}
        union: Any = reduce(or_, self._columns)
        self._one = msgspec.json.Decoder(union)
        self._array = msgspec.json.Decoder(list[union])
        head: Any = Head if written.kind else _head(written)
        self._head = msgspec.json.Decoder(head)
        self._events = {_LINES: self._one.decode_lines, _ARRAY: self._array.decode}
        self._heads = {_LINES: self._head.decode_lines, _ARRAY: msgspec.json.Decoder(list[head]).decode}

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
        if self._kind:
            return self._one_by_one(zip(places, parts, strict=True))
        heads = self._all(self._heads[form], parts, join)
        if heads is None:
            return self._one_by_one(zip(places, parts, strict=True))
        asked = [head.event in self._asked for head in heads]
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
                    kind = self._kind or self._head.decode(line[: LINE_BYTES_MAX + 1]).event
                except _WRONG as worse:
                    faults.append(Fault(place, said(error if len(line) > LINE_BYTES_MAX else worse)))
                    continue
                if kind in self._asked:
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
        if not events:
            return []
        structs = list(map(type, events))
        if structs.count(structs[0]) == len(structs):
            return self._of_kind(structs[0], events, places, faults)
        found: list[Raw] = []
        for struct, rows in rows_of(structs).items():
            found += self._of_kind(struct, [events[row] for row in rows], [places[row] for row in rows], faults)
        return found

    def _of_kind(
        self, struct: type[Any], events: Sequence[Any], places: Sequence[int], faults: list[Fault]
    ) -> list[Raw]:
        columns = self._columns[struct]
        if columns.kind:
            return list(columns.raws(events, places, faults))
        faults += [Fault(place, "event: found an empty text, expected the kind of the event") for place in places]
        return []


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


def _head(written: Written) -> type[Head]:
    names = {field: written.name_of(field) for field in ("event", "source")}
    fields: list[Any] = [("event", _Kind), ("source", str, "")]
    return cast("type[Head]", msgspec.defstruct("Head", fields, rename=names))
