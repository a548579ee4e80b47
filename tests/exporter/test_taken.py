"""What a batch brings to a metric: the same, however it is added up."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from exporter.mapping.rule import Action
from exporter.series.taken import Taken

bounds = st.lists(st.floats(-100, 100), min_size=1, max_size=12, unique=True).map(lambda each: tuple(sorted(each)))
events = st.lists(st.tuples(st.sampled_from([("a",), ("b",), ("c",)]), st.floats(-1e6, 1e6) | st.integers(-9, 9)))


@given(bounds, events, st.integers(1, 40))
def test_each_amount_is_in_the_bucket_that_holds_it(
    bounds: tuple[float, ...], events: list[tuple[tuple[str, ...], float]], times: int
) -> None:
    """`times`: many of them are put into their buckets in another way than few."""
    keys, amounts = [key for key, _ in events] * times, [amount for _, amount in events] * times
    taken = Taken(keys, amounts, Action.ADD, None, 0.0)
    found = {(key, place): count for key, (places, _) in taken.observed(bounds).items() for place, count in places}
    assert found == Counter((key, bisect_left(bounds, amount)) for key, amount in zip(keys, amounts, strict=True))
    assert taken.counts == Counter(keys)
    sums = {key: sum(amount for each, amount in zip(keys, amounts, strict=True) if each == key) for key in set(keys)}
    assert {key: round(total, 3) for key, (_, total) in taken.observed(bounds).items()} == {
        key: round(total, 3) for key, total in sums.items()
    }
    assert {key: round(total, 3) for key, total in taken.sums.items()} == {
        key: round(total, 3) for key, total in sums.items()
    }
