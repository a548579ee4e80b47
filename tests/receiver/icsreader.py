"""A strict reader of iCalendar (RFC 5545), as far as a calendar of shifts goes: what it does not expect is an error."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

_LINE = re.compile(r"([A-Z-]+)((?:;[A-Z-]+=[^;:,\"]+)*):(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)|([;,])", re.DOTALL)
_TEXTS = ("UID", "SUMMARY", "DESCRIPTION", "X-WR-CALNAME")


class Event(NamedTuple):
    uid: str
    begin: datetime
    end: datetime
    summary: str
    description: str


def read(data: bytes) -> tuple[dict[str, str], list[Event]]:
    """The calendar's own properties, and its events."""
    properties: dict[str, str] = {}
    events: list[Event] = []
    inside: list[tuple[str, dict[str, str]]] = []
    components = 0
    for name, value in _lines(data):
        if name == "BEGIN":
            assert value in (("VEVENT", "VTIMEZONE") if len(inside) == 1 else ("VCALENDAR", "STANDARD"))
            components += len(inside) == 1
            inside.append((value, {}))
        elif name == "END":
            kind, found = inside.pop()
            assert kind == value
            if kind == "VCALENDAR":
                properties = found
                assert not inside
            elif kind == "VEVENT":
                events.append(_event(found))
        else:
            assert inside, "a property outside of everything"
            assert name not in inside[-1][1], f"{name} twice"
            inside[-1][1][name] = value
    assert not inside
    assert components, "a calendar without anything in it"
    assert properties["VERSION"] == "2.0"
    assert properties["PRODID"]
    assert len({event.uid for event in events}) == len(events)
    return properties, events


def _event(found: dict[str, str]) -> Event:
    assert set(found) == {"UID", "DTSTAMP", "DTSTART", "DTEND", "SUMMARY", "DESCRIPTION", "TRANSP"}
    _moment(found["DTSTAMP"])
    event = Event(
        found["UID"], _moment(found["DTSTART"]), _moment(found["DTEND"]), found["SUMMARY"], found["DESCRIPTION"]
    )
    assert event.begin < event.end
    return event


def _lines(data: bytes) -> list[tuple[str, str]]:
    assert data.endswith(b"\r\n")
    pieces = data[:-2].split(b"\r\n")
    joined: list[bytes] = []
    for piece in pieces:
        assert 0 < len(piece) <= 75, f"{len(piece)} octets in a line"
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", piece)
        piece.decode()  # no character is cut in two
        if piece[:1] == b" ":
            joined[-1] += piece[1:]
        else:
            joined.append(piece)
    found = []
    for line in joined:
        match = _LINE.fullmatch(line.decode())
        assert match, line
        found.append((match[1], _unescaped(match[3]) if match[1] in _TEXTS else match[3]))
    assert (found[0], found[-1]) == (("BEGIN", "VCALENDAR"), ("END", "VCALENDAR"))
    return found


def _unescaped(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        assert match[1] is not None, "a separator that is not escaped"
        assert match[1] in "\\;,nN"
        return "\n" if match[1] in "nN" else match[1]

    return _ESCAPE.sub(one, text)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
