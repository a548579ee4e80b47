"""Who is on call: held against a model that looks at the clock on the wall minute by minute, and against itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.policy.policy import Override, Policy, Rotation, Schedule
from receiver.policy.schedule import Shift, now_and_next, on_call, shifts, whole_shifts
from receiver.policy.windows import in_force, parse_weekly

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Pacific/Apia", "America/Havana")
# A zone, and a day on which its clock is put on, or back.
CHANGES = (
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("UTC", "2026-03-29"),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def rotation(*people: str, shift: timedelta, starts: str, only: str = "", time_zone: str = "UTC") -> Rotation:
    """Several people at once are joined by `+`."""
    return Rotation(
        name="+".join(people),
        people=tuple(tuple(turn.split("+")) for turn in people),
        shift=shift,
        starts=wall(starts),
        only=parse_weekly(only, time_zone=time_zone) if only else (),
    )


def schedule(*rotations: Rotation, time_zone: str = "UTC", overrides: tuple[Override, ...] = ()) -> Schedule:
    return Schedule(name="primary", time_zone=time_zone, rotations=rotations, overrides=overrides)


def told(found: list[Shift]) -> list[tuple[str, str, str]]:
    return [(f"{each.begin:%d %H:%M}", f"{each.end:%d %H:%M}", "+".join(each.people)) for each in found]


# --- the slow model ------------------------------------------------------------------------------------------------


def minute_by_minute(item: Schedule, begin: datetime, end: datetime) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    """The turn is told by the latest reading that the clock on the wall ever had. Begin before anything begins."""
    where, latest, at = ZoneInfo(item.time_zone), wall("1970-01-01T00:00"), begin
    while at < end:
        latest = max(latest, at.astimezone(where).replace(tzinfo=None))
        people: tuple[str, ...] = ()
        for layer in item.rotations:
            inside = not layer.only or any(in_force(window, at) is not None for window in layer.only)
            if latest >= layer.starts and inside:
                turns = int((latest - layer.starts).total_seconds() // layer.shift.total_seconds())
                people = layer.people[turns % len(layer.people)]
        for override in item.overrides:
            if override.starts <= at < override.ends:
                people = (override.person,)
        yield at, people
        at += MINUTE


@pytest.mark.parametrize(("time_zone", "day"), CHANGES)
@pytest.mark.parametrize("hours", [1, 5, 12, 24])
def test_at_every_minute_around_a_change_of_the_clock_it_is_what_a_slow_model_says(
    time_zone: str, day: str, hours: int
) -> None:
    change = utc(day)
    starts = f"{change - DAY:%Y-%m-%d}T02:30"
    item = schedule(
        rotation("ana", "ben", "cleo", shift=hours * HOUR, starts=starts),
        rotation("dora+emil", "fay", shift=DAY, starts=starts, only="Fri-Mon 01:30-02:15", time_zone=time_zone),
        time_zone=time_zone,
        overrides=(Override("gus", change + 4 * HOUR, change + 7 * HOUR),),
    )
    begin, end = change - 2 * DAY, change + 2 * DAY
    model = list(minute_by_minute(item, begin, end))
    assert len({people for _, people in model}) > 5
    assert [(at, on_call(item, at)) for at, _ in model] == model
    listed = {
        at: shift.people
        for shift in shifts(item, begin, end)
        for at in (shift.begin + number * MINUTE for number in range((shift.end - shift.begin) // MINUTE))
    }
    assert list(listed.items()) == model


# --- what always holds ---------------------------------------------------------------------------------------------

# Two windows of which one lies inside the other, and one that touches the next day's.
OVERLAPPING = "Mon-Thu 08:00-20:00|Tue,Wed 10:00-12:00|Sat,Sun 00:00-24:00"
PEOPLE = st.sampled_from(["ana", "ben", "cleo", "dora"])
MOMENTS = st.datetimes(datetime(2026, 2, 20), datetime(2026, 11, 20), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda at: at.replace(second=0, microsecond=0)
)


@st.composite
def rotations(draw: st.DrawFn, time_zone: str) -> Rotation:
    only = draw(
        st.sampled_from(["", "", "Mon-Fri 09:00-17:00", "Sat,Sun 00:00-24:00", "Mon-Sun 22:30-02:30", OVERLAPPING])
    )
    return Rotation(
        name=draw(st.sampled_from(["one", "two", "three"])),
        people=tuple(draw(st.lists(st.lists(PEOPLE, min_size=1, max_size=2).map(tuple), min_size=1, max_size=4))),
        shift=draw(st.sampled_from([HOUR, 5 * HOUR, 12 * HOUR, DAY, 7 * DAY, 30 * DAY])),
        starts=draw(MOMENTS).replace(tzinfo=None),
        only=tuple(window for text in only.split("|") if text for window in parse_weekly(text, time_zone=time_zone)),
    )


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    time_zone = draw(st.sampled_from(ZONES))
    ends = sorted(draw(st.lists(MOMENTS, max_size=6, unique=True)))
    return Schedule(
        name="any",
        time_zone=time_zone,
        rotations=tuple(draw(st.lists(rotations(time_zone), min_size=1, max_size=3))),
        overrides=tuple(Override(draw(PEOPLE), begin, end) for begin, end in zip(ends[::2], ends[1::2], strict=False)),
    )


@settings(max_examples=150)
@given(schedules(), MOMENTS, st.integers(1, 40 * 24))
def test_shifts_follow_each_other_and_say_who_is_on_call_at_each_moment(
    item: Schedule, begin: datetime, hours: int
) -> None:
    end = begin + hours * HOUR
    found = shifts(item, begin, end)
    assert [found[0].begin, *(each.end for each in found)] == [*(each.begin for each in found), end]
    assert found[0].begin == begin
    for shift in found:
        assert shift.begin < shift.end
        for at in (shift.begin, shift.begin + (shift.end - shift.begin) / 2, shift.end - timedelta(seconds=1)):
            assert on_call(item, at) == shift.people
        assert (shift.by is None) == (shift.people == ())


@settings(max_examples=100)
@given(schedules(), MOMENTS, st.integers(1, 400), st.integers(1, 400))
def test_a_shift_is_the_same_from_wherever_it_is_looked_at(
    item: Schedule, begin: datetime, hours: int, later: int
) -> None:
    end = begin + hours * HOUR
    wider = whole_shifts(item, begin - later * HOUR, end + later * HOUR)
    assert whole_shifts(item, begin, end) == [each for each in wider if each.begin < end and each.end > begin]


@settings(max_examples=100)
@given(schedules(), MOMENTS)
def test_who_is_next_is_the_first_who_follows_upon_others(item: Schedule, at: datetime) -> None:
    now, following = now_and_next(item, at)
    assert on_call(item, at) == (() if now is None else now.people)
    if now is not None:
        assert now.begin <= at < now.end
    if following is None:
        everybody = {shift.people for shift in shifts(item, at, at + 400 * DAY)}
        assert everybody == {on_call(item, at)}
    else:
        assert at < following.begin
        assert on_call(item, following.begin) == following.people != ()
        assert on_call(item, following.begin - timedelta(seconds=1)) != following.people
        between = {shift.people for shift in shifts(item, at, following.begin)}
        assert between <= {on_call(item, at), ()}


# --- years ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("time_zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
def test_a_week_is_handed_over_at_nine_all_year_round_and_everybody_has_the_same_share(time_zone: str) -> None:
    people = ("ana", "ben", "cleo", "dora")
    item = schedule(rotation(*people, shift=7 * DAY, starts="2026-01-05T09:00"), time_zone=time_zone)
    where = ZoneInfo(time_zone)
    begin = datetime(2026, 1, 5, 9, tzinfo=where).astimezone(UTC)
    end = datetime(2028, 1, 3, 9, tzinfo=where).astimezone(UTC)  # 104 weeks: 26 cycles
    found = shifts(item, begin, end)
    assert {f"{each.begin.astimezone(where):%a %H:%M}" for each in found} == {"Mon 09:00"}
    assert Counter(each.people for each in found) == {(person,): 26 for person in people}
    time: Counter[str] = Counter()
    for each in found:
        time[each.people[0]] += int((each.end - each.begin).total_seconds())
    # Both years have as many weeks with an hour more as with an hour less; who has them is the calendar's doing.
    assert sum(time.values()) == 104 * 7 * 86_400
    assert max(time.values()) - min(time.values()) <= 4 * 3600


def test_the_turn_of_people_who_are_on_call_together_comes_as_one() -> None:
    item = schedule(rotation("ana+ben", "cleo", shift=12 * HOUR, starts="2026-01-05T08:00"))
    assert told(shifts(item, utc("2026-01-05T08:00"), utc("2026-01-06T20:00"))) == [
        ("05 08:00", "05 20:00", "ana+ben"),
        ("05 20:00", "06 08:00", "cleo"),
        ("06 08:00", "06 20:00", "ana+ben"),
    ]


def test_an_hour_that_is_skipped_is_nobodys_shift_and_one_that_comes_twice_is_handed_over_in_the_first() -> None:
    hourly = schedule(
        rotation("ana", "ben", "cleo", "dora", shift=HOUR, starts="2026-03-29T00:00"), time_zone="Europe/Berlin"
    )
    # At 01:00 UTC two o'clock becomes three: ana has 0, ben 1, and dora 3; the turn of cleo does not come.
    assert told(shifts(hourly, utc("2026-03-28T23:00"), utc("2026-03-29T03:00"))) == [
        ("28 23:00", "29 00:00", "ana"),
        ("29 00:00", "29 01:00", "ben"),
        ("29 01:00", "29 02:00", "dora"),
        ("29 02:00", "29 03:00", "ana"),
    ]
    half = schedule(rotation("ana", "ben", shift=DAY, starts="2026-10-24T02:30"), time_zone="Europe/Berlin")
    # The clock reads 02:30 at 00:30 UTC and at 01:30 UTC.
    assert told(shifts(half, utc("2026-10-24T00:30"), utc("2026-10-26T01:30"))) == [
        ("24 00:30", "25 00:30", "ana"),
        ("25 00:30", "26 01:30", "ben"),
    ]


# --- layers --------------------------------------------------------------------------------------------------------


def test_later_rotations_lie_over_earlier_ones_and_overrides_over_all() -> None:
    item = schedule(
        rotation("ana", "ben", shift=7 * DAY, starts="2026-01-05T09:00"),
        rotation("dora", shift=DAY, starts="2026-01-06T00:00", only="Mon-Fri 09:00-17:00"),
        overrides=(
            Override("gus", utc("2026-01-08T12:00"), utc("2026-01-09T12:00")),
            Override("fay", utc("2026-01-06T10:00"), utc("2026-01-06T11:00")),
        ),
    )
    found = shifts(item, utc("2026-01-05T00:00"), utc("2026-01-10T00:00"))
    assert told(found) == [
        ("05 00:00", "05 09:00", ""),  # before the first shift
        ("05 09:00", "06 09:00", "ana"),  # the second layer begins on the 6th
        ("06 09:00", "06 10:00", "dora"),
        ("06 10:00", "06 11:00", "fay"),
        ("06 11:00", "06 17:00", "dora"),
        ("06 17:00", "07 09:00", "ana"),
        ("07 09:00", "07 17:00", "dora"),
        ("07 17:00", "08 09:00", "ana"),
        ("08 09:00", "08 12:00", "dora"),
        ("08 12:00", "09 12:00", "gus"),
        ("09 12:00", "09 17:00", "dora"),
        ("09 17:00", "10 00:00", "ana"),
    ]
    assert [each.by for each in found[:4]] == [None, "ana+ben", "dora", "override"]


def test_one_person_alone_has_nobody_after_them_and_office_hours_have_nobody_at_night() -> None:
    alone = schedule(rotation("ana", shift=DAY, starts="2026-01-05T09:00"))
    now, following = now_and_next(alone, utc("2026-02-01T12:00"))
    assert (now, following) == (Shift(utc("2026-02-01T09:00"), utc("2026-02-02T09:00"), ("ana",), "ana"), None)
    office = schedule(rotation("ana", shift=DAY, starts="2026-01-05T00:00", only="Mon-Fri 09:00-17:00"))
    now, following = now_and_next(office, utc("2026-01-10T12:00"))  # a Saturday
    assert now is None
    assert following == Shift(utc("2026-01-12T09:00"), utc("2026-01-12T17:00"), ("ana",), "ana")
    assert now_and_next(office, utc("2026-01-12T10:00"))[1] == Shift(
        utc("2026-01-13T09:00"), utc("2026-01-13T17:00"), ("ana",), "ana"
    )


def test_nothing_lies_between_a_moment_and_itself() -> None:
    item = schedule(rotation("ana", shift=DAY, starts="2026-01-05T09:00"))
    at = utc("2026-02-01T12:00")
    assert (shifts(item, at, at), whole_shifts(item, at, at - DAY)) == ([], [])


def test_a_schedule_comes_back_from_the_journal_as_it_was() -> None:
    item = schedule(
        rotation("ana+ben", "cleo", shift=DAY, starts="2026-01-05T09:00", only="Mon 09:00-17:00"),
        overrides=(Override("gus", utc("2026-01-08T12:00"), utc("2026-01-09T12:00")),),
    )
    policy = Policy(digest="d", routes=(), escalations={}, channels=(), schedules={"primary": item})
    assert msgspec.json.decode(msgspec.json.encode(policy), type=Policy) == policy
