"""One kind of event: the struct into which it is decoded, and the columns of many of them.

The struct has what every event has and the fields that somebody asks for, and no more. What none of the events says is
no column, so nobody looks at it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import astuple

from exporter.event import TRACES, Fault, Fields, Raw

SOURCE = re.compile(r"(?:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63})?")
WRONG_SOURCE = "source: expected at most 64 letters, digits, dots, hyphens and underscores"

_At = Annotated[datetime, Meta(tz=True)] | float | int | None
# What every event has, in this order; the fields that are asked for come behind.
_ALWAYS = ("source", "at", *TRACES)


class Columns:
    def __init__(self, kind: str, fields: Fields) -> None:
        self.kind = kind
        asked = _asked(fields)
        self.struct = _struct(kind, asked)
        self._names = (*_ALWAYS, *asked)
        self._inside = [
            (name, first, rest)
            for name in dict.fromkeys((*fields.texts, *fields.numbers))
            for first, _, rest in [name.partition(".")]
            if rest and first in asked
        ]

    def raws(self, events: Sequence[Any], places: Sequence[int], faults: list[Fault]) -> Iterator[Raw]:
        """One for each source; those that cannot be one are faults. There is at least one event, all of this kind."""
        columns: dict[str, Sequence[Any]] = dict(zip(self._names, zip(*map(astuple, events), strict=True), strict=True))
        for name, first, rest in self._inside:
            columns[name] = _reached(columns[name], columns[first], rest)
        sources = columns.pop("source")
        size = len(sources)
        there = {name: column for name, column in columns.items() if column.count(None) < size}
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


def _asked(fields: Fields) -> dict[str, str]:
    """The attribute that holds each field: fields may be called anything. What every event has is there anyway."""
    names = dict.fromkeys((*fields.texts, *fields.numbers))
    names |= dict.fromkeys(name.partition(".")[0] for name in list(names) if "." in name)
    return {name: f"field_{number}" for number, name in enumerate(names) if name not in ("", "event", *_ALWAYS)}


def _struct(kind: str, asked: Mapping[str, str]) -> type[msgspec.Struct]:
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
