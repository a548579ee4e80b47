"""Sends what is owed, until it is taken or refused, and reports the answer through the front door.

To one channel, messages about one incident go one after the other in the order of their decisions; different
incidents do not wait for each other. An attempt that fails is repeated later, less and less often. The answer
becomes an entry of the journal; until that is on disk the message stays owed, so a crash repeats it, with
the same identifier. An answer that the journal refuses for good is reported without its words, so that nothing is
sent twice; when that is refused as well, the lane goes on, and the message stays owed until a restart tries again.

A channel that fails for several incidents in a row, and takes nothing between, is down. What is owed to it then rests,
however much it is: one message at a time is tried, less and less often, until one is answered. Then all the others are
tried, at once. So an hour of a storm that nobody takes costs no more attempts than one message.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import assert_never

import msgspec
from msgspec.structs import replace

from receiver.channels import Channel, Refused, Unreachable
from receiver.clock import Clock
from receiver.entry import Delivered, Undeliverable
from receiver.message import Message
from receiver.receipts import Receipts
from receiver.store import StoreFailed, StoreRefused

log = logging.getLogger("tocsin.receiver")

RETRY_SECONDS_MIN = 1.0
RETRY_SECONDS_MAX = 60.0
ANSWER_CHARACTERS_MAX = 500
# So many incidents in a row: the channel is down. One alone may have a message that is never taken.
DOWN_INCIDENTS = 5
# One attempt for all that rests is cheap, and many wait for it.
PROBE_SECONDS_MAX = 15.0
RETIRE_SECONDS = 60.0
NOT_WRITTEN = "what it said cannot be written down"

Report = Callable[[Delivered | Undeliverable], Awaitable[object]]


class Watcher(msgspec.Struct):
    """What happened on one channel, for metrics and status."""

    attempts: int = 0
    failures: int = 0
    delivered: int = 0
    refused: int = 0
    not_written: int = 0
    last_error: str | None = None


class Outbox:
    """All channels' queues. `report` is Runner.submit."""

    def __init__(self, *, report: Report, clock: Clock, receipts: Receipts | None = None) -> None:
        self._report = report
        self._clock = clock
        self._receipts = receipts or Receipts()
        self._queues: dict[str, _Queue] = {}
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

    def replace_channels(self, channels: Mapping[str, Channel]) -> None:
        """From the next attempt on. A message to a channel that is gone is refused, and that is said."""
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

    def _queue(self, name: str) -> _Queue:
        if name not in self._queues:
            self._queues[name] = _Queue(
                name, lambda: self._channels.get(name), self._report, self._clock, self._receipts
            )
            if self._running:
                self._queues[name].start()
        return self._queues[name]


