"""One pass over some collectors, and what it has found so far.

Workers record into it from their threads; the event loop decides when it is over and wakes those who wait.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence

from exporter.collectors import Collector
from exporter.outcome import Answer, Names, Outcome, Reason, Snapshot, snapshot

LATE = "not done within the scrape's deadline"


class Run:
    def __init__(self, collectors: Sequence[Collector], *, names: Names, deadline: float) -> None:
        self.deadline = deadline
        self.started = time.monotonic()
        self.ended = False
        # While nobody has given up on it, whoever comes may wait for it too.
        self.joinable = True
        self.waiting = 0
        self.to_enter: deque[Collector] = deque()
        self.snapshot: Snapshot | None = None
        self._complete: Snapshot | None = None
        # Called from a thread, when the last answer has come.
        self.when_complete: Callable[[], None] = _nobody
        # What the event loop will do about this run, unless it has ended by then.
        self.alarm: asyncio.TimerHandle | None = None
        self._order = [collector.name for collector in collectors]
        self._names = names
        self._answers: dict[str, Answer] = {}
        self._sleepers: list[asyncio.Future[None]] = []

    @property
    def progress(self) -> int:
        """How many collectors are done."""
        return len(self._answers)

    def next(self) -> Collector | None:
        """Who is to be entered now; nobody once nobody waits any more. Called from any thread."""
        try:
            return None if self.ended else self.to_enter.popleft()
        except IndexError:
            return None

    def record(self, name: str, answer: Answer) -> None:
        """Called from any thread, once for each collector. What comes too late is dropped."""
        if self.ended:
            return
        self._answers[name] = answer
        if len(self._answers) == len(self._order):
            # Here and not in the event loop, as there may be a hundred thousand names to compare.
            self._complete = self.seen_now()
            self.when_complete()

    def seen_now(self) -> Snapshot:
        """What a scraper would get at this moment: who is not done yet counts as late."""
        late = Answer(Outcome(time.monotonic() - self.started, Reason.DEADLINE, LATE))
        return snapshot({name: self._answers.get(name, late) for name in self._order}, self._names)

    async def wait(self, seconds: float) -> None:
        """Until it has ended, or the time is up."""
        if self.ended:
            return
        loop = asyncio.get_running_loop()
        sleeper: asyncio.Future[None] = loop.create_future()
        self._sleepers.append(sleeper)
        alarm = loop.call_later(seconds, _wake, sleeper)
        try:
            await sleeper
        finally:
            alarm.cancel()

    def end(self) -> Snapshot:
        self.snapshot = self._complete or self.seen_now()
        self.ended = True
        self.joinable = False
        if self.alarm is not None:
            self.alarm.cancel()
        for sleeper in self._sleepers:
            _wake(sleeper)
        return self.snapshot

    def forget(self) -> None:
        """Nobody asks any more. A collector that hangs inside must not keep in memory what the others have said."""
        self.snapshot = self._complete = None
        self._answers.clear()
        self.when_complete = _nobody


def _nobody() -> None:
    """Who is told when nobody waits."""


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
