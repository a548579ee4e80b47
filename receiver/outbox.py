"""Sends what is owed, until it is taken or refused, and reports the answer through the front door.

To one channel, messages about one incident go one after the other in the order of their decisions; different
incidents do not wait for each other. An attempt that fails is repeated later, less and less often. The answer
becomes an entry of the journal; until that is on disk the message stays owed, so a crash repeats it, with
the same identifier. An answer that the journal refuses for good is reported without its words, so that nothing is
sent twice; when that is refused as well, the lane goes on, and the message stays owed until a restart tries again.
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
from receiver.store import StoreFailed, StoreRefused

log = logging.getLogger("tocsin.receiver")

RETRY_SECONDS_MIN = 1.0
RETRY_SECONDS_MAX = 60.0
ANSWER_CHARACTERS_MAX = 500
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

    def __init__(self, *, report: Report, clock: Clock) -> None:
        self._report = report
        self._clock = clock
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
                name, channel=lambda: self._channels.get(name), report=self._report, clock=self._clock
            )
            if self._running:
                self._queues[name].start()
        return self._queues[name]


class _Queue:
    """One channel: a lane for each incident with something to say, and a few workers that take the lanes in turn."""

    def __init__(self, name: str, *, channel: Callable[[], Channel | None], report: Report, clock: Clock) -> None:
        self._name = name
        self._channel = channel
        self._report = report
        self._clock = clock
        self._lanes: dict[str, deque[Message]] = {}
        self._attempts: dict[str, int] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._stopping = False
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
        for timer in self._timers.values():
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
        """One attempt for the first message of a lane."""
        lane = self._lanes[incident]
        message = lane[0]
        answer = await self._attempt(message)
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

    async def _attempt(self, message: Message) -> Delivered | Undeliverable | float:
        """The answer for the journal, or the seconds until the next attempt."""
        attempt = self._attempts[message.id] = self._attempts.get(message.id, 0) + 1
        channel = self._channel()
        if channel is None:
            return self._undeliverable(message, attempt, f"the policy has no channel {self._name!r} any more")
        self.watcher.attempts += 1
        began = self._clock.now()
        try:
            answer = await channel.send(message)
        except Refused as error:
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
        seconds = (self._clock.now() - began).total_seconds()
        return Delivered(
            message=message.id,
            incident=message.incident,
            channel=self._name,
            attempts=attempt,
            seconds=round(seconds, 6),
            answer=_harmless(answer),
        )

    def _later(self, message: Message, attempt: int, channel: Channel, error: Unreachable) -> Undeliverable | float:
        self.watcher.failures += 1
        text = _harmless(str(error))
        if self.watcher.last_error is None:
            log.warning("a channel takes no messages", extra={"channel": self._name, "error": text})
        self.watcher.last_error = text
        age = (self._clock.now() - message.created_at).total_seconds()
        if age > channel.retry_seconds_max:
            return self._undeliverable(message, attempt, f"given up after {age:.0f} seconds: {text}")
        backoff = min(RETRY_SECONDS_MIN * (1 << min(attempt - 1, 20)), RETRY_SECONDS_MAX)
        return max(error.seconds or 0.0, backoff)

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
