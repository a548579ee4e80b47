"""A whole receiver inside a test: real doors on a free port, a real store on disk, the real runner and outbox.

Put together as `receiver/__main__.py` does it, from the same parts; only signals and flags are left out.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
from aiohttp import web

from guard.access import Access
from guard.framework import listening
from guard.listen import parse_address
from guard.log import Counts
from guard.webconfig import WebConfig
from receiver import settings
from receiver.accesses import Accesses
from receiver.chaincheck import ChainCheck
from receiver.channels import Channel
from receiver.channels.action import Tally
from receiver.channels.making import action_of
from receiver.channels.slackreply import SlackReplies
from receiver.clock import SystemClock
from receiver.doors.ack import AckDoor
from receiver.doors.acts import Acts
from receiver.doors.api import Api
from receiver.doors.app import application
from receiver.doors.doing import Doing
from receiver.doors.health import Health
from receiver.doors.incidentpage import IncidentPage
from receiver.doors.oncall import OnCall
from receiver.doors.page import Page
from receiver.doors.pagerduty import PagerDutyDoor
from receiver.doors.quick import Quick
from receiver.doors.signed import Arriving
from receiver.doors.slack import SlackDoor
from receiver.doors.statistics import StatisticsDoor
from receiver.doors.webhook import WebhookDoor
from receiver.entry import Entry, Fact
from receiver.incident import Incident
from receiver.links import Links
from receiver.message import Message
from receiver.metrics import Metrics
from receiver.outbox import Outbox
from receiver.policy.actionnames import channel_named
from receiver.policy.channelfile import ChannelFile
from receiver.policy.duration import parse_duration
from receiver.reconcile import Reconciliation
from receiver.retention import Keep, Retention
from receiver.runner import Runner
from receiver.settings import Settings
from receiver.sources import Sources
from receiver.spell import Timed
from receiver.store import Draft, Store, StoreFailed
from receiver.store.sqlite import open_sqlite
from tests.receiver.builders import SURELY

POLICY = "channels: {chat: {type: terminal}}\n"


class Quiet:
    """A channel that takes everything and remembers it."""

    retry_seconds_max = 60.0
    parallel_max = 4

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def send(self, message: Message) -> str:
        self.messages.append(message)
        return "ok"

    async def close(self) -> None:
        pass


class FullDisk:
    """A store whose writes fail while `full`, and whose decisions wait while it is not `committing`; whatever else is
    asked goes to the real one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.full = False
        self.appends_left: int | None = None  # until it is full
        self.committing = asyncio.Event()
        self.committing.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def append(self, draft: Draft) -> asyncio.Future[Entry]:
        if self.full:
            refused: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
            refused.set_exception(StoreFailed("database or disk is full"))
            return refused
        if self.appends_left is not None:
            self.appends_left -= 1
            self.full = self.appends_left == 0
        return self._store.append(draft)

    async def commit(self, changes: Sequence[Any], messages: Sequence[Message], position: int) -> None:
        await self.committing.wait()
        self._check()
        await self._store.commit(changes, messages, position)

    async def set_aside(self, body: Any) -> None:
        self._check()
        await self._store.set_aside(body)

    def _check(self) -> None:
        if self.full:
            raise StoreFailed("database or disk is full")


