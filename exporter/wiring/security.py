"""Security, put together: who looks for attacks, what becomes of what they find, and who is kept out for it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial

from exporter.control import Prepare
from exporter.detecting import Detecting
from exporter.detection import Detection
from exporter.family import Family
from exporter.findings.doors import route as findings_route
from exporter.findings.event import into
from exporter.findings.part import Findings
from exporter.listfiles import ListFiles
from exporter.metrics import Tally
from exporter.pipeline import Pipeline, View
from exporter.reputation import part as reputation_part
from exporter.reputation.doors import ReputationDoors
from exporter.reputation.families import families as reputation_families
from exporter.reputation.keeper import Keeper
from exporter.reputation.reputation import Reputation
from exporter.reputation.sharing import Sharing
from exporter.reputation.trail import Trail
from exporter.roles import Publisher
from exporter.score.part import Score
from guard.web.routes import Route


class Defence:
    """Events come in by `views`. `open` reads what was kept, before anybody asks."""

    def __init__(self, tally: Tally, *, state_file: str, audit_file: str) -> None:
        self._trail = Trail(audit_file)
        self._reputation = Reputation(told=[self._trail.take])
        self._keeper = Keeper(self._reputation, self._trail, told=tally.reputation, state_file=state_file)
        self._sharing = Sharing(self._reputation, tally.sharing)
        self._reputation.told.append(self._sharing.deed)

        self._findings = Findings(tally.findings, expected=lambda: self._detection.foreseen)
        self._score = Score(looks=lambda: bool(self._detection.foreseen))
        self._findings.tell(lambda found: self._reputation.take(found, now=time.time()))
        self._findings.tell(self._score.take)
        self._findings.tell(self._sharing.found)

        self._detection = Detection(told=self._findings.take)
        self._detecting = Detecting(self._detection)
        self._lists = ListFiles(self._detecting.listed)

        self.views: Sequence[View] = (self._detection, self._score.logins)
        self.follow: Sequence[Prepare] = (
            self._detecting.prepare,
            self._lists.prepare,
            partial(reputation_part.prepare, self._reputation),
            self._sharing.prepare,
            self._findings.prepare,
        )
        self.publishers: Sequence[Publisher] = (
            self._findings.families,
            self._detection.families,
            self._lists.families,
            partial(reputation_families, self._reputation),
        )

    def judge(self, seen: Iterable[Family], now: float) -> Iterable[Family]:
        """The score of a whole page."""
        return self._score.families(seen, now)

    def routes(self) -> Sequence[Route]:
        return (
            findings_route(self._findings.kept),
            *ReputationDoors(self._reputation, self._trail, keeper=self._keeper, clock=time.time).routes(),
        )

    def tell(self, pipeline: Pipeline) -> None:
        """What is found is an event, too."""
        self._findings.tell(into(pipeline))

    async def open(self, until: AsyncExitStack) -> None:
        await self._keeper.load()
        await until.enter_async_context(self._keeper)

    async def begin(self, until: AsyncExitStack) -> None:
        await until.enter_async_context(self._lists)
        await until.enter_async_context(self._findings)
        until.enter_context(self._detecting.ticking())
        await until.enter_async_context(self._sharing)
