"""Turns the journal into decisions: the one decider of a receiver.

Doors, the clock and the outbox `submit` facts; the runner appends them, decides about them in the order of their
positions, and commits changes, messages and the position reached in one transaction. Only what is committed
is handed to the outbox. A commit that fails is tried again until it succeeds: until then nothing leaves.

An entry about which the engine raises is set aside: that is its decision, committed with the position like any other,
and a fact about it becomes an incident of Tocsin's own. `decide` is pure, so nothing of it was done. When `apply`
raises, or the store refuses for good what was decided, the state is loaded again from the store, and each entry of the
batch is decided and committed alone: only the one whose fault it is is set aside.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence

from receiver.audit import Audit, audit
from receiver.clock import Clock
from receiver.engine import decide, policy_for
from receiver.entry import (
    Act,
    AlertsFetched,
    AlertsReceived,
    EntriesSetAside,
    Entry,
    EntrySetAside,
    Fact,
    Looked,
    PolicyLoaded,
    TimePassed,
    Unreadable,
    kind_of,
)
from receiver.ledger import Decision
from receiver.message import Message
from receiver.policy.policy import Policy
from receiver.spell import Timed
from receiver.state import Change, SetAsideTold, State
from receiver.store import Draft, Store, StoreFailed, StoreRefused

log = logging.getLogger("tocsin.receiver")

# What may wait to be decided before the doors say 503; one body more is taken, of whatever size. These are seconds of
# deciding: what is taken is told of that soon, and a receiver that is killed meanwhile is ready again that soon.
UNDECIDED_BYTES_MAX = 64 * 1024 * 1024
UNDECIDED_ENTRIES_MAX = 50_000
ALERTS_MAX = 1_000_000
MESSAGES_OWED_MAX = 100_000
ALERTS_A_COMMIT = 5_000
RETRY_SECONDS = 1.0
# The wall clock may be set while we wait: look at it at least this often.
LOOK_AT_CLOCK_SECONDS = 30.0
# When nothing could be decided about time that passed, what was due still is: it is not asked for again at once.
TIME_RESTS_SECONDS = 60.0
ERROR_CHARACTERS_MAX = 500


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
        on_decided: Callable[[Sequence[Message], Mapping[str, int], Sequence[Timed]], None],
        messages_owed: Callable[[], int],
        undecided_bytes_max: int = UNDECIDED_BYTES_MAX,
        messages_owed_max: int = MESSAGES_OWED_MAX,
    ) -> None:
        self._store = store
        self._undecided_bytes_max = undecided_bytes_max
        self._messages_owed_max = messages_owed_max
        self._clock = clock
        self._on_decided = on_decided
        self._messages_owed = messages_owed
        self._undecided: deque[Entry] = deque()
        self._awaited: dict[int, asyncio.Future[Decision]] = {}  # position -> whoever waits for its decision
        self._work = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._telling_time: asyncio.Task[None] | None = None
        self._time_rests_until = 0.0  # by the loop's clock
        self._untold: list[EntrySetAside] = []
        self.entries_set_aside = 0  # by this process
        self._stopping = False
        self._waiting_bytes = 0
        self._waiting_entries = 0
        self.state = State(journal="")
        self.position = 0  # decided and committed
        self.failing: str | None = None  # why the last write failed, None when it did not

    async def start(self, policy: Policy) -> Sequence[Message]:
        """Loads what is known, decides what the last run left undecided, and puts `policy` in force.
        Returns the messages that are owed from before."""
        loaded = await self._store.load()
        self.state, self.position = loaded.state, loaded.position
        while entries := await self._store.entries(after=self.position, limit=1000):
            log.info("deciding what the last run left", extra={"after": self.position, "entries": len(entries)})
            if entries[-1].position != self.position + len(entries):  # an incident of it is the chain check's to make
                log.error("entries that nobody decided are missing from the journal: somebody took them out")
            await self._decide_batch(entries)
        if policy != self.state.policy:
            entry = await self._store.append(Draft(self._clock.now(), PolicyLoaded(policy)))
            await self._decide_batch([entry])
        if untold := await self._store.untold():  # by this start, or by a run that ended before it could tell
            entry = await self._store.append(Draft(self._clock.now(), EntriesSetAside(tuple(untold))))
            await self._decide_batch([entry])
        self._untold.clear()
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
            for position, entry in enumerate(batch, start=self.position + 1):
                assert entry.position == position, f"entry {entry.position} instead of {position}"
            messages, counts, timed = await self._decide_batch(batch)
            for entry in batch:
                self._release(entry.fact)
            self._on_decided(messages, counts, timed)
            await self._tell_set_aside()
            self._arm()

    def stop(self) -> None:
        """What is appended is still decided; nothing new is due."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        self._work.set()

    async def perform(self, act: Act | AlertsFetched | Looked) -> str | None:
        """Returns once it is decided and committed: why it was refused, or None when it was done. Raises StoreFailed
        when it could not be written; then it is not in the journal."""
        decided: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        await self.submit(act, decided=decided)
        return (await decided).refused

    async def submit(self, fact: Fact, *, decided: asyncio.Future[Decision] | None = None) -> int:
        """Returns the position once the fact is on disk. Raises StoreFailed when it could not be written.
        `decided` is given the decision once that is committed."""
        # An entry that is on disk is decided even if whoever sent it has gone away meanwhile.
        return (await asyncio.shield(self.append(fact, decided=decided))).position

    def append(self, fact: Fact, *, decided: asyncio.Future[Decision] | None = None) -> asyncio.Future[Entry]:
        """The same for those who wait for thousands at once: the entry once it is on disk. Not to be cancelled."""
        self._waiting_bytes += _size(fact)
        self._waiting_entries += 1
        appended = self._store.append(Draft(self._clock.now(), fact))
        # Not after an await of ours: the next entry must never overtake this one on its way to the decider.
        appended.add_done_callback(lambda done: self._appended(done, fact, decided))
        return appended

    def check_load(self) -> None:
        """Raises Overloaded when one more webhook would take something past its limit."""
        if self._waiting_bytes > self._undecided_bytes_max or self._waiting_entries > UNDECIDED_ENTRIES_MAX:
            raise Overloaded("undecided", f"{self._waiting_entries} entries wait to be decided")
        if len(self.state.alerts) > ALERTS_MAX:
            raise Overloaded("alerts", f"{len(self.state.alerts)} alerts are active")
        if self._messages_owed() > self._messages_owed_max:
            raise Overloaded("messages_owed", f"{self._messages_owed()} messages are owed")

    @property
    def audit(self) -> Audit:
        return audit(self.state, self._clock.now())

    @property
    def lag(self) -> int:
        """Entries that are appended, or about to be, and not decided."""
        return self._waiting_entries

    # --- inside --------------------------------------------------------------------------------------------

    def _appended(self, done: asyncio.Future[Entry], fact: Fact, decided: asyncio.Future[Decision] | None) -> None:
        if done.cancelled() or (error := done.exception()) is not None:
            self._release(fact)
            # What is refused for its own sake says nothing about the store.
            if not done.cancelled() and isinstance(error, StoreFailed) and not isinstance(error, StoreRefused):
                self._note_failure(str(error))
            return
        self._note_failure(None)
        entry = done.result()
        if decided is not None:  # noted before the entry can be decided, so that no decision is missed
            self._awaited[entry.position] = decided
        self._undecided.append(entry)
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

    async def _decide_batch(self, batch: Sequence[Entry]) -> tuple[list[Message], Counter[str], list[Timed]]:
        decisions = await self._decide_together(batch) or [await self._decide_alone(entry) for entry in batch]
        messages = [message for decision in decisions for message in decision.messages]
        for entry, decision in zip(batch, decisions, strict=True):
            awaited = self._awaited.pop(entry.position, None)
            if awaited is not None and not awaited.done():
                awaited.set_result(decision)
        counts: Counter[str] = Counter()
        for decision in decisions:
            counts.update(decision.counts)
        return messages, counts, [timed for decision in decisions for timed in decision.timed]

    async def _decide_together(self, batch: Sequence[Entry]) -> list[Decision]:
        """In one transaction, or not at all: then nothing is returned, and the state is again what the store has."""
        decisions: list[Decision] = []
        errors: dict[int, Exception] = {}
        try:
            for entry in batch:
                try:
                    decision = self._decide(entry)
                except Exception as error:  # noqa: BLE001 - whatever it is, the entries after it must be decided
                    decision, errors[entry.position] = self._aside(entry, error), error
                self._apply(decision)
                decisions.append(decision)
            await self._commit(decisions, batch[-1].position)
        except Exception:  # noqa: BLE001 - whose fault it is shows when each is decided alone
            self.state = await self._loaded_again()
            return []
        for entry, decision in zip(batch, decisions, strict=True):
            if entry.position in errors:
                self._note_aside(entry, decision, errors[entry.position])
        return decisions

    async def _decide_alone(self, entry: Entry) -> Decision:
        """In a transaction of its own; when that cannot be, that is what is decided, and committed."""
        try:
            decision = self._decide(entry)
            self._apply(decision)
            await self._commit([decision], entry.position)
        except Exception as error:  # noqa: BLE001 - likewise
            self.state = await self._loaded_again()
            decision = self._aside(entry, error)
            self._apply(decision)
            await self._commit_aside(decision, entry.position)
            self._note_aside(entry, decision, error)
        return decision

    def _decide(self, entry: Entry) -> Decision:
        return decide(self.state, entry, policy_for(self.state, entry))

    def _apply(self, decision: Decision) -> None:
        self.state.apply(decision.changes)

    def _aside(self, entry: Entry, error: Exception) -> Decision:
        """The decision about an entry that nothing can be decided about."""
        aside = EntrySetAside(entry.position, entry.at, kind_of(entry.fact), _source(entry.fact), _in_words(error))
        changes: tuple[Change, ...] = (aside,)
        if isinstance(entry.fact, EntriesSetAside):  # telling of it failed: it is listed, and never told of again
            changes = (aside, SetAsideTold((*(each.position for each in entry.fact.entries), aside.position)))
        why = f"nothing could be decided about it, it was set aside: {aside.error}"
        return Decision(changes=changes, messages=(), counts={}, refused=why)

    def _note_aside(self, entry: Entry, decision: Decision, error: Exception) -> None:
        """It is committed: now it is logged, counted, and people are told."""
        log.error(
            "nothing can be decided about an entry: it is set aside",
            extra={"position": entry.position, "entry_kind": kind_of(entry.fact)},
            exc_info=error,
        )
        self.entries_set_aside += 1
        if isinstance(entry.fact, TimePassed):
            self._time_rests_until = asyncio.get_running_loop().time() + TIME_RESTS_SECONDS
        if not isinstance(entry.fact, EntriesSetAside):
            self._untold += [change for change in decision.changes if isinstance(change, EntrySetAside)]

    async def _tell_set_aside(self) -> None:
        """One fact for all of them. It is an entry like any other, and becomes an incident of Tocsin's own."""
        while self._untold:
            untold = tuple(self._untold)
            try:
                await self.submit(EntriesSetAside(untold))
            except StoreFailed:
                await asyncio.sleep(RETRY_SECONDS)
            else:
                del self._untold[: len(untold)]

    async def _loaded_again(self) -> State:
        while True:
            try:
                return (await self._store.load()).state
            except StoreFailed as error:
                self._note_failure(str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def _commit(self, decisions: Sequence[Decision], position: int) -> None:
        """StoreRefused: it will never be written, and nothing of it is."""
        changes = [change for decision in decisions for change in decision.changes]
        messages = [message for decision in decisions for message in decision.messages]
        await self._commit_until_done(changes, messages, position)
        self.position = position

    async def _commit_until_done(self, changes: Sequence[Change], messages: Sequence[Message], position: int) -> None:
        while True:
            try:
                await self._store.commit(changes, messages, position)
            except StoreRefused:
                raise
            except StoreFailed as error:
                self._note_failure(str(error))
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._note_failure(None)
                return

    async def _commit_aside(self, decision: Decision, position: int) -> None:
        """There is nothing left to decide instead: whatever the store says, it is tried again."""
        while self.position < position:
            try:
                await self._commit([decision], position)
            except StoreRefused as error:
                self._note_failure(str(error))
                await asyncio.sleep(RETRY_SECONDS)

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
        loop = asyncio.get_running_loop()
        delay = max(min(max(seconds, 0.0), LOOK_AT_CLOCK_SECONDS), self._time_rests_until - loop.time())
        self._timer = loop.call_later(delay, self._look_at_clock)

    def _look_at_clock(self) -> None:
        due = self.state.next_due()
        resting = asyncio.get_running_loop().time() < self._time_rests_until
        if due is None or self._clock.now() < due or resting:
            self._arm()
        elif self._telling_time is None or self._telling_time.done():
            self._telling_time = asyncio.create_task(self._tell_time())

    async def _tell_time(self) -> None:
        try:
            await self.submit(TimePassed())
        except StoreFailed:
            self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._look_at_clock)


def _source(fact: Fact) -> str:
    return fact.source if isinstance(fact, AlertsReceived | AlertsFetched | Looked | Unreadable) else ""


def _in_words(error: Exception) -> str:
    """`KeyError: 'x'`, in characters that can be written down anywhere."""
    text = f"{type(error).__name__}: {error}".encode(errors="backslashreplace").decode()
    return text if len(text) <= ERROR_CHARACTERS_MAX else text[: ERROR_CHARACTERS_MAX - 1] + "…"


def _alerts_in(entry: Entry) -> int:
    match entry.fact:
        case AlertsReceived():
            return len(entry.fact.notification.alerts)
        case AlertsFetched():
            return len(entry.fact.alerts)
        case _:
            return 1


def _size(fact: Fact) -> int:
    return len(fact.body) if isinstance(fact, AlertsReceived) else 256
