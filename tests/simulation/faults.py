"""What goes wrong: a crash at any SQL statement, a disk that is slow or full, channels that fail in every way."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from receiver.channels import Refused, Taken, Unreachable
from receiver.incident import Incident
from receiver.message import Message

STATEMENTS_MAX = 200_000  # of one life; a busy one has twenty thousand
HANG_SECONDS = 5.0  # until a channel's time-out


class Crash(BaseException):
    """The process is gone. Nothing may catch it."""


class Disk:
    """Counts statements. Crashes before or after the one that was chosen, and is full between two others."""

    def __init__(self) -> None:
        self.statements = 0
        self.crash_at: int | None = None
        self.crash_after = False
        self.full_between = (0, 0)
        self.seconds = 0.0  # how long it takes, besides what any disk takes
        self.crashed = False
        self.on_crash: Callable[[], None] = lambda: None

    def connect(self, path: Path) -> sqlite3.Connection:
        disk = self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                return disk.run(lambda: super(Connection, self).execute(*arguments), str(arguments[0]))

            def executemany(self, *arguments: Any) -> sqlite3.Cursor:
                return disk.run(lambda: super(Connection, self).executemany(*arguments), str(arguments[0]))

        connection = sqlite3.connect(path, isolation_level=None, factory=Connection)
        sqlite3.Connection.execute(connection, "PRAGMA journal_mode = WAL")
        # What a crash of the process loses does not depend on fsync; only the speed of the simulation does.
        sqlite3.Connection.execute(connection, "PRAGMA synchronous = OFF")
        return connection

    def run(self, statement: Callable[[], sqlite3.Cursor], text: str) -> sqlite3.Cursor:
        if self.crashed:
            raise Crash
        self.statements += 1
        # A receiver that tries the same for ever would keep simulated time going for ever as well.
        assert self.statements < STATEMENTS_MAX, "it never ends"
        begin, end = self.full_between
        if begin <= self.statements < end and not text.startswith(("SELECT", "ROLLBACK", "PRAGMA")):
            raise sqlite3.OperationalError("database or disk is full")
        if self.statements == self.crash_at:
            if self.crash_after:
                statement()
            self.crashed = True
            self.on_crash()
            raise Crash
        return statement()


class SimulatedChannel:
    """Takes messages, is down, hangs, loses answers, refuses a few. Remembers every message that arrived."""

    retry_seconds_max = 24 * 3600.0

    def __init__(self, name: str, chance: random.Random, *, parallel: int, arrived: list[Arrival]) -> None:
        self.parallel_max = parallel
        self.healthy = False  # from the day on which nothing goes wrong any more
        self.life = 0
        self.known: Callable[[str], Incident | None] = lambda _: None  # what the receiver has decided
        self._name = name
        self._chance = chance
        self._arrived = arrived
        self._down_until = 0.0
        self._hangs = False

    async def send(self, message: Message) -> str:
        return (await self.follow(message, "")).answer

    async def follow(self, message: Message, receipt: str) -> Taken:
        incident = self.known(message.incident)  # before anything is awaited: here the attempt begins
        steps = incident.steps if incident else 0
        await asyncio.sleep(self._chance.choice([0.0, 0.001, 0.05, 0.7]))
        now = asyncio.get_running_loop().time()
        fate = 1.0 if self.healthy else self._chance.random()
        if not self.healthy and now >= self._down_until and fate < 0.05:
            self._down_until = now + self._chance.choice([0.0, 3.0, 120.0, 4000.0])
            self._hangs = self._chance.random() < 0.2
        if not self.healthy and (now < self._down_until or fate < 0.05):
            if self._hangs:
                await asyncio.sleep(HANG_SECONDS)
                raise Unreachable("no answer within its time")
            raise Unreachable("down")
        if fate < 0.08:
            raise Refused("no")
        lost = fate < 0.16
        self._arrived.append(Arrival(message, self.life, answer_lost=lost, follows=receipt, steps=steps))
        if lost:
            await asyncio.sleep(HANG_SECONDS)
            raise Unreachable("the answer was lost")
        return Taken("ok", message.id)

    async def close(self) -> None:
        pass


class Arrival:
    """One message at the other side."""

    def __init__(self, message: Message, life: int, *, answer_lost: bool, follows: str, steps: int) -> None:
        self.message = message
        self.life = life
        self.answer_lost = answer_lost
        self.follows = follows  # the receipt that came with it
        self.steps = steps  # how long the story was that the receiver knew when the attempt began
