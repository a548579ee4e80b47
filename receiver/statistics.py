"""How people fare: how long they take to answer, who is paged and when, which alerts are noise. docs/statistics.md says
what each number is.

A store counts (`Counted`); here that becomes what people read, by the policy in force: whose channel it was, and which
hour it was where that person lives.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from receiver.incident import severity_rank
from receiver.message import PAGES, Kind
from receiver.policy.policy import Policy, Schedule
from receiver.policy.windows import zone

SEVERITIES_SHOWN_MAX = 20
ALERTS_SHOWN_MAX = 50
PEOPLE_SHOWN_MAX = 500
NIGHT_BEGINS, NIGHT_ENDS = 22, 7
HOURS = 24
QUARTER_MINUTES = 15


class Times(msgspec.Struct, frozen=True):
    """How long so many took: half of them no longer than `p50_seconds`, nine of ten no longer than `p90_seconds`."""

    count: int = 0
    p50_seconds: float | None = None
    p90_seconds: float | None = None


class Spells(msgspec.Struct, frozen=True):
    """Spells that began in the time, of one severity or of one alert."""

    name: str
    incidents: int  # that were opened
    reopened: int
    acknowledged: int
    resolved: int  # by themselves or by a person
    merged: int
    noise: int
    flaps: int
    time_to_acknowledge: Times = Times()
    time_to_resolve: Times = Times()


class AlertSpells(Spells, frozen=True):
    """Of one alert, and how often it interrupted somebody."""

    pages: int = 0


class Answered(msgspec.Struct, frozen=True):
    """What one person acknowledged."""

    person: str
    acknowledged: int
    time_to_acknowledge: Times = Times()


class Taken(msgspec.Struct, frozen=True):
    """So many messages of a kind that a channel took in one of the 96 quarters of the hours of UTC, on any day of the
    part of the time that begins at `since`: one in which no clock is put forward or back."""

    channel: str
    kind: str
    since: datetime
    quarter: int
    count: int


class Counted(msgspec.Struct, frozen=True):
    """What a store counts. Lists are cut, the most first; beside them is how many there are."""

    severities: Sequence[Spells]
    severities_count: int
    alerts: Sequence[AlertSpells]
    alerts_count: int
    answered: Sequence[Answered]
    answered_count: int
    taken: Sequence[Taken]


class PersonView(msgspec.Struct, frozen=True):
    person: str
    time_zone: str
    pages: int
    night_pages: int
    digests: int
    by_hour: list[int]
    acknowledged: int
    time_to_acknowledge: Times


class ChannelView(msgspec.Struct, frozen=True):
    channel: str
    pages: int
    digests: int


class Statistics(msgspec.Struct, frozen=True, rename={"begin": "from", "end": "to"}):
    """What GET /api/v1/statistics answers."""

    begin: datetime
    end: datetime
    time_zone: str
    pages: int
    digests: int
    by_hour: list[int]
    by_severity: list[Spells]
    severities_left_out: int
    by_person: list[PersonView]
    people_left_out: int
    by_channel: list[ChannelView]
    by_alert: list[AlertSpells]
    alerts_left_out: int


def statistics_of(counted: Counted, policy: Policy, begin: datetime, end: datetime, time_zone: str) -> Statistics:
    """`time_zone` is that of `by_hour`; a person's hours are by the clock where that person is on call."""
    pages = [each for each in counted.taken if each.kind in PAGES]
    people = _people(counted, policy)
    return Statistics(
        begin=begin,
        end=end,
        time_zone=time_zone,
        pages=sum(each.count for each in pages),
        digests=sum(each.count for each in counted.taken if each.kind == Kind.DIGEST),
        by_hour=_by_hour(pages, zone(time_zone)),
        by_severity=sorted(counted.severities, key=lambda each: -severity_rank(each.name)),
        severities_left_out=counted.severities_count - len(counted.severities),
        by_person=people[:PEOPLE_SHOWN_MAX],
        people_left_out=max(0, len(people) - PEOPLE_SHOWN_MAX) + counted.answered_count - len(counted.answered),
        by_channel=_by_channel(counted.taken),
        by_alert=list(counted.alerts),
        alerts_left_out=counted.alerts_count - len(counted.alerts),
    )


