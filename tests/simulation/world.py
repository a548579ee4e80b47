"""A receiver's life, and its next one: the real runner, outbox, engine and SQLite in simulated time.

A seed decides everything: which alerts fire when, what Alertmanager posts twice or late, at which SQL
statement the process dies, when the disk is full, how the channels fail. Afterwards nothing goes wrong any more
for a while, and the checkers look at what is left.
"""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from receiver.alert import fingerprint_of, parse
from receiver.entry import Acknowledged, Act, AlertsReceived, Noted, PolicyLoaded, ResolvedByHand, Snoozed
from receiver.incident import Status
from receiver.message import Message
from receiver.outbox import Outbox
from receiver.policy.policy import Policy
from receiver.runner import Runner
from receiver.store import StoreFailed
from receiver.store.database import Database
from receiver.store.sqlite import SqliteStore
from tests.simulation.faults import Arrival, Crash, Disk, SimulatedChannel
from tests.simulation.loop import SimulatedLoop
from tests.stories.story import policy_from, webhook

BEGIN = datetime(2026, 3, 28, 20, tzinfo=UTC)
HOURS = 6.0
CALM_HOURS = 3.0
CRASHES_MAX = 4

POLICIES = (
    """
routes:
  - {matchers: ['severity="critical"'], escalation: page}
  - {escalation: chat}
escalations:
  page: {stages: [{notify: [chat, hook]}, {delay: 5m, notify: [pager]}, {delay: 2h, notify: [chat, pager]}]}
  chat: {stages: [{notify: [chat]}]}
channels: {chat: {type: terminal}, pager: {type: terminal}, hook: {type: terminal}}
""",
    """
escalations:
  all: {stages: [{notify: [hook]}, {delay: 20m, notify: [chat]}]}
channels: {chat: {type: terminal}, hook: {type: terminal}}
""",
)


@dataclass(frozen=True)
class Post:
    """What Alertmanager wants to say, and when it first tries."""

    at: float
    body: bytes


@dataclass(frozen=True)
class Parts:
    """What the world is built of; a test of the tests hands in broken ones."""

    database: type[Database] = Database
    store: type[SqliteStore] = SqliteStore
    runner: type[Runner] = Runner
    outbox: type[Outbox] = Outbox


@dataclass
class History:
    """What is left when it is over: the evidence for the checkers."""

    accepted: list[tuple[int, bytes]] = field(default_factory=list)  # answered 200: position, body
    performed: list[tuple[Act, str | None]] = field(default_factory=list)  # what people did, and why it was refused
    arrived: list[Arrival] = field(default_factory=list)
    crashes: int = 0
    statements: int = 0
    failures: list[str] = field(default_factory=list)  # exceptions that nobody expected
    database: Path = Path()
    now: datetime = BEGIN


