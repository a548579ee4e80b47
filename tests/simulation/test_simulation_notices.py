"""A test of the tests: each promise is broken on purpose once, and a seed must notice."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from receiver.entry import Delivered, Entry
from receiver.ledger import Decision
from receiver.message import Message
from receiver.outbox import Outbox
from receiver.runner import Runner
from receiver.state import IncidentChanged, MessageSettled
from receiver.store import Draft, StoreFailed
from receiver.store.database import Commit, Database
from receiver.store.sqlite import SqliteStore
from tests.simulation.checkers import check_all
from tests.simulation.world import Parts, World

SEEDS = 60


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


class AnswersBeforeTheDisk(SqliteStore):
    """200 first, written afterwards."""

    async def append(self, draft: Draft) -> Entry:
        done = self._enqueue(draft)
        if not done.done() and self._writer._position:
            entry = Entry(self._writer._position + len(self._waiting), draft.at, draft.fact)
            done.add_done_callback(lambda each: each.cancelled() or each.exception())
            return entry
        entry_on_disk = await done
        assert entry_on_disk is not None
        return entry_on_disk


class WritesMessagesLater(Database):
    """Changes and position in one transaction, the messages in the next."""

    def _commit(self, commit: Commit) -> None:
        super()._commit(Commit(commit.changes, (), commit.position))
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        super()._commit(Commit((), commit.messages, commit.position))


class MovesThePositionFirst(Database):
    """The position in a transaction of its own, before what belongs to it."""

    def _commit(self, commit: Commit) -> None:
        self._put_meta("position", commit.position)
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        super()._commit(commit)


class ForgetsTheOutbox(Database):
    """Messages are handed on and not written down."""

    def _commit(self, commit: Commit) -> None:
        super()._commit(Commit(commit.changes, (), commit.position))


class BreaksTheChain(Database):
    """The hash before is not part of the next one after a restart."""

    def _head(self) -> tuple[int, bytes]:
        position, found = super()._head()
        return position, bytes(32) if position else found


class DrawsIdentifiers(Runner):
    """Messages named by chance: the same decision is a new message after a crash."""

    def _decide(self, entry: Entry) -> Decision:
        decision = super()._decide(entry)
        drawn = tuple(
            msgspec.structs.replace(each, id=f"{each.id}-{os.urandom(4).hex()}") for each in decision.messages
        )
        return Decision(decision.changes, drawn, decision.counts)


class SendsBeforeTheCommit(Runner):
    """The outbox gets the messages first, and again when they are committed."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        self._on_decided(messages, {})
        await super()._commit_until_done(changes, messages, position)


class DropsWhatCouldNotBeCommitted(Runner):
    """A full disk is logged and forgotten."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        try:
            await self._store.commit(changes, messages, position)
        except StoreFailed:
            return


class LosesAChange(Runner):
    """Every seventh incident that changes is not written."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        kept = [each for each in changes if position % 7 or not isinstance(each, IncidentChanged)]
        await super()._commit_until_done(kept, messages, position)


class NeverSettles(Runner):
    """What is delivered stays in the outbox's table."""

    async def _commit_until_done(self, changes: Any, messages: Sequence[Message], position: int) -> None:
        await super()._commit_until_done(
            [each for each in changes if not isinstance(each, MessageSettled)], messages, position
        )


class ForgetsTheTime(Runner):
    """Nobody looks at the clock."""

    def _arm(self) -> None:
        pass


class AsksAgainInsteadOfWriting(Outbox):
    """When the journal cannot take the answer, the message is sent once more."""

    def __init__(self, *, report: Any, clock: Any) -> None:
        async def report_twice(fact: Any) -> None:
            await report(fact)
            if isinstance(fact, Delivered):
                await self._channels[fact.channel].send(self._sent[fact.message])

        self._sent: dict[str, Message] = {}
        super().__init__(report=report_twice, clock=clock)

    def add(self, messages: Any) -> None:
        for message in messages:
            self._sent[message.id] = message
            super().add([message])


class ReportsNothing(Outbox):
    """Sends, and tells nobody."""

    def __init__(self, *, report: Any, clock: Any) -> None:
        async def nobody(_: object) -> None:
            await asyncio.sleep(0)

        super().__init__(report=nobody, clock=clock)


BROKEN = {
    "answers before the disk": Parts(store=AnswersBeforeTheDisk),
    "writes messages later": Parts(database=WritesMessagesLater),
    "moves the position first": Parts(database=MovesThePositionFirst),
    "forgets the outbox": Parts(database=ForgetsTheOutbox),
    "breaks the chain": Parts(database=BreaksTheChain),
    "draws identifiers": Parts(runner=DrawsIdentifiers),
    "sends before the commit": Parts(runner=SendsBeforeTheCommit),
    "drops what could not be committed": Parts(runner=DropsWhatCouldNotBeCommitted),
    "loses a change": Parts(runner=LosesAChange),
    "never settles": Parts(runner=NeverSettles),
    "forgets the time": Parts(runner=ForgetsTheTime),
    "asks again instead of writing": Parts(outbox=AsksAgainInsteadOfWriting),
    "reports nothing": Parts(outbox=ReportsNothing),
}


@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_promise_is_noticed(promise: str, tmp_path: Path) -> None:
    for seed in range(SEEDS):
        try:
            check_all(World(seed, tmp_path / str(seed), BROKEN[promise]).run())
        except Exception:  # noqa: BLE001 - noticed, in whatever way
            return
    pytest.fail(f"{SEEDS} seeds did not notice a receiver that {promise}")


def test_an_unbroken_world_is_not_accused(tmp_path: Path) -> None:
    check_all(World(0, tmp_path, Parts()).run())
