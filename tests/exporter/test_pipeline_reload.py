"""Other rules from now on: what stays the same goes on, what changed begins anew."""

from __future__ import annotations

import signal
import urllib.request
from pathlib import Path

from msgspec.structs import replace

from exporter.event import Redact
from exporter.family import Family
from exporter.mapping.rule import Action, Label, Metric, Rule
from exporter.pipeline import Pipeline
from exporter.points import Count
from exporter.series.store import Store
from exporter.series.taken import Taken
from tests.exporter.builders import SURELY
from tests.exporter.program import Program, started

ORDERS = Metric(name="shop_orders_total", type="counter", help="Orders.", labels=(Label("country", "country"),))
CARTS = Metric(name="shop_carts_total", type="counter", help="Carts.")


def as_it_is(kind: str, field: str) -> Redact:
    return lambda text: text


def rule(metric: Metric) -> Rule:
    return Rule(event="order", metric=metric)


def counted(families: list[Family]) -> dict[str, dict[tuple[str, ...], float]]:
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in families:
        counts = found.setdefault(family.name, {})
        for key, value in family.samples:
            assert isinstance(value, Count)
            counts[key] = value.value
    return found


def ordered(pipeline: Pipeline) -> None:
    pipeline.lines(b'{"event":"order","source":"shop","country":"it"}', now=1.0)


def test_series_of_a_metric_that_stays_the_same_go_on() -> None:
    pipeline = Pipeline([rule(ORDERS)], redact=as_it_is)
    ordered(pipeline)
    pipeline.use([rule(replace(ORDERS, help="Orders of the shop.", series_max=7)), rule(CARTS)], redact=as_it_is)
    ordered(pipeline)
    expected = {"shop_orders_total": {("it",): 2.0}, "shop_carts_total": {(): 1.0}}
    assert counted(pipeline.families()) == counted(pipeline.families("shop")) == expected
    assert pipeline.families()[0].help == "Orders of the shop."


def test_a_metric_of_another_shape_begins_anew() -> None:
    pipeline = Pipeline([rule(ORDERS)], redact=as_it_is)
    ordered(pipeline)
    pipeline.use([rule(replace(ORDERS, labels=(Label("land", "country"),)))], redact=as_it_is)
    ordered(pipeline)
    assert counted(pipeline.families()) == {"shop_orders_total": {("it",): 1.0}}
    assert pipeline.families()[0].labels == ("land",)


def test_a_metric_that_no_rule_has_any_more_is_gone_and_events_of_its_kind_are_for_nobody() -> None:
    pipeline = Pipeline([rule(ORDERS)], redact=as_it_is)
    ordered(pipeline)
    pipeline.use([Rule(event="cart", metric=CARTS)], redact=as_it_is)
    assert pipeline.lines(b'{"event":"order"}', now=2.0).unmatched == 1
    assert "shop_orders_total" not in counted(pipeline.families())


def test_another_redaction_holds_for_values_that_were_seen_before_too() -> None:
    pipeline = Pipeline([rule(ORDERS)], redact=as_it_is)
    ordered(pipeline)
    pipeline.use([rule(ORDERS)], redact=lambda kind, field: lambda text: f"{kind} {field} {len(text)}")
    ordered(pipeline)
    assert counted(pipeline.families()) == {"shop_orders_total": {("it",): 1.0, ("order country 2",): 1.0}}


def test_a_metric_that_no_rule_has_made_stays_over_a_reload() -> None:
    store = Store([ORDERS])
    store.take(CARTS, Taken([()], None, Action.SET, None, 1.0))
    store.use([])
    assert counted(store.families()) == {"shop_carts_total": {(): 1.0}}


def posted(url: str, event: bytes) -> int:
    with urllib.request.urlopen(urllib.request.Request(f"{url}/events", event), timeout=SURELY) as answer:
        return int(answer.status)


def shop(program: Program) -> list[str]:
    return [line for line in program.get("/metrics/app").splitlines() if line.startswith("shop_")]


RULE = "mapping: [{match: order, name: shop_orders_total, type: counter, help: O, labels: {country: country}}]\n"


def test_the_program_follows_the_file_and_keeps_what_it_has_counted(tmp_path: Path) -> None:
    config = tmp_path / "exporter.yml"
    config.write_text(RULE)
    event = b'{"event":"order","country":"it","plan":"free"}'
    with started(f"--config.file={config}", "--log.format=json") as program:
        assert posted(program.url, event) in (200, 202)
        config.write_text(RULE + RULE.replace("mapping: ", "mapping_: "))
        program.process.send_signal(signal.SIGHUP)
        assert "mapping_" in program.said("configuration refused")
        assert posted(program.url, event) in (200, 202)
        assert shop(program) == ['shop_orders_total{country="it"} 2.0']
        more = "{match: order, name: shop_plans_total, type: counter, help: P, labels: {plan: plan}}]"
        config.write_text(RULE.replace("}]", "}, ") + more)
        program.process.send_signal(signal.SIGHUP)
        program.said("configuration loaded")
        assert posted(program.url, event) in (200, 202)
        assert shop(program) == ['shop_orders_total{country="it"} 3.0', 'shop_plans_total{plan="free"} 1.0']
        config.write_text("")
        program.process.send_signal(signal.SIGHUP)
        program.said("configuration loaded")
        assert shop(program) == []
