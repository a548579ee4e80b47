"""Windows of time by the clock on the wall: when one is in force, until when, and when the next one begins.

A weekly window covers everything from the first to the last moment at which the clock on the wall reads a time inside
it. So it begins at the first moment at or after its local start, and ends at the last one: where an hour is skipped the
window is shorter, where an hour comes twice it is longer, and nobody is told in the middle of a patch night.

Nothing here knows what time it is. The rules of a zone are those of `zoneinfo`; docs/decisions has what that means for
a replay.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from receiver.policy.policy import Window

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY_MINUTES = 24 * 60
_SECOND = timedelta(seconds=1)
# A window that begins in an hour that is skipped may be empty. That is over within a week, so this is never used up.
_WEEKS_LOOKED_AT = 8

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
# These are files of a machine, not names of zones: another machine would read them otherwise.
_NO_ZONES = ("localtime", "posixrules", "posix", "right", "Factory")
_DAY = "|".join(WEEKDAYS)
_DAYS = rf"(?:{_DAY})(?:-(?:{_DAY}))?"
_WEEKLY = re.compile(rf"({_DAYS}(?:,{_DAYS})*) (\d\d):(\d\d)-(\d\d):(\d\d)", re.ASCII)
_MOMENT = re.compile(r"2\d{3}-\d\d-\d\dT\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name; ValueError with what was expected otherwise."""
    expected = "a time zone such as Europe/Berlin or UTC"
    if _ZONE.fullmatch(name) is None or name.partition("/")[0] in _NO_ZONES:
        raise ValueError(expected)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(expected) from None


def parse_weekly(text: str, *, time_zone: str = "UTC") -> tuple[Window, ...]:
    """`Mon,Wed 22:00-02:00` is two windows, both over midnight, and `Mon-Fri 09:00-17:00` is five; ValueError with what
    was expected otherwise."""
    found = _WEEKLY.fullmatch(text)
    if found is None:
        raise ValueError("days and times such as 'Sun 02:00-04:00', 'Mon,Wed 22:00-02:00' or 'Mon-Fri 09:00-17:00'")
    days, *numbers = found.groups()
    hour, minute, to_hour, to_minute = map(int, numbers)
    begin, end = hour * 60 + minute, to_hour * 60 + to_minute
    if minute > 59 or to_minute > 59 or begin >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise ValueError("times from 00:00 to 24:00")
    if begin == end:
        raise ValueError("two different times (a whole day is 00:00-24:00)")
    return tuple(
        Window(
            weekday=weekday,
            from_minute=begin,
            minutes=end - begin if end > begin else end - begin + _DAY_MINUTES,
            time_zone=time_zone,
        )
        for weekday in dict.fromkeys(each for part in days.split(",") for each in _weekdays(part))
    )


def parse_moment(text: str) -> datetime:
    """2026-12-24T00:00, with or without an offset; ValueError with what was expected otherwise."""
    expected = "a moment such as '2026-12-24T18:00' or '2026-12-24T18:00+01:00'"
    if _MOMENT.fullmatch(text) is None:
        raise ValueError(expected)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(expected) from None


def parse_once(begin: str, end: str, *, time_zone: str) -> Window:
    """From one moment to another; without an offset, by the clock on the wall of `time_zone`. Raises ValueError."""
    start, stop = parse_moment(begin), parse_moment(end)
    return Window(
        starts=start.astimezone(UTC) if start.tzinfo else first_moment(start, zone(time_zone)),
        ends=stop.astimezone(UTC) if stop.tzinfo else last_moment(stop, zone(time_zone)),
        time_zone=time_zone,
    )


def in_force(window: Window, at: datetime) -> datetime | None:
    """When the window ends that is in force at this moment; None when none is."""
    if window.starts is not None and window.ends is not None:
        return window.ends if window.starts <= at < window.ends else None
    today = at.astimezone(zone(window.time_zone)).date()
    for day in _days(window, today - timedelta(days=3), weeks=1):
        starts, ends = _occurrence(window, day)
        if starts <= at < ends:
            return ends
    return None


def next_start(window: Window, at: datetime) -> datetime | None:
    """The first beginning after this moment; None when there is no other."""
    if window.starts is not None:
        return window.starts if window.starts > at else None
    today = at.astimezone(zone(window.time_zone)).date()
    for day in _days(window, today - timedelta(days=1), weeks=_WEEKS_LOOKED_AT):
        starts, ends = _occurrence(window, day)
        if at < starts < ends:
            return starts
    return None


def occurrences(window: Window, begin: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """When a weekly window is in force, as far as that touches what lies between two moments; from beginning to end."""
    first = begin.astimezone(zone(window.time_zone)).date() - timedelta(days=3)
    weeks = (end - begin) // timedelta(weeks=1) + 3
    found = (_occurrence(window, day) for day in _days(window, first, weeks=weeks))
    return [(starts, ends) for starts, ends in found if starts < ends and starts < end and ends > begin]


def first_moment(local: datetime, where: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which the clock on the wall reads this time or a later one."""
    earlier = local.replace(tzinfo=where, fold=0).astimezone(UTC)
    later = local.replace(tzinfo=where, fold=1).astimezone(UTC)
    return earlier if earlier <= later else _change(later, earlier, where)


def last_moment(local: datetime, where: ZoneInfo) -> datetime:
    """The moment, in UTC, from which on the clock on the wall never again reads a time before this one."""
    earlier = local.replace(tzinfo=where, fold=0).astimezone(UTC)
    later = local.replace(tzinfo=where, fold=1).astimezone(UTC)
    if earlier > later:
        return _change(later, earlier, where)
    # A clock that is put back to exactly this time reads nothing before it the second time.
    return earlier if earlier < later and _offset(later - _SECOND, where) != _offset(later, where) else later


def _weekdays(part: str) -> list[int]:
    """`Fri-Mon` goes over the end of the week."""
    first, _, last = part.partition("-")
    begin = WEEKDAYS.index(first)
    count = (WEEKDAYS.index(last) - begin) % 7 if last else 0
    return [(begin + number) % 7 for number in range(count + 1)]


def _days(window: Window, first: date, *, weeks: int) -> list[date]:
    """The days on which the window begins, from `first` on."""
    day = first + timedelta(days=(window.weekday - first.weekday()) % 7)
    return [day + timedelta(weeks=number) for number in range(weeks)]


@lru_cache(maxsize=4096)
def _occurrence(window: Window, day: date) -> tuple[datetime, datetime]:
    """Asked for each alert of a body, and the same for all of them."""
    begin = datetime.combine(day, time.min) + timedelta(minutes=window.from_minute)
    where = zone(window.time_zone)
    return first_moment(begin, where), last_moment(begin + timedelta(minutes=window.minutes), where)


def _change(before: datetime, after: datetime, where: ZoneInfo) -> datetime:
    """The second at which the clock was put on, somewhere between two moments."""
    old = _offset(before, where)
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if _offset(middle, where) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(at: datetime, where: ZoneInfo) -> timedelta | None:
    return at.astimezone(where).utcoffset()