class World:
    def __init__(self, seed: int, folder: Path, parts: Parts = Parts()) -> None:
        self._chance = random.Random(seed)
        self._folder = folder
        self._parts = parts
        self._lives = 0
        self._time = 0.0
        self._posts = deque(workload(self._chance))
        self._people = random.Random(f"people {seed}")  # their own dice: they do not change what Alertmanager does
        self._reload_at = self._chance.uniform(0, HOURS * 3600)
        self._policy: Policy = policy_from(POLICIES[0], digest="first")
        self.history = History()
        self._channels = {
            name: SimulatedChannel(name, self._chance, parallel=parallel, arrived=self.history.arrived)
            for name, parallel in (("chat", 1), ("pager", 2), ("hook", 4))
        }

    def run(self) -> History:
        end = HOURS * 3600
        crashes = self._chance.randrange(CRASHES_MAX + 1)
        while self._time < end:
            disk = Disk()
            if crashes:
                crashes -= 1
                disk.crash_at = 1 + int(self._chance.expovariate(1 / 150))
                disk.crash_after = self._chance.random() < 0.5
            if self._chance.random() < 0.3:
                begin = self._chance.randrange(20, 400)
                disk.full_between = (begin, begin + self._chance.randrange(1, 40))
            self._live(disk, until=end)
        for channel in self._channels.values():
            channel.healthy = True
        self._live(Disk(), until=end + CALM_HOURS * 3600)
        self.history.database = self._path
        self.history.now = BEGIN + timedelta(seconds=self._time)
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
        database = self._parts.database(self._path, connect=disk.connect, new_name=lambda: "simulated")
        store = self._parts.store(
            database, write=self._background, reader=database, read=self._background, on_close=lambda: None
        )
        clock = _Clock(loop)
        runner = self._parts.runner(
            store,
            clock=clock,
            on_decided=lambda messages, _: outbox.add(messages),
            messages_owed=lambda: outbox.owed,
        )
        outbox = self._parts.outbox(report=runner.submit, clock=clock)
        outbox.replace_channels(self._channels)
        owed: Sequence[Message] = await _until_written(lambda: runner.start(self._policy))
        outbox.add(owed)
        deciding = asyncio.create_task(runner.run())
        outbox.start()
        posting = asyncio.create_task(self._post_all(runner))
        reloading = asyncio.create_task(self._reload(runner))
        acting = asyncio.create_task(self._act(runner))
        await asyncio.sleep(max(0.0, until - loop.time()))
        posting.cancel()
        reloading.cancel()
        acting.cancel()
        await outbox.stop(grace_seconds=5.0)
        runner.stop()
        await asyncio.wait([deciding], timeout=5.0)
        deciding.cancel()
        await store.close()

    async def _post_all(self, runner: Runner) -> None:
        """Alertmanager: in order, again and again until it is answered 200. A crash leaves it without an answer."""
        loop = asyncio.get_running_loop()
        while self._posts:
            post = self._posts[0]
            await asyncio.sleep(max(0.0, post.at - loop.time()))
            try:
                position = await runner.submit(AlertsReceived("am", post.body, parse(post.body)))
            except StoreFailed:
                await asyncio.sleep(self._chance.uniform(0.5, 2.0))
                continue
            self.history.accepted.append((position, post.body))
            self._posts.popleft()

    async def _reload(self, runner: Runner) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._reload_at - loop.time()))
        if self._policy.digest == "first":
            fresh = policy_from(POLICIES[1], digest="second")
            await _until_written(lambda: runner.submit(PolicyLoaded(fresh)))
            self._policy = fresh

    async def _act(self, runner: Runner) -> None:
        """People: now and then one of them does something to an incident, mostly to one that is not resolved."""
        loop = asyncio.get_running_loop()
        while loop.time() < HOURS * 3600:
            await asyncio.sleep(self._people.expovariate(1 / 400))
            known = sorted(runner.state.incidents.values(), key=lambda each: each.position)
            unresolved = [each for each in known if each.status is not Status.RESOLVED]
            among = unresolved if self._people.random() < 0.9 else known
            if not among:
                continue
            act = self._wanted(self._people.choice(among).id)
            try:
                refused = await runner.perform(act)
            except StoreFailed:
                continue
            self.history.performed.append((act, refused))

    def _wanted(self, incident: str) -> Act:
        by = self._people.choice(["ana", "ben"])
        return self._people.choice(
            [
                Acknowledged(incident, by),
                Snoozed(incident, by, timedelta(seconds=self._people.choice([1, 600, 7200]))),
                Noted(incident, by, "looking at it"),
                ResolvedByHand(incident, by),
            ]
        )

    async def _background(self, function: Any, /) -> Any:
        await asyncio.sleep(self._chance.choice([0.0, 0.0, 0.0002, 0.004]))
        return function()

    def _unexpected(self, disk: Disk, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if not disk.crashed and not isinstance(error, Crash | asyncio.CancelledError):
            self.history.failures.append(f"{context.get('message')}: {error!r}")


class _Clock:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self._loop.time())


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


def workload(chance: random.Random) -> list[Post]:
    """Some groups of alerts that come and go, as Alertmanager would post them: snapshots, twice, and late."""
    posts: list[Post] = []
    for group in range(chance.randrange(1, 5)):
        firing: dict[str, dict[str, object]] = {}
        at = chance.uniform(0, 3600)
        for _ in range(chance.randrange(1, 25)):
            over = _change(chance, group, firing, at)
            alerts = [*firing.values(), *over]
            if alerts:
                body = webhook(f"group {group}", alerts)
                posts.append(Post(at, body))
                if chance.random() < 0.3:  # the other Alertmanager of a pair, or a retry whose answer was lost
                    posts.append(Post(at + chance.choice([0.0, 0.01, 15.0, 45.0]), body))
            at += chance.choice([0.001, 1.0, 30.0, 300.0, 1800.0])
    return sorted((post for post in posts if post.at < HOURS * 3600), key=lambda post: post.at)


def _change(
    chance: random.Random, group: int, firing: dict[str, dict[str, object]], at: float
) -> list[dict[str, object]]:
    """Some alerts of the group begin or end. Returns those that ended."""
    over = []
    for number in chance.sample(range(4), chance.randrange(1, 4)):
        labels = {
            "alertname": f"Alert{number}",
            "group": str(group),
            "severity": chance.choice(["warning", "critical"])
            if chance.random() < 0.1
            else ["warning", "critical"][number % 2],
        }
        name = str(number)
        moment = (BEGIN + timedelta(seconds=at)).isoformat()
        if name in firing and chance.random() < 0.6:
            over.append({**firing.pop(name), "status": "resolved", "endsAt": moment})
        elif name not in firing:
            firing[name] = {
                "status": "firing",
                "labels": labels,
                "annotations": {"value": str(chance.randrange(3))},
                "startsAt": moment,
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": fingerprint_of(labels),
            }
    return over


def encoded(value: object) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def fresh_store_of(path: Path) -> Database:
    """Opens what was left, as the next start would."""
    return Database(path, connect=Disk().connect, new_name=lambda: "never")
