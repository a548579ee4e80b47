"""The sharing of blocklists in the program: nothing of it is loaded before `reputation.redis` asks for it."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from exporter.control import Plan, Refused
from exporter.finding import Finding
from exporter.reputation.counts import Sharing as Counts
from exporter.reputation.deed import Deed
from exporter.reputation.reputation import Reputation

if TYPE_CHECKING:
    from exporter.reputation.meeting import Chosen, Meeting

KEY = "reputation.redis"
# What is being said to Redis when the exporter ends may take so long.
ENDING_SECONDS_MAX = 1.0


class Sharing:
    """Belongs to one event loop."""

    def __init__(self, reputation: Reputation, counts: Counts, clock: Callable[[], float] = time.time) -> None:
        self._reputation = reputation
        self._counts = counts
        self._clock = clock
        self._chosen: Chosen | None = None
        self._meeting: Meeting | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._running = False

    def prepare(self, plan: Plan) -> Callable[[], None]:
        chosen = chosen_of(plan)
        return lambda: self._use(chosen)

    def deed(self, deed: Deed) -> None:
        """What was done here."""
        if self._meeting is not None and self._chosen is not None:
            from exporter.reputation.meeting import told

            entry = told(self._reputation, deed, node=self._chosen.name)
            if entry is not None:
                self._meeting.tell(entry)

    def found(self, found: Sequence[Finding]) -> None:
        """What was found here: it is held against the address everywhere."""
        if self._meeting is None or self._chosen is None:
            return
        from exporter.reputation.shared import finding_told

        for finding in found:
            if finding.address is not None and not finding.dry_run:
                self._meeting.tell(finding_told(finding, finding.address, node=self._chosen.name))

    async def __aenter__(self) -> Self:
        self._running = True
        self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        self._stop()
        if self._ending:
            await asyncio.wait(self._ending, timeout=ENDING_SECONDS_MAX)

    def _use(self, chosen: Chosen | None) -> None:
        if chosen != self._chosen:
            self._stop()
            self._chosen = chosen
            self._start()

    def _start(self) -> None:
        if self._running and self._chosen is not None:
            from exporter.reputation.meeting import Meeting

            self._meeting = Meeting(self._chosen, self._reputation, self._counts, self._clock)
            self._task = asyncio.create_task(self._meeting.run())

    def _stop(self) -> None:
        if self._task is not None and self._meeting is not None:
            self._meeting.end()
            self._ending.add(self._task)
            self._task.add_done_callback(self._ending.discard)
        self._task = self._meeting = None


def chosen_of(plan: Plan) -> Chosen | None:
    """None where nothing is shared. Raises Refused."""
    settings = None if plan.file is None else plan.file.reputation.redis
    if settings is None:
        return None
    try:
        from exporter.reputation.meeting import Chosen
    except ImportError:
        raise Refused((f"{KEY}: the package redis is not here, expected it: pip install 'tocsin[redis]'",)) from None
    from exporter.reputation.settings import redis_url
    from guard.secretfile import secret_in
    from guard.tokens import Unreadable

    url = settings.url
    if settings.url_file is not None:
        try:
            url = redis_url(secret_in(Path(settings.url_file)))
        except Unreadable as unreadable:
            raise Refused((f"{KEY}.url_file: {unreadable}",)) from None
        except ValueError as error:
            raise Refused((f"{KEY}.url_file: {error}",)) from None
    return Chosen(url, settings.key, settings.name or socket.gethostname()[:100], settings.ca_file)
