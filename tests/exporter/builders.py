"""What the exporter's tests build: collectors that do as they are told, and an exporter behind real doors."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import aiohttp
from aiohttp import ClientSession

from exporter.collectors import Collector
from exporter.collectors.files import Paths
from exporter.control import Control, Plan
from exporter.dependencies.part import Background
from exporter.doors import TELEMETRY_PATH, Doors
from exporter.family import Family, single
from exporter.findings.doors import route as findings_route
from exporter.findings.part import Findings
from exporter.intake.events import Events
from exporter.mapping.bundled import RULES
from exporter.mapping.rule import Rule
from exporter.metrics import Tally
from exporter.outcome import Reason
from exporter.pipeline import Pipeline
from exporter.postgres.doors import route as postgres_route
from exporter.postgres.part import Servers
from exporter.probes import Probed
from exporter.probes.door import ProbeDoor
from exporter.probes.part import Probes
from exporter.registry import Registry
from exporter.reputation.doors import ReputationDoors
from exporter.reputation.keeper import Keeper
from exporter.reputation.reputation import Reputation
from exporter.reputation.trail import Trail
from exporter.roles import App, Dependencies, Itself, System
from exporter.stats.doors import View, routes
from exporter.stats.graphql import GraphQL
from exporter.stats.websocket import WebSocket
from guard.access import Access
from guard.listen import parse_address
from guard.web.server import serving

T = TypeVar("T")
Found = dict[str, dict[tuple[str, ...], float]]

FIXTURES = Path(__file__).parent / "fixtures"
FIXTURE_PATHS = Paths(f"{FIXTURES}/proc", f"{FIXTURES}/sys", "/", f"{FIXTURES}/udev")
# The same with a root of our own, for who reads files there.
FIXTURE_ROOT_PATHS = FIXTURE_PATHS._replace(rootfs=f"{FIXTURES}/root")
# How long a test waits for something that must happen, before it fails instead of hanging.
SURELY = 30.0
# The patience of a scrape that must not need it: what waits for its end has failed long before.
PATIENT = 600.0


def collected(collector: Collector) -> Found:
    """What the collector says, by family and by label values."""
    return {family.name: dict(family.samples) for family in collector.collect(time.monotonic() + SURELY)}


def gauge(name: str, value: float = 1.0) -> Family:
    return Family.of(name=name, type="gauge", help="A test.", samples=single(value))


class Says:
    """A collector that yields these families, or whatever it is told to do instead."""

    help = "A test."

    def __init__(self, name: str, *families: Family, then: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.families = families
        self.then = then
        self.entered = 0

    def collect(self, deadline: float) -> Iterable[Family]:
        self.entered += 1
        self.then()
        return self.families


class Hangs(Says):
    """A collector that does not come back before it is released."""

    def __init__(self, name: str) -> None:
        super().__init__(name, gauge(f"node_{name}"), then=self._hang)
        self.inside = threading.Event()
        self.release = threading.Event()
        self.left = threading.Event()

    def _hang(self) -> None:
        self.inside.set()
        assert self.release.wait(SURELY)
        self.left.set()


@dataclass
class Wrong:
    """What a registry told about failures."""

    failures: list[tuple[str, Reason]] = field(default_factory=list)
    quarantined: list[str] = field(default_factory=list)


def registry_of(*collectors: Collector, wrong: Wrong | None = None) -> Registry:
    told = wrong or Wrong()
    return Registry(
        collectors,
        failed=lambda name, reason: told.failures.append((name, reason)),
        quarantined=told.quarantined.append,
    )


class NobodyThere:
    """A prober that finds nobody."""

    async def probe(self, module: str, target: str, *, seconds: float) -> Probed:
        return Probed(success=False, seconds=0.0, reason="refused")


def background_of() -> Background:
    """Without a dependency."""
    return Background(NobodyThere(), reasons=("refused",), seed=b"")


def pipeline_of(*rules: Rule) -> Pipeline:
    """With the bundled rules, and texts as they are."""
    return Pipeline(rules or RULES, redact=lambda kind, field: lambda text: text)


def promptly(scenario: Coroutine[object, object, T]) -> T:
    return asyncio.run(asyncio.wait_for(scenario, SURELY))


@dataclass
class Running:
    """An exporter behind doors on a free port, and a client that has its address."""

    client: ClientSession
    url: str
    registry: Registry
    tally: Tally

    async def text(self, path: str, **headers: str) -> str:
        async with self.client.get(path, headers=headers) as answer:
            return await answer.text()


@asynccontextmanager
async def running(
    *collectors: Collector,
    load: Callable[[], Plan] | None = None,
    requests_max: int = 40,
    timeout_seconds: float = PATIENT,
    access: Access | None = None,
    pipeline: Pipeline | None = None,
    telemetry_path: str = TELEMETRY_PATH,
    left_out: Sequence[str] = (),
    app: App | None = None,
    views: Sequence[View] = (GraphQL(now=0.0), WebSocket(now=0.0)),
    now: float = 0.0,
    findings: Findings | None = None,
    reputation: Reputation | None = None,
    trail: Trail | None = None,
    keeper: Keeper | None = None,
    clock: Callable[[], float] = time.time,
    background: Background | None = None,
    dependencies: Dependencies | None = None,
) -> AsyncIterator[Running]:
    tally = Tally(started_at=0.0)
    registry = Registry((), failed=tally.failed, quarantined=tally.quarantine)
    plan = Plan(tuple(collector.name for collector in collectors), timeout_seconds)
    control = Control(
        plan,
        load=load or (lambda: plan),
        build=lambda name, _: {collector.name: collector for collector in collectors}[name],
        registry=registry,
        tally=tally,
    )
    events = Events(pipeline or pipeline_of(), tally.intakes, body_bytes_max=lambda: control.plan.events_body_bytes_max)
    doors = Doors(
        roles=(
            System(registry),
            *([app] if app else []),
            *([dependencies] if dependencies else []),
            Itself(registry, tally),
            *([App(pipeline)] if pipeline else []),
        ),
        others=(
            events.route(),
            *routes(views, clock=lambda: now),
            postgres_route(Servers(redact=lambda *_: str), redact=lambda *_: str),
            ProbeDoor(Probes(tally.probes), timeout_offset_seconds=0.0).route(),
            findings_route((findings or Findings(tally.findings)).kept),
            *ReputationDoors(reputation or Reputation(), trail or Trail(), keeper=keeper, clock=clock).routes(),
        ),
        registry=registry,
        control=control,
        tally=tally,
        background=background or background_of(),
        requests_max=requests_max,
        timeout_offset_seconds=0.0,
        access=access,
        telemetry_path=telemetry_path,
        left_out=left_out,
    )
    addresses = [parse_address("127.0.0.1:0")]
    async with (
        serving(doors.server(), addresses, grace_seconds=0.1) as (url,),
        ClientSession(url, timeout=aiohttp.ClientTimeout(SURELY)) as client,
    ):
        yield Running(client, url, registry, tally)


def sample(page: str, series: str) -> float:
    """The value of one series, written as on the page."""
    (line,) = [line for line in page.splitlines() if line.startswith(f"{series} ")]
    return float(line.rpartition(" ")[2])


def names(families: Sequence[Family]) -> list[str]:
    return [family.name for family in families]
