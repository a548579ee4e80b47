"""Turns the journal into decisions: the one decider of a receiver.

Doors, the clock and the outbox `submit` facts; the runner appends them, decides about them in the order of their
positions, and commits changes, messages and the position reached in one transaction. Only what is committed
is handed to the outbox. A commit that fails is tried again until it succeeds: until then nothing leaves.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from receiver.clock import Clock
from receiver.engine import decide, policy_for
from receiver.entry import AlertsReceived, Entry, Fact, PolicyLoaded, TimePassed
from receiver.ledger import Decision
from receiver.message import Message
from receiver.policy.policy import Policy
from receiver.state import Change, State
from receiver.store import Draft, Store, StoreFailed

log = logging.getLogger("tocsin.receiver")

# What may wait to be decided before the doors say 503: a body of the largest size always fits.
UNDECIDED_BYTES_MAX = 256 * 1024 * 1024
UNDECIDED_ENTRIES_MAX = 50_000
ALERTS_MAX = 1_000_000
MESSAGES_OWED_MAX = 100_000
ALERTS_A_COMMIT = 5_000
RETRY_SECONDS = 1.0
# The wall clock may be set while we wait: look at it at least this often.
LOOK_AT_CLOCK_SECONDS = 30.0


class Overloaded(Exception):
    """Something is at its limit; the sender should come back. `reason` is a bounded word for the metric."""

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class Runner:
    """The loop around `decide`. `on_decided` is told what was committed, for the outbox and the metrics."""

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        on_decided: Callable[[Sequence[Message], Mapping[str, int]], None],
        messages_owed: Callable[[], int],
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_decided = on_decided
        self._messages_owed = messages_owed
        self._undecided: deque[Entry] = deque()
        self._work = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._telling_time: asyncio.Task[None] | None = None
        self._stopping = False
        self._waiting_bytes = 0
        self._waiting_entries = 0
        self.state = State(journal="")
        self.position = 0  # decided and committed
        self._decided = 0  # decided, perhaps not committed yet
        self.failing: str | None = None  # why the last write failed, None when it did not

    async def start(self, policy: Policy) -> Sequence[Message]:
        """Loads what is known, decides what the last run left undecided, and puts `policy` in force.
        Returns the messages that are owed from before."""
        loaded = await self._store.load()
        self.state, self.position, self._decided = loaded.state, loaded.position, loaded.position
        while entries := await self._store.entries(after=self.position, limit=1000):
            log.info("deciding what the last run left", extra={"after": self.position, "entries": len(entries)})
            await self._decide_batch(entries)
        if policy != self.state.policy:
            entry = await self._store.append(Draft(self._clock.now(), PolicyLoaded(policy)))
            await self._decide_batch([entry])
        return await self._store.owed()

    async def run(self) -> None:
        """Decides until `stop`."""
        self._arm()
        while not self._stopping or self._undecided:
            if not self._undecided:
                self._work.clear()
                await self._work.wait()
                continue
            batch = self._next_batch()
            messages, counts = await self._decide_batch(batch)
            for entry in batch:
                self._release(entry.fact)
            self._on_decided(messages, counts)
            self._arm()

    def stop(self) -> None:
        """What is appended is still decided; nothing new is due."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        self._work.set()

    async def submit(self, fact: Fact) -> int:
        """Returns the position once the fact is on disk. Raises StoreFailed when it could not be written."""
        self._waiting_bytes += _size(fact)
        self._waiting_entries += 1
        try:
            appended = asyncio.ensure_future(self._store.append(Draft(self._clock.now(), fact)))
            # Not after an await of ours: the next entry must never overtake this one on its way to the decider,
            # and an entry that is on disk is decided even if whoever sent it has gone away meanwhile.
            appended.add_done_callback(lambda done: self._appended(done, fact))
            entry = await asyncio.shield(appended)
        except StoreFailed as error:
            self._note_failure(str(error))
            raise
        self._note_failure(None)
        return entry.position

    def check_load(self) -> None:
        """Raises Overloaded when one more webhook would take something past its limit."""
        if self._waiting_bytes > UNDECIDED_BYTES_MAX or self._waiting_entries > UNDECIDED_ENTRIES_MAX:
            raise Overloaded("undecided", f"{self._waiting_entries} entries wait to be decided")
        if len(self.state.alerts) > ALERTS_MAX:
            raise Overloaded("alerts", f"{len(self.state.alerts)} alerts are active")
        if self._messages_owed() > MESSAGES_OWED_MAX:
            raise Overloaded("messages_owed", f"{self._messages_owed()} messages are owed")

    @property
    def lag(self) -> int:
        """Entries that are appended, or about to be, and not decided."""
        return self._waiting_entries

    # --- inside --------------------------------------------------------------------------------------------

    def _appended(self, done: asyncio.Future[Entry], fact: Fact) -> None:
        if done.cancelled() or done.exception() is not None:
            self._release(fact)
            return
        self._undecided.append(done.result())
        self._work.set()

    def _release(self, fact: Fact) -> None:
        self._waiting_bytes -= _size(fact)
        self._waiting_entries -= 1

    def _next_batch(self) -> list[Entry]:
        batch = [self._undecided.popleft()]
        alerts = _alerts_in(batch[0])
        while self._undecided and alerts < ALERTS_A_COMMIT:
            alerts += _alerts_in(self._undecided[0])
            batch.append(self._undecided.popleft())
        return batch

    async def _decide_batch(self, batch: Sequence[Entry]) -> tuple[list[Message], Counter[str]]:
        decisions = [self._decide(entry) for entry in batch]
        changes = [change for decision in decisions for change in decision.changes]
        messages = [message for decision in decisions for message in decision.messages]
        await self._commit_until_done(changes, messages, batch[-1].position)
        self.position = batch[-1].position
        counts: Counter[str] = Counter()
        for decision in decisions:
            counts.update(decision.counts)
        return messages, counts

    def _decide(self, entry: Entry) -> Decision:
        assert entry.position == self._decided + 1, f"entry {entry.position} after {self._decided}"
        self._decided = entry.position
        decision = decide(self.state, entry, policy_for(self.state, entry))
        self.state.apply(decision.changes)
        return decision

    async def _commit_until_done(self, changes: Sequence[Change], messages: Sequence[Message], position: int) -> None:
        while True:
            try:
                await self._store.commit(changes, messages, position)
            except StoreFailed as error:
                self._note_failure(str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._note_failure(None)
                return

    def _note_failure(self, reason: str | None) -> None:
        if reason is not None and self.failing is None:
            log.error("the store cannot be written: webhooks are answered 503", extra={"error": reason})
        if reason is None and self.failing is not None:
            log.info("the store can be written again")
        self.failing = reason

    def _arm(self) -> None:
        """Makes sure that someone looks at the clock when the next deadline is due."""
        if self._timer is not None:
            self._timer.cancel()
        due = self.state.next_due()
        if due is None or self._stopping:
            return
        seconds = (due - self._clock.now()).total_seconds()
        delay = min(max(seconds, 0.0), LOOK_AT_CLOCK_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(delay, self._look_at_clock)

    def _look_at_clock(self) -> None:
        due = self.state.next_due()
        if due is None or self._clock.now() < due:
            self._arm()
        elif self._telling_time is None or self._telling_time.done():
            self._telling_time = asyncio.create_task(self._tell_time())

    async def _tell_time(self) -> None:
        try:
            await self.submit(TimePassed())
        except StoreFailed:
            self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._look_at_clock)


def _alerts_in(entry: Entry) -> int:
    return len(entry.fact.notification.alerts) if isinstance(entry.fact, AlertsReceived) else 1


def _size(fact: Fact) -> int:
    return len(fact.body) if isinstance(fact, AlertsReceived) else 256
