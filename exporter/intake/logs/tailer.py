"""All logs, each for itself: its files are read in a thread, and what they brought is counted here, on the event loop.

A turn is a few milliseconds of work, and then the doors have theirs. A file system that does not answer holds up the
logs that are on it, and nothing else. A position is kept only once everything before it was counted; so whoever kills
the process makes it count at most SAVE_SECONDS of lines again, and none is lost.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

from exporter.intake.logs import positions
from exporter.intake.logs.counts import Counts, LogCounts
from exporter.intake.logs.fingerprint import Place
from exporter.intake.logs.follower import Follower
from exporter.intake.logs.settings import Log
from exporter.intake.logs.tail import PATIENCE_SECONDS, Tail, in_thread
from exporter.pipeline import Pipeline
from exporter.pool import Pool

log = logging.getLogger("tocsin.exporter.logs")

SAVE_SECONDS = 5.0


class Tailer:
    """`positions_file` may be empty: then each start is the first one."""

    def __init__(self, pipeline: Pipeline, *, told: LogCounts, positions_file: str = "") -> None:
        self._told = told
        self._pipeline = pipeline
        self._file = positions_file
        self._pool = Pool("tocsin-logs")
        self._gate = asyncio.Lock()
        self._tails: dict[str, Tail] = {}
        self._places: dict[str, Sequence[Place]] = {}
        self._begins_at_end = False
        self._saved: dict[str, Sequence[Place]] = {}
        self._saving: asyncio.Task[None] | None = None
        self._logs: tuple[Log, ...] = ()
        self._changed = asyncio.Event()
        self._stopping = False

    def use(self, logs: Sequence[Log]) -> None:
        """From now on these. Those that stay the same go on."""
        self._logs = tuple(logs)
        before = self._told.logs
        self._told.logs = {each.name: before.get(each.name) or Counts() for each in logs}
        self._changed.set()

    def stop(self) -> None:
        self._stopping = True
        self._changed.set()

    async def run(self) -> None:
        """Until `stop`. Then what was read is counted, and the positions are written."""
        await self._load()
        save_at = time.monotonic() + SAVE_SECONDS
        while not self._stopping:
            self._changed.clear()
            await self._follow(self._logs)
            try:
                await asyncio.wait_for(self._changed.wait(), max(0.0, save_at - time.monotonic()))
            except TimeoutError:
                await self._save()
                save_at = time.monotonic() + SAVE_SECONDS
        await self._follow(())
        await self._save()
        self._pool.close()

    async def _follow(self, logs: Sequence[Log]) -> None:
        wanted = {each.name: each for each in logs}
        leaving = [tail for name, tail in self._tails.items() if wanted.get(name) != tail.log]
        for tail in leaving:
            tail.leave()
        await asyncio.gather(*(tail.left() for tail in leaving))
        for tail in leaving:
            self._note(tail)
            del self._tails[tail.log.name]
        for name, each in wanted.items():
            if name not in self._tails:
                from_end = self._begins_at_end or each.read_from == "end"
                follower = Follower(each, self._places.get(name), from_end=from_end)
                counts = self._told.logs[name]
                self._tails[name] = Tail(follower, self._pipeline, self._pool, counts, gate=self._gate)

    def _note(self, tail: Tail) -> None:
        if tail.places is not None:
            self._places[tail.log.name] = tail.places

    async def _load(self) -> None:
        if not self._file:
            return
        try:
            self._places = dict(await in_thread(self._pool, lambda: positions.load(self._file)))
        except positions.Unreadable as error:
            self._begins_at_end = True
            self._told.position_failures += 1
            log.error("positions in logs are lost, files are read from their ends", extra={"error": str(error)})

    async def _save(self) -> None:
        """A disk that does not answer is not waited for."""
        for tail in self._tails.values():
            self._note(tail)
        names = {each.name for each in self._logs}
        places = {name: each for name, each in sorted(self._places.items()) if name in names}
        if not self._file or places == self._saved:
            return
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(self._write(places))
        await asyncio.wait({self._saving}, timeout=PATIENCE_SECONDS)
        if not self._saving.done():
            self._failed("the disk does not answer")

    async def _write(self, places: dict[str, Sequence[Place]]) -> None:
        try:
            await in_thread(self._pool, lambda: positions.save(self._file, places))
        except OSError as error:
            self._failed(str(error))
        else:
            self._saved = places

    def _failed(self, why: str) -> None:
        self._told.position_failures += 1
        log.error("the positions in logs could not be written", extra={"file": self._file, "error": why})
