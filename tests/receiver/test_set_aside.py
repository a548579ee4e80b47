"""An entry about which the engine raises: set aside, told of, and everything after it goes on, also after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from receiver.alert import parse
from receiver.clock import SystemClock
from receiver.entry import AlertsReceived, Delivered, EntriesSetAside, Entry, PolicyLoaded, TimePassed, Unreadable
from receiver.ledger import Decision
from receiver.message import Kind, Message
from receiver.runner import ERROR_CHARACTERS_MAX, Runner
from receiver.store import Draft, StoreRefused
from receiver.store.sqlite import open_sqlite
from tests.contract.values import at
from tests.receiver.builders import SURELY, named, webhook
from tests.receiver.world import Quiet, receiver, run
from tests.stories.story import POLICY, policy_from

ODD = Unreadable("of_tomorrow", "am", b"{", "cannot be read")


class Fails(Runner):
    """Raises about the kinds of fact that it is given."""

    kinds: tuple[type, ...] = ()

    def _decide(self, entry: Entry) -> Decision:
        if isinstance(entry.fact, self.kinds):
            raise KeyError("x" * 1000)
        return super()._decide(entry)


class FailsAboutTime(Fails):
    kinds = (TimePassed,)


class FailsAboutEverything(Fails):
    kinds = (object,)


def test_it_is_in_the_status_and_in_the_metrics_and_raised_as_an_incident_and_the_next_one_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        chat = Quiet()
        async with receiver(tmp_path, channels={"chat": chat}) as world:
            odd = await world.runner.submit(ODD)
            assert (await world.post(webhook([named("Slow")])))[0] == 200
            await world.decided()
            await world.until(lambda: len(chat.messages) == 2)
            await world.decided()
            status = (await world.get("/api/v1/status"))[1]["entries_set_aside"]
            assert status["count"] == 1
            (last,) = status["last"]
            assert (last["position"], last["kind"], last["source"]) == (odd, "of_tomorrow", "am")
            assert last["error"].startswith("Undecidable: cannot be read")
            incidents = (await world.get("/api/v1/incidents"))[1]["incidents"]
            (own,) = [each for each in incidents if each["source"] == "tocsin"]
            assert (own["severity"], own["status"]) == ("critical", "open")
            assert own["title"].startswith(f"Tocsin could not decide entry {odd} (of_tomorrow from 'am')")
            assert {each["source"] for each in incidents} == {"am", "tocsin"}
            assert "\ntocsin_receiver_entries_set_aside_total 1.0" in (await world.get("/metrics"))[1]
            logged = [each for each in caplog.records if "set aside" in each.message]
            assert [bool(each.exc_info) for each in logged] == [True]
        async with receiver(tmp_path, channels={"chat": chat}) as again:
            await again.runner.submit(ODD)
            await again.until(lambda: len(chat.messages) >= 3)
            await again.decided()
            assert (await again.get("/api/v1/status"))[1]["entries_set_aside"]["count"] == 2
            whole = (await again.get(f"/api/v1/incidents/{own['id']}"))[1]
            assert [each["what"] for each in whole["timeline"]].count("entries set aside") == 2

    run(test())


def test_a_start_decides_what_comes_after_it_and_tells_of_it_once(tmp_path: Path) -> None:
    async def test() -> None:
        for life in range(3):
            store = open_sqlite(tmp_path / "r.db")
            if life == 0:
                await store.append(Draft(at(1), ODD))
                await store.append(Draft(at(2), AlertsReceived("am", *_parsed())))
            runner = Runner(store, clock=SystemClock(), on_decided=lambda *_: None, messages_owed=lambda: 0)
            await runner.start(policy_from(POLICY))
            facts = [entry.fact for entry in await store.entries(0, 100)]
            told = [fact for fact in facts if isinstance(fact, EntriesSetAside)]
            assert [[each.position for each in fact.entries] for fact in told] == [[1]]
            assert runner.position == len(facts)
            assert sorted(each.group.source for each in runner.state.incidents.values()) == ["am", "tocsin"]
            assert await store.untold() == []
            await store.close()

    asyncio.run(test())


def test_an_engine_that_fails_about_everything_neither_loops_nor_grows_the_journal(tmp_path: Path) -> None:
    async def test() -> None:
        sizes = []
        for _ in range(3):
            store = open_sqlite(tmp_path / "r.db")
            runner = FailsAboutEverything(
                store, clock=SystemClock(), on_decided=lambda *_: None, messages_owed=lambda: 0
            )
            await runner.start(policy_from(POLICY))
            sizes.append((await store.size()).entries)
            assert await store.untold() == []
            assert all(len(e.error) <= ERROR_CHARACTERS_MAX for e in await store.entries_set_aside(100))
            await store.close()
        assert sizes == [2, 4, 6]  # a start adds the policy, and the word that it was set aside

    asyncio.run(test())


def test_time_that_cannot_be_decided_is_not_asked_for_again_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        store = open_sqlite(tmp_path / "r.db")
        runner = FailsAboutTime(store, clock=SystemClock(), on_decided=lambda *_: None, messages_owed=lambda: 0)
        await store.append(Draft(at(0), PolicyLoaded(policy_from(POLICY))))
        await store.append(Draft(at(1), AlertsReceived("am", *_parsed())))  # its second stage is long overdue
        await runner.start(policy_from(POLICY))
        deciding = asyncio.create_task(runner.run())
        async with asyncio.timeout(SURELY):
            while runner.entries_set_aside == 0 or runner.lag:  # noqa: ASYNC110 - the runner knows nothing of tests
                await asyncio.sleep(0.01)
        for _ in range(20):
            await runner.submit(ODD)
        runner.stop()
        await deciding
        facts = [entry.fact for entry in await store.entries(0, 1000)]
        assert sum(isinstance(fact, TimePassed) for fact in facts) == 1
        await store.close()

    asyncio.run(test())


class SendsWhatIsOwed(Runner):
    """Decides a message that is owed already whenever a channel answers."""

    def _decide(self, entry: Entry) -> Decision:
        decision = super()._decide(entry)
        if not isinstance(entry.fact, Delivered):
            return decision
        return replace(decision, messages=(Message("there", "chat", "T-1", Kind.OPENED, entry.at, b"{}"),))


def test_what_the_store_refuses_is_set_aside_and_its_neighbours_in_the_batch_are_not(tmp_path: Path) -> None:
    async def test() -> None:
        store = open_sqlite(tmp_path / "r.db")
        await store.commit((), (Message("there", "chat", "T-1", Kind.OPENED, at(0), b"{}"),), 0)
        answer = Delivered("m", "T-1", "chat", 1, 0.1, "ok")
        for number, fact in enumerate((AlertsReceived("am", *_parsed()), answer, TimePassed())):
            await store.append(Draft(at(number), fact))
        runner = SendsWhatIsOwed(store, clock=SystemClock(), on_decided=lambda *_: None, messages_owed=lambda: 0)
        owed = await runner.start(policy_from(POLICY))
        assert runner.failing is None
        (aside,) = await store.entries_set_aside(10)
        assert (aside.position, aside.kind) == (2, "delivered")
        assert aside.error == "StoreRefused: IntegrityError: UNIQUE constraint failed: outbox.id"
        assert [each.group.source for each in runner.state.incidents.values()] == ["am", "tocsin"]
        assert "there" in {message.id for message in owed}
        assert (await store.load()).position == runner.position == 5
        await store.close()

    asyncio.run(test())


def test_a_fact_that_cannot_be_written_is_refused_and_the_store_stays_writable(tmp_path: Path) -> None:
    async def test() -> None:
        async with receiver(tmp_path) as world:
            good = [AlertsReceived("am", *_parsed()) for _ in range(4)]
            odd = Unreadable("of_tomorrow", "\udc80", b"", "")  # half a character: no text for a database
            facts = [*good[:2], odd, *good[2:]]
            results = await asyncio.gather(*map(world.runner.submit, facts), return_exceptions=True)
            assert [type(each) for each in results] == [int, int, StoreRefused, int, int]
            assert world.runner.failing is None
            await world.decided()
            assert (await world.get("/-/ready"))[0] == 200

    run(test())


def _parsed() -> tuple[bytes, Any]:
    body = webhook([named("Down")])
    return body, parse(body)
