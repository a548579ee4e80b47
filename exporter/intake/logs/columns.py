"""Texts by the names of their fields, as events: renamed, and put together by kind and source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

from exporter.columns import SOURCE, WRONG_SOURCE, Written
from exporter.event import TRACES, Fault, Fields, Raw
from exporter.intake.logs.moments import Read
from exporter.reader import KIND_CHARACTERS_MAX, Found

NO_KIND = f"event: expected a kind of event, at most {KIND_CHARACTERS_MAX} characters"
Columns = Mapping[str, Sequence[str]]


def wanted(asked: Mapping[str, Fields], written: Written) -> frozenset[str]:
    """What of a line matters, by its name there."""
    fields = {name for each in asked.values() for name in each.names}
    return frozenset(written.name_of(name) for name in (*sorted(fields), "event", "source", "at", *TRACES))


def found_in(columns: Columns, size: int, written: Written, asked: Mapping[str, Fields]) -> Found:
    """`written.kind` is that of all of them; without one, each says its own."""
    events: list[Raw] = []
    faults: list[Fault] = []
    unmatched: dict[str, int] = {}
    kinds = None if written.kind else columns.get(written.name_of("event"), [""] * size)
    sources = columns.get(written.name_of("source"))
    for kind, of_kind, at in _apart(kinds or [written.kind], columns, range(size)):
        if not kind or len(kind) > KIND_CHARACTERS_MAX:
            faults += [Fault(place, NO_KIND) for place in at]
            continue
        if kind not in asked:
            unmatched[kind] = unmatched.get(kind, 0) + len(at)
            continue
        named = None if sources is None else of_kind[written.name_of("source")]
        for said, group, places in _apart(named or [""], of_kind, at):
            source = said or written.source
            if not SOURCE.fullmatch(source):
                faults += [Fault(place, WRONG_SOURCE) for place in places]
                continue
            events.append(Raw(kind, source, places, _named(group, asked[kind], written)))
    return Found(events, sorted(faults), unmatched)


def with_moments(found: Found, asked: Mapping[str, Fields], read: Read) -> Found:
    """Times are read where somebody asks for them, and left out elsewhere."""
    return found._replace(events=[_with_moment(raw, asked[raw.kind], read) for raw in found.events])


def _with_moment(raw: Raw, fields: Fields, read: Read) -> Raw:
    columns = dict(raw.columns)
    at = columns.pop("at", None)
    if at is not None and fields.moments:
        columns["at"] = list(map(read, at))
    return raw._replace(columns=columns)


def _named(columns: Columns, fields: Fields, written: Written) -> dict[str, Sequence[Any]]:
    names = dict.fromkeys(("at", *TRACES, *fields.names))
    return {name: columns[theirs] for name in names if (theirs := written.name_of(name)) in columns}


def _apart(names: Sequence[str], columns: Columns, places: Sequence[int]) -> list[tuple[str, Columns, Sequence[int]]]:
    """Those of each name. One name is that of all."""
    different = sorted(set(names))
    if len(different) == 1:
        return [(different[0], columns, places)]
    found: list[tuple[str, Columns, Sequence[int]]] = []
    for name in different:
        chosen = list(map(name.__eq__, names))
        group = {field: list(compress(column, chosen)) for field, column in columns.items()}
        found.append((name, group, list(compress(places, chosen))))
    return found
