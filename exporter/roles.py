"""The roles: what a scraper can ask for alone, each a target with its own `up` and its own limits.

A role turns the wishes of a scraper into families. It knows nothing of HTTP; the doors know nothing of
where families come from. Adding a role is a class here and a line in `wiring/program`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from exporter import metrics
from exporter.family import Family
from exporter.negotiation import Wishes
from exporter.outcome import Snapshot
from exporter.pipeline import Pipeline
from exporter.process import Process
from exporter.registry import Registry

# What tells what it knows by now.
Publisher = Callable[[float], Iterable[Family]]
# What tells something of a whole page, from what is on it.
Judge = Callable[[Sequence[Family], float], Iterable[Family]]
# About so many lines are published at once.
PIECE_LINES = 5_000


class Role(Protocol):
    """`name` is the last part of the door, `/metrics/NAME`."""

    name: str
    help: str

    async def gather(self, wishes: Wishes) -> Snapshot:
        """Within the time that the scraper grants. Those who share a snapshot share the pages made of it."""


class System:
    name = "system"
    help = "This machine, in node_exporter's metrics."

    def __init__(self, registry: Registry, *, elsewhere: Sequence[str] = ()) -> None:
        """`elsewhere` are the collectors that another role asks."""
        self._registry = registry
        self._elsewhere = frozenset(elsewhere)

    async def gather(self, wishes: Wishes) -> Snapshot:
        return await self._registry.scrape(wishes.seconds, self._only(wishes.only))

    def _only(self, wished: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if not self._elsewhere.intersection(self._registry.names):
            return wished
        return tuple(
            name for name in (self._registry.names if wished is None else wished) if name not in self._elsewhere
        )


class Security:
    name = "security"
    help = "Attacks, blocked addresses, and what of this machine's security can be measured."

    def __init__(
        self,
        registry: Registry,
        *,
        collectors: Sequence[str],
        publishers: Sequence[Publisher],
        judge: Judge | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`collectors` are names of those that belong here. `judge` is asked where the whole page is."""
        self._registry = registry
        self._collectors = collectors
        self._publishers = publishers
        self._judge = judge
        self._clock = clock

    async def gather(self, wishes: Wishes) -> Snapshot:
        there = self._registry.names if wishes.only is None else wishes.only
        only = tuple(name for name in self._collectors if name in there)
        seen = await self._registry.scrape(wishes.seconds, only) if only else Snapshot({}, [])
        now = self._clock()
        ours = [family for publish in self._publishers for family in publish(now)]
        families = [*ours, *seen.families]
        if self._judge is not None and wishes.only is None:
            families += self._judge(families, now)
        return Snapshot(seen.outcomes, families, seen.quarantined)


class Dependencies:
    name = "probes"
    help = "What this machine and its applications depend on, and which of it is sick."

    def __init__(self, publishers: Sequence[Publisher], *, clock: Callable[[], float] = time.time) -> None:
        self._publishers = publishers
        self._clock = clock

    async def gather(self, wishes: Wishes) -> Snapshot:  # noqa: ARG002 - nothing here can be late
        now = self._clock()
        return Snapshot({}, [family for publish in self._publishers for family in publish(now)])


class App:
    name = "app"
    help = "What applications have said."

    def __init__(self, pipeline: Pipeline, *, clock: Callable[[], float] = time.time, source: str = "") -> None:
        """Of one source, or of all."""
        self._pipeline = pipeline
        self._clock = clock
        self._source = source

    async def gather(self, wishes: Wishes) -> Snapshot:  # noqa: ARG002 - nothing here can be late
        families: list[Family] = []
        lines = 0
        for family in self._pipeline.published(self._source, now=self._clock()):
            families.append(family)
            lines += family.size
            if lines > PIECE_LINES:
                # Whoever else asks something is answered in between.
                await asyncio.sleep(0)
                lines = 0
        return Snapshot({}, families)

    @property
    def sources(self) -> tuple[str, ...]:
        return self._pipeline.sources(now=self._clock())

    def report(self) -> Mapping[str, object]:
        return self._pipeline.report()

    def of(self, source: str) -> App:
        """One source alone, which is among those that there are."""
        return App(self._pipeline, clock=self._clock, source=source)


class Itself:
    name = "self"
    help = "The exporter's own health and consumption."

    def __init__(self, registry: Registry, tally: metrics.Tally) -> None:
        self._registry = registry
        self._tally = tally
        self._process = Process()

    async def gather(self, wishes: Wishes) -> Snapshot:  # noqa: ARG002 - nothing here can be late
        names = self._registry.names
        stuck = [name for name in names if self._registry.is_stuck(name)]
        about_us = metrics.families(self._tally, collectors=names, stuck=stuck)
        return Snapshot({}, [*about_us, *self._process.families()])
