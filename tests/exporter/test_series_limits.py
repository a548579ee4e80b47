"""However many label values come: the series are bounded, sums stay right, and what was folded is counted."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from exporter.mapping.rule import OTHER, UNKNOWN, Action, Label, Metric
from exporter.points import Count
from exporter.series.room import Room
from exporter.series.store import SWEEP_SECONDS, Store
from exporter.series.taken import Key, Taken
from exporter.series.trouble import OVERFLOWED_MAX, Trouble

DAY = 86_400.0


def orders(*labels: Label, series_max: int = 1_000, ttl_seconds: float | None = DAY) -> Metric:
    named = labels or (Label("country", "country", values_max=3), Label("payment", "payment", values_max=3))
    return Metric(
        name="shop_orders_total",
        type="counter",
        help="Orders.",
        labels=named,
        series_max=series_max,
        ttl_seconds=ttl_seconds,
    )


def batch(keys: Iterable[Key], *, now: float = 0.0) -> Taken:
    return Taken(list(keys), None, Action.SET, None, now)


def counted(store: Store, *, now: float | None = None) -> dict[Key, float]:
    """Of the one metric that there is."""
    found = {}
    for family in store.families(now=now):
        for key, value in family.samples:
            assert isinstance(value, Count)
            found[key] = value.value
    return found


def test_past_its_limit_only_the_label_with_too_many_values_becomes_other() -> None:
    trouble = Trouble()
    store, metric = Store(trouble=trouble), orders()
    store.take(metric, batch([(f"c{number}", "card") for number in range(5)]))
    store.take(metric, batch([("c4", "cash")] * 2 + [("c0", "cash")]))
    assert counted(store) == {
        ("c0", "card"): 1.0,
        ("c1", "card"): 1.0,
        ("c2", "card"): 1.0,
        (OTHER, "card"): 2.0,
        (OTHER, "cash"): 2.0,
        ("c0", "cash"): 1.0,
    }
    assert trouble.overflowed == {("shop_orders_total", "country"): 4}


def test_past_the_limit_of_series_the_label_with_most_values_is_given_up_first() -> None:
    trouble = Trouble()
    labels = (Label("country", "country"), Label("payment", "payment"))
    store, metric = Store(trouble=trouble), orders(*labels, series_max=10)
    store.take(metric, batch([(f"c{number}", f"p{number % 2}") for number in range(10)]))
    # One more may be there for what is folded, a tenth of ten.
    store.take(metric, batch([("c10", "p0"), ("c11", "p0"), ("c12", "p1")]))
    found = counted(store)
    assert len(found) == 12
    assert (found[OTHER, "p0"], found[OTHER, OTHER]) == (2.0, 1.0)
    assert trouble.overflowed == {("shop_orders_total", "country"): 3, ("shop_orders_total", "payment"): 1}


def test_a_value_that_is_known_or_missing_is_never_folded() -> None:
    label = Label("country", "country", known=("it", "fr"), values_max=1)
    store = Store([orders(label)])
    store.take(orders(label), batch([("de",), ("it",), (UNKNOWN,), (OTHER,)]))
    assert counted(store) == {("it",): 1.0, ("fr",): 0.0, (OTHER,): 2.0, (UNKNOWN,): 1.0}


def test_a_page_has_room_for_so_many_lines_and_then_each_metric_has_one_series_more() -> None:
    room = Room(50)
    store = Store(room=room)
    metrics = [replace(orders(Label("country", "country")), name=f"shop_{name}_total") for name in ("a", "b", "c")]
    for metric in metrics:
        store.take(metric, batch([(f"c{number}",) for number in range(40)]))
    # Past fifty, `b` folds further values, and `c` has nothing but the fold.
    assert [len(family.samples) for family in store.families()] == [40, 11, 1]
    assert [sum(value.value for _, value in family.samples) for family in store.families()] == [40, 40, 40]  # type: ignore[union-attr]
    assert room.lines == 52
    assert not room.has(1)


def test_a_histogram_takes_as_many_lines_as_it_has_on_the_page() -> None:
    room = Room(100, within=Room(1_000))
    metric = Metric(name="shop_wait_seconds", type="histogram", help="Waiting.", buckets=(1.0, 2.0))
    Store([metric], room=room)
    assert room.lines == 5


def test_where_several_pages_share_their_room_none_can_have_more_than_there_is() -> None:
    together = Room(10)
    one, other = Store(room=Room(8, within=together)), Store(room=Room(8, within=together))
    for store in (one, other):
        store.take(orders(Label("country", "country")), batch([(f"c{number}",) for number in range(20)]))
    assert (len(counted(one)), len(counted(other))) == (9, 2)


def test_what_nobody_touches_vanishes_and_its_label_values_make_room() -> None:
    metric = orders(Label("country", "country", values_max=2), ttl_seconds=60.0)
    store = Store()
    store.take(metric, batch([("it",), ("fr",)], now=0.0))
    store.take(metric, batch([("it",)], now=40.0))
    assert set(counted(store, now=59.9)) == {("it",), ("fr",)}
    assert set(counted(store, now=60.0)) == {("it",)}
    store.take(metric, batch([("de",)], now=61.0))
    assert set(counted(store, now=99.0)) == {("it",), ("de",)}
    assert counted(store, now=100.0) == {("de",): 1.0}
    assert counted(store, now=200.0) == {}
    # One that comes back begins at 0.
    store.take(metric, batch([("it",)], now=300.0))
    (family,) = store.families()
    assert family.samples == ((("it",), Count(1.0, None, 300.0)),)


def test_without_any_scrape_old_series_vanish_while_events_come() -> None:
    metric, room = orders(Label("country", "country"), ttl_seconds=60.0), Room(1_000)
    store = Store(room=room)
    for number in range(100):
        store.take(metric, batch([(f"c{number}",)], now=number * 30.0))
        assert room.lines <= 60 / 30 + SWEEP_SECONDS / 30 + 1


def test_what_is_known_from_the_start_never_vanishes() -> None:
    label = Label("country", "country", known=("it",))
    carts = Metric(name="shop_carts_total", type="counter", help="Carts.")
    store = Store([orders(label), carts], now=5.0)
    store.take(orders(label), batch([("fr",)], now=10.0))
    families = store.families(now=10 * DAY)
    assert [family.samples for family in families] == [
        ((("it",), Count(0.0, None, 5.0)),),
        (((), Count(0.0, None, 5.0)),),
    ]


def test_a_metric_that_nobody_knew_vanishes_as_a_whole_and_gives_back_its_room() -> None:
    room = Room(10)
    store = Store(room=room)
    store.take(orders(Label("country", "country", known=("it", "fr"))), batch([("it",)], now=0.0))
    assert room.lines == 2
    assert store.families(now=DAY - 1)
    assert store.families(now=DAY) == []
    assert room.lines == 0


def test_a_clock_that_was_set_back_lets_nothing_live_for_ever() -> None:
    metric, store = orders(Label("country", "country"), ttl_seconds=60.0), Store()
    store.take(metric, batch([("it",)], now=10 * DAY))
    assert counted(store, now=DAY) == {("it",): 1.0}
    assert counted(store, now=DAY + 60.0) == {}


def test_series_that_would_be_too_many_are_not_there_from_the_start() -> None:
    labels = [Label(name, name, known=tuple("abc")) for name in "xyz"]
    assert len(counted(Store([orders(*labels, series_max=27)]))) == 27
    assert counted(Store([orders(*labels, series_max=26)])) == {}


def test_a_gauge_is_not_there_before_somebody_has_said_it() -> None:
    gauges = [
        Metric(name="shop_carts", type="gauge", help="Carts."),
        Metric(name="shop_visitors", type="gauge", help="Visitors.", labels=(Label("country", "c", known=("it",)),)),
    ]
    assert [family.samples for family in Store(gauges).families()] == [(), ()]


def test_the_metrics_whose_overflow_is_counted_by_name_are_bounded() -> None:
    trouble = Trouble()
    for number in range(OVERFLOWED_MAX + 10):
        trouble.overflow(f"m{number}", "country", 2)
    assert len(trouble.overflowed) == OVERFLOWED_MAX + 1
    assert trouble.overflowed[OTHER, OTHER] == 20


def test_memory_is_flat_under_a_flood_of_different_label_values() -> None:
    store = Store()
    metric = orders(Label("user", "user"), Label("path", "path"), series_max=500)

    def flood(numbers: Sequence[int]) -> None:
        for start in range(numbers[0], numbers[-1], 10_000):
            keys = [(f"user {number}", f"path {number % 1_000}") for number in range(start, start + 10_000)]
            store.take(metric, batch(keys))

    flood(range(50_000))
    tracemalloc.start()
    flood(range(50_000, 250_000))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 500_000
    found = counted(store)
    assert sum(found.values()) == 250_000
    assert len(found) <= 500 + 50 + 1


VALUES = st.sampled_from("abcdefgh")
KEYS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=20)


@given(
    batches=st.lists(KEYS, max_size=8),
    values_max=st.integers(1, 4),
    series_max=st.integers(1, 12),
    lines_max=st.integers(1, 20),
)
@settings(max_examples=200)
def test_whatever_comes_nothing_is_lost_and_bounds_hold(
    batches: list[list[Key]], values_max: int, series_max: int, lines_max: int
) -> None:
    labels = Label("x", "x", values_max=values_max), Label("y", "y", values_max=values_max)
    trouble = Trouble()
    store, twin = Store(room=Room(lines_max), trouble=trouble), Store(room=Room(lines_max))
    metric = orders(*labels, series_max=series_max)
    plain: Counter[Key] = Counter()
    for keys in batches:
        taken = batch(keys)
        store.take(metric, taken)
        twin.take(metric, taken)
        plain.update(keys)
    found = counted(store)
    assert found == counted(twin)
    assert sum(found.values()) == sum(plain.values())
    assert len(found) <= min(series_max + series_max // 10, lines_max) + 1
    for place in range(2):
        assert len({key[place] for key in found} - {OTHER}) <= values_max
    whole = {key: count for key, count in found.items() if OTHER not in key}
    assert all(0 < count <= plain[key] for key, count in whole.items())
    # What each label has lost is what `other` has.
    lost = [sum(count for key, count in found.items() if key[place] == OTHER) for place in range(2)]
    assert [trouble.overflowed.get((metric.name, label.name), 0) for label in labels] == lost


@pytest.mark.parametrize("series_max", [1, 1_000])
def test_a_metric_without_labels_needs_no_limit(series_max: int) -> None:
    metric = Metric(name="shop_carts_total", type="counter", help="Carts.", series_max=series_max)
    store = Store(room=Room(0))
    store.take(metric, batch([()] * 3))
    assert counted(store) == {(): 3.0}
