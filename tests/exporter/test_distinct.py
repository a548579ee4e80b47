"""How many different ones within a window: never more than there were, and nobody twice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.detectors.counting import PANES
from exporter.detectors.distinct import Distinct

WINDOW = 60.0
PAIR = st.tuples(st.integers(0, 6), st.integers(0, 40))
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 3.0, 9.9, 10.0, 30.0, 59.0, 60.0, 61.0, 600.0, -0.5, -15.0, -400.0]),
        st.lists(PAIR, max_size=60),
    ),
    max_size=30,
)
Happened = list[tuple[float, tuple[int, int]]]


def truth(happened: Happened, owner: int, since: float) -> int:
    """What the clock said to be in the future has happened all the same."""
    return len({one for at, (whose, one) in happened if whose == owner and since < at})


@given(STEPS, st.integers(4, 60), st.integers(1, 50))
@settings(max_examples=300)
def test_a_count_is_never_too_large_whatever_the_clock_does(
    steps: list[tuple[float, list[tuple[int, int]]]], most: int, each_most: int
) -> None:
    distinct, now = Distinct(WINDOW, pairs_max=most, each_max=each_most), 1_000_000.0
    happened: Happened = []
    for step, pairs in steps:
        now += step
        happened += [(now, pair) for pair in pairs]
        distinct.add(pairs, now=now)
        distinct.thin()
        assert distinct.pairs <= most
        for owner in range(7):
            assert distinct.of([owner], now=now)[0] <= min(truth(happened, owner, now - WINDOW), each_most)


@given(STEPS, st.integers(4, 60))
@settings(max_examples=300)
def test_a_count_is_too_small_by_no_more_than_is_said(
    steps: list[tuple[float, list[tuple[int, int]]]], most: int
) -> None:
    """Over the panes that are still open, as long as the clock only goes on."""
    distinct, now = Distinct(WINDOW, pairs_max=most), 1_000_000.0
    happened: Happened = []
    for step, pairs in steps:
        now += abs(step)
        happened += [(now, pair) for pair in pairs]
        distinct.add(pairs, now=now)
        distinct.thin()
        begins = (now // (WINDOW / PANES) - PANES + 1) * (WINDOW / PANES) - 0.01
        for owner in range(7):
            assert truth(happened, owner, begins) - distinct.of([owner], now=now)[0] <= distinct.undercount


def test_who_was_seen_with_many_is_kept_when_there_are_too_many() -> None:
    distinct = Distinct(WINDOW, pairs_max=1_000)
    distinct.add([(7, one) for one in range(100)], now=0.0)
    for batch in range(20):
        distinct.add([(1_000 + batch * 500 + each, 1) for each in range(500)], now=0.0)
    assert distinct.of([7], now=0.0)[0] == 100
    assert distinct.forgotten >= 9_000
    assert distinct.undercount == 10


def test_whoever_is_seen_again_stays_and_counts_once() -> None:
    distinct = Distinct(WINDOW)
    for at in range(0, 600, 5):
        distinct.add([(7, 1), (7, at)], now=at)
    assert distinct.of([7], now=599.0)[0] == 1 + 12
    assert distinct.of([7], now=659.0)[0] == 0
    assert distinct.pairs == 0


def test_room_is_made_only_where_it_is_nearly_full() -> None:
    distinct = Distinct(WINDOW, pairs_max=100)
    distinct.add([(7, 1), (7, 2), *((owner, 1) for owner in range(100, 192))], now=0.0)
    assert not distinct.thin()
    distinct.add([(7, 3)], now=0.0)
    assert distinct.thin()
    assert (distinct.pairs, distinct.undercount, distinct.of([7], now=0.0)) == (3, 1, [3])
