"""Retention and the walk along the chain, over a real store: what goes, what is told of it, and what never goes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from receiver.chaincheck import ChainCheck, Checked
from receiver.clock import SystemClock
from receiver.entry import ChainBroken, Fact, JournalTrimmed, TimePassed
from receiver.incident import Status
from receiver.message import DIGEST_LANE, Kind
from receiver.policy.file import RetentionFile
from receiver.retention import Keep, Retention, Taken
from receiver.state import IncidentChanged, IncidentForgotten, MessageSettled, State
from receiver.store import Draft, Store, StoreFailed
from receiver.store.sqlite import open_sqlite
from tests.contract.values import at, incident, message
from tests.receiver.world import POLICY, World, receiver, run

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
        retention = swept(store, FOR_EVER)
        assert retention.taken == Taken()
        await retention.sweep()
        assert (retention.taken.entries, retention.taken.last_success is None) == (0, False)
        assert len(await store.entries(0, 100)) == 20
        retention = swept(store, Keep(timedelta(seconds=1), timedelta(0)))
        for _ in range(2):  # the second time there is nothing left to take out, and nothing to tell
            await retention.sweep()
            assert (retention.taken.entries, retention.taken.incidents) == (20, 0)
            (told,) = await store.entries(0, 100)
            assert isinstance(told.fact, JournalTrimmed)
            assert (told.position, told.fact.position, told.fact.entries) == (21, 20, 20)
        assert await store.verify() is None
        await store.close()

    asyncio.run(test())


def test_what_was_taken_out_and_when_is_in_the_metrics(tmp_path: Path) -> None:
    async def test() -> None:
        before = time.time()
        (tmp_path / "data").mkdir()
        store = await filled(tmp_path / "data" / "receiver.db", 20)
        over = replace(incident(1, status=Status.RESOLVED), resolved_at=at(2), owed={})
        await store.commit((IncidentChanged(over), IncidentForgotten(over.id)), (), 20)
        await store.close()
        async with receiver(tmp_path, policy=f"{POLICY}retention: {{journal: 1d, incidents: 1d}}\n") as world:
            assert await measured(world) == [0.0, 0.0, 0.0]
            await world.retention.sweep()
            entries, incidents, last = await measured(world)
            assert (entries, incidents) == (20.0, 1.0)
            assert before <= last <= time.time()

    run(test())


async def measured(world: World) -> list[float]:
    """Entries and incidents that went, and when."""
    page = (await world.get("/metrics"))[1]
    names = ("entries_total", "incidents_total", "last_success_timestamp_seconds")
    return [float(page.partition(f"\ntocsin_receiver_retention_{name} ")[2].split()[0]) for name in names]


def test_a_sweep_that_fails_is_no_success() -> None:
    async def test() -> None:
        retention = swept(cast(Store, SimpleNamespace(anchor=_fails)), FOR_EVER)
        with pytest.raises(StoreFailed):
            await retention.sweep()
        assert retention.taken == Taken()

    asyncio.run(test())


async def _fails() -> None:
    raise StoreFailed("disk I/O error")


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


def test_digests_go_as_incidents_do(tmp_path: Path) -> None:
    async def test() -> None:
        store = await filled(tmp_path / "r.db", 1)
        sent = [replace(message(number), incident=DIGEST_LANE, kind=Kind.DIGEST) for number in (1, 2)]
        now = SystemClock().now()
        settled = [MessageSettled("m1", at=now - timedelta(days=2)), MessageSettled("m2", at=now)]
        await store.commit(settled, sent, 1)
        await swept(store, FOR_EVER).sweep()
        assert len(await store.deliveries(limit=10)) == 2
        await swept(store, Keep(timedelta(0), timedelta(days=1))).sweep()
        assert [each.message for each in await store.deliveries(limit=10)] == ["m2"]
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
