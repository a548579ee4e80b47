"""What is usual in a stream, and what is not: each trap of baselines, and that none of the methods falls into it."""

from math import inf, nan, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.detectors.anomaly.history import History
from exporter.detectors.anomaly.methods import (
    FLOOR_RATIO,
    HALF_LIFE_INTERVALS,
    LIMITS,
    METHODS,
    OF_DEVIATION,
    SPIKE_INTERVALS,
    band,
)
from exporter.detectors.anomaly.stream import HELD_RATIO, Manner, Stream
from exporter.detectors.settings import Direction, Method

ALL = pytest.mark.parametrize("method", METHODS)
SIZE = 360


def stream(
    method: Method,
    *,
    direction: Direction = "both",
    least: float = 0.0,
    row: int = 1,
    known_least: int = 10,
    counts: bool = False,
    size: int = SIZE,
) -> Stream:
    return Stream(
        Manner(
            method=method,
            limit=LIMITS[method],
            size=size,
            known_least=known_least,
            direction=direction,
            least=least,
            row=row,
            counts=counts,
        )
    )


def fed(method: Method, past: list[float], **chosen: object) -> Stream:
    made = stream(method, **chosen)  # type: ignore[arg-type]
    assert [each for each in past if made.close(each)] == [], "what is fed is usual"
    return made


def wavy(number: int, *, level: float = 100.0, deviation: float = 2.0, seed: int = 7) -> list[float]:
    """Never further from the level than twice the deviation."""
    chance = Random(seed)
    return [level + deviation * chance.uniform(-sqrt(3), sqrt(3)) for _ in range(number)]


# --- the methods -----------------------------------------------------------------------------------------------


def test_a_ratio_is_one_to_the_mean():
    assert band("ratio", [1.0, 2.0, 9.0], 5.0) == (4.0, 0.8, 20.0)


def test_a_spike_is_a_multiple_of_the_median_of_the_newest():
    assert band("spike", [900.0] * 100 + [10.0] * (SPIKE_INTERVALS - 1) + [5_000.0], 2.0) == (10.0, 5.0, 20.0)


def test_a_z_score_is_counted_in_deviations_from_the_mean():
    found = band("zscore", [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], 3.0)
    deviation = sqrt(32 / 7)
    assert found == pytest.approx((5.0, 5 - 3 * deviation, 5 + 3 * deviation))


def test_the_fences_of_quartiles_are_one_and_a_half_of_their_distance_away():
    assert band("iqr", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 1.5) == (5.0, -3.0, 13.0)


def test_smoothing_forgets_by_half_in_a_half_life():
    """From 0 to 100: after a half-life it is half way."""
    found = band("ewma", [0.0] * 3_000 + [100.0] * HALF_LIFE_INTERVALS, 3.0)
    assert found.centre == pytest.approx(50, rel=0.02)
    assert found.high > 100


def test_smoothing_begins_with_the_mean_and_not_with_the_first_number():
    assert band("ewma", [1_000.0, 10.0, 10.0, 10.0], 3.0).centre == pytest.approx(257.5)


@ALL
@given(past=st.lists(st.floats(-1e150, 1e150), min_size=1, max_size=50), counts=st.booleans())
def test_what_is_usual_surrounds_its_centre_whatever_came_before(method: Method, past: list[float], counts: bool):
    usual = band(method, past, LIMITS[method], counts=counts)
    assert usual.low <= usual.centre <= usual.high


@pytest.mark.parametrize(
    ("method", "usual", "unusual"),
    [
        ("ratio", 499.0, 501.0),
        ("spike", 199.0, 201.0),
        ("zscore", 129.0, 131.0),
        ("iqr", 139.0, 141.0),
        ("ewma", 129.0, 132.0),
    ],
)
def test_how_far_is_too_far_where_nobody_says_it(method: Method, usual: float, unusual: float):
    """The mean and the median are 100, the deviation is 10, and the quartiles are 90 and 110."""
    past = [90.0, 110.0] * 50
    assert not fed(method, past).close(usual)
    assert fed(method, past).close(unusual)


@given(numbers=st.lists(st.floats(allow_nan=False), max_size=40), size=st.integers(1, 12))
def test_a_history_is_the_newest_numbers_in_their_order(numbers: list[float], size: int):
    history = History(size)
    for each in numbers:
        history.take(each)
    assert list(history.all()) == numbers[-size:]


# --- the traps -------------------------------------------------------------------------------------------------


@ALL
def test_the_present_is_no_part_of_its_own_baseline(method: Method):
    """With the present among ten numbers no z-score exceeds 2.85, however large it is; so three were never reached."""
    made = fed(method, wavy(9), known_least=9)
    assert made.exceeds(10_000.0)
    assert made.close(10_000.0)


@ALL
def test_a_baseline_that_never_moved_stays_calm_at_a_wiggle_and_still_sees_what_is_large(method: Method):
    made = fed(method, [100.0] * 50)
    assert not made.close(100.0 * (1 + FLOOR_RATIO))
    assert made.close(600.0)


@pytest.mark.parametrize("method", OF_DEVIATION)
def test_counts_that_never_moved_may_move_as_far_as_chance_alone_moves_them(method: Method):
    for counts, found in ((False, True), (True, False)):
        assert fed(method, [100.0] * 50, counts=counts).close(118.0) is found


