"""What each type of series makes of a batch, and what of it is published."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from exporter.event import LARGEST, Trace
from exporter.exposition import Format, render
from exporter.mapping.rule import Action, Label, Metric, Type
from exporter.points import Count, Distribution, Exemplar, Summary, Value
from exporter.series.store import Store
from exporter.series.taken import Key, Taken
from exporter.series.window import PART_SECONDS, PARTS_MAX
from tests.exporter.mapped import faults, settings

TRACE: Trace = (("trace_id", "0af7651916cd43dd8448eb211c80319c"),)


def metric(kind: Type, **said: object) -> Metric:
    name = "shop_wait_seconds_total" if kind == "counter" else "shop_wait_seconds"
    return Metric(name=name, type=kind, help="Waiting.", labels=(Label("country", "country"),), **said)  # type: ignore[arg-type]


def published(store: Store, *, now: float | None = None) -> dict[Key, Value]:
    (family,) = store.families(now=now)
    return dict(family.samples)


def taken(
    amounts: list[float],
    *,
    action: Action = Action.SET,
    now: float = 0.0,
    traces: list[Trace | None] | None = None,
    at: list[float | None] | None = None,
) -> Taken:
    return Taken([("it",)] * len(amounts), amounts, action, traces, now, at=at)


def test_of_several_values_of_a_gauge_the_last_one_holds() -> None:
    store, gauge = Store(), metric("gauge")
    store.take(gauge, taken([3.0, 1.0, 2.0]))
    assert published(store) == {("it",): 2.0}
    store.take(gauge, taken([3.0, 1.0], action=Action.ADD))
    store.take(gauge, taken([0.5], action=Action.SUBTRACT))
    assert published(store) == {("it",): 5.5}


def test_values_that_are_folded_into_one_gauge_keep_their_order() -> None:
    store = Store()
    gauge = Metric(name="shop_carts", type="gauge", help="Carts.", labels=(Label("x", "x", values_max=0),))
    store.take(gauge, Taken([("a",), ("b",), ("a",)], [1.0, 2.0, 3.0], Action.SET, None, 0.0))
    assert published(store) == {("other",): 3.0}


def test_no_number_becomes_infinite_or_none_at_all() -> None:
    huge = [LARGEST, LARGEST]
    for kind in ("counter", "histogram", "summary"):
        store = Store()
        for _ in range(2):
            store.take(metric(kind), taken(huge))
        (value,) = published(store).values()
        total = value.value if isinstance(value, Count) else value.sum  # type: ignore[union-attr]
        assert total == LARGEST
    store = Store()
    for action, expected in ((Action.ADD, LARGEST), (Action.SUBTRACT, -LARGEST), (Action.ADD, LARGEST)):
        store.take(metric("gauge"), taken(huge, action=action))
        store.take(metric("gauge"), taken(huge, action=action))
        assert published(store) == {("it",): expected}


def test_a_histogram_counts_each_value_in_one_bucket() -> None:
    store = Store()
    store.take(metric("histogram", buckets=(1.0, 2.0)), taken([0.5, 1.0, 1.5, 9.0], now=7.0))
    assert published(store) == {("it",): Distribution((1.0, 2.0), (2, 1, 1), 12.0, 7.0)}


def test_a_summary_has_quantiles_of_the_last_minutes_and_counts_everything() -> None:
    store, summary = Store(), metric("summary", quantiles=(0.0, 0.5, 1.0))
    store.take(summary, taken([float(number) for number in range(1, 102)], now=0.0))
    (value,) = published(store, now=1.0).values()
    assert isinstance(value, Summary)
    assert (value.count, value.sum, value.created) == (101, 5151.0, 0.0)
    assert [quantile for quantile, _ in value.quantiles] == [0.0, 0.5, 1.0]
    assert all(
        abs(found - exact) <= exact / 100 for (_, found), exact in zip(value.quantiles, (1, 51, 101), strict=True)
    )
    (value,) = published(store, now=PARTS_MAX * PART_SECONDS).values()
    assert isinstance(value, Summary)
    assert value.count == 101
    assert all(math.isnan(found) for _, found in value.quantiles)


def test_a_summary_and_a_histogram_count_what_was_observed_several_times() -> None:
    taken = Taken([("it",), ("it",)], [0.5, 2.0], Action.SET, None, 0.0, [3, 1])
    store = Store()
    store.take(metric("summary", quantiles=(0.5,)), taken)
    (value,) = published(store).values()
    assert isinstance(value, Summary)
    assert (value.count, value.sum, round(value.quantiles[0][1], 1)) == (4, 3.5, 0.5)
    store = Store()
    store.take(metric("histogram", buckets=(1.0,)), taken)
    assert published(store) == {("it",): Distribution((1.0,), (3, 1), 3.5, 0.0)}


def test_the_last_event_with_a_trace_is_the_exemplar_at_its_own_time() -> None:
    traces: list[Trace | None] = [None, TRACE, None]
    for at, moment in ((None, 9.0), ([None, 5.0, 6.0], 5.0), ([1.0, None, None], 9.0)):
        counters, histograms = Store(), Store()
        for store, kind in ((counters, metric("counter")), (histograms, metric("histogram", buckets=(1.0,)))):
            store.take(kind, taken([1.0, 2.0, 3.0], now=9.0, traces=traces, at=at))
        expected = Exemplar(TRACE, 2.0, moment)
        assert published(counters) == {("it",): Count(6.0, expected, 9.0)}
        assert published(histograms) == {("it",): Distribution((1.0,), (1, 2), 6.0, 9.0, {1: expected})}


def test_a_new_count_is_shown_as_zero_first_where_that_is_asked_for() -> None:
    labels = (Label("country", "country", known=("fr",)),)
    for kind in ("counter", "histogram", "summary"):
        asked = replace(metric(kind), labels=labels)
        store = Store([asked], now=0.0)
        store.zero_first_seconds = 60.0
        for key in ("fr", "it"):
            store.take(asked, Taken([(key,)], [2.0], Action.SET, [TRACE], 100.0))

        def shown(now: float, store: Store = store) -> dict[Key, float]:
            return {
                key: value.value if isinstance(value, Count) else value.sum  # type: ignore[union-attr]
                for key, value in published(store, now=now).items()
            }

        assert shown(100.0) == shown(159.9) == {("fr",): 2.0, ("it",): 0.0}
        assert shown(160.0) == {("fr",): 2.0, ("it",): 2.0}
        # A clock that was set back does not hide it for longer.
        assert shown(99.0) == {("fr",): 2.0, ("it",): 2.0}


def test_what_is_kept_of_a_page_is_what_would_be_written_anew() -> None:
    said = [metric(kind, ttl_seconds=100.0) for kind in ("counter", "histogram", "gauge", "summary")]
    said = [replace(each, name=f"{each.type}_{each.name}") for each in said]
    kept = Store(said, now=0.0)
    done: list[tuple[Metric, Taken]] = []
    for now in (10.0, 20.0, 20.0, 150.0):
        for each in said[1:] if now > 10.0 else said:
            done.append((each, taken([now], now=now, traces=[TRACE])))
            kept.take(*done[-1])
        for form in (Format.TEXT, Format.OPENMETRICS, Format.TEXT):
            anew = Store(said, now=0.0)
            for one in done:
                anew.take(*one)
            assert render(kept.families(now=now), form) == render(anew.families(now=now), form)
    # The counter was not touched for longer than its time.
    assert b"counter_shop_wait_seconds_total{" not in render(kept.families(now=150.0), Format.TEXT)


def test_a_gauge_is_what_was_said() -> None:
    store = Store()
    store.zero_first_seconds = 60.0
    store.take(metric("gauge"), taken([3.0]))
    assert published(store, now=0.0) == {("it",): 3.0}


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0.0), ("1m10s", 70.0), ("1h", 3_600.0)])
def test_how_long_zero_is_shown_is_a_duration(text: str, seconds: float) -> None:
    assert settings(f"series: {{zero_first: {text}}}").zero_first_seconds == seconds


@pytest.mark.parametrize("text", ["-1s", "61m", "soon"])
def test_what_is_none_is_a_fault(text: str) -> None:
    (fault,) = faults(f"series: {{zero_first: {text}}}")
    assert "series.zero_first: found" in fault
