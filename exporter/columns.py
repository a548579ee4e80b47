"""One kind of event: the struct into which it is decoded, and the columns of many of them.

The struct has what every event has and the fields that somebody asks for, and no more. What none of the events says is
no column, so nobody looks at it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from exporter.event import TRACES, Fault, Fields, Raw

SOURCE = re.compile(r"(?:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63})?")
WRONG_SOURCE = "source: expected at most 64 letters, digits, dots, hyphens and underscores"

# Of a field, wherever somebody asks for it; what decodes lines takes no other.
FIELD_NAME = re.compile(r"[^\"\\\x00-\x1f]*")
FIELD_NAME_EXPECTED = "the name of a field without backslashes, double quotes and control characters"

_At = Annotated[datetime, Meta(tz=True)] | float | int | None
# What every event has, in this order; the fields that are asked for come behind.
ALWAYS = ("source", "at", *TRACES)


class Written(NamedTuple):
    """How events are written where that is not ours to say: in a log.

    `kind` and `source` are of those that say none; with a `kind`, no event is asked for its own. `names` are what our
    fields are called there. Where `moments` is false, the moment is whatever stands there, and not judged here.
    """

    kind: str = ""
    source: str = ""
    names: Mapping[str, str] = {}
    moments: bool = True

    def name_of(self, field: str) -> str:
        return self.names.get(field, field)


OURS = Written()


class Columns:
    def __init__(self, kind: str, fields: Fields, written: Written = OURS) -> None:
        self.kind = kind
        attributes = _attributes(fields, written)
        self.struct = _struct(kind, attributes, written)
        self._theirs = tuple(attributes)
        wanted = dict.fromkeys((*ALWAYS, *fields.names))
        self._names = {name: theirs for name in wanted if (theirs := written.name_of(name)) in attributes}
        self._inside = [
            (theirs, first, rest)
            for theirs in dict.fromkeys(self._names.values())
            for first, _, rest in [theirs.partition(".")]
            if rest and first in attributes
        ]
        self._source = self._names.pop("source")

    def raws(self, events: Sequence[Any], places: Sequence[int], faults: list[Fault]) -> Iterator[Raw]:
        """One for each source; those that cannot be one are faults. There is at least one event, all of this kind."""
        read: dict[str, Sequence[Any]] = dict(zip(self._theirs, zip(*map(astuple, events), strict=True), strict=True))
        for theirs, first, rest in self._inside:
            read[theirs] = _reached(read[theirs], read[first], rest)
        sources = read[self._source]
        size = len(sources)
        there = {name: column for name, theirs in self._names.items() if (column := read[theirs]).count(None) < size}
        if sources.count(sources[0]) == size:
            of_source: Mapping[str, Sequence[int]] = {sources[0]: range(size)}
        else:
            of_source = rows_of(sources)
        for source, rows in of_source.items():
            if not SOURCE.fullmatch(source):
                faults += [Fault(places[row], WRONG_SOURCE) for row in rows]
            elif len(rows) == size:
                yield Raw(self.kind, source, places, there)
            else:
                chosen = {name: [column[row] for row in rows] for name, column in there.items()}
                yield Raw(self.kind, source, [places[row] for row in rows], chosen)


def rows_of(names: Sequence[Any]) -> Mapping[Any, Sequence[int]]:
    """Where each of them is, in the order in which they come."""
    found: dict[Any, list[int]] = {}
    for row, name in enumerate(names):
        found.setdefault(name, []).append(row)
    return found


def _attributes(fields: Fields, written: Written) -> dict[str, str]:
    """The attribute that holds what has this name in what was sent. Several fields may be read from one name."""
    own = {written.name_of(name): name for name in reversed(ALWAYS)}
    asked = dict.fromkeys(map(written.name_of, fields.names))
    asked |= dict.fromkeys(name.partition(".")[0] for name in (*own, *asked) if "." in name)
    kind = () if written.kind else (written.name_of("event"),)
    return own | {name: f"field_{number}" for number, name in enumerate(asked) if name not in ("", *own, *kind)}


def _struct(kind: str, attributes: Mapping[str, str], written: Written) -> type[msgspec.Struct]:
    """Fields may be called anything; the attributes that hold them have numbers."""
    types = {"source": (str, written.source), "at": (_At if written.moments else Any, None)}
    return msgspec.defstruct(
        "Event",
        [(attribute, *types.get(attribute, (Any, None))) for attribute in attributes.values()],
        tag_field=None if written.kind else written.name_of("event"),
        tag=None if written.kind else kind,
        rename={attribute: name for name, attribute in attributes.items()},
        gc=False,
    )


def _reached(exactly: Sequence[Any], around: Sequence[Any], rest: str) -> Sequence[Any]:
    """A field of that very name, or else the one inside of objects that its dots lead to."""
    return [_inside(outer, rest) if found is None else found for found, outer in zip(exactly, around, strict=True)]


def _inside(value: Any, rest: str) -> Any:
    while isinstance(value, dict):
        if rest in value:
            return value[rest]
        name, _, rest = rest.partition(".")
        value = value.get(name)
    return None