@dataclass
class World:
    """One running receiver, and one client."""

    url: str
    client: aiohttp.ClientSession
    disk: FullDisk
    runner: Runner
    outbox: Outbox
    metrics: Metrics
    channels: Mapping[str, Channel]
    door: WebhookDoor
    app: web.Application
    chain: ChainCheck
    retention: Retention
    links: Links
    accesses: Accesses

    async def post(self, body: bytes, *, source: str = "am", **headers: str) -> tuple[int, Any]:
        return await self.ask("POST", f"/webhook/{source}", data=io.BytesIO(body), headers=headers)

    async def get(self, path: str) -> tuple[int, Any]:
        return await self.ask("GET", path)

    async def ask(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        """Status and JSON (or text, where it is none) of one request."""
        async with self.client.request(method, self.url + path, **how) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if answer.content_type == "application/json" else text

    async def decided(self) -> None:
        """Until everything that was accepted is decided, delivered and reported."""
        await self.until(lambda: self.runner.lag == 0 and self.outbox.owed == 0)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(SURELY):
            while not holds():  # noqa: ASYNC110 - what is watched knows nothing of tests
                await asyncio.sleep(0.005)

    async def refused(self) -> dict[str, float]:
        """How many webhooks were refused, by reason, where any was."""
        found = {}
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == "tocsin_receiver_webhooks_refused_total" and sample.value:
                    found[sample.labels["reason"]] = sample.value
        return found


async def _no_reload() -> str:
    return "not in this test"


@asynccontextmanager
async def receiver(
    folder: Path,
    *,
    policy: str = POLICY,
    reload: Callable[[], Awaitable[str]] = _no_reload,
    channels: Mapping[str, Channel] | None = None,
    make: Callable[[ChannelFile, Links], Channel] | None = None,
    external_url: str | None = None,
    door: Mapping[str, Any] = MappingProxyType({}),
    acts: Mapping[str, Any] = MappingProxyType({}),
    decider: Mapping[str, Any] = MappingProxyType({}),
    arriving: Mapping[str, Any] = MappingProxyType({}),
    web_config: str | None = None,
) -> AsyncIterator[World]:
    """`web_config` is the text of a web.yml."""
    (folder / "receiver.yml").write_text(policy)
    guarded: WebConfig | None = None
    if web_config is not None:
        (folder / "web.yml").write_text(web_config)
        guarded = WebConfig(folder / "web.yml", environ={})
    loaded = settings.load(folder / "receiver.yml", environ={})
    store = open_sqlite(folder / "data" / "receiver.db")
    disk = FullDisk(store)
    try:
        async with _running(
            disk,
            loaded,
            reload=reload,
            channels=channels or {},
            make=make or (lambda *_: Quiet()),
            external_url=external_url,
            limits=door,
            acts=acts,
            decider=decider,
            arriving=arriving,
            web_config=guarded,
        ) as world:
            yield world
    finally:
        await store.close()


@asynccontextmanager
async def _running(
    disk: FullDisk,
    loaded: Settings,
    *,
    reload: Callable[[], Awaitable[str]],
    channels: Mapping[str, Channel],
    make: Callable[[ChannelFile, Links], Channel],
    external_url: str | None,
    limits: Mapping[str, Any],
    acts: Mapping[str, Any],
    decider: Mapping[str, Any],
    arriving: Mapping[str, Any],
    web_config: WebConfig | None,
) -> AsyncIterator[World]:
    clock = SystemClock()
    metrics = Metrics(clock=clock)
    links = Links(
        external_url=external_url,
        key=await disk.signing_key(),
        journal=lambda: runner.state.journal,
        valid_for=parse_duration(loaded.links.valid_for),
    )
    known: Mapping[str, Channel] = channels or {name: make(file, links) for name, file in loaded.channels.items()}

    def decided(messages: Sequence[Message], counts: Mapping[str, int], timed: Sequence[Timed]) -> None:
        outbox.add(messages)
        reconciliation.stir()
        metrics.count_decisions(messages, counts, timed)

    async def report(fact: Fact) -> int:
        return await runner.submit(fact)

    store: Any = disk

    def incident(identifier: str) -> Incident | None:
        return runner.state.incidents.get(identifier)  # of the state that there is then

    outbox = Outbox(report=report, clock=clock, chance=random.random, incident=incident, on_page=metrics.count_page)
    metrics.known_people(loaded.policy.reach)
    runner = Runner(store, clock=clock, on_decided=decided, messages_owed=lambda: outbox.owed, **decider)
    reconciliation = Reconciliation(known=lambda: runner.state, perform=runner.perform, clock=clock)
    reconciliation.replace_sources(loaded.sources or {})
    chain = ChainCheck(
        store,
        on_checked=lambda intact: metrics.chain_checked(intact=intact),
        submit=report,
        known=lambda: runner.state,
    )
    retention = Retention(store, submit=report, clock=clock, keep=lambda: Keep.of(loaded.retention))
    access = Access(web_config)
    accesses = Accesses(submit=report)
    door = WebhookDoor(runner=runner, store=store, metrics=metrics, clock=clock, on_use=accesses.note, **limits)
    door.sources = Sources(loaded.sources, access=access)
    doing = Doing(store=store, runner=runner, **acts)
    replies = SlackReplies(on_untold=metrics.untold.inc)
    slack = SlackDoor(
        doing=doing,
        known=lambda: runner.state,
        tell=replies.tell,
        metrics=metrics,
        clock=clock,
        arriving=Arriving(**arriving),
        **acts,
    )
    slack.replace_channels(loaded.channels)
    pagerduty = PagerDutyDoor(
        doing=doing, store=store, known=lambda: runner.state, metrics=metrics, clock=clock, **acts
    )
    pagerduty.replace_channels(loaded.channels)
    tally: Tally = Counter()
    acting = {
        channel_named(name): action_of(name, file, incident=incident, tally=tally, home="/")
        for name, file in loaded.actions.items()
    }
    fallbacks = loaded.policy.fallbacks
    outbox.replace_channels({**acting, **known}, {name: each.after.total_seconds() for name, each in fallbacks.items()})
    metrics.observe_actions(loaded.actions, tally)
    outbox.add(await runner.start(loaded.policy))
    metrics.chain_checked(intact=True)
    metrics.policy_read(successful=True)
    metrics.templates_of([name for name, file in loaded.channels.items() if file.templates is not None])
    metrics.observe(runner, outbox)
    metrics.observe_reconciliation(reconciliation)
    metrics.observe_retention(retention)
    doing = Doing(store=store, runner=runner, **acts)
    metrics.observe_web_config(web_config)
    metrics.observe_log(Counts())
    app = application(
        webhook=door,
        api=Api(
            store=store,
            runner=runner,
            outbox=outbox,
            clock=clock,
            started_at=clock.now(),
            reconciliation=reconciliation,
            chain=chain,
        ),
        acts=Acts(doing=doing, **acts),
        slack=slack,
        pagerduty=pagerduty,
        oncall=OnCall(runner=runner, clock=clock),
        statistics=StatisticsDoor(store=store, runner=runner, clock=clock),
        health=Health(store=store, runner=runner, outbox=outbox, metrics=metrics, reload=reload),
        page=Page(store=store, runner=runner, clock=clock, external_url=external_url),
        incident=IncidentPage(store=store, clock=clock),
        ack=AckDoor(store=store, runner=runner, doing=doing, links=links, clock=clock, metrics=metrics),
        metrics=metrics,
        external_url=external_url,
        access=access,
        on_use=accesses.note,
    )
    tls = None if web_config is None else web_config.server_context()
    deciding = asyncio.create_task(runner.run())
    outbox.start()
    reconciliation.start()
    try:
        async with (
            listening(app, [parse_address("127.0.0.1:0")], grace_seconds=1.0, front=Quick(door), tls=tls) as (url,),
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SURELY)) as client,
        ):
            yield World(url, client, disk, runner, outbox, metrics, known, door, app, chain, retention, links, accesses)
    finally:
        disk.full = False
        disk.committing.set()
        await replies.close()
        await reconciliation.stop()
        await outbox.stop(grace_seconds=1.0)
        access.close()
        runner.stop()
        await deciding


def run(test: Coroutine[Any, Any, None]) -> None:
    """Runs one test, which ends or fails; it never hangs."""
    asyncio.run(asyncio.wait_for(test, 4 * SURELY))
