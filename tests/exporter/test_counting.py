"""Counts within a window: never more than the truth, and by how much less is known."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.detectors.counting import PANES, Counts

WINDOW = 60.0

# Steps of the clock, some of them back, some over the whole window; and who does something then.
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 3.0, 9.9, 10.0, 30.0, 59.0, 60.0, 61.0, 600.0, -0.5, -15.0, -400.0]),
        st.lists(st.integers(0, 30), max_size=60),
    ),
    max_size=30,
)


def truth(happened: list[tuple[float, int]], now: float, seconds: float = WINDOW) -> Counter[int]:
    """What the clock said to be in the future has happened all the same."""
    return Counter(who for at, who in happened if now - seconds < at)


@given(STEPS, st.integers(4, 40))
@settings(max_examples=300)
def test_a_count_is_never_too_large_whatever_the_clock_does(steps: list[tuple[float, list[int]]], most: int) -> None:
    counts, now = Counts(WINDOW, keys_max=most), 1_000_000.0
    happened: list[tuple[float, int]] = []
    for step, who in steps:
        now += step
        happened += [(now, each) for each in who]
        counts.add(Counter(who), now=now)
        counts.thin()
        exact = truth(happened, now)
        assert all(count <= exact[key] for key, count in enumerate(counts.of(range(31), now=now)))
        assert len([count for count in counts.of(range(31), now=now) if count]) <= counts.keys <= most


@given(STEPS, st.integers(4, 40))
@settings(max_examples=300)
def test_a_count_is_too_small_by_no_more_than_is_said(steps: list[tuple[float, list[int]]], most: int) -> None:
    """Over the panes that are still open, as long as the clock only goes on."""
    counts, now = Counts(WINDOW, keys_max=most), 1_000_000.0
    happened: list[tuple[float, int]] = []
    for step, who in steps:
        now += abs(step)
        happened += [(now, each) for each in who]
        counts.add(Counter(who), now=now)
        counts.thin()
        pane = WINDOW / PANES
        exact = truth(happened, now, seconds=now - (now // pane - PANES + 1) * pane + 0.01)
        found = counts.of(range(31), now=now)
        assert all(exact[key] - count <= counts.undercount for key, count in enumerate(found))


@given(STEPS)
def test_who_comes_alone_counts_as_among_others(steps: list[tuple[float, list[int]]]) -> None:
    alone, together, now = Counts(WINDOW), Counts(WINDOW), 1_000_000.0
    for step, who in steps:
        now += step
        together.add(Counter(who), now=now)
        for each in who:
            times = alone.one(each, now=now)
            assert times == alone.of([each], now=now)[0]
        assert alone.of(range(31), now=now) == together.of(range(31), now=now)
        assert alone.keys == together.keys


@given(st.lists(st.lists(st.integers(0, 1_000), max_size=300), max_size=20))
def test_what_is_lost_is_at_most_a_share_of_what_was_counted(batches: list[list[int]]) -> None:
    counts = Counts(WINDOW, keys_max=100)
    for batch in batches:
        counts.add(Counter(batch), now=0.0)
    assert counts.undercount * 75 <= sum(map(len, batches))


def test_who_did_much_is_still_there_among_many_who_did_little() -> None:
    counts = Counts(WINDOW, keys_max=1_000)
    for batch in range(100):
        counts.add(Counter({7: 20, **dict.fromkeys(range(1_000 + batch * 500, 1_500 + batch * 500), 1)}), now=0.0)
    assert counts.forgotten >= 49_000
    assert 2_000 - counts.undercount <= counts.of([7], now=0.0)[0] <= 2_000
    assert counts.undercount <= 52_000 / 750


def test_room_is_made_only_where_it_is_nearly_full() -> None:
    counts = Counts(WINDOW, keys_max=100)
    counts.add(dict.fromkeys(range(94), 1), now=0.0)
    assert not counts.thin()
    counts.add({94: 1, 7: 1}, now=0.0)
    assert counts.thin()
    assert (counts.keys, counts.undercount, counts.of([7], now=0.0)) == (1, 1, [1])


def test_what_is_older_than_the_window_is_gone() -> None:
    counts = Counts(WINDOW)
    counts.add({7: 3}, now=600.0)
    assert counts.of([7, 8], now=649.0) == [3, 0]
    assert counts.of([7, 8], now=660.0) == [0, 0]
    assert counts.keys == 0
