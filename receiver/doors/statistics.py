"""GET /api/v1/statistics: how long people take to answer, who is paged and when, which alerts are noise."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from aiohttp import web

from receiver.clock import Clock
from receiver.doors.answers import RETRY, answer, refuse
from receiver.policy.duration import parse_duration
from receiver.policy.windows import parse_moment, zone
from receiver.runner import Runner
from receiver.statistics import parts_of, statistics_of
from receiver.store import Store, StoreFailed

DEFAULT = timedelta(days=7)
RANGE_DAYS_MAX = 366
AT_ONCE_MAX = 4
_KEYS = ("from", "to", "time_zone")


class StatisticsDoor:
    def __init__(self, *, store: Store, runner: Runner, clock: Clock) -> None:
        self._store = store
        self._runner = runner
        self._clock = clock
        self._asking = 0

    async def get(self, request: web.Request) -> web.Response:
        unknown = next((key for key in request.query if key not in _KEYS), None)
        if unknown is not None:
            refuse(400, f"found {unknown[:40]!r}, expected one of: {', '.join(_KEYS)}")
        now = self._clock.now()
        end = _moment(request, "to", now) or now
        begin = _moment(request, "from", now) or end - DEFAULT
        if not begin < end <= begin + timedelta(days=RANGE_DAYS_MAX):
            found = f"from {begin.isoformat()} to {end.isoformat()}"
            refuse(400, f"found {found}, expected a time of at most {RANGE_DAYS_MAX} days that ends after it begins")
        time_zone = request.query.get("time_zone", "UTC")
        try:
            zone(time_zone)
        except ValueError as error:
            refuse(400, f"time_zone: found {time_zone[:40]!r}, expected {error}")
        return await self._answer(begin, end, time_zone)

    async def _answer(self, begin: datetime, end: datetime, time_zone: str) -> web.Response:
        if self._asking >= AT_ONCE_MAX:
            refuse(503, f"{AT_ONCE_MAX} others ask for statistics just now: try again", headers=RETRY)
        policy = self._runner.state.policy  # it never changes under a thread
        self._asking += 1
        try:
            cuts = await asyncio.to_thread(parts_of, begin, end, policy, time_zone)
            counted = await self._store.counted(cuts)
        except StoreFailed as error:
            refuse(503, f"the store cannot say ({error}): try again, or ask for a shorter time", headers=RETRY)
        finally:
            self._asking -= 1
        # Hundreds of people with channels of their own take long enough for a webhook to notice.
        return answer(await asyncio.to_thread(statistics_of, counted, policy, begin, end, time_zone))


def _moment(request: web.Request, key: str, now: datetime) -> datetime | None:
    """A time, in UTC where it says nothing else; or a duration: so long ago."""
    written = request.query.get(key)
    if written is None:
        return None
    try:
        return now - parse_duration(written)
    except ValueError:
        pass
    try:
        moment = parse_moment(written)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        expected = "a duration such as 7d, or a moment such as '2026-12-24T18:00+01:00'"
        refuse(400, f"{key}: found {written[:40]!r}, expected {expected}")
