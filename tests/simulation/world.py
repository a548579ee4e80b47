"""A receiver's life, and its next one: the real runner, outbox, engine and SQLite in simulated time.

A seed decides everything: the workload (workloads.py), and what goes wrong (faults.py): at which SQL statement the
process dies, when the disk is slow or full, how the channels fail. Afterwards nothing goes wrong any more for a while,
and the checkers look at what is left.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from receiver import engine
from receiver.alert import parse
from receiver.chaincheck import ChainCheck
from receiver.channels import Channel
from receiver.channels.action import Action
from receiver.entry import (
    Acknowledged,
    Act,
    AlertsReceived,
    Assigned,
    Entry,
    Merged,
    Noted,
    PolicyLoaded,
    Resent,
    ResolvedByHand,
    Snoozed,
    Split,
)
from receiver.incident import Incident, Status
from receiver.ledger import Decision
from receiver.message import DIGEST_LANE, Message
from receiver.outbox import Outbox
from receiver.policy.actionnames import channel_named
from receiver.policy.policy import Policy
from receiver.receipts import Receipts
from receiver.retention import Keep, Retention
from receiver.runner import Runner
from receiver.state import State
from receiver.store import Store, StoreFailed, Walked
from receiver.store.database import Database
from receiver.store.sqlite import SqliteStore
from tests.simulation.alertmanager import BEGIN, Alertmanager
from tests.simulation.deeds import Ran, SimulatedDeed
from tests.simulation.faults import Arrival, Crash, Disk, SimulatedChannel
from tests.simulation.loop import SimulatedLoop
from tests.simulation.policies import policy_named
from tests.simulation.script import Script
from tests.simulation.workloads import WORKLOADS, name_for

LOOK_SECONDS = 60.0

Decide = Callable[[State, Entry, Policy], Decision]


@dataclass(frozen=True)
class Parts:
    """What the world is built of; a test of the tests hands in broken ones."""

    database: type[Database] = Database
    store: type[SqliteStore] = SqliteStore
    runner: type[Runner] = Runner
    outbox: type[Outbox] = Outbox
    action: type[Action] = Action
    decide: Decide = engine.decide
    keep: Keep | None = None  # how long; None: nothing is taken out
    check: type[ChainCheck] = ChainCheck
    damage: tuple[Walked, ...] = ()  # what walks along the journal find, one for each life; the last one goes on
    set_aside_for: str = "poison"  # what the error says about entries that are set aside on purpose


@dataclass
class History:
    """What is left when it is over: the evidence for the checkers."""

    workload: str
    script: Script
    accepted: list[tuple[int, bytes]] = field(default_factory=list)  # answered 200: position, body
    performed: list[tuple[Act, str | None]] = field(default_factory=list)  # what people did, and why it was refused
    answered: list[tuple[Acknowledged, int]] = field(default_factory=list)  # 200, and what was decided by then
    arrived: list[Arrival] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)  # what actions did
    crashes: int = 0
    statements: int = 0
    looks: int = 0  # facts from Alertmanager's API
    failures: list[str] = field(default_factory=list)  # exceptions that nobody expected
    database: Path = Path()
    live: State = field(default_factory=lambda: State(journal=""))  # of the last process, when it ended
    now: datetime = BEGIN
    true_seconds: float = 0.0  # by the clock that nobody sets
    set_aside_for: str = ""
    trimmed: dict[int, Entry] = field(default_factory=dict)  # what retention took out, for whoever replays


class World:
    def __init__(self, seed: int, folder: Path, parts: Parts = Parts(), *, workload: str | None = None) -> None:
        self._chance = random.Random(seed)
        self._folder = folder
        self._parts = parts
        self._lives = 0
        self._time = 0.0
        name = workload or name_for(seed)
        self._script = script = WORKLOADS[name](self._chance)
        self._posts = deque(script.posts())
        self._deeds = random.Random(f"deeds {seed}")
        self._people = random.Random(f"people {seed}")  # their own dice: they do not change what Alertmanager does
        self._reloads = deque(
            zip(
                sorted(self._chance.uniform(0, script.end) for _ in script.policies[1:]),
                script.policies[1:],
                strict=True,
            )
        )
        self._policy = policy_named(script.policies[0])
        self.history = History(name, script, set_aside_for=parts.set_aside_for)
        self._channels = {
            name: SimulatedChannel(name, self._chance, parallel=parallel, arrived=self.history.arrived)
            for name, parallel in (("chat", 1), ("pager", 2), ("hook", 4), ("phone1", 1), ("phone2", 2))
        }

    def run(self) -> History:
        script = self._script
        crashes = self._chance.randrange(script.crashes_max + 1)
        while self._time < script.end:
            disk = Disk()
            if crashes:
                crashes -= 1
                disk.crash_at = 1 + int(self._chance.expovariate(1 / 150))
                disk.crash_after = self._chance.random() < 0.5
            if self._chance.random() < 0.3:
                begin = self._chance.randrange(40, 400)  # a store that is made takes some 32 statements
                disk.full_between = (begin, begin + self._chance.randrange(1, 40))
            if self._chance.random() < 0.1:
                disk.seconds = self._chance.choice([0.3, 4.0])
            self._live(disk, until=script.end)
        for channel in self._channels.values():
            channel.healthy = True
        self._live(Disk(), until=script.calm_end)
        self.history.database = self._path
        self.history.true_seconds = self._time
        self.history.now = BEGIN + timedelta(seconds=self._time + _set_by(script, self._time))
        return self.history

    @property
    def _path(self) -> Path:
        return self._folder / str(self._lives) / "receiver.db"

    def _live(self, disk: Disk, *, until: float) -> None:
        """One process, from its start to its crash, or to a graceful stop."""
        self._next_folder()
        loop = SimulatedLoop(begin=self._time)
        loop.set_exception_handler(lambda _, context: self._unexpected(disk, context))
        for channel in self._channels.values():
            channel.life = self._lives
        try:
            loop.run_until_complete(self._process(disk, until))
        except Crash:
            pass
        finally:
            self._time = loop.time()
            self.history.crashes += disk.crashed
            self.history.statements += disk.statements
            _abandon(loop)

    def _next_folder(self) -> None:
        """What the disk holds at this moment is what the next process finds; what was only in memory is gone."""
        before = self._path
        self._lives += 1
        self._path.parent.mkdir(parents=True)
        for suffix in ("", "-wal"):
            left = before.with_name(before.name + suffix)
            if left.exists():
                shutil.copyfile(left, self._path.with_name(left.name))

    async def _process(self, disk: Disk, until: float) -> None:
        crashed = asyncio.Event()
        disk.on_crash = crashed.set
        life = asyncio.create_task(self._serve(disk, until))
        death = asyncio.create_task(crashed.wait())
        await asyncio.wait([life, death], return_when=asyncio.FIRST_COMPLETED)
        if disk.crashed:
            raise Crash
        death.cancel()
        life.result()

    async def _serve(self, disk: Disk, until: float) -> None:
        """The wiring of receiver/__main__.py, without sockets and signals."""
        loop = asyncio.get_running_loop()
        database = self._parts.database(
            self._path, connect=disk.connect, new_name=lambda: "simulated", new_hash_key=lambda: b"simulated"
        )

        async def background(function: Any, /) -> Any:
            await asyncio.sleep(self._chance.choice([0.0, 0.0, 0.0002, 0.004]) + disk.seconds)
            return function()

        store = self._parts.store(database, write=background, reader=database, read=background, on_close=lambda: None)
        clock = _Clock(loop, self._script)
        runner = _with(self._parts.decide, self._parts.runner)(
            store,
            clock=clock,
            on_decided=lambda messages, *_: outbox.add(messages),
            messages_owed=lambda: outbox.owed,
        )

        def known(identifier: str) -> Incident | None:
            return runner.state.incidents.get(identifier)  # of the state that there is then

        outbox = self._parts.outbox(
            report=runner.submit, clock=clock, chance=self._chance.random, receipts=Receipts(known), incident=known
        )
        for channel in self._channels.values():
            channel.known = known
        outbox.replace_channels(self._channels_of(self._policy, known), _patience(self._policy))
        owed: Sequence[Message] = await _until_written(lambda: runner.start(self._policy))
        outbox.add(owed)
        deciding = asyncio.create_task(runner.run())
        outbox.start()
        outside = [asyncio.create_task(each(runner)) for each in (self._post_all, self._look)]
        outside.append(asyncio.create_task(self._act(runner, store)))
        outside.append(asyncio.create_task(self._reload(runner, outbox, known)))
        keep = self._parts.keep
        if keep is not None:
            retention = Retention(store, submit=runner.submit, clock=clock, keep=lambda: keep)
            outside.append(asyncio.create_task(retention.run()))
        if self._parts.damage:
            outside.append(asyncio.create_task(self._check_chain(runner)))
        await asyncio.sleep(max(0.0, until - loop.time()))
        for task in outside:
            task.cancel()
        await outbox.stop(grace_seconds=5.0)
        runner.stop()
        await asyncio.wait([deciding], timeout=5.0)
        deciding.cancel()
        self.history.live = runner.state
        await store.close()

    def _channels_of(self, policy: Policy, known: Callable[[str], Incident | None]) -> dict[str, Channel]:
        """What the policy does not have any more takes nothing any more."""
        deed = SimulatedDeed(self._deeds, self.history.ran, life=self._lives, known=known)
        actions = {
            channel_named(name): self._parts.action(
                name=name, deed=deed, dry_run=False, retry_seconds=None, incident=known, tally=Counter()
            )
            for name in policy.actions
        }
        return {**{name: self._channels[name] for name in policy.channels}, **actions}

    async def _post_all(self, runner: Runner) -> None:
        """Alertmanager: in order, again and again until it is answered 200. A crash leaves it without an answer."""
        loop = asyncio.get_running_loop()
        while self._posts:
            post = self._posts[0]
            await asyncio.sleep(max(0.0, post.at - loop.time()))
            try:
                position = await runner.submit(AlertsReceived(post.source, post.body, parse(post.body)))
            except StoreFailed:
                await asyncio.sleep(self._chance.uniform(0.5, 2.0))
                continue
            self.history.accepted.append((position, post.body))
            self._posts.popleft()

    async def _reload(self, runner: Runner, outbox: Outbox, known: Callable[[str], Incident | None]) -> None:
        loop = asyncio.get_running_loop()
        while self._reloads:
            at, name = self._reloads[0]
            await asyncio.sleep(max(0.0, at - loop.time()))
            fresh = policy_named(name)
            await _until_written(partial(runner.submit, PolicyLoaded(fresh)))
            self._policy = fresh
            outbox.replace_channels(self._channels_of(fresh, known), _patience(fresh))
            self._reloads.popleft()

    async def _look(self, runner: Runner) -> None:
        """Asks each Alertmanager that can be asked, now and then in vain."""
        loop = asyncio.get_running_loop()
        absent: dict[Alertmanager, dict[str, float]] = {each: {} for each in self._script.alertmanagers if each.asked}
        while absent:
            await asyncio.sleep(LOOK_SECONDS)
            for each, since in absent.items():
                if self._chance.random() < 0.1:
                    continue
                at = loop.time()
                facts = [*each.fetched(runner.state, at), each.looked(runner.state, at, since)]
                for fact in facts:
                    if fact is not None:
                        await _until_written(partial(runner.submit, fact))
                        self.history.looks += 1

    async def _check_chain(self, runner: Runner) -> None:
        """A walk after each start, now and then later in life; it finds what the test wants."""
        found = self._parts.damage[min(self._lives, len(self._parts.damage)) - 1]

        async def walk_on(_: Walked | None) -> Walked:
            return found

        store = cast(Store, SimpleNamespace(walk_on=walk_on))
        check = self._parts.check(store, on_checked=lambda _: None, submit=runner.submit, known=lambda: runner.state)
        while True:
            await check.run()
            await asyncio.sleep(self._people.uniform(0, LOOK_SECONDS))

    async def _act(self, runner: Runner, store: Store) -> None:
        """People: now and then one of them does something to an incident, mostly to one that is not resolved."""
        loop = asyncio.get_running_loop()
        while loop.time() < self._script.end:
            await asyncio.sleep(self._people.expovariate(1 / self._script.people_seconds))
            known = sorted(runner.state.incidents.values(), key=lambda each: (each.position, each.id))
            unresolved = [each for each in known if each.status is not Status.RESOLVED]
            among = unresolved if self._people.random() < 0.9 else known
            if not among:
                continue
            act: Act = self._wanted(self._people.choice(among), among, runner.state)
            if self._people.random() < 0.2:
                act = await self._again(store) or act
            try:
                refused = await runner.perform(act)
            except StoreFailed:
                continue
            self.history.performed.append((act, refused))
            if isinstance(act, Acknowledged) and refused is None:
                self.history.answered.append((act, runner.position))

    async def _again(self, store: Store) -> Resent | None:
        """One of the latest dead letters."""
        refused = await store.deliveries(limit=20, outcome="refused")
        dead = [each for each in refused if each.incident != DIGEST_LANE]
        if not dead:
            return None
        each = self._people.choice(dead)
        return Resent(each.incident, "cleo", each.message, each.channel, each.kind)

    def _wanted(self, incident: Incident, among: Sequence[Incident], state: State) -> Act:
        by = self._people.choice(["ana", "ben"])
        alerts = [alert.fingerprint for alert in state.alerts_of(incident)]
        some = tuple(self._people.sample(alerts, min(len(alerts), self._people.randrange(1, 4))))
        back = self._people.choice(incident.merged) if incident.merged and self._people.random() < 0.6 else None
        return self._people.choice(
            [
                Acknowledged(incident.id, by),
                Acknowledged(incident.id, by),
                Snoozed(incident.id, by, timedelta(seconds=self._people.choice([1, 600, 7200]))),
                Noted(incident.id, by, "looking at it"),
                Assigned(incident.id, by, "cleo"),
                ResolvedByHand(incident.id, by),
                Merged(incident.id, by, self._people.choice(among).id),
                Split(incident.id, by, () if back else some, back),
            ]
        )

    def _unexpected(self, disk: Disk, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if not disk.crashed and not isinstance(error, Crash | asyncio.CancelledError):
            self.history.failures.append(f"{context.get('message')}: {error!r}")


def _patience(policy: Policy) -> Mapping[str, float]:
    return {name: each.after.total_seconds() for name, each in policy.fallbacks.items()}


class _Clock:
    """The clock of the machine. It is set now and then; the loop's is not."""

    def __init__(self, loop: asyncio.AbstractEventLoop, script: Script) -> None:
        self._loop = loop
        self._script = script

    def now(self) -> datetime:
        at = self._loop.time()
        return BEGIN + timedelta(seconds=at + _set_by(self._script, at))


def _set_by(script: Script, at: float) -> float:
    return sum(seconds for when, seconds in script.steps if when <= at)


def _with(decide: Decide, runner: type[Runner]) -> type[Runner]:
    """A runner that decides so."""
    if decide is engine.decide:
        return runner

    class Deciding(runner):  # type: ignore[valid-type,misc]
        def _decide(self, entry: Entry) -> Decision:
            return decide(self.state, entry, engine.policy_for(self.state, entry))

    return Deciding


async def _until_written(attempt: Any) -> Any:
    while True:
        try:
            return await attempt()
        except StoreFailed:
            await asyncio.sleep(1.0)


def _abandon(loop: SimulatedLoop) -> None:
    """The process is dead: what its tasks still wanted to do never happens."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(asyncio.wait(left, timeout=0))
    loop.close()


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def fresh_store_of(path: Path) -> Database:
    """Opens what was left, as the next start would."""
    return Database(path, connect=Disk().connect, new_name=lambda: "never")
