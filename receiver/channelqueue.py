"""What one channel is owed: a lane for each incident, attempts, pauses between them, and the breaker.

An attempt that fails is repeated later, less and less often, and never at the same moment as all the others: a part of
each pause is chance, which is handed in. A time that the other side names is waited for. What is not taken until the
channel's deadline is given up.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import assert_never

import msgspec
from msgspec.structs import replace

from receiver.channels import Channel, Quotable, Refused, Unreachable
from receiver.clock import Clock
from receiver.entry import Delivered, NotTaken, Undeliverable, Withdrawn
from receiver.incident import Incident
from receiver.lateness import Lateness, log_as_of
from receiver.message import PAGES, Message
from receiver.policy.actionnames import action_named
from receiver.receipts import Receipts
from receiver.store import StoreFailed, StoreRefused
from receiver.withdrawal import no_longer_calls

log = logging.getLogger("tocsin.receiver")

RETRY_SECONDS_MIN = 1.0
RETRY_SECONDS_MAX = 60.0
# So much of a pause is chance: what failed at the same moment does not come back at the same moment.
JITTER_PART = 0.5
ANSWER_CHARACTERS_MAX = 500
# So many incidents in a row: the channel is down. One alone may have a message that is never taken.
DOWN_INCIDENTS = 5
# One attempt for all that rests is cheap, and many wait for it.
PROBE_SECONDS_MAX = 15.0
NOT_WRITTEN = "what it said cannot be written down"

Answer = Delivered | Undeliverable | Withdrawn
Report = Callable[[Answer | NotTaken], Awaitable[object]]
Chance = Callable[[], float]


class Watcher(msgspec.Struct):
    """What happened on one channel, for metrics and status."""

    attempts: int = 0
    failures: int = 0
    delivered: int = 0
    pages: int = 0  # of these: opened or escalated
    refused: int = 0
    withdrawn: int = 0
    not_written: int = 0
    last_error: str | None = None
    down: bool = False


class ChannelQueue:
    """One channel: a lane for each incident with something to say, and a few workers that take the lanes in turn."""

    def __init__(
        self,
        name: str,
        channel: Callable[[], Channel | None],
        *,
        report: Report,
        clock: Clock,
        chance: Chance,
        receipts: Receipts,
        incident: Callable[[str], Incident | None],
        on_page: Callable[[str], None],
    ) -> None:
        self._name = name
        self._channel = channel
        self._report = report
        self._clock = clock
        self._chance = chance
        self._receipts = receipts
        self._incident = incident
        self._on_page = on_page
        self._lanes: dict[str, deque[Message]] = {}
        self._attempts: dict[str, int] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._workers: list[asyncio.Task[None]] = []
        self._busy: set[asyncio.Task[None]] = set()
        self._started = False
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
        self.lateness = Lateness(report=report, clock=clock, why=lambda: self.watcher.last_error or "no answer yet")

    def add(self, message: Message) -> None:
        self.owed += 1
        self.lateness.add(message)
        lane = self._lanes.get(message.incident)
        if lane is None:
            self._lanes[message.incident] = deque([message])
            self._ready.put_nowait(message.incident)
            self._staff()
        else:
            lane.append(message)

    def oldest(self) -> datetime | None:
        return min((lane[0].created_at for lane in self._lanes.values()), default=None)

    def start(self) -> None:
        self._started = True
        self._staff()

    def _staff(self) -> None:
        """As many workers as the channel takes, and not before there is work: thousands of people have a channel each,
        and most are owed nothing. A channel that was replaced may take more than the one before."""
        if not self._started or self._stopping:
            return
        channel = self._channel()
        wanted = min(len(self._lanes), channel.parallel_max if channel is not None else 1)
        while len(self._workers) < wanted:
            self._workers.append(asyncio.create_task(self._work()))

    async def stop(self, *, grace_seconds: float) -> None:
        self._stopping = True
        await self.lateness.stop()
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
        # The worker's own context, and each message is another.
        log_as_of(message)
        answer = await self._attempt_or_rest(message)
        if answer is None:
            self._resting.append(incident)
            return
        if isinstance(answer, float):
            loop = asyncio.get_running_loop()
            self._timers[incident] = loop.call_later(answer, self._ready_again, incident)
            return
        self.lateness.answered(message)
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

    async def _attempt_or_rest(self, message: Message) -> Answer | float | None:
        """None: it rests."""
        channel = self._channel()
        # The last thing before it leaves: nothing is awaited between this look and the attempt.
        why = None if channel is None else no_longer_calls(message, self._incident(message.incident))
        if why is not None:
            self._let_another_try()
            return self._withdrawn(message, why)
        if channel is None or not self._down:
            answer = await self._attempt(message, channel)
        elif self._too_old(message, channel):
            self._let_another_try()
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
            self._down = self.watcher.down = True
            self.lateness.went_down()
        elif self._probing != incident:
            return  # it was on its way when the channel went down
        self._probing = None
        delay = max(error.seconds or 0.0, self._pause(self._probes, most=PROBE_SECONDS_MAX))
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

    def _let_another_try(self) -> None:
        """A lane that was to try for all has nothing to try: the next one does."""
        if self._probe_due and self._resting:
            self._ready.put_nowait(self._resting.popleft())

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
        self.watcher.down = False
        self.lateness.came_back()
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
        if message.kind in PAGES and action_named(self._name) is None:
            self.watcher.pages += 1
            self._on_page(self._name)
        self._answered()
        seconds = (self._clock.now() - began).total_seconds()
        return Delivered(
            message=message.id,
            incident=message.incident,
            channel=self._name,
            attempts=attempt,
            seconds=round(seconds, 6),
            answer=_harmless(taken.answer, self._characters_max()),
            receipt=taken.receipt,
        )

    def _later(self, message: Message, attempt: int, channel: Channel, error: Unreachable) -> Undeliverable | float:
        self.watcher.failures += 1
        text = _harmless(str(error))
        if self.watcher.last_error is None:
            log.warning("a channel takes no messages", extra={"channel": self._name, "error": self._loggable(text)})
        self.watcher.last_error = text
        self._failed(message.incident, error, text)
        if self._too_old(message, channel):
            return self._given_up(message, attempt, text)
        return max(error.seconds or 0.0, self._pause(attempt - 1, most=RETRY_SECONDS_MAX))

    def _pause(self, failed_before: int, *, most: float) -> float:
        """Twice as long each time, less what chance takes off."""
        whole = min(RETRY_SECONDS_MIN * (1 << min(failed_before, 20)), most)
        return whole * (1.0 - JITTER_PART * self._chance())

    def _age(self, message: Message) -> float:
        return (self._clock.now() - message.created_at).total_seconds()

    def _too_old(self, message: Message, channel: Channel) -> bool:
        return self._age(message) > channel.retry_seconds_max

    def _given_up(self, message: Message, attempts: int, error: str) -> Undeliverable:
        return self._undeliverable(message, attempts, f"given up after {self._age(message):.0f} seconds: {error}")

    def _undeliverable(self, message: Message, attempt: int, reason: str) -> Undeliverable:
        self.watcher.refused += 1
        reason, shown = _harmless(reason, self._characters_max()), _harmless(reason)
        self.watcher.last_error = shown
        error = self._loggable(shown)
        log.error("a message is refused", extra={"channel": self._name, "message_id": message.id, "error": error})
        return Undeliverable(
            message=message.id,
            incident=message.incident,
            channel=self._name,
            attempts=attempt,
            reason=reason,
        )

    def _loggable(self, text: str) -> str:
        """How it ended. What follows the colon holds a label, or what a program printed: that is for the story."""
        return text.partition(": ")[0] if isinstance(self._channel(), Quotable) else text

    def _withdrawn(self, message: Message, why: str) -> Withdrawn:
        self.watcher.withdrawn += 1
        log.info("a page is not sent any more", extra={"channel": self._name, "message_id": message.id, "reason": why})
        return Withdrawn(
            message=message.id,
            incident=message.incident,
            channel=self._name,
            kind=message.kind,
            attempts=self._attempts.get(message.id, 0),
            why=why,
        )

    def _characters_max(self) -> int:
        channel: object = self._channel()
        return channel.answer_characters_max if isinstance(channel, Quotable) else ANSWER_CHARACTERS_MAX

    async def _report_until_settled(self, answer: Answer) -> None:
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


def _harmless(text: str, characters_max: int = ANSWER_CHARACTERS_MAX) -> str:
    """What a channel said, as it can be written down anywhere: half a surrogate pair cannot be encoded, and a zero
    character ends a text for many a program."""
    cut = text[:characters_max]
    return cut.encode(errors="backslashreplace").decode().replace("\0", "\\x00")[:characters_max]


def _without_words(answer: Answer) -> Answer:
    match answer:
        case Delivered():
            return replace(answer, answer=NOT_WRITTEN)
        case Undeliverable():
            return replace(answer, reason=NOT_WRITTEN)
        case Withdrawn():
            return replace(answer, why=NOT_WRITTEN)
        case _:
            assert_never(answer)
