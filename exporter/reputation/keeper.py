"""Blocks end in time, and what is worth keeping is on the disk: every few seconds, and at once for whom a person waits.

Nobody waits for a disk without an end. What could not be written is tried again; it holds meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Self

from exporter.reputation import statefile
from exporter.reputation.disk import Disk
from exporter.reputation.kept import KeptCounts
from exporter.reputation.reputation import Reputation
from exporter.reputation.trail import Trail

log = logging.getLogger("tocsin.exporter")

# A start does not wait longer for what was kept.
LOAD_SECONDS_MAX = 30.0
TICK_SECONDS = 1.0
SAVE_SECONDS = 5.0
# Of the time, no more than this part is spent on writing.
SAVING_SHARE_MAX = 20
DEEDS_WRITTEN_MAX = 5_000
_WRITE_BYTES = 1_048_576
TRAIL_FAILED = "the audit trail could not be written"


class Keeper:
    def __init__(
        self,
        reputation: Reputation,
        trail: Trail,
        *,
        told: KeptCounts,
        state_file: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._reputation = reputation
        self._trail = trail
        self._told = told
        self._file = state_file
        self._clock = clock
        self._disk = Disk()
        self._writing = asyncio.Lock()
        self._is_loaded = False
        # Of what was changed.
        self._saved = 0
        self._save_at = 0.0
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._said: str | None = None

    @property
    def is_kept(self) -> bool:
        """Whether there is a file for it."""
        return bool(self._file)

    async def load(self) -> None:
        """Before anybody asks. What is wrong with the files is told now, and not at the first attack."""
        try:
            await self._load()
        except OSError as error:
            self._failed("blocks and scores of before are not known", error)
        try:
            await self._disk.do(self._trail.prove)
        except OSError as error:
            self._told.trail_failures += 1
            self._say(TRAIL_FAILED, error)

    async def _load(self) -> None:
        """Raises OSError. What was not read is not replaced."""
        if self._is_loaded or not self._file:
            return
        found = await self._disk.do(lambda: statefile.load(self._file), seconds=LOAD_SECONDS_MAX)
        self._is_loaded = True
        lost = found.lost + statefile.restore(self._reputation, found.lines, now=self._clock())
        if lost or (found.lines and not found.whole):
            self._told.state_failures += 1
            log.error("not all of the blocks and scores of before could be read", extra={"lines_lost": lost})

    async def keep(self) -> None:
        """What was done until now is on the disk. Raises OSError."""
        changes = self._reputation.changes
        async with self._writing:
            try:
                await self._write_trail()
            finally:
                if self._file and self._saved < changes:
                    await self._save()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task
        await self._tick()
        self._disk.close()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            waiting = asyncio.ensure_future(self._stopping.wait())
            await asyncio.wait({waiting}, timeout=TICK_SECONDS)
            waiting.cancel()
            now = self._clock()
            await settle(self._reputation, now)
            self._reputation.sweep(now)
            await self._tick()

    async def _tick(self) -> None:
        stopping = self._stopping.is_set()
        due = stopping or time.monotonic() >= self._save_at
        # What fails was told, and one of the two does not keep the other back.
        async with self._writing:
            with suppress(OSError):
                await self._write_trail()
            with suppress(OSError):
                if self._file and due and self._saved != self._reputation.changes:
                    await self._save()

    async def _save(self) -> None:
        """Raises OSError, which was told."""
        began, changes = time.monotonic(), self._reputation.changes
        writing: statefile.Writing | None = None
        try:
            await self._load()
            writing = await self._disk.do(lambda: statefile.Writing(self._file))
            waiting = bytearray()
            for piece in statefile.pieces(self._reputation, now=self._clock()):
                waiting += piece
                if len(waiting) >= _WRITE_BYTES:
                    await self._disk.do(_writes(writing, bytes(waiting)))
                    waiting.clear()
                # Whoever asks something is answered in between.
                await asyncio.sleep(0)
            await self._disk.do(_writes(writing, bytes(waiting)))
            await self._disk.do(writing.finish)
        except OSError as error:
            if writing is not None:
                with suppress(OSError):
                    await self._disk.do(writing.abandon)
            self._failed("blocks and scores could not be written", error)
            raise
        else:
            self._saved, self._told.saved_at = changes, self._clock()
            self._recovered()
        finally:
            now = time.monotonic()
            self._save_at = now + max(SAVE_SECONDS, (now - began) * SAVING_SHARE_MAX)

    async def _write_trail(self) -> None:
        """Raises OSError, which was told."""
        waiting = self._trail.waiting
        # First of all: lines are lost while they cannot be written.
        self._told.trail_lost = self._trail.lost
        while waiting:
            deeds = list(islice(waiting, DEEDS_WRITTEN_MAX))
            try:
                await self._disk.do(lambda deeds=deeds: self._trail.write(deeds))  # type: ignore[misc]
            except OSError as error:
                self._told.trail_failures += 1
                self._say(TRAIL_FAILED, error)
                raise
            for _ in deeds:
                waiting.popleft()

    def _failed(self, what: str, error: Exception) -> None:
        self._told.state_failures += 1
        self._say(what, error)

    def _say(self, what: str, error: Exception) -> None:
        """Once for each thing that is wrong."""
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if self._said != f"{what}: {why}":
            self._said = f"{what}: {why}"
            log.error(what, extra={"error": why})

    def _recovered(self) -> None:
        if self._said is not None:
            self._said = None
            log.info("blocks and scores are written again")


async def settle(reputation: Reputation, now: float) -> None:
    """What has ended by then is off the list; whoever asks something meanwhile is answered in between."""
    more = reputation.expire(now)
    while more:
        await asyncio.sleep(0)
        more = reputation.expire(now)


def _writes(writing: statefile.Writing, data: bytes) -> Callable[[], None]:
    return lambda: writing.write(data)
