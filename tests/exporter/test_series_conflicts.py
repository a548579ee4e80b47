"""Metrics that contradict each other: the first stays, the page stays right, and what was refused can be seen."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from exporter.exposition import Format, render
from exporter.mapping.rule import Action, Label, Metric
from exporter.outcome import Names
from exporter.series.report import METRICS_SHOWN_MAX, report
from exporter.series.store import METRICS_MAX, Store
from exporter.series.taken import Key, Taken
from exporter.series.trouble import CONFLICTS_MAX, Reason
from tests.exporter.builders import Running
from tests.exporter.test_exporter_sources import World

COUNTRY = (Label("country", "country"),)
WAIT = Metric(name="wait_seconds", type="histogram", help="Waiting.", labels=COUNTRY, buckets=(1.0,))


def one(*key: str, now: float = 0.0) -> Taken:
    return Taken([key], [1.0], Action.SET, None, now)


def refused(store: Store) -> dict[Reason, int]:
    return {reason: events for reason, events in store.trouble.refused.items() if events}


@pytest.mark.parametrize(
    ("offered", "key", "reason"),
    [
        (replace(WAIT, type="gauge"), ("it",), Reason.TYPE),
        (replace(WAIT, labels=(Label("land", "land"),)), ("it",), Reason.LABELS),
        (replace(WAIT, labels=()), (), Reason.LABELS),
        (Metric(name="wait_seconds_count", type="gauge", help="Waiting."), (), Reason.NAME),
        (Metric(name="wait_seconds_total", type="counter", help="Waiting."), (), Reason.NAME),
        (Metric(name="process_open_fds", type="gauge", help="Files."), (), Reason.RESERVED),
        (Metric(name="up", type="gauge", help="Up."), (), Reason.RESERVED),
        (Metric(name="orders", type="counter", help="Orders."), (), Reason.ILLEGAL),
        (Metric(name="a b", type="gauge", help="Orders."), (), Reason.ILLEGAL),
    ],
)
def test_what_contradicts_the_first_is_refused_and_shown(offered: Metric, key: Key, reason: Reason) -> None:
    store = Store()
    store.take(WAIT, one("fr"))
    before = render(store.families(), Format.OPENMETRICS)
    for _ in range(2):
        store.take(offered, one(*key))
    assert render(store.families(), Format.OPENMETRICS) == before
    assert refused(store) == {reason: 2}
    (shown,) = report(store)["conflicts"]  # type: ignore[misc]
    assert shown["events"] == 2
    assert shown["offered"] == {"name": offered.name, "type": offered.type, "labels": offered.label_names}
    assert shown["last_labels"] == dict(zip(offered.label_names, key, strict=True))
    assert (shown["there"] is not None) == (reason in (Reason.TYPE, Reason.LABELS, Reason.NAME))


def test_nobody_else_gives_a_known_metric_further_labels() -> None:
    store = Store([WAIT])
    store.take(WAIT, one("fr"))
    store.take(replace(WAIT, labels=(*COUNTRY, Label("user", "user"))), one("fr", "1"))
    store.take(WAIT, one("fr"))
    assert refused(store) == {Reason.LABELS: 1}
    assert [held.metric for held in store.held] == [WAIT]


def test_further_labels_that_are_none_are_refused() -> None:
    store = Store()
    store.take(WAIT, one("fr"))
    store.take(replace(WAIT, labels=(*COUNTRY, Label("le", "le"))), one("fr", "1"))
    store.take(WAIT, one("fr"))
    assert refused(store) == {Reason.LABELS: 1}


def test_further_labels_bring_no_other_buckets() -> None:
    store = Store()
    store.take(WAIT, one("fr"))
    more = replace(WAIT, labels=(*COUNTRY, Label("user", "user")), buckets=(1.0, 2.0, 3.0))
    store.take(more, Taken([("fr", "1"), ("fr", "")], [9.0, 9.0], Action.SET, None, 0.0))
    assert [sum(each.counts) for _, each in store.families()[0].samples] == [2, 1]
    assert refused(store) == {}


def test_other_buckets_and_another_help_are_no_contradiction() -> None:
    store = Store()
    store.take(WAIT, one("it"))
    store.take(replace(WAIT, buckets=(2.0, 3.0), help="Another."), one("it"))
    assert refused(store) == {}
    assert b'wait_seconds_bucket{country="it",le="1.0"} 2\n' in render(store.families(), Format.TEXT)


def test_a_metric_that_has_vanished_leaves_its_name_to_others() -> None:
    store = Store()
    store.take(replace(WAIT, ttl_seconds=60.0), one("it", now=0.0))
    store.take(replace(WAIT, type="gauge"), one("it", now=60.0))
    (family,) = store.families()
    assert (family.type, refused(store)) == ("gauge", {})


def test_what_rules_name_goes_before_what_came_otherwise() -> None:
    store = Store()
    store.take(Metric(name="wait_seconds_count", type="gauge", help="Waiting."), one())
    store.use([WAIT], now=0.0)
    assert [family.name for family in store.families()] == ["wait_seconds"]
    # Its names are free again when no rule has it any more.
    store.use([])
    store.take(Metric(name="wait_seconds_count", type="gauge", help="Waiting."), one())
    assert [family.name for family in store.families()] == ["wait_seconds_count"]


def test_the_metrics_of_a_page_and_those_that_are_shown_are_bounded() -> None:
    store = Store([WAIT])
    for number in range(METRICS_MAX + CONFLICTS_MAX + 9):
        store.take(Metric(name=f"m{number}", type="gauge", help="A test."), one())
    families = store.families()
    assert len(families) == METRICS_MAX
    assert Names().without_clashes({"app": families})[1] == []
    assert refused(store) == {Reason.METRICS: CONFLICTS_MAX + 10}
    found = report(store)
    assert len(found["conflicts"]) == CONFLICTS_MAX  # type: ignore[arg-type]
    assert found["conflicts"][0]["offered"]["name"] == f"m{METRICS_MAX + CONFLICTS_MAX + 8}"  # type: ignore[index]
    assert len(found["metrics"]) == METRICS_SHOWN_MAX  # type: ignore[arg-type]
    assert found["metrics_left_out"] == METRICS_MAX - METRICS_SHOWN_MAX


def test_the_door_shows_the_metrics_with_most_series_first_and_no_label_value() -> None:
    world = World()
    for country in ("it", "fr"):
        world.pipeline.lines(b'{"event":"order","country":"%s"}' % country.encode(), now=0.0)
    world.says("shop", "cart")

    async def scenario(exporter: Running) -> None:
        text = await exporter.text("/series")
        found = json.loads(text)
        assert (found["lines"], found["lines_max"], found["series"]) == (3, 100_000, 3)
        assert [(each["name"], each["series"]) for each in found["metrics"]] == [
            ("shop_orders_total", 2),
            ("shop_carts_total", 1),
        ]
        assert found["metrics"][0]["labels"] == {"country": {"values": 2, "values_max": 100, "overflowed": 0}}
        assert found["conflicts"] == []
        assert '"fr"' not in text

    world.asked(scenario)