def _people(counted: Counted, policy: Policy) -> list[PersonView]:
    """Who was paged or acknowledged something, the most paged first."""
    answered = {each.person: each for each in counted.answered}
    by_channel: dict[str, list[Taken]] = {}
    for each in counted.taken:
        by_channel.setdefault(each.channel, []).append(each)
    zones = _zones(policy.schedules)
    found: list[PersonView] = []
    for person in dict.fromkeys((*policy.reach, *answered)):
        taken = [each for channel in policy.reach.get(person, ()) for each in by_channel.get(channel, ())]
        said = answered.get(person)
        if not taken and said is None:
            continue
        where = zones.get(person, "UTC")
        pages = [each for each in taken if each.kind in PAGES]
        by_hour = _by_hour(pages, zone(where))
        found.append(
            PersonView(
                person=person,
                time_zone=where,
                pages=sum(by_hour),
                night_pages=sum(by_hour[NIGHT_BEGINS:]) + sum(by_hour[:NIGHT_ENDS]),
                digests=sum(each.count for each in taken if each.kind == Kind.DIGEST),
                by_hour=by_hour,
                acknowledged=0 if said is None else said.acknowledged,
                time_to_acknowledge=Times() if said is None else said.time_to_acknowledge,
            )
        )
    return sorted(found, key=lambda each: (-each.pages, -each.acknowledged, each.person))


def _zones(schedules: Mapping[str, Schedule]) -> dict[str, str]:
    """Of each person, the time zone of the first schedule that names that person."""
    zones: dict[str, str] = {}
    for schedule in schedules.values():
        turns = [person for rotation in schedule.rotations for turn in rotation.people for person in turn]
        for person in (*turns, *(override.person for override in schedule.overrides)):
            zones.setdefault(person, schedule.time_zone)
    return zones


def _by_channel(taken: Sequence[Taken]) -> list[ChannelView]:
    pages: Counter[str] = Counter()
    digests: Counter[str] = Counter()
    for each in taken:
        (pages if each.kind in PAGES else digests)[each.channel] += each.count
    names = sorted({*pages, *digests}, key=lambda name: (-pages[name], -digests[name], name))
    return [ChannelView(name, pages[name], digests[name]) for name in names]


def _by_hour(taken: Sequence[Taken], where: ZoneInfo) -> list[int]:
    hours = [0] * HOURS
    for each in taken:
        minutes = each.quarter * QUARTER_MINUTES + _offset(each.since, where) // timedelta(minutes=1)
        hours[minutes // 60 % HOURS] += each.count
    return hours


def parts_of(begin: datetime, end: datetime, policy: Policy, time_zone: str) -> list[datetime]:
    """From `begin` to `end`, cut wherever a clock that matters is put forward or back."""
    names = sorted({time_zone, *(schedule.time_zone for schedule in policy.schedules.values())})
    inside = {cut for name in names for cut in _clock_changes(begin, end, zone(name))}
    return [begin, *sorted(inside), end]


def _clock_changes(begin: datetime, end: datetime, where: ZoneInfo) -> Iterator[datetime]:
    """No zone changes its clocks twice within a day."""
    day = begin
    while day < end:
        following = min(day + timedelta(days=1), end)
        if _offset(day, where) != _offset(following, where):
            yield _clock_change(day, following, where)
        day = following


def _clock_change(before: datetime, after: datetime, where: ZoneInfo) -> datetime:
    """The first moment, to the second, at which the clock is as it is at `after`."""
    offset = _offset(before, where)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) / 2
        if _offset(middle, where) == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _offset(at: datetime, where: ZoneInfo) -> timedelta:
    offset = at.astimezone(where).utcoffset()
    assert offset is not None, "it has a time zone"
    return offset
