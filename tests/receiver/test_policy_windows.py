"""Windows by the clock on the wall, held against a model that looks at every minute around a change of the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from receiver.policy.policy import Window
from receiver.policy.windows import (
    WEEKDAYS,
    first_moment,
    in_force,
    last_moment,
    next_start,
    parse_moment,
    parse_once,
    parse_weekly,
    zone,
)

MINUTE = timedelta(minutes=1)
# A zone, and a day on which its clock changes: by an hour, by half an hour, at midnight, by a whole day, or not at all.
CHANGES = (
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Africa/Cairo", "2026-04-24"),
    ("Africa/Cairo", "2026-10-30"),
    ("Pacific/Apia", "2011-12-30"),
    ("UTC", "2026-03-29"),
)
DAYS_AROUND = 9


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def weekly(text: str, time_zone: str = "UTC") -> Window:
    (window,) = parse_weekly(text, time_zone=time_zone)
    return window


# --- the slow model --------------------------------------------------------------------------------------------------


@cache
def readings(time_zone: str, day: str) -> tuple[tuple[datetime, int], ...]:
    """Every minute around a day, with what the clock on the wall reads, in minutes since some Monday."""
    begin = utc(day) - timedelta(days=DAYS_AROUND)
    where, monday = ZoneInfo(time_zone), datetime(2001, 1, 1)  # noqa: DTZ001 - on the wall
    minutes = (begin + number * MINUTE for number in range(2 * DAYS_AROUND * 1440))
    return tuple((at, (at.astimezone(where).replace(tzinfo=None) - monday) // MINUTE) for at in minutes)


def occurrences(window: Window, day: str) -> list[tuple[datetime, datetime]]:
    """Each time that the window comes: from the first minute whose reading is in it, to the end of the last one."""
    spans: dict[int, tuple[datetime, datetime]] = {}
    begin = window.weekday * 1440 + window.from_minute
    for at, reading in readings(window.time_zone, day):
        week, minute = divmod(reading - begin, 7 * 1440)
        if minute < window.minutes:
            spans[week] = (spans.get(week, (at, at))[0], at + MINUTE)
    return list(spans.values())


windows = st.builds(
    Window,
    weekday=st.integers(0, 6),
    from_minute=st.one_of(st.integers(0, 1439), st.sampled_from([0, 60, 90, 105, 120, 135, 150, 180, 1380, 1439])),
    minutes=st.one_of(st.integers(1, 1440), st.sampled_from([1, 15, 30, 60, 90, 120, 1440])),
)


@settings(max_examples=200)
@given(
    change=st.sampled_from(CHANGES), window=windows, minute=st.integers(-3 * 1440, 4 * 1440), second=st.integers(0, 59)
)
@example(change=CHANGES[0], window=Window(weekday=6, from_minute=120, minutes=60), minute=60, second=0)
@example(change=CHANGES[1], window=Window(weekday=6, from_minute=60, minutes=60), minute=0, second=0)
@example(change=CHANGES[1], window=Window(weekday=6, from_minute=150, minutes=30), minute=45, second=30)
def test_a_weekly_window_is_in_force_whenever_the_clock_on_the_wall_says_so(
    change: tuple[str, str], window: Window, minute: int, second: int
) -> None:
    time_zone, day = change
    window = msgspec.structs.replace(window, time_zone=time_zone)
    found = occurrences(window, day)

    def in_the_model(at: datetime) -> datetime | None:
        return next((end for start, end in found if start <= at < end), None)

    inside = [span for span in found if abs(span[0] - utc(day)) < timedelta(days=6)]
    for start, end in inside:
        assert in_force(window, start - timedelta(seconds=1)) in [None, start]
        assert in_force(window, start) == end
        assert in_force(window, end - timedelta(seconds=1)) == end
        assert in_force(window, end) == in_the_model(end)
        assert next_start(window, start - timedelta(seconds=1)) == start
    at = utc(day) + minute * MINUTE + timedelta(seconds=second)
    assert in_force(window, at) == in_the_model(at)
    later = [start for start, _ in found if start > at]
    if later:
        assert next_start(window, at) == later[0]


# --- the two days that people ask about ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "time_zone", "day", "span"),
    [
        ("Sun 02:00-04:00", "Europe/Berlin", "2026-11-22", ("2026-11-22T01:00", "2026-11-22T03:00")),
        ("Sun 02:00-04:00", "Europe/Berlin", "2026-03-29", ("2026-03-29T01:00", "2026-03-29T02:00")),
        ("Sun 02:00-04:00", "Europe/Berlin", "2026-10-25", ("2026-10-25T00:00", "2026-10-25T03:00")),
        ("Sun 00:00-02:00", "Europe/Berlin", "2026-10-25", ("2026-10-24T22:00", "2026-10-25T00:00")),
        ("Sat 22:00-02:30", "Europe/Berlin", "2026-10-24", ("2026-10-24T20:00", "2026-10-25T01:30")),
        ("Sun 00:00-24:00", "Europe/Berlin", "2026-03-29", ("2026-03-28T23:00", "2026-03-29T22:00")),
        ("Sun 23:00-01:00", "America/New_York", "2026-11-01", ("2026-11-02T04:00", "2026-11-02T06:00")),
        ("Sun 01:45-02:15", "Australia/Lord_Howe", "2026-04-05", ("2026-04-04T14:45", "2026-04-04T15:45")),
    ],
)
def test_windows_around_a_change_of_the_clock(text: str, time_zone: str, day: str, span: tuple[str, str]) -> None:
    window = weekly(text, time_zone)
    start = next_start(window, utc(day) - timedelta(days=1, hours=12))
    assert start is not None
    assert (start, in_force(window, start)) == (utc(span[0]), utc(span[1]))


def test_a_window_inside_the_hour_that_is_skipped_does_not_come_that_week() -> None:
    window = weekly("Sun 02:15-02:45", "Europe/Berlin")
    assert in_force(window, utc("2026-03-29T01:00")) is None
    assert next_start(window, utc("2026-03-23")) == utc("2026-04-05T00:15")


def test_a_window_over_the_end_of_the_week_goes_on_into_monday() -> None:
    window = weekly("Sun 22:00-06:00")
    assert in_force(window, utc("2026-11-23T05:59")) == utc("2026-11-23T06:00")
    assert in_force(window, utc("2026-11-23T06:00")) is None
    assert next_start(window, utc("2026-11-22T22:00")) == utc("2026-11-29T22:00")


def test_a_window_that_comes_once_begins_and_ends_once() -> None:
    window = parse_once("2026-12-24T18:00", "2026-12-25T02:00+02:00", time_zone="Europe/Berlin")
    start, end = utc("2026-12-24T17:00"), utc("2026-12-25")
    assert (window.starts, window.ends) == (start, end)
    assert [in_force(window, at) for at in (start - MINUTE, start, end - MINUTE, end)] == [None, end, end, None]
    assert [next_start(window, at) for at in (start - MINUTE, start, end)] == [start, None, None]


def test_moments_that_do_not_come_and_moments_that_come_twice() -> None:
    berlin = zone("Europe/Berlin")
    skipped, twice = datetime(2026, 3, 29, 2, 30), datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - on the wall
    assert first_moment(skipped, berlin) == last_moment(skipped, berlin) == utc("2026-03-29T01:00")
    assert (first_moment(twice, berlin), last_moment(twice, berlin)) == (
        utc("2026-10-25T00:30"),
        utc("2026-10-25T01:30"),
    )


# --- how they are written --------------------------------------------------------------------------------------------


def test_days_and_times_are_read() -> None:
    assert weekly("Sun 02:00-04:30", "Europe/Berlin") == Window(
        weekday=6, from_minute=120, minutes=150, time_zone="Europe/Berlin"
    )
    assert weekly("Mon 00:00-24:00") == Window(weekday=0, from_minute=0, minutes=1440)
    assert weekly("Fri 23:30-00:30") == Window(weekday=4, from_minute=1410, minutes=60)
    assert [window.weekday for window in parse_weekly("Wed,Mon,Wed 01:00-02:00")] == [2, 0]
    assert [window.weekday for window in parse_weekly("Mon-Fri 01:00-02:00")] == [0, 1, 2, 3, 4]
    assert [window.weekday for window in parse_weekly("Sat-Mon,Sun,Wed-Wed 01:00-02:00")] == [5, 6, 0, 2]
    assert [window.weekday for window in parse_weekly(",".join(WEEKDAYS) + " 01:00-02:00")] == list(range(7))


@pytest.mark.parametrize(
    "text",
    [
        *("", "Sun", "Sun 2:00-4:00", "sun 02:00-04:00", "Sun 02:00 - 04:00", "Sun 02:00-04:00 ", "Sun, 02:00-04:00"),
        *("Sunday 02:00-04:00", "Mon-Fry 02:00-04:00", "Mon- 02:00-04:00", "Mon-Wed-Fri 02:00-04:00", "02:00-04:00"),
        *("Sun 24:00-02:00", "Sun 02:60-04:00"),
        *("Sun 02:00-24:01", "Sun 02:00-25:00", "Sun 02:00-02:00", "Sun ٠٢:00-04:00", "Sun 02:00-04:00\n"),
    ],
)
def test_other_days_and_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="times"):
        parse_weekly(text)


@pytest.mark.parametrize(
    "text", ["2026-12-24T18:00", "2026-12-24T18:00:30", "2026-12-24T18:00Z", "2026-12-24T18:00-05:30"]
)
def test_moments_are_read(text: str) -> None:
    assert parse_moment(text) == datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "text",
    ["", "2026-12-24", "24.12.2026", "2026-12-24 18:00", "2026-02-30T00:00", "1999-01-01T00:00", "2026-12-24T24:30",
     "2026-12-24T18:00+25:00", "20261224T1800", "2026-12-24T18:00\n"],
)  # fmt: skip
def test_other_moments_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a moment such as"):
        parse_moment(text)


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"])
def test_zones_are_known_by_their_names(name: str) -> None:
    assert zone(name).key == name


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Crater", "Europe", "localtime", "posixrules", "posix/UTC", "right/UTC", "../UTC", "/etc/localtime",
     "Europe/Berlin ", "Europe/Berlin\n", "CEST", "+01:00", "zone.tab", "leapseconds", "a/b/c/d", "Europe/\x00"],
)  # fmt: skip
def test_what_is_no_zone_on_every_machine_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="a time zone such as"):
        zone(name)
