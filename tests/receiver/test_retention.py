"""Retention and the walk along the chain, over a real store: what goes, what is told of it, and what never goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from receiver.chaincheck import ChainCheck, Checked
from receiver.clock import SystemClock
from receiver.entry import ChainBroken, Fact, JournalTrimmed, TimePassed
from receiver.policy.file import RetentionFile
from receiver.retention import Keep, Retention
from receiver.state import State
from receiver.store import Draft, Store
from receiver.store.sqlite import open_sqlite
from tests.contract.values import at

FOR_EVER = Keep.of(RetentionFile(journal="0", incidents="0s"))


def test_the_bundled_policy_keeps_the_journal_for_ninety_days_and_incidents_for_a_year() -> None:
    assert Keep.of(RetentionFile()) == Keep(timedelta(days=90), timedelta(days=365))


async def filled(path: Path, entries: int) -> Store:
    store = open_sqlite(path)
    for number in range(entries):
        await store.append(Draft(at(number), TimePassed()))
    await store.commit((), (), entries)
    return store


def swept(store: Store, keep: Keep) -> Retention:
    async def submit(fact: Fact) -> None:
        await store.append(Draft(at(10**6), fact))

    return Retention(store, submit=submit, clock=SystemClock(), keep=lambda: keep)


def test_what_is_kept_for_ever_stays_and_what_is_too_old_goes_once(tmp_path: Path) -> None:
    async def test() -> None:
        store = await filled(tmp_path / "r.db", 20)
        await swept(store, FOR_EVER).sweep()
        assert len(await store.entries(0, 100)) == 20
        for _ in range(2):  # the second time there is nothing left to take out, and nothing to tell
            await swept(store, Keep(timedelta(seconds=1), timedelta(0))).sweep()
            (told,) = await store.entries(0, 100)
            assert isinstance(told.fact, JournalTrimmed)
            assert (told.position, told.fact.position, told.fact.entries) == (21, 20, 20)
        assert await store.verify() is None
        await store.close()

    asyncio.run(test())


def test_what_a_crash_left_of_entries_that_were_to_go_is_taken_out_at_the_next_sweep(tmp_path: Path) -> None:
    async def test() -> None:
        store = await filled(tmp_path / "r.db", 1200)
        anchor = await store.trimmable(at(1150))
        assert anchor is not None
        await store.append(Draft(at(2000), JournalTrimmed(anchor.position, anchor.hash, anchor.entries)))
        assert await store.trim(anchor) < 1150
        await store.close()
        store = open_sqlite(tmp_path / "r.db")
        assert await store.verify() is None
        await swept(store, FOR_EVER).sweep()
        assert [entry.position for entry in await store.entries(0, 1)] == [1151]
        await store.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("change", "problem"),
    [("", None), ("DELETE FROM journal WHERE position = 3", "entry 3 is missing (the next one is 4)")],
)
def test_the_whole_chain_is_walked_and_the_place_is_told(
    change: str, problem: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        await (await filled(tmp_path / "r.db", 2500)).close()
        with contextlib.closing(sqlite3.connect(tmp_path / "r.db")) as connection:
            connection.execute(change)
            connection.commit()
        store = open_sqlite(tmp_path / "r.db")
        assert await store.verify(last=1000) is None  # the end alone holds either way
        told: list[bool] = []
        found: list[Fact] = []

        async def submit(fact: ChainBroken) -> None:
            found.append(fact)

        state = State(journal="")
        check = ChainCheck(store, on_checked=told.append, submit=submit, known=lambda: state)
        assert check.result == Checked(intact=None, position=0, problem=None)
        with caplog.at_level(logging.INFO):
            await check.run()
        assert check.result == Checked(problem is None, 2 if problem else 2500, problem)
        assert told == [problem is None]
        assert found == ([ChainBroken(2, problem)] if problem else [])
        assert [each.levelname for each in caplog.records] == ["ERROR" if problem else "INFO"]
        await store.close()

    asyncio.run(test())