@ALL
def test_nothing_is_unusual_for_a_stream_that_was_always_zero_but_what_chance_does_not_explain(method: Method):
    made = fed(method, [0.0] * 50, counts=True, least=5.0)
    assert not made.close(1.0)
    assert not made.close(5.0)
    assert made.close(50.0)


@ALL
def test_a_new_stream_is_not_judged_before_enough_is_known(method: Method):
    made = stream(method, known_least=10)
    for number in range(10):
        assert made.band is None
        assert not made.close(10.0**number), "whatever it is"
    assert made.band is not None


def test_more_may_have_to_be_known_than_is_remembered():
    made = stream("spike", known_least=SPIKE_INTERVALS * 2)
    assert not any(made.close(10.0) for _ in range(SPIKE_INTERVALS * 2))
    assert made.close(100.0)


@ALL
def test_a_fall_to_nothing_is_unusual_and_not_missing(method: Method):
    made = fed(method, wavy(60))
    assert made.close(0.0)


@ALL
def test_little_traffic_makes_no_noise(method: Method):
    """One event where there was mostly none is a large ratio, and nothing."""
    made = fed(method, [0.0, 0.0, 0.0, 0.0, 1.0] * 20, direction="both", least=20.0, counts=True)
    assert not made.close(19.0)
    assert not made.close(0.0)
    assert made.close(60.0)


@ALL
@pytest.mark.parametrize("number", [nan, inf, -inf])
def test_what_is_no_number_is_nothing(method: Method, number: float):
    made = fed(method, wavy(60))
    usual = made.band
    assert not made.close(number)
    assert made.band == usual


@ALL
def test_the_largest_numbers_do_not_break_what_is_counted_with_them(method: Method):
    made = fed(method, wavy(60))
    assert made.close(1e308)
    for _ in range(SIZE):
        made.close(1e308)
    assert made.band is not None
    assert made.band.low <= made.band.high < inf


@pytest.mark.parametrize(
    ("direction", "high", "low"), [("up", True, False), ("down", False, True), ("both", True, True)]
)
def test_only_what_is_asked_for_is_unusual(direction: Direction, high: bool, low: bool):
    assert fed("zscore", wavy(60), direction=direction).close(500.0) is high
    assert fed("zscore", wavy(60), direction=direction).close(0.0) is low


# --- what becomes part of the baseline -------------------------------------------------------------------------


@ALL
def test_an_attack_does_not_become_usual_while_it_lasts(method: Method):
    """A flood of a sixth of the history leaves no trace in what is usual."""
    made = fed(method, wavy(SIZE, deviation=5.0))
    usual = made.band
    assert all(made.close(5_000.0) for _ in range(SIZE // 6))
    assert made.band == usual
    assert not made.close(100.0)


@ALL
def test_another_level_for_good_becomes_usual_after_a_while(method: Method):
    made = fed(method, wavy(SIZE, deviation=5.0))
    unusual = [made.close(each) for each in wavy(SIZE * 2, level=2_000.0, deviation=100.0)]
    assert all(unusual[: int(SIZE * HELD_RATIO)])
    assert not any(unusual[int(SIZE * (HELD_RATIO + 1)) :]), "it does not go on for ever"


@ALL
def test_silence_for_good_becomes_usual_after_a_while(method: Method):
    made = fed(method, wavy(SIZE, deviation=5.0), counts=True, least=10.0)
    unusual = [made.close(0.0) for _ in range(SIZE * 2)]
    assert all(unusual[: int(SIZE * HELD_RATIO)])
    assert not any(unusual[int(SIZE * (HELD_RATIO + 1)) :])


@ALL
def test_where_several_in_a_row_are_needed_single_outliers_are_not_found(method: Method):
    made = fed(method, wavy(SIZE, deviation=5.0), row=3)
    assert [made.close(each) for each in (900.0, 100.0, 900.0, 900.0, 100.0)] == [False] * 5
    assert [made.close(each) for each in (900.0, 900.0, 900.0, 900.0)] == [False, False, True, True]


def test_an_outlier_that_is_not_found_moves_what_is_usual_no_further_than_the_bound_that_it_passed():
    once, far = (fed("zscore", wavy(SIZE), row=2) for _ in range(2))
    usual = once.band
    assert usual is not None
    once.close(usual.high)
    far.close(1e9)
    assert far.band == once.band


def test_a_number_that_only_grows_is_found_before_its_interval_is_over():
    made = fed("ratio", wavy(60), row=2)
    assert not made.exceeds(600.0), "the first of two"
    made.close(600.0)
    assert not made.exceeds(400.0)
    assert made.exceeds(600.0)


def test_without_a_method_the_limit_is_the_bound_and_nothing_has_to_be_known():
    def fixed(direction: Direction, row: int = 1) -> Stream:
        return Stream(Manner(method=None, limit=-5.0, size=1, known_least=0, direction=direction, row=row))

    assert [fixed("up").close(number) for number in (-5.1, -5.0, -4.9)] == [False, False, True]
    assert [fixed("down").close(number) for number in (-5.1, -5.0, -4.9)] == [True, False, False]
    twice = fixed("up", row=2)
    assert [twice.close(number) for number in (1.0, 1.0, -9.0, 1.0)] == [False, True, False, False]
    always = fixed("up")
    assert all(always.close(1.0) for _ in range(1_000)), "it never becomes usual"
