"""A journal that somebody changed: the receiver finds it, and tells people once."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from receiver.alert import parse
from receiver.chaincheck import RETRY_SECONDS, ChainCheck
from receiver.entry import AlertsReceived, ChainBroken
from receiver.state import State
from receiver.store import Draft, Store, StoreFailed, StoreRefused, Walked
from tests.receiver.builders import named, webhook
from tests.receiver.quickloop import run_quickly
from tests.receiver.world import Quiet, World, receiver, run

NEW_BODY = "UPDATE journal SET body = CAST('{}' AS BLOB), packed = 0 WHERE position = 3"


def tampered(folder: Path, change: str) -> None:
    with contextlib.closing(sqlite3.connect(folder / "data" / "receiver.db")) as connection:
        connection.execute(change)
        connection.commit()


async def walked(world: World) -> list[dict[str, Any]]:
    """What Tocsin says of itself once the whole chain is walked."""
    await world.chain.run()
    await world.decided()
    incidents = (await world.get("/api/v1/incidents?status=all"))[1]["incidents"]
    return [each for each in incidents if each["source"] == "tocsin"]


@pytest.mark.parametrize(
    ("change", "position", "problem"),
    [
        (NEW_BODY, 2, "entry 3 is not what was written, or the one before it"),
        ("DELETE FROM journal WHERE position = 3", 2, "entry 3 is missing (the next one is 4)"),
        ("DELETE FROM journal WHERE position > 3", 3, "entry 4 is missing (the end is cut off: "),
    ],
)
def test_a_journal_that_was_changed_is_an_incident_and_the_same_finding_is_told_once(
    change: str, position: int, problem: str, tmp_path: Path
) -> None:
    async def test() -> None:
        chat = Quiet()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            for number in range(4):
                assert (await world.post(webhook([named(f"A{number}")])))[0] == 200
            await world.decided()
            assert await walked(world) == []
        tampered(tmp_path, change)
        before = len(chat.messages)
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            (own,) = await walked(world)
            assert own["labels"] == {"alertname": "TocsinJournalBroken", "severity": "critical"}
            assert own["title"].startswith(f"Tocsin's journal holds up to entry {position} only: {problem}")
            assert [each.incident for each in chat.messages[before:]] == [own["id"]]
            chain = (await world.get("/api/v1/status"))[1]["journal"]["chain"]
            assert (chain["intact"], chain["position"]) == (False, position)
            assert (await world.post(webhook([named("After")])))[0] == 200
            await world.decided()
        before = len(chat.messages)
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            assert [each["id"] for each in await walked(world)] == [own["id"]]
            assert len(chat.messages) == before
            resolved = await world.ask("POST", f"/api/v1/incidents/{own['id']}/resolve", json={"by": "ana"})
            assert resolved[0] == 200
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            (again,) = await walked(world)
            assert (again["id"], again["status"]) == (own["id"], "resolved")
            found = [each.fact for each in await world.disk.entries(0, 1000) if isinstance(each.fact, ChainBroken)]
            assert [each.position for each in found] == [position]
        tampered(tmp_path, "DELETE FROM journal WHERE position = 2")
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            newest, _ = await walked(world)
            assert newest["status"] == "open"
            assert newest["title"].startswith("Tocsin's journal holds up to entry 1 only: entry 2 is missing")

    run(test())


def test_what_is_left_of_a_journal_from_which_undecided_entries_were_taken_is_decided(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            await world.decided()
            for number in range(4):
                body = webhook([named(f"A{number}")], groupKey=f"{{}}:{number}", groupLabels={})
                await world.disk.append(Draft(datetime.now(UTC), AlertsReceived("am", body, parse(body))))
            (first, *_) = await world.disk.entries(world.runner.position, 10)
        tampered(tmp_path, f"DELETE FROM journal WHERE position = {first.position + 1}")
        async with receiver(tmp_path) as world:
            found = (await world.get("/api/v1/incidents"))[1]["incidents"]
            assert sorted(each["title"].split(":")[0] for each in found) == ["A0", "A2", "A3"]
            (own,) = await walked(world)
            assert f"entry {first.position + 1} is missing" in own["title"]

    run(test())
    assert "entries that nobody decided are missing from the journal" in caplog.text


class Damaged:
    """A store whose journal holds up to entry 2."""

    async def walk_on(self, walked: Walked | None) -> Walked:
        return Walked(2, b"", "entry 3 is missing", done=True)


@pytest.mark.parametrize(
    ("errors", "asked"),
    [([StoreFailed("database or disk is full")] * 3, 4), ([StoreRefused("UnicodeEncodeError")], 1)],
)
def test_while_the_store_fails_it_is_told_later_and_what_is_refused_for_good_only_once(
    errors: list[Exception], asked: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        tries: list[float] = []

        async def submit(fact: ChainBroken) -> None:
            assert fact == ChainBroken(2, "entry 3 is missing")
            tries.append(asyncio.get_running_loop().time())
            if len(tries) <= len(errors):
                raise errors[len(tries) - 1]

        store: Store = Damaged()  # type: ignore[assignment]  # nothing else of a store is asked
        state = State(journal="")
        await ChainCheck(store, on_checked=lambda _: None, submit=submit, known=lambda: state).run()
        begun = tries[0]
        assert [each - begun for each in tries] == pytest.approx([RETRY_SECONDS * number for number in range(asked)])

    run_quickly(test)
    assert ("cannot be written into it" in caplog.text) == (asked == 1)
