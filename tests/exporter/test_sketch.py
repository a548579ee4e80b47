"""Quantiles from little memory are those of the numbers themselves, within the error that is stated."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.series.sketch import BINS_MAX, RELATIVE_ERROR, Sketch
from exporter.series.window import PART_SECONDS, PARTS_MAX, Window

QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
# A factor of 10,000 between the smallest and the largest fits into the bins.
SIMILAR = st.floats(0.001, 10.0)
NUMBERS = st.one_of(SIMILAR, st.just(0.0), SIMILAR.map(lambda number: -number))
ANY = st.floats(-(2.0**1023), 2.0**1023)


def sketch_of(numbers: list[float]) -> Sketch:
    sketch = Sketch()
    sketch.add(numbers)
    return sketch


def exact(numbers: list[float], quantile: float) -> float:
    return sorted(numbers)[math.floor(quantile * (len(numbers) - 1))]


def is_close(found: float, expected: float) -> bool:
    return abs(found - expected) <= abs(expected) * (RELATIVE_ERROR + 1e-9)


@given(st.lists(NUMBERS, min_size=1, max_size=200))
def test_each_quantile_is_within_a_hundredth_of_the_number_that_it_stands_for(numbers: list[float]) -> None:
    found = sketch_of(numbers).quantiles(QUANTILES)
    assert all(is_close(each, exact(numbers, quantile)) for each, quantile in zip(found, QUANTILES, strict=True))


@given(st.lists(ANY, min_size=1, max_size=200))
def test_numbers_that_come_alone_are_the_same_as_all_at_once(numbers: list[float]) -> None:
    alone = Sketch()
    for number in numbers:
        alone.add([number])
    together = sketch_of(numbers)
    assert alone.quantiles(QUANTILES) == together.quantiles(QUANTILES)
    assert (alone.count, alone.bins, alone.zeros) == (together.count, together.bins, together.zeros)


@given(st.lists(st.tuples(NUMBERS, st.integers(1, 5)), min_size=1, max_size=50))
def test_a_weight_is_how_often_a_number_was_met(weighed: list[tuple[float, int]]) -> None:
    numbers, weights = zip(*weighed, strict=True)
    sketch = Sketch()
    sketch.add(numbers, weights)
    often = sketch_of([number for number, weight in weighed for _ in range(weight)])
    assert sketch.quantiles(QUANTILES) == often.quantiles(QUANTILES)
    assert sketch.count == sum(weights)


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=20), min_size=1, max_size=6))
def test_sketches_of_parts_make_that_of_the_whole(parts: list[list[float]]) -> None:
    merged = Sketch()
    for part in parts:
        merged.merge(sketch_of(part))
    whole = sketch_of([number for part in parts for number in part])
    assert merged.quantiles(QUANTILES) == whole.quantiles(QUANTILES)
    assert merged.count == whole.count


@given(st.lists(ANY, min_size=1, max_size=50))
@settings(max_examples=300)
def test_whatever_the_numbers_are_quantiles_are_between_the_least_and_the_greatest_in_order(
    numbers: list[float],
) -> None:
    found = sketch_of(numbers).quantiles(QUANTILES)
    assert found == sorted(found)
    assert min(numbers) <= found[0] <= found[-1] <= max(numbers)


def test_memory_is_bounded_and_the_large_numbers_stay_right() -> None:
    numbers = [sign * 1.05**exponent for exponent in range(-5_000, 5_000) for sign in (1.0, -1.0)]
    sketch = sketch_of(numbers)
    sketch.merge(sketch_of(numbers))
    assert sketch.bins == 2 * BINS_MAX
    (found,) = sketch.quantiles((0.99,))
    assert is_close(found, exact(numbers * 2, 0.99))


def test_without_numbers_there_is_no_quantile() -> None:
    assert all(map(math.isnan, Sketch().quantiles(QUANTILES)))


def test_a_window_forgets_what_is_older_than_its_parts() -> None:
    window = Window()
    for part in range(PARTS_MAX + 2):
        window.add([float(part + 1)], now=part * PART_SECONDS)
    last = (PARTS_MAX + 1) * PART_SECONDS
    assert window.whole(now=last).count == PARTS_MAX
    assert window.whole(now=last).least == 3.0
    assert window.whole(now=last + 2 * PART_SECONDS).count == PARTS_MAX - 2
    assert window.whole(now=last + 1_000 * PART_SECONDS).count == 0


@pytest.mark.parametrize("back_seconds", [PART_SECONDS, 86_400.0])
def test_a_clock_that_was_set_back_makes_nothing_last_longer_than_twice_the_window(back_seconds: float) -> None:
    window = Window()
    now = 1_000_000.0
    window.add([1.0], now=now)
    now -= back_seconds
    window.add([2.0], now=now)
    assert window.whole(now=now).greatest == 2.0
    assert window.whole(now=now + (2 * PARTS_MAX + 1) * PART_SECONDS).count == 0


def test_the_bins_grow_so_that_neighbours_meet() -> None:
    numbers = [1.0 + step / 1_000 for step in range(1_000)]
    found = sketch_of(numbers).quantiles([step / 100 for step in range(101)])
    assert all(later - before <= before * 2.1 * RELATIVE_ERROR for before, later in pairwise(found))
