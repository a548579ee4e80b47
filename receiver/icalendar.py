"""Shifts as iCalendar (RFC 5545), for calendars that subscribe to a schedule.

All times are in UTC, so no calendar needs to know our zones. An event's UID follows from the schedule and from when the
shift begins: who reads the calendar again finds the same event, also after somebody took the shift over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from receiver.policy.schedule import Shift

_LINE_BYTES = 75
# A calendar must have something in it: the time zone in which nothing happens.
_NOTHING = (
    *("BEGIN:VTIMEZONE", "TZID:UTC", "BEGIN:STANDARD", "DTSTART:19700101T000000"),
    *("TZOFFSETFROM:+0000", "TZOFFSETTO:+0000", "END:STANDARD", "END:VTIMEZONE"),
)


def calendar(schedule: str, shifts: Sequence[Shift], *, origin: str, now: datetime) -> str:
    """`origin` tells the events of this receiver from those of another with a schedule of the same name."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Tocsin//on-call//EN",
        "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{_text(f'on call: {schedule}')}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
        "X-PUBLISHED-TTL:PT1H",
        *(line for shift in shifts for line in _event(schedule, shift, origin=origin, now=now)),
        *(() if shifts else _NOTHING),
        "END:VCALENDAR",
    ]
    return "".join(f"{piece}\r\n" for line in lines for piece in _folded(line))


def _event(schedule: str, shift: Shift, *, origin: str, now: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(f'{schedule}-{_moment(shift.begin)}@{origin}')}"
    yield f"DTSTAMP:{_moment(now)}"
    yield f"DTSTART:{_moment(shift.begin)}"
    yield f"DTEND:{_moment(shift.end)}"
    people = " and ".join(shift.people)
    yield f"SUMMARY:{_text(f'{people} on call ({schedule})')}"
    yield f"DESCRIPTION:{_text(f'by {shift.by}')}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _moment(at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    """Escaped; what has no place in a text is left out."""
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    return "".join(character for character in escaped if character >= " " and character != "\x7f")


def _folded(line: str) -> Iterator[str]:
    """Pieces of at most 75 bytes, all but the first after a space; no character is cut in two."""
    piece, size = "", 0
    for character in line:
        width = len(character.encode())
        if size + width > _LINE_BYTES:
            yield piece
            piece, size = " ", 1
        piece, size = piece + character, size + width
    yield piece
