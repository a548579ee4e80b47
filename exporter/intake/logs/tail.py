"""One log: turn by turn its files are read in a thread, and what they brought is counted on the event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from exporter.event import Fields
from exporter.intake.logs.counts import Counts
from exporter.intake.logs.fingerprint import Place
from exporter.intake.logs.follower import Follower, Turn
from exporter.intake.logs.parsing import Parser, parser_of
from exporter.intake.logs.settings import LOGS_MAX
from exporter.pipeline import Pipeline
from exporter.pool import Pool

log = logging.getLogger("tocsin.exporter.logs")
T = TypeVar("T")

POLL_SECONDS = 0.25
# How often it is noted how far everything was read.
NOTE_SECONDS = 1.0
# A file system that has not answered for so long is held for one that does not.
PATIENCE_SECONDS = 2.0
# What is under way when a log is left has this long.
GRACE_SECONDS_MAX = 1.0
# Threads that may wait for file systems; one more is for the positions.
THREADS_MAX = LOGS_MAX + 1
SAID_SECONDS = 60.0
REASONS_SAID_MAX = 3


class Tail:
    """`places` is how far everything was read that has been counted; None before that is known."""

    def __init__(
        self, follower: Follower, pipeline: Pipeline, pool: Pool, counts: Counts, *, gate: asyncio.Lock
    ) -> None:
        """Whoever has the gate counts; the doors come before the next one."""
        self.log = follower.log
        self.counts = counts
        self.places: Sequence[Place] | None = None
        self._follower = follower
        self._pipeline = pipeline
        self._pool = pool
        self._gate = gate
        self._asked: Mapping[str, Fields] | None = None
        self._parser: Parser | None = None
        self._said_at = -SAID_SECONDS
        self._unsaid = 0
        self._reasons: dict[str, None] = {}
        self._leaving = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def leave(self) -> None:
        self._leaving.set()

    async def left(self) -> None:
        """When what was read is counted. A file system that does not answer is not waited for."""
        await asyncio.wait({self._task}, timeout=GRACE_SECONDS_MAX)
        self._task.cancel()

    async def _run(self) -> None:
        noted_at = 0.0
        try:
            while not self._leaving.is_set():
                turn = await self._in_thread(lambda: self._follower.turn(time.monotonic()))
                async with self._gate:
                    self._take(turn)
                    if turn.blocks:
                        await asyncio.sleep(0)
                if time.monotonic() >= noted_at + NOTE_SECONDS:
                    self.places = await self._in_thread(self._follower.places)
                    noted_at = time.monotonic()
                if not turn.more:
                    await self._pause(POLL_SECONDS)
            self.places = await self._in_thread(self._follower.places)
            await self._in_thread(self._follower.close)
        except Exception:
            # It must not end in silence, and nobody else is to end with it.
            self.counts.stuck = True
            log.exception("a log is not read any more", extra={"log": self.log.name})

    async def _pause(self, seconds: float) -> None:
        waiting = asyncio.ensure_future(self._leaving.wait())
        await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        def slow() -> None:
            if not self.counts.stuck:
                log.warning("a file system does not answer", extra={"log": self.log.name})
            self.counts.stuck = True

        result = await in_thread(self._pool, work, slow=slow)
        self.counts.stuck = False
        return result

    def _take(self, turn: Turn) -> None:
        counts = self.counts
        counts.size += turn.size
        counts.rotations += turn.rotations
        counts.truncations += turn.truncations
        counts.errors += len(turn.errors)
        counts.files, counts.left_out, counts.lag = turn.files, turn.left_out, turn.lag
        counts.faults["too_long"] += turn.too_long
        counts.lines += turn.too_long
        if turn.blocks:
            counts.read_at = time.time()
            for block in turn.blocks if self.log.multiline else (b"".join(turn.blocks),):
                self._count(block, counts.read_at)
        for name in turn.done:
            log.info("a compressed file was read", extra={"log": self.log.name, "file": name})
        self._say([*turn.errors, *(["a line is too long"] if turn.too_long else [])], turn.too_long)

    def _count(self, data: bytes, now: float) -> None:
        found = self._parser_now().parse(data)
        outcome = self._pipeline.found(found, now=now)
        counts = self.counts
        wrong = len(outcome.faults)
        counts.unmatched += outcome.unmatched
        counts.lines += outcome.accepted + wrong
        counts.faults["format"] += len(found.faults)
        counts.faults["field"] += wrong - len(found.faults)
        self._say([fault.text for fault in outcome.faults[:REASONS_SAID_MAX]], wrong)

    def _parser_now(self) -> Parser:
        """Made anew where other fields are asked for."""
        if self._parser is None or self._asked is not self._pipeline.asked:
            self._asked = self._pipeline.asked
            self._parser = parser_of(self.log, self._asked)
        return self._parser

    def _say(self, reasons: Sequence[str], lines: int) -> None:
        """The last few reasons, once a minute. They never repeat what is in a line."""
        for reason in reasons:
            self._reasons.pop(reason, None)
            self._reasons[reason] = None
        self._unsaid += lines
        now = time.monotonic()
        if self._reasons and now >= self._said_at + SAID_SECONDS:
            last = list(self._reasons)[-REASONS_SAID_MAX:]
            log.warning(
                "not all of a log can be used", extra={"log": self.log.name, "lines": self._unsaid, "why": last}
            )
            self._said_at, self._unsaid, self._reasons = now, 0, {}
        while len(self._reasons) > REASONS_SAID_MAX:
            del self._reasons[next(iter(self._reasons))]


async def in_thread(pool: Pool, work: Callable[[], T], *, slow: Callable[[], None] = lambda: None) -> T:
    """What the work gives or raises. Where all threads are held up, another one is started for it."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    began = False

    def task() -> None:
        nonlocal began
        began = True
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            _tell(loop, partial(_settle, future, error))
        else:
            _tell(loop, partial(_settle, future, None, result))

    pool.submit(task)
    while not future.done():
        await asyncio.wait({future}, timeout=PATIENCE_SECONDS)
        if future.done():
            break
        if began:
            slow()
        elif pool.threads < THREADS_MAX:
            pool.grow()
    return future.result()


def _settle(future: asyncio.Future[T], error: Exception | None, *result: T) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(*result)


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    """The loop may have ended while a file system did not answer."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(what)
