"""GET /api/v1/oncall: who is on call now, who is next, and who is when; for calendars as well."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web

from receiver.clock import Clock
from receiver.doors.answers import answer, refuse
from receiver.icalendar import calendar
from receiver.policy.policy import Schedule
from receiver.policy.schedule import Shift, now_and_next, shifts, whole_shifts
from receiver.policy.windows import parse_moment
from receiver.runner import Runner

RANGE_DAYS_MAX = 366
SHIFTS_MAX = 20_000
# What a calendar is given that asks for nothing else.
CALENDAR_BEHIND = timedelta(days=7)
CALENDAR_DAYS = timedelta(days=97)


class ScheduleView(msgspec.Struct, frozen=True):
    """Who is on call by one schedule."""

    name: str
    time_zone: str
    now: Shift | None  # whole, whenever it began
    next: Shift | None
    shifts: list[Shift]  # exactly from `at` to `until`; none where no `until` was asked for


class OnCall:
    def __init__(self, *, runner: Runner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock

    async def get(self, request: web.Request) -> web.Response:
        at = _moment(request, "at") or self._clock.now()
        until = _moment(request, "until")
        if until is not None:
            _check_range(at, until)
        known = self._runner.state.policy.schedules
        name = request.query.get("schedule")
        chosen = list(known.values()) if name is None else [self._schedule(name)]
        # A year of many schedules takes long enough for a webhook to notice; the policy never changes under a thread.
        views = await asyncio.to_thread(_views, chosen, at, until)
        if len(views) < len(chosen):
            refuse(400, f"more than {SHIFTS_MAX} shifts until {until}: ask for one schedule, or for a shorter time")
        return answer({"at": at, "until": until, "schedules": views})

    async def calendar(self, request: web.Request) -> web.Response:
        schedule = self._schedule(request.match_info["schedule"])
        now = self._clock.now()
        begin = _moment(request, "at") or now - CALENDAR_BEHIND
        end = _moment(request, "until") or begin + CALENDAR_DAYS
        _check_range(begin, end)
        found = await asyncio.to_thread(whole_shifts, schedule, begin, end)
        text = calendar(schedule.name, found, origin=f"{self._runner.state.journal}.tocsin", now=now)
        return web.Response(text=text, content_type="text/calendar", charset="utf-8")

    def _schedule(self, name: str) -> Schedule:
        known = self._runner.state.policy.schedules
        if name not in known:
            listed = ", ".join(list(known)[:20]) or "none"
            refuse(404, f"there is no schedule {name[:80]!r} (there are: {listed})")
        return known[name]


def _views(schedules: Sequence[Schedule], at: datetime, until: datetime | None) -> list[ScheduleView]:
    """Fewer than the schedules where that would be too much."""
    views: list[ScheduleView] = []
    count = 0
    for schedule in schedules:
        found = [] if until is None else shifts(schedule, at, until)
        count += len(found)
        if count > SHIFTS_MAX:
            break
        now, following = now_and_next(schedule, at)
        views.append(ScheduleView(schedule.name, schedule.time_zone, now, following, found))
    return views


def _moment(request: web.Request, key: str) -> datetime | None:
    """Without an offset it is UTC, as every time of the API."""
    written = request.query.get(key)
    if written is None:
        return None
    try:
        moment = parse_moment(written)
    except ValueError as error:
        refuse(400, f"{key}: found {written[:40]!r}, expected {error}")
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _check_range(begin: datetime, end: datetime) -> None:
    if not begin < end <= begin + timedelta(days=RANGE_DAYS_MAX):
        expected = f"after {begin.isoformat()}, by at most {RANGE_DAYS_MAX} days"
        refuse(400, f"until: found {end.isoformat()}, expected {expected}")
