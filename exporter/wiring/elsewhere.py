"""What is asked of others, put together: by whoever scrapes, for `/health`, and for figures of PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from exporter.control import Prepare
from exporter.dependencies.part import Background
from exporter.event import Redact
from exporter.metrics import Tally
from exporter.postgres.doors import route as postgres_route
from exporter.postgres.part import Servers
from exporter.probes.attempt import REASONS
from exporter.probes.door import ProbeDoor
from exporter.probes.part import Probes
from exporter.roles import Publisher
from guard.web.routes import Route

# Of what makes the waits of this process differ from those of others.
SEED_BYTES = 16


class Elsewhere:
    """`redact` makes what removes personal data from a field of a kind of event."""

    def __init__(self, tally: Tally, *, redact: Callable[[str, str], Redact], procfs: str) -> None:
        self._redact = redact
        self._probes = Probes(tally.probes, procfs=procfs)
        self.background = Background(self._probes, reasons=REASONS, seed=os.urandom(SEED_BYTES))
        self._servers = Servers(redact=redact)
        self.follow: Sequence[Prepare] = (
            self._probes.prepare,
            self.background.prepare,
            self._servers.prepare,
        )
        self.publishers: Sequence[Publisher] = (self.background.families, self._servers.families)

    def routes(self, *, timeout_offset_seconds: float) -> Sequence[Route]:
        return (
            postgres_route(self._servers, redact=self._redact),
            ProbeDoor(self._probes, timeout_offset_seconds=timeout_offset_seconds).route(),
        )

    async def begin(self, until: AsyncExitStack) -> None:
        await until.enter_async_context(self.background)
        await until.enter_async_context(self._servers)
