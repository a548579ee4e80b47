"""Sends what is owed, until it is taken or refused, and reports the answer through the front door.

To one channel, messages about one incident go one after the other in the order of their decisions; different
incidents do not wait for each other. An attempt that fails is repeated later (channelqueue.py). The answer
becomes an entry of the journal; until that is on disk the message stays owed, so a crash repeats it, with
the same identifier. A page about what somebody has by now is not sent (withdrawal.py): that is reported in the same
way, and looked at again after a crash. An answer that the journal refuses for good is reported without its words, so
that nothing is sent twice; when that is refused as well, the lane goes on, and the message stays owed until a restart
tries again.

A channel that fails for several incidents in a row, and takes nothing between, is down. What is owed to it then rests,
however much it is: one message at a time is tried, less and less often, until one is answered. Then all the others are
tried, at once. So an hour of a storm that nobody takes costs no more attempts than one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from receiver.channelqueue import Chance, ChannelQueue, Report, Watcher
from receiver.channels import Channel
from receiver.clock import Clock
from receiver.incident import Incident
from receiver.message import Message
from receiver.receipts import Receipts

RETIRE_SECONDS = 60.0


class Outbox:
    """All channels' queues. `report` is Runner.submit; `chance` gives numbers from 0 to below 1; `incident` looks up
    what is decided; `on_page` hears which channel took what interrupts somebody."""

    def __init__(
        self,
        *,
        report: Report,
        clock: Clock,
        chance: Chance,
        receipts: Receipts | None = None,
        incident: Callable[[str], Incident | None] = lambda _: None,
        on_page: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._report = report
        self._clock = clock
        self._chance = chance
        self._receipts = receipts or Receipts()
        self._incident = incident
        self._on_page = on_page
        self._queues: dict[str, ChannelQueue] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._channels: dict[str, Channel] = {}
        self._running = False

    def add(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._queue(message.channel).add(message)

    def start(self) -> None:
        self._running = True
        for queue in self._queues.values():
            queue.start()

    def replace_channels(
        self, channels: Mapping[str, Channel], fallback_after: Mapping[str, float] | None = None
    ) -> None:
        """From the next attempt on. A message to a channel that is gone is refused, and that is said.
        `fallback_after`: in how many seconds a channel that has a fallback must take a page."""
        kept = set(map(id, channels.values()))
        changed = [name for name, channel in channels.items() if self._channels.get(name) is not channel]
        gone = [name for name in self._channels if name not in channels]
        for channel in self._channels.values():
            if id(channel) not in kept:
                task = asyncio.create_task(self._retire(channel))
                self._retiring.add(task)
                task.add_done_callback(self._retiring.discard)
        self._channels = dict(channels)
        for name in channels:
            queue = self._queue(name)
            if self._running:
                queue.start()
        for name in (*changed, *gone):
            self._queue(name).try_all()
        for name, queue in self._queues.items():
            queue.lateness.allow((fallback_after or {}).get(name))

    async def _retire(self, channel: Channel) -> None:
        """Closes it when what it was sending has had its time."""
        try:
            await asyncio.sleep(RETIRE_SECONDS)
        finally:
            await channel.close()

    async def stop(self, *, grace_seconds: float) -> None:
        """What is on its way may arrive; the rest stays owed."""
        await asyncio.gather(*(queue.stop(grace_seconds=grace_seconds) for queue in self._queues.values()))
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        for channel in self._channels.values():
            await channel.close()

    @property
    def owed(self) -> int:
        return sum(queue.owed for queue in self._queues.values())

    def by_channel(self) -> dict[str, tuple[int, datetime | None, Watcher]]:
        """How many are owed, since when the oldest, and what happened so far. A channel that is gone is shown as long
        as something is owed to it."""
        return {
            name: (queue.owed, queue.oldest(), queue.watcher)
            for name, queue in sorted(self._queues.items())
            if name in self._channels or queue.owed
        }

    def _queue(self, name: str) -> ChannelQueue:
        if name not in self._queues:
            self._queues[name] = ChannelQueue(
                name,
                lambda: self._channels.get(name),
                report=self._report,
                clock=self._clock,
                chance=self._chance,
                receipts=self._receipts,
                incident=self._incident,
                on_page=self._on_page,
            )
            if self._running:
                self._queues[name].start()
        return self._queues[name]
