"""Which pages a channel with a fallback has not taken in time. Each is reported once, as a fact of the journal, through
the front door; what follows from that is decided there.

A page may wait as long as the policy says. A channel that has been down for that long is given no time at all. What is
old already when a receiver starts is tried for a moment first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from guard.trail import CURRENT, Trail
from receiver.clock import Clock
from receiver.entry import NotTaken
from receiver.fallback import FALLS_BACK
from receiver.message import Message
from receiver.store import StoreFailed, StoreRefused

log = logging.getLogger("tocsin.receiver")

# A receiver that was gone for an hour asks the channel first.
TRIED_SECONDS_MIN = 5.0
REPORT_AGAIN_SECONDS = 1.0
# What is late a moment later is reported with it: thousands may be, one after the other.
REST_SECONDS = 0.5
REPORTED_AT_ONCE_MAX = 100

Report = Callable[[NotTaken], Awaitable[object]]


class Page(NamedTuple):
    """A message that somebody must hear of, and when it came here by the loop's clock."""

    message: Message
    came: float
    age: float  # seconds since it was decided, when it came


class Lateness:
    """Of one channel. `why` says what is known of the reason."""

    def __init__(self, *, report: Report, clock: Clock, why: Callable[[], str]) -> None:
        self._report = report
        self._clock = clock
        self._why = why
        self._after: float | None = None  # seconds; None: the channel has no fallback
        self._pages: dict[str, Page] = {}
        self._down_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._telling: asyncio.Task[None] | None = None
        self._rests_until = 0.0  # by the loop's clock

    def add(self, message: Message) -> None:
        if message.kind in FALLS_BACK:
            age = max(0.0, (self._clock.now() - message.created_at).total_seconds())
            page = Page(message, asyncio.get_running_loop().time(), age)
            self._pages[message.id] = page
            self._arm(page)

    def answered(self, message: Message) -> None:
        self._pages.pop(message.id, None)

    def allow(self, seconds: float | None) -> None:
        """From now on it may take so long; None: for ever."""
        self._after = seconds
        self._look()

    def went_down(self) -> None:
        self._down_since = asyncio.get_running_loop().time()
        self._look()

    def came_back(self) -> None:
        self._down_since = None

    async def stop(self) -> None:
        self._after = None
        if self._timer is not None:
            self._timer.cancel()
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    def _due(self, page: Page) -> float:
        """When it is late, by the loop's clock."""
        assert self._after is not None
        due = page.came + max(self._after - page.age, min(self._after, TRIED_SECONDS_MIN))
        return due if self._down_since is None else min(due, max(page.came, self._down_since + self._after))

    def _arm(self, page: Page) -> None:
        """The timer goes when the first of them is late, or a moment later."""
        if self._after is None or (self._telling is not None and not self._telling.done()):
            return
        due = max(self._due(page), self._rests_until)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._telling is not None and not self._telling.done():
            return  # it looks again when it is through
        if self._after is None or not self._pages:
            return
        now = asyncio.get_running_loop().time()
        if now >= self._rests_until and any(self._due(page) <= now for page in self._pages.values()):
            self._telling = asyncio.create_task(self._tell())
        else:
            self._arm(min(self._pages.values(), key=self._due))

    async def _tell(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        late = [page.message for page in self._pages.values() if self._after is not None and self._due(page) <= now]
        for first in range(0, len(late), REPORTED_AT_ONCE_MAX):
            some = late[first : first + REPORTED_AT_ONCE_MAX]
            still = [message for message in some if self._pages.pop(message.id, None) is not None]
            await asyncio.gather(*map(self._tell_of, still))
        self._rests_until = loop.time() + REST_SECONDS
        loop.call_soon(self._look)

    async def _tell_of(self, message: Message) -> None:
        log_as_of(message)
        fact = NotTaken(
            message=message.id,
            incident=message.incident,
            channel=message.channel,
            since=message.created_at,
            why=self._why(),
        )
        while True:
            try:
                await self._report(fact)
            except StoreRefused:  # not for ever, and not for the store's sake: it is said, and it is still owed
                log.exception("a page that was not taken cannot be written down", extra={"message_id": message.id})
                return
            except StoreFailed:
                await asyncio.sleep(REPORT_AGAIN_SECONDS)
            else:
                return


def log_as_of(message: Message) -> None:
    """From here on, and in this context, log lines are about what follows from the message's webhook."""
    CURRENT.set(Trail(message.correlation, message.traceparent) if message.correlation else None)
