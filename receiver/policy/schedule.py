"""Who is on call: the rotations and overrides of a schedule as shifts, at one moment and between two.

A rotation's turns follow each other by the clock on the wall of the schedule's time zone: turn number n begins when
that clock first reads `starts` plus n times the shift, or a later time. So a week that begins on Monday at nine begins
at nine all year round. Where an hour comes twice, the hand-over is in the first of the two. A turn that begins inside
an hour that is skipped begins when the clock is put on, and one that lies wholly inside it does not come.

Later rotations lie over earlier ones, and overrides lie over all. Nothing here knows what time it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from receiver.policy.policy import Rotation, Schedule
from receiver.policy.windows import first_moment, in_force, occurrences, zone

OVERRIDE = "override"
# What is between two moments is known from what lies so far around them, and the longest shift: a clock on the wall may
# be put on by a whole day, and a window is at most a day long.
_AROUND = timedelta(days=3)
# Who is next is looked for in ever longer times: most often it is tonight.
_DAYS_AHEAD = (2, 16, 128, 400)


class Shift(msgspec.Struct, frozen=True, gc=False):
    """From one moment to another the same people are on call, by the same rotation or override; or nobody is."""

    begin: datetime
    end: datetime
    people: tuple[str, ...] = ()
    by: str | None = None  # the name of the rotation, or `override`


def on_call(schedule: Schedule, at: datetime) -> tuple[str, ...]:
    """Whom to tell at this moment."""
    for override in schedule.overrides:
        if override.starts <= at < override.ends:
            return (override.person,)
    where = zone(schedule.time_zone)
    for rotation in reversed(schedule.rotations):
        number = _number(rotation, at, where)
        if number >= 0 and (not rotation.only or any(in_force(window, at) for window in rotation.only)):
            return rotation.people[number % len(rotation.people)]
    return ()


def shifts(schedule: Schedule, begin: datetime, end: datetime) -> list[Shift]:
    """All between two moments, one after another without a gap: a time in which nobody is on call is one of them."""
    found: list[Shift] = []
    at = begin
    for shift in whole_shifts(schedule, begin, end):
        if at < shift.begin:
            found.append(Shift(at, shift.begin))
        found.append(_cut(shift, begin, end))
        at = shift.end
    if at < end:
        found.append(Shift(at, end))
    return found


def whole_shifts(schedule: Schedule, begin: datetime, end: datetime) -> list[Shift]:
    """Those that somebody has between two moments, in their order, each from its own beginning to its own end. A shift
    is the same wherever the two moments are."""
    if begin >= end:
        return []
    where = zone(schedule.time_zone)
    around = max((rotation.shift for rotation in schedule.rotations), default=timedelta()) + _AROUND
    first, last = begin - around, end + around
    found: list[Shift] = []
    for rotation in schedule.rotations:
        found = _over(found, _layer(rotation, first, last, where))
    overrides = [
        Shift(override.starts, override.ends, (override.person,), OVERRIDE)
        for override in schedule.overrides
        if override.starts < last and override.ends > first
    ]
    found = _over(found, sorted(overrides, key=_beginning))
    return [shift for shift in found if shift.begin < end and shift.end > begin]


def now_and_next(schedule: Schedule, at: datetime) -> tuple[Shift | None, Shift | None]:
    """The shift that goes on, and the next one of other people or after a time without anybody; none where nobody is on
    call, or nothing changes within 400 days."""
    now: Shift | None = None
    for days in _DAYS_AHEAD:
        found = whole_shifts(schedule, at, at + timedelta(days=days))
        now = found[0] if found and found[0].begin <= at else None
        before = now
        for shift in found if now is None else found[1:]:
            if before is None or before.people != shift.people or before.end < shift.begin:
                return now, shift
            before = shift
    return now, None


# --- one rotation --------------------------------------------------------------------------------------------------


def _begins(rotation: Rotation, number: int, where: ZoneInfo) -> datetime:
    return first_moment(rotation.starts + number * rotation.shift, where)


def _number(rotation: Rotation, at: datetime, where: ZoneInfo) -> int:
    """Of the turn that a moment is in; below 0 before the rotation starts. The clock on the wall tells nearly which."""
    number = (at.astimezone(where).replace(tzinfo=None) - rotation.starts) // rotation.shift
    while _begins(rotation, number, where) > at:
        number -= 1
    while _begins(rotation, number + 1, where) <= at:
        number += 1
    return number


def _layer(rotation: Rotation, begin: datetime, end: datetime, where: ZoneInfo) -> list[Shift]:
    turns = _turns(rotation, begin, end, where)
    if not rotation.only:
        return list(turns)
    spans = _joined(sorted(span for window in rotation.only for span in occurrences(window, begin, end)))
    return list(_inside(turns, spans))


def _turns(rotation: Rotation, begin: datetime, end: datetime, where: ZoneInfo) -> Iterator[Shift]:
    number = max(_number(rotation, begin, where), 0)
    starts = _begins(rotation, number, where)
    while starts < end:
        ends = _begins(rotation, number + 1, where)
        if starts < ends:
            yield Shift(starts, ends, rotation.people[number % len(rotation.people)], rotation.name)
        number, starts = number + 1, ends


def _joined(spans: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """In their order; those that overlap or touch are one."""
    found: list[tuple[datetime, datetime]] = []
    for begin, end in spans:
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _inside(turns: Iterable[Shift], spans: Sequence[tuple[datetime, datetime]]) -> Iterator[Shift]:
    """What of the turns lies in the spans; both are in order, and do not overlap."""
    place = 0
    for turn in turns:
        while place < len(spans) and spans[place][1] <= turn.begin:
            place += 1
        inside = place
        while inside < len(spans) and spans[inside][0] < turn.end:
            begin, end = spans[inside]
            yield _cut(turn, begin, end)
            inside += 1


# --- layers --------------------------------------------------------------------------------------------------------


def _over(lower: Sequence[Shift], upper: Sequence[Shift]) -> list[Shift]:
    """The upper shifts, and what they leave of the lower ones; both are in order, and do not overlap."""
    if not (lower and upper):
        return [*lower, *upper]
    found = list(upper)
    place = 0
    for shift in lower:
        while place < len(upper) and upper[place].end <= shift.begin:
            place += 1
        begin, above = shift.begin, place
        while above < len(upper) and upper[above].begin < shift.end:
            if begin < upper[above].begin:
                found.append(_cut(shift, begin, upper[above].begin))
            begin = upper[above].end
            above += 1
        if begin < shift.end:
            found.append(_cut(shift, begin, shift.end))
    return sorted(found, key=_beginning)


def _cut(shift: Shift, begin: datetime, end: datetime) -> Shift:
    """What of it lies between two moments."""
    if begin <= shift.begin and shift.end <= end:
        return shift
    return Shift(max(shift.begin, begin), min(shift.end, end), shift.people, shift.by)


def _beginning(shift: Shift) -> datetime:
    return shift.begin
