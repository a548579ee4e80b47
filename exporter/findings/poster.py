"""Keeps one Alertmanager up to date: it is told what holds when something begins, and each minute while it goes on.

One that hangs or is away delays only itself. What it could not be told, it is told when it is back, as it is then.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from exporter.findings.alerts import Alerts
from exporter.findings.client import Failed, Names, Target, post
from exporter.findings.tally import Posts

log = logging.getLogger("tocsin.exporter")


class Pace(NamedTuple):
    """In seconds. `again` is between two posts of the same; `apart` between any two."""

    again: float = 60.0
    apart: float = 1.0
    answer: float = 10.0
    retry: float = 1.0
    retry_longest: float = 60.0


PATH = "/api/v2/alerts"
PACE = Pace()


class Poster:
    def __init__(
        self,
        target: Target,
        alerts: Alerts,
        told: Posts,
        *,
        pace: Pace = PACE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.target = target
        self._alerts = alerts
        self._told = told
        self._pace = pace
        self._clock = clock
        self._names = Names()
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Something began."""
        self._news.set()

    def stop(self) -> None:
        self._task.cancel()
        self._names.close()

    async def _run(self) -> None:
        failures = 0
        while True:
            self._news.clear()
            told = await self._tell()
            failures = 0 if told else failures + 1
            if failures:
                await asyncio.sleep(min(self._pace.retry * 2 ** min(failures - 1, 16), self._pace.retry_longest))
                continue
            await asyncio.sleep(self._pace.apart)
            try:
                async with asyncio.timeout(self._pace.again - self._pace.apart):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _tell(self) -> bool:
        """Whether nothing is left to be told now."""
        now = self._clock()
        keys = self._alerts.to_tell(self.target.name, now)
        if not keys:
            return True
        body = msgspec.json.encode(self._alerts.written(keys, now))
        try:
            await post(self.target, body, names=self._names, seconds=self._pace.answer)
        except Failed as failed:
            if not self._told.failing:
                said = {"alertmanager": self.target.name, "reason": failed.reason, "error": str(failed)}
                log.warning("Alertmanager did not take findings, it is tried again", extra=said)
            self._told.fail(failed.reason)
            return False
        if self._told.failing:
            log.info("Alertmanager takes findings again", extra={"alertmanager": self.target.name})
        self._told.succeed(len(keys), self._clock())
        self._alerts.taken(self.target.name, keys)
        return True
