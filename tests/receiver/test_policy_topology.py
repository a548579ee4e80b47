"""Walking through what needs what: nearest first, in a stated order, each service once."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from receiver.policy import topology
from receiver.policy.topology import cycle, downstream, needed_by, upstream

SHOP = {"shop": ("payments", "search"), "payments": ("database", "queue"), "search": ("index", "database"), "queue": ()}
NAMES = st.sampled_from("abcdefgh")
GRAPHS = st.dictionaries(NAMES, st.lists(NAMES, max_size=5).map(tuple))


def test_what_is_upstream_comes_nearest_first_and_in_the_order_of_the_file() -> None:
    assert list(upstream(SHOP, "shop")) == [
        *(("payments", 1), ("search", 1)),
        *(("database", 2), ("queue", 2), ("index", 2)),
    ]
    assert list(upstream(SHOP, "index")) == list(upstream(SHOP, "unheard")) == []


def test_what_is_downstream_comes_nearest_first_and_by_name() -> None:
    back = needed_by(SHOP)
    assert list(back) == sorted(back)
    assert list(downstream(back, "database")) == [("payments", 1), ("search", 1), ("shop", 2)]
    assert list(downstream(back, "shop")) == []


def test_a_walk_ends_in_a_circle_and_does_not_come_back_to_its_beginning() -> None:
    assert list(upstream({"a": ("a", "b"), "b": ("c", "a"), "c": ("a",)}, "a")) == [("b", 1), ("c", 2)]


def test_a_walk_has_a_limit() -> None:
    chain = {f"s{number}": (f"s{number + 1}",) for number in range(topology.REACHED_MAX + 10)}
    reached = list(upstream(chain, "s0"))
    assert (len(reached), reached[-1]) == (topology.REACHED_MAX, (f"s{topology.REACHED_MAX}", topology.REACHED_MAX))


def test_a_very_long_chain_has_no_cycle_until_its_end_leads_back() -> None:
    chain = {f"s{number}": (f"s{number + 1}",) for number in range(20_000)}
    assert cycle(chain) == ()
    assert len(cycle({**chain, "s20000": ("s100",)})) == 20_000 - 100 + 1


def test_a_net_with_more_ways_than_anybody_could_walk_is_gone_through_once() -> None:
    net = {f"{side}{layer}": (f"a{layer + 1}", f"b{layer + 1}") for layer in range(100) for side in "ab"}
    assert cycle(net) == ()
    assert len(list(upstream(net, "a0"))) == 200


def steps_in_the_model(depends_on: Mapping[str, tuple[str, ...]], service: str) -> dict[str, int]:
    """By going round and round until nothing is added."""
    steps = {service: 0}
    for number in range(len("abcdefgh") + 1):
        for here in [name for name, found in steps.items() if found == number]:
            for needed in depends_on.get(here, ()):
                steps.setdefault(needed, number + 1)
    return {name: found for name, found in steps.items() if found}


@given(depends_on=GRAPHS, service=NAMES)
def test_both_ways_reach_what_the_model_reaches_in_as_many_steps(
    depends_on: dict[str, tuple[str, ...]], service: str
) -> None:
    up = list(upstream(depends_on, service))
    assert dict(up) == steps_in_the_model(depends_on, service)
    assert len(up) == len(dict(up))
    assert all(before <= after for (_, before), (_, after) in pairwise(up))
    for other in "abcdefgh":
        if other != service:
            assert dict(downstream(needed_by(depends_on), other)).get(service) == dict(up).get(other)


@given(depends_on=GRAPHS)
def test_a_cycle_is_found_where_a_service_reaches_itself_and_nowhere_else(
    depends_on: dict[str, tuple[str, ...]],
) -> None:
    found = cycle(depends_on)
    circular = any(
        service in depends_on.get(each, ())
        for service in depends_on
        for each in [service, *(name for name, _ in upstream(depends_on, service))]
    )
    assert bool(found) == circular
    for here, needed in zip(found, [*found[1:], *found[:1]], strict=True):
        assert needed in depends_on[here]


def test_the_same_edges_in_another_order_give_the_same_walk_and_the_same_cycle() -> None:
    turned = dict(reversed(SHOP.items()))
    assert needed_by(turned) == needed_by(SHOP)
    assert list(downstream(needed_by(turned), "database")) == list(downstream(needed_by(SHOP), "database"))
    circle = {"c": ("b",), "b": ("a",), "a": ("c",)}
    assert cycle(circle) == cycle(dict(reversed(circle.items()))) == ("a", "c", "b")