class _Queue:
    """One channel: a lane for each incident with something to say, and a few workers that take the lanes in turn."""

    def __init__(
        self, name: str, channel: Callable[[], Channel | None], report: Report, clock: Clock, receipts: Receipts
    ) -> None:
        self._name = name
        self._channel = channel
        self._report = report
        self._clock = clock
        self._receipts = receipts
        self._lanes: dict[str, deque[Message]] = {}
        self._attempts: dict[str, int] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._failing: set[str] = set()  # incidents whose attempts failed since one was last answered
        self._down = False
        self._why_down = ""
        self._resting: deque[str] = deque()  # lanes that wait until the channel is not down
        self._probes = 0  # since it is down
        self._probe: asyncio.TimerHandle | None = None
        self._probe_due = False
        self._probing: str | None = None  # the lane that tries for all
        self.owed = 0
        self.watcher = Watcher()

    def add(self, message: Message) -> None:
        self.owed += 1
        lane = self._lanes.get(message.incident)
        if lane is None:
            self._lanes[message.incident] = deque([message])
            self._ready.put_nowait(message.incident)
        else:
            lane.append(message)

    def oldest(self) -> datetime | None:
        return min((lane[0].created_at for lane in self._lanes.values()), default=None)

    def start(self) -> None:
        """As many workers as the channel takes; a channel that was replaced may take more than the one before."""
        channel = self._channel()
        wanted = channel.parallel_max if channel is not None else 1
        while len(self._workers) < wanted:
            self._workers.append(asyncio.create_task(self._work()))

    async def stop(self, *, grace_seconds: float) -> None:
        self._stopping = True
        for timer in (*self._timers.values(), *([self._probe] if self._probe else [])):
            timer.cancel()
        for task in self._workers:
            if task not in self._busy:
                task.cancel()
        if self._busy:
            await asyncio.wait(self._busy, timeout=grace_seconds)
        for task in self._workers:
            task.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        while not self._stopping:
            incident = await self._ready.get()
            self._busy.add(task)
            try:
                await self._advance(incident)
            finally:
                self._busy.discard(task)

    async def _advance(self, incident: str) -> None:
        """One attempt for the first message of a lane, or a rest."""
        lane = self._lanes[incident]
        message = lane[0]
        answer = await self._attempt_or_rest(message)
        if answer is None:
            self._resting.append(incident)
            return
        if isinstance(answer, float):
            loop = asyncio.get_running_loop()
            self._timers[incident] = loop.call_later(answer, self._ready_again, incident)
            return
        await self._report_until_settled(answer)
        self._attempts.pop(message.id, None)
        lane.popleft()
        self.owed -= 1
        if lane:
            self._ready.put_nowait(incident)
        else:
            del self._lanes[incident]

    def _ready_again(self, incident: str) -> None:
        del self._timers[incident]
        self._ready.put_nowait(incident)

    # --- a channel that is down --------------------------------------------------------------------------------

    async def _attempt_or_rest(self, message: Message) -> Delivered | Undeliverable | float | None:
        """None: it rests."""
        channel = self._channel()
        if channel is None or not self._down:
            answer = await self._attempt(message, channel)
        elif self._too_old(message, channel):
            return self._given_up(message, self._attempts.get(message.id, 0), self._why_down)
        elif self._probe_due:
            self._probe_due, self._probing = False, message.incident
            answer = await self._attempt(message, channel)
        else:
            return None
        return None if isinstance(answer, float) and self._down else answer

    def _failed(self, incident: str, error: Unreachable, text: str) -> None:
        self._why_down = text
        if not self._down:
            self._failing.add(incident)
            if len(self._failing) < DOWN_INCIDENTS:
                return
            self._down = True
        elif self._probing != incident:
            return  # it was on its way when the channel went down
        self._probing = None
        delay = max(error.seconds or 0.0, min(RETRY_SECONDS_MIN * (1 << min(self._probes, 20)), PROBE_SECONDS_MAX))
        self._probes += 1
        self._probe = asyncio.get_running_loop().call_later(delay, self._probe_now)

    def _probe_now(self) -> None:
        """The lane that rests for longest tries for all. What has rested for too long is given up."""
        self._probe_due = True
        channel, resting = self._channel(), self._resting
        self._resting = deque()
        for position, incident in enumerate(resting):
            if position == 0 or channel is None or self._too_old(self._lanes[incident][0], channel):
                self._ready.put_nowait(incident)
            else:
                self._resting.append(incident)

    def _answered(self) -> None:
        """Whatever it said: it is not down."""
        self._failing.clear()
        if self._down:
            self.try_all()

    def try_all(self) -> None:
        """Everything that waits is tried now."""
        if self._probe is not None:
            self._probe.cancel()
        self._down, self._probes, self._probe, self._probe_due, self._probing = False, 0, None, False, None
        self._failing.clear()
        for incident, timer in self._timers.items():
            timer.cancel()
            self._resting.append(incident)
        self._timers.clear()
        while self._resting:
            self._ready.put_nowait(self._resting.popleft())

    # --- one attempt -------------------------------------------------------------------------------------------

    async def _attempt(self, message: Message, channel: Channel | None) -> Delivered | Undeliverable | float:
        """The answer for the journal, or the seconds until the next attempt."""
        attempt = self._attempts[message.id] = self._attempts.get(message.id, 0) + 1
        if channel is None:
            return self._undeliverable(message, attempt, f"the policy has no channel {self._name!r} any more")
        self.watcher.attempts += 1
        began = self._clock.now()
        try:
            taken = await self._receipts.send(channel, message)
        except Refused as error:
            self._answered()
            return self._undeliverable(message, attempt, str(error))
        except Unreachable as error:
            return self._later(message, attempt, channel, error)
        except Exception as error:
            log.exception("a channel failed in a way it should not", extra={"channel": self._name})
            return self._later(message, attempt, channel, Unreachable(f"{type(error).__name__}: {error}"))
        if self.watcher.last_error is not None:
            log.info("a channel takes messages again", extra={"channel": self._name})
        self.watcher.last_error = None
        self.watcher.delivered += 1
        self._answered()
        seconds = (self._clock.now() - began).total_seconds()
        return Delivered(
            message=message.id,
            incident=message.incident,
            channel=self._name,
            attempts=attempt,
            seconds=round(seconds, 6),
            answer=_harmless(taken.answer),
            receipt=taken.receipt,
        )

    def _later(self, message: Message, attempt: int, channel: Channel, error: Unreachable) -> Undeliverable | float:
        self.watcher.failures += 1
        text = _harmless(str(error))
        if self.watcher.last_error is None:
            log.warning("a channel takes no messages", extra={"channel": self._name, "error": text})
        self.watcher.last_error = text
        self._failed(message.incident, error, text)
        if self._too_old(message, channel):
            return self._given_up(message, attempt, text)
        backoff = min(RETRY_SECONDS_MIN * (1 << min(attempt - 1, 20)), RETRY_SECONDS_MAX)
        return max(error.seconds or 0.0, backoff)

    def _age(self, message: Message) -> float:
        return (self._clock.now() - message.created_at).total_seconds()

    def _too_old(self, message: Message, channel: Channel) -> bool:
        return self._age(message) > channel.retry_seconds_max

    def _given_up(self, message: Message, attempts: int, error: str) -> Undeliverable:
        return self._undeliverable(message, attempts, f"given up after {self._age(message):.0f} seconds: {error}")

    def _undeliverable(self, message: Message, attempt: int, reason: str) -> Undeliverable:
        self.watcher.refused += 1
        reason = _harmless(reason)
        self.watcher.last_error = reason
        log.error("a message is refused", extra={"channel": self._name, "message_id": message.id, "error": reason})
        return Undeliverable(
            message=message.id,
            incident=message.incident,
            channel=self._name,
            attempts=attempt,
            reason=reason,
        )

    async def _report_until_settled(self, answer: Delivered | Undeliverable) -> None:
        """The answer is known and must not be asked for again: only the journal can be tried again."""
        while True:
            try:
                await self._report(answer)
            except StoreRefused:
                self.watcher.not_written += 1
                log.exception(
                    "an answer cannot be written down", extra={"channel": self._name, "message_id": answer.message}
                )
                bare = _without_words(answer)
                if bare == answer:  # it stays owed on disk: a restart tries again
                    return
                answer = bare
            except StoreFailed:
                await asyncio.sleep(RETRY_SECONDS_MIN)
            else:
                return


def _harmless(text: str) -> str:
    """What a channel said, as it can be written down anywhere: half a surrogate pair cannot be encoded, and a zero
    character ends a text for many a program."""
    cut = text[:ANSWER_CHARACTERS_MAX]
    return cut.encode(errors="backslashreplace").decode().replace("\0", "\\x00")[:ANSWER_CHARACTERS_MAX]


def _without_words(answer: Delivered | Undeliverable) -> Delivered | Undeliverable:
    match answer:
        case Delivered():
            return replace(answer, answer=NOT_WRITTEN)
        case Undeliverable():
            return replace(answer, reason=NOT_WRITTEN)
        case _:
            assert_never(answer)
