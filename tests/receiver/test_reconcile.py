"""When Alertmanager is asked, what is handed to the journal, and that nobody waits for an Alertmanager that hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from aiohttp import web
from msgspec.structs import replace

from receiver.alertmanager import Alertmanager
from receiver.comparison import GONE_SECONDS
from receiver.entry import AlertsFetched, Gone, Looked, Suppressed
from receiver.incident import AlertRecord, Group
from receiver.known import Cut
from receiver.policy.file import SourceFile
from receiver.reconcile import Reconciler, Reconciliation, Watcher
from receiver.store import StoreFailed
from tests.receiver.amapi import SILENCED, Api, api, group, known, silence, theirs
from tests.receiver.builders import AT, SURELY, Clock, webhook
from tests.receiver.world import receiver, run

GROUP = Group("am", "team.a", '{}:{job="node"}')


# --- one look ----------------------------------------------------------------------------------------------------


@dataclass
class State:
    """As much of the real one as a look wants to know."""

    alerts: dict[tuple[str, str], AlertRecord] = field(default_factory=dict)
    cut: dict[Group, Cut] = field(default_factory=dict)

    def hold(self, *alerts: AlertRecord) -> None:
        self.alerts |= {(each.source, each.fingerprint): each for each in alerts}


@dataclass
class Desk:
    """A reconciler between an API and a state, and what it handed to the journal."""

    api: Api
    state: State
    watcher: Watcher
    reconciler: Reconciler
    facts: list[Looked | AlertsFetched]
    elapsed: list[float]
    broken: list[Exception]

    async def look(self) -> list[Looked | AlertsFetched]:
        """What one look hands over."""
        self.facts.clear()
        await self.reconciler.look()
        return list(self.facts)


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    facts: list[Looked | AlertsFetched] = []
    broken: list[Exception] = []
    state, watcher, elapsed = State(), Watcher(), [0.0]

    async def perform(fact: Looked | AlertsFetched) -> None:
        if broken:
            raise broken.pop()
        facts.append(fact)

    async with api() as standing:
        alertmanager = Alertmanager(standing.url, seconds_max=0.2)
        try:
            reconciler = Reconciler(
                "am",
                alertmanager,
                known=lambda: state,
                perform=perform,
                clock=Clock(),
                watcher=watcher,
                elapsed=lambda: elapsed[0],
            )
            yield Desk(standing, state, watcher, reconciler, facts, elapsed, broken)
        finally:
            await alertmanager.close()


def test_where_nothing_fires_only_the_status_is_asked() -> None:
    async def test() -> None:
        async with desk() as at:
            at.state.hold(known("a", source="another"), known("b", status="resolved"))
            assert await at.look() == []
            assert at.api.asked == ["/api/v2/status"]

    run(test())


def test_silences_are_asked_for_only_where_one_matters() -> None:
    async def test() -> None:
        async with desk() as at:
            at.state.hold(known("a"))
            at.api.alerts = [theirs("a"), theirs("b", silenced_by=("s",))]
            assert await at.look() == []
            assert "/api/v2/silences" not in at.api.asked
            at.api.alerts = [theirs("a", silenced_by=("s",))]
            at.api.silences = [silence("s", ends_at="2026-03-01T10:00:00.000Z")]
            assert await at.look() == [Looked("am", suppressed=(SILENCED,))]

    run(test())


def test_everything_that_is_news_is_one_fact() -> None:
    async def test() -> None:
        async with desk() as at:
            at.state.hold(known("a"), known("b", hidden="unknown"), known("c"), known("d"), known("e"))
            at.api.alerts = [theirs("a", inhibited_by=("d",)), theirs("b"), theirs("d"), theirs("e")]
            assert await at.look() == [Looked("am", suppressed=(Suppressed("a", "inhibited"),), shown=("b",))]
            at.state.hold(known("a", hidden="inhibited"), known("b"))
            at.elapsed[0] = GONE_SECONDS
            assert await at.look() == [Looked("am", gone=(Gone("c", AT),))]
            assert (at.watcher.looks, at.watcher.news, at.watcher.failures) == (2, 2, 0)

    run(test())


def test_a_group_that_was_cut_is_fetched_once_and_whole() -> None:
    async def test() -> None:
        async with desk() as at:
            cut = Cut(GROUP, {"job": "node"}, AT, 3)
            at.state.cut[GROUP] = cut
            at.state.cut[replace(GROUP, source="another")] = replace(cut, group=replace(GROUP, source="another"))
            muted = theirs("muted")
            muted["status"]["state"] = "suppressed"  # as a newer Alertmanager says it of a time interval
            at.api.groups = [
                group("team.a", {"job": "node"}, theirs("a"), theirs("b"), muted),
                group("team.a", {"job": "other"}, theirs("c")),
                group("team.b", {"job": "node"}, theirs("d")),
            ]
            (found,) = await at.look()
            assert isinstance(found, AlertsFetched)
            assert (found.source, found.receiver, found.group_key) == ("am", "team.a", GROUP.key)
            assert [(each.identity, each.status, each.labels["alertname"]) for each in found.alerts] == [
                ("a", "firing", "a"),
                ("b", "firing", "b"),
            ]
            assert await at.look() == []
            at.state.cut[GROUP] = replace(cut, at=AT + timedelta(seconds=1))
            assert len(await at.look()) == 1

    run(test())


def test_a_cut_group_that_alertmanager_does_not_have_is_told_as_empty() -> None:
    async def test() -> None:
        async with desk() as at:
            at.state.cut[GROUP] = Cut(GROUP, {"job": "node"}, AT, 3)
            assert await at.look() == [AlertsFetched("am", "team.a", GROUP.key, ())]

    run(test())


def test_a_failure_is_shown_and_the_next_look_makes_it_good() -> None:
    async def test() -> None:
        async with desk() as at:
            at.state.hold(known("a"))
            at.state.cut[GROUP] = Cut(GROUP, {"job": "node"}, AT, 3)
            at.api.alerts = [theirs("a", inhibited_by=("b",))]
            at.api.answers["groups"] = web.Response(status=500)
            assert await at.look() == []
            assert at.watcher.error == "/api/v2/alerts/groups: expected status 200, found 500"
            at.api.answers.clear()
            at.broken += [StoreFailed("database or disk is full")]
            assert await at.look() == []
            assert at.watcher.error == "what it said could not be written to disk: database or disk is full"
            at.broken += [ArithmeticError("ours")]
            assert await at.look() == []
            assert at.watcher.error == "ArithmeticError: ours"
            assert at.api.at_once_most == 1
            at.api.hangs = True
            assert await at.look() == []
            assert at.watcher.error == "/api/v2/status: no whole answer within 0.2 seconds"
            at.api.hangs = False
            assert [type(each) for each in await at.look()] == [AlertsFetched, Looked]
            assert (at.watcher.looks, at.watcher.failures, at.watcher.error) == (5, 4, None)
            assert at.watcher.last_success == AT

    run(test())


# --- all sources, in a receiver that runs ------------------------------------------------------------------------


async def nobody(_: Looked | AlertsFetched) -> None:
    """Takes facts, of which there are none."""


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(SURELY):
        while not holds():  # noqa: ASYNC110 - what is watched knows nothing of tests
            await asyncio.sleep(0.005)


def test_the_receiver_looks_at_the_start_and_soon_after_something_new_is_to_be_asked() -> None:
    async def test() -> None:
        facts: list[Looked | AlertsFetched] = []
        state = State()

        async def perform(fact: Looked | AlertsFetched) -> None:
            facts.append(fact)
            state.cut.clear()

        async with api() as hung, api() as standing:
            hung.hangs = True
            reconciliation = Reconciliation(known=lambda: state, perform=perform, clock=Clock())
            reconciliation.replace_sources(
                {
                    "hung": SourceFile(alertmanager_url=hung.url),
                    "am": SourceFile(alertmanager_url=standing.url),
                    "quiet": SourceFile(),
                }
            )
            reconciliation.start()
            try:
                await until(lambda: reconciliation.by_source()["am"].last_success is not None)
                state.cut[GROUP] = Cut(GROUP, {}, AT, 1)
                reconciliation.stir()
                await until(lambda: bool(facts))
                assert [each.source for each in facts] == ["am"]
                assert list(reconciliation.by_source()) == ["am", "hung"]
                assert (hung.asked, reconciliation.by_source()["hung"].last_success) == (["/api/v2/status"], None)
            finally:
                await reconciliation.stop()

    run(test())


def test_a_reload_replaces_what_changed_and_looks_at_once() -> None:
    async def test() -> None:
        async with api() as first, api() as second:
            reconciliation = Reconciliation(known=State, perform=nobody, clock=Clock())
            same = SourceFile(alertmanager_url=first.url)
            reconciliation.replace_sources({"same": same, "moves": same, "goes": same})
            reconciliation.start()
            try:
                await until(lambda: len(first.asked) == 3)
                moved = SourceFile(alertmanager_url=second.url)
                reconciliation.replace_sources({"same": same, "moves": moved})
                await until(lambda: (len(first.asked), len(second.asked)) == (4, 1))
                assert {name: each.looks for name, each in reconciliation.by_source().items()} == {
                    "moves": 2,
                    "same": 2,  # a reload is a reason to look
                }
                reconciliation.replace_sources({})
                assert reconciliation.by_source() == {}
            finally:
                await reconciliation.stop()

    run(test())


def test_the_status_says_how_each_alertmanager_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with api() as standing:
            standing.alerts = [theirs("a")]
            policy = (
                "channels: {chat: {type: terminal}}\n"
                f"sources: {{am: {{alertmanager_url: '{standing.url}'}}, none: {{}},"
                " away: {alertmanager_url: 'http://127.0.0.1:1/'}}\n"
            )
            async with receiver(tmp_path, policy=policy) as world:
                await world.post(webhook())
                await world.decided()

                async def sources() -> dict[str, dict[str, object]]:
                    return dict((await world.get("/api/v1/status"))[1]["sources"])

                while any(each["alertmanager"] == "not asked yet" for each in (await sources()).values()):
                    pass
                found = await sources()
                assert {name: each["alertmanager"] for name, each in found.items()} == {
                    "am": "reachable",
                    "away": "/api/v2/status: Connection refused",
                }
                assert found["am"]["last_success"] is not None
                assert (found["am"]["failures"], found["away"]["last_success"]) == (0, None)
                page = (await world.get("/metrics"))[1]
                assert 'tocsin_receiver_reconciliation_failures_total{source="am"} 0.0' in page
                assert 'tocsin_receiver_reconciliation_failures_total{source="away"} 1.0' in page

    run(test())
