"""What applications say, put together: over HTTP, from logs, as packets; redacted, chosen and counted."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from exporter.control import Plan, Prepare
from exporter.identity import people
from exporter.intake.events import Events
from exporter.intake.logs.part import Logs
from exporter.intake.statsd import following
from exporter.intake.statsd.counting import Counting
from exporter.intake.statsd.sockets import receiving
from exporter.mapping.bundled import RULES
from exporter.metrics import Tally
from exporter.pipeline import Pipeline, View
from exporter.redaction import Redaction
from exporter.stats.doors import routes as stats_routes
from exporter.stats.graphql import GraphQL
from exporter.stats.websocket import WebSocket
from guard.web.routes import Route

# Of what makes a number of a name.
PEOPLE_KEY_BYTES = 32
# Of what makes hashes of the values of sets.
SETS_KEY_BYTES = 16


class Applications:
    """`views` see each event, too."""

    def __init__(self, plan: Plan, tally: Tally, *, views: Sequence[View], positions_file: str) -> None:
        self._tally = tally
        self._statsd = plan.statsd
        self._redaction = Redaction(seen=tally.redact)
        self.redact = self._redaction.redact
        self._stats = (GraphQL(now=tally.reload_success_at), WebSocket(now=tally.reload_success_at))
        self.pipeline = Pipeline(
            (),
            redact=self.redact,
            person_of=people(os.urandom(PEOPLE_KEY_BYTES)),
            trouble=tally.series,
            views=(*self._stats, *views),
        )
        self._counting = Counting(
            partial(self.pipeline.take, source="statsd"),
            told=tally.statsd,
            redact=self.redact,
            styles=plan.statsd.styles,
            secret=os.urandom(SETS_KEY_BYTES),
            trouble=tally.series,
        )
        self._logs = Logs(self.pipeline, told=tally.logs, positions_file=positions_file)
        self.follow: Sequence[Prepare] = (
            self._redaction.prepare,
            self._mapped,
            partial(following.prepare, self._counting, self.redact),
            self._logs.prepare,
        )

    def routes(self, *, body_bytes_max: Callable[[], int]) -> Sequence[Route]:
        return (
            Events(self.pipeline, self._tally.intakes, body_bytes_max=body_bytes_max).route(),
            *stats_routes(self._stats, clock=time.time),
        )

    async def begin(self, until: AsyncExitStack) -> None:
        await until.enter_async_context(self._logs)
        until.enter_context(receiving(self._statsd, self._counting, self._tally.statsd))

    def _mapped(self, plan: Plan) -> Callable[[], None]:
        """Redaction, and what views ask for, have followed the plan before."""
        rules, zero_first_seconds = (
            (RULES, 0.0) if plan.file is None else (plan.file.rules, plan.file.zero_first_seconds)
        )
        return lambda: self.pipeline.use(
            rules, redact=self._redaction.redact, now=time.time(), zero_first_seconds=zero_first_seconds
        )
