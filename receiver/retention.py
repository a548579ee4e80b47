"""Takes out what is older than the policy keeps: entries of the journal that are decided, incidents that are over.

It wakes at the start and every hour. Before entries go, a fact that says which, and with which hash the chain goes on,
is appended to the journal: so what was taken out is itself in the audit log. Everything goes in small transactions
with pauses, so that webhooks are not held up; a crash between two of them is made good at the next sweep.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import msgspec

from receiver.clock import Clock
from receiver.entry import JournalTrimmed
from receiver.policy.duration import parse_duration
from receiver.policy.file import RetentionFile
from receiver.store import Anchor, Store, StoreFailed

log = logging.getLogger("tocsin.receiver")

SWEEP_SECONDS = 3600.0
PAUSE_SECONDS = 0.02
INCIDENTS_AT_ONCE = 100


class Keep(msgspec.Struct, frozen=True):
    """How long; zero is for ever."""

    journal: timedelta
    incidents: timedelta

    @classmethod
    def of(cls, file: RetentionFile) -> Keep:
        return cls(journal=parse_duration(file.journal), incidents=parse_duration(file.incidents))


class Taken(msgspec.Struct):
    """What this process took out, and when it last looked for what is too old; for metrics."""

    entries: int = 0
    incidents: int = 0
    last_success: datetime | None = None


class Retention:
    """`keep` is asked at each sweep, so that a policy that was loaded counts. `submit` is the runner's."""

    def __init__(
        self,
        store: Store,
        *,
        submit: Callable[[JournalTrimmed], Awaitable[object]],
        clock: Clock,
        keep: Callable[[], Keep],
    ) -> None:
        self._store = store
        self._submit = submit
        self._clock = clock
        self._keep = keep
        self.taken = Taken()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.sweep()
            except StoreFailed as error:
                log.error("what is too old could not be taken out: again in an hour", extra={"error": str(error)})
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        now, keep = self._clock.now(), self._keep()
        if left := await self._store.anchor():  # by a run that ended meanwhile
            await self._take_out(left)
        if keep.journal:
            await self._sweep_journal(now - keep.journal)
        if keep.incidents:
            await self._sweep_incidents(now - keep.incidents)
        self.taken.last_success = self._clock.now()

    async def _sweep_journal(self, before: datetime) -> None:
        while anchor := await self._store.trimmable(before):
            await self._submit(JournalTrimmed(anchor.position, anchor.hash, anchor.entries))
            await self._take_out(anchor)
            log.info("entries were taken out", extra={"up_to": anchor.position, "entries": anchor.entries})

    async def _take_out(self, anchor: Anchor) -> None:
        while gone := await self._store.trim(anchor):
            self.taken.entries += gone
            await asyncio.sleep(PAUSE_SECONDS)

    async def _sweep_incidents(self, before: datetime) -> None:
        while over := await self._store.forgettable(before, INCIDENTS_AT_ONCE):
            for incident in over:
                while await self._store.forget(incident):  # noqa: ASYNC110 - a pause between two pieces of work
                    await asyncio.sleep(PAUSE_SECONDS)
                self.taken.incidents += 1
            log.info("incidents were taken out", extra={"incidents": len(over), "last": over[-1]})
        while await self._store.forget_digests(before):  # noqa: ASYNC110 - likewise
            await asyncio.sleep(PAUSE_SECONDS)
