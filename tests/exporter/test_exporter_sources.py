"""Each source of events has a page of its own, for as long as it has series; together they are everything, once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable

from exporter.mapping.rule import Label, Metric, Rule
from exporter.pipeline import SOURCES_MAX, Pipeline
from exporter.roles import App
from tests.exporter.builders import Running, promptly, running
from tests.exporter.test_series_limits import DAY

ORDERS = Metric(name="shop_orders_total", type="counter", help="Orders.", labels=(Label("country", "country"),))
CARTS = Metric(name="shop_carts_total", type="counter", help="Carts.")
RULES = Rule(event="order", metric=ORDERS), Rule(event="cart", metric=CARTS)


class World:
    """An exporter, what its applications say, and the time there."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pipeline = Pipeline(RULES, redact=lambda kind, field: lambda text: text)

    def says(self, source: str, event: str = "order") -> None:
        line = json.dumps({"event": event, "country": "it", **({"source": source} if source else {})})
        assert not self.pipeline.lines(line.encode(), now=self.now).faults

    def orders(self, source: str = "") -> float:
        found: Counter[tuple[str, ...]] = Counter()
        for family in self.pipeline.families(source, now=self.now):
            for key, value in family.samples:
                if family.name == ORDERS.name:
                    found[key] += value.value  # type: ignore[union-attr, operator]
        return found["it",]

    def asked(self, scenario: Callable[[Running], Awaitable[None]]) -> None:
        async def run() -> None:
            async with running(app=App(self.pipeline, clock=lambda: self.now)) as exporter:
                await scenario(exporter)

        promptly(run())


async def paths(exporter: Running, query: str = "") -> list[str]:
    groups = json.loads(await exporter.text(f"/sd{query}"))
    return [group["labels"]["__metrics_path__"] for group in groups]


def test_a_source_has_a_page_and_is_a_target_until_its_last_series_has_vanished() -> None:
    world = World()
    world.says("shop")
    world.now = 10.0
    world.says("")

    async def scenario(exporter: Running) -> None:
        assert 'shop_orders_total{country="it"} 1.0' in await exporter.text("/metrics/app/shop")
        # A source has what it has said, and the page of everything what is known beforehand too.
        assert "shop_carts" not in await exporter.text("/metrics/app/shop")
        assert "shop_carts_total 0.0" in await exporter.text("/metrics/app")
        assert await paths(exporter) == ["/metrics/app", "/metrics/self", "/metrics/system"]
        by_source = json.loads(await exporter.text("/sd?app=by_source"))
        assert by_source[2:] == [
            {
                "targets": by_source[0]["targets"],
                "labels": {
                    "__metrics_path__": f"/metrics/app/{source}",
                    "__meta_tocsin_role": "app",
                    "__meta_tocsin_source": source,
                },
            }
            for source in ("shop", "unnamed")
        ]
        assert "__meta_tocsin_source" not in by_source[0]["labels"]
        world.now = DAY
        async with exporter.client.get("/metrics/app/shop") as answer:
            assert answer.status == 404
            assert "no source 'shop'" in (await answer.json())["error"]
        assert await paths(exporter, "?app=by_source") == [
            "/metrics/self",
            "/metrics/system",
            "/metrics/app/unnamed",
        ]

    world.asked(scenario)


def test_what_else_is_asked_for_is_refused() -> None:
    async def scenario(exporter: Running) -> None:
        for query in ("?app=x", "?app=by_source&app=by_source", "?" + "a&" * 2_000):
            async with exporter.client.get(f"/sd{query}") as answer:
                assert answer.status == 400
        async with exporter.client.get("/metrics/app/nobody") as answer:
            assert answer.status == 404

    World().asked(scenario)


def test_an_exporter_without_the_role_has_no_sources() -> None:
    async def scenario() -> None:
        async with running() as exporter:
            assert await paths(exporter, "?app=by_source") == ["/metrics/self", "/metrics/system"]
            async with exporter.client.get("/metrics/app/shop") as answer:
                assert answer.status == 404

    promptly(scenario())


def test_past_the_limit_sources_share_a_page_and_together_they_are_everything() -> None:
    world = World()
    for number in range(SOURCES_MAX + 5):
        world.says(f"shop{number}")
        world.says("")
    sources = world.pipeline.sources(now=world.now)
    assert len(sources) == SOURCES_MAX + 1
    assert world.orders("other") == 5 + 1
    assert sum(map(world.orders, sources)) == world.orders() == 2 * (SOURCES_MAX + 5)


def test_a_source_that_was_forgotten_makes_a_place_for_another() -> None:
    world = World()
    for number in range(SOURCES_MAX):
        world.says(f"shop{number}")
    world.now = DAY + 60.0
    world.says("late")
    assert world.pipeline.sources(now=world.now) == ("late",)


def test_a_source_of_which_nothing_is_counted_has_no_page() -> None:
    world = World()
    world.pipeline.lines(b'{"event":"cart","source":"shop"}\n{"event":"nothing","source":"bar"}', now=0.0)
    assert world.pipeline.sources(now=0.0) == ("shop",)
