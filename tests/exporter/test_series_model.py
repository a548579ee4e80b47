"""Any batches, floods, scrapes and pauses, beside a model of a few lines: nothing is lost, and bounds hold always."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.mapping.rule import OTHER, Label, Metric, Rule
from exporter.pipeline import Pipeline
from exporter.points import Count
from exporter.series.room import Room
from exporter.series.store import Store
from exporter.series.taken import Key
from tests.exporter.test_series_limits import batch, counted, orders

TTL = 60.0
VALUES = st.sampled_from("abcdef")
KEYS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=8)
# How many seconds pass, what comes then, and whether somebody scrapes.
STEPS = st.lists(st.tuples(st.sampled_from([0.0, 5.0, 30.0, 59.0, 60.0, 200.0]), KEYS, st.booleans()), max_size=12)
FIRST = 1_000_000.0


@given(STEPS)
@settings(max_examples=150)
def test_each_series_is_what_came_since_it_began(steps: list[tuple[float, list[Key], bool]]) -> None:
    store, metric = Store(), orders(Label("x", "x"), Label("y", "y"), ttl_seconds=TTL)
    model: dict[Key, tuple[float, int]] = {}
    now = FIRST
    for seconds, keys, _ in steps:
        now += seconds
        # A scrape just before, so that it is known when each vanished.
        model = {key: (at, count) for key, (at, count) in model.items() if now - at < TTL}
        assert counted(store, now=now) == {key: count for key, (_, count) in model.items()}
        store.take(metric, batch(keys, now=now))
        for key in keys:
            model[key] = now, model.get(key, (now, 0))[1] + 1
    assert counted(store) == {key: count for key, (_, count) in model.items()}


@given(STEPS, st.integers(0, 3), st.integers(1, 8), st.integers(1, 12))
@settings(max_examples=150)
def test_while_series_come_and_vanish_every_count_of_them_stays_right(
    steps: list[tuple[float, list[Key], bool]], values_max: int, series_max: int, lines_max: int
) -> None:
    room = Room(lines_max)
    labels = Label("x", "x", values_max=values_max, known=("a",)), Label("y", "y", values_max=values_max)
    store, metric = Store(room=room), orders(*labels, series_max=series_max, ttl_seconds=TTL)
    now = FIRST
    lately: list[tuple[float, int]] = []
    for seconds, keys, scraped in steps:
        now += seconds
        store.take(metric, batch(keys, now=now))
        lately.append((now, len(keys)))
        found = counted(store, now=now) if scraped else counted(store)
        (held,) = store.held
        assert room.lines == held.series == len(found) <= min(series_max + series_max // 10, lines_max) + 1
        values = [{key[place] for key in found} - {OTHER} for place in range(2)]
        assert held.values == {"x": len(values[0] | {"a"}), "y": len(values[1])}
        assert all(len(each) <= max(values_max, 1) for each in values)
        # What came within the time to live is there; what is older may be.
        assert sum(count for at, count in lately if now - at < TTL) <= sum(found.values())
        assert sum(found.values()) <= sum(count for _, count in lately)


@given(st.lists(st.tuples(st.sampled_from(["shop", "bank", ""]), VALUES), min_size=1, max_size=30))
def test_all_sources_together_are_everything(events: list[tuple[str, str]]) -> None:
    metric = Metric(name="orders_total", type="counter", help="Orders.", labels=(Label("x", "x"),))
    pipeline = Pipeline([Rule(event="order", metric=metric)], redact=lambda kind, field: lambda text: text)
    lines = [b'{"event":"order","source":"%s","x":"%s"}' % (source.encode(), x.encode()) for source, x in events]
    pipeline.lines(b"\n".join(lines), now=FIRST)

    def of(source: str) -> Counter[Key]:
        (family,) = pipeline.families(source, now=FIRST)
        return Counter({key: int(value.value) for key, value in family.samples if isinstance(value, Count)})

    together: Counter[Key] = Counter()
    for source in pipeline.sources(now=FIRST):
        together.update(of(source))
    assert together == of("") == Counter((x,) for _, x in events)
