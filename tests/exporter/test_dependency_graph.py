"""Who needs whom: ways that lead in a circle, and whose fault it is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.dependencies.graph import Graph, cycles

NAMES = [f"n{number}" for number in range(12)]
SHOP = {
    "shop": ("checkout", "search"),
    "checkout": ("db", "payment"),
    "search": ("index",),
    "db": (),
    "payment": ("network",),
    "index": (),
    "network": (),
}


@st.composite
def without_cycles(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """Each needs only what comes before it."""
    order = draw(st.permutations(NAMES))
    needs = {
        name: tuple(draw(st.lists(st.sampled_from(order[:place]), unique=True)) if place else ())
        for place, name in enumerate(order)
    }
    return {name: needs[name] for name in draw(st.permutations(order))}


anything = st.fixed_dictionaries({name: st.lists(st.sampled_from(NAMES), unique=True, max_size=4) for name in NAMES})


def reached(name: str, needs: dict[str, list[str]] | dict[str, tuple[str, ...]]) -> set[str]:
    found: set[str] = set()
    edge = list(needs[name])
    while edge:
        each = edge.pop()
        if each not in found:
            found.add(each)
            edge += needs[each]
    return found


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ({}, []),
        ({"a": ()}, []),
        ({"a": ("a",)}, [("a", "a")]),
        ({"a": ("b",), "b": ("a",)}, [("a", "b", "a")]),
        ({"a": ("b",), "b": ("c",), "c": ("b",)}, [("b", "c", "b")]),
        ({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}, []),
        ({"a": ("nobody",)}, []),
        ({"a": ("b",), "b": ("a",), "c": ("d",), "d": ("c",)}, [("a", "b", "a"), ("c", "d", "c")]),
    ],
)
def test_a_way_that_leads_back_is_named(needs: dict[str, tuple[str, ...]], found: list[tuple[str, ...]]) -> None:
    assert cycles(needs) == found


@given(anything)
def test_there_is_a_cycle_exactly_where_one_needs_itself(needs: dict[str, list[str]]) -> None:
    found = cycles(needs)
    assert bool(found) is any(name in reached(name, needs) for name in needs)
    for way in found:
        assert way[0] == way[-1]
        assert all(after in needs[before] for before, after in pairwise(way))


def test_a_chain_of_thousands_is_no_matter() -> None:
    needs = {f"n{number}": (f"n{number + 1}",) for number in range(5_000)} | {"n5000": ()}
    assert cycles(needs) == []
    assert cycles(needs | {"n5000": ("n0",)}) == [(*needs, "n0")]


def test_the_deepest_that_is_sick_is_the_cause_and_the_way_to_it_is_told() -> None:
    found = Graph(SHOP).causes(dict.fromkeys(["shop", "checkout", "db"]))
    assert found == {"shop": ("shop", "checkout", "db"), "checkout": ("checkout", "db"), "db": ("db",)}


def test_a_cause_is_found_through_what_still_looks_well() -> None:
    """It was asked a moment ago, or it hides what it has lost."""
    assert Graph(SHOP).causes(dict.fromkeys(["shop", "network"])) == {
        "shop": ("shop", "checkout", "payment", "network"),
        "network": ("network",),
    }


def test_of_two_causes_the_nearer_one_is_told() -> None:
    found = Graph(SHOP).causes(dict.fromkeys(["shop", "checkout", "network", "db"]))
    assert found["checkout"] == ("checkout", "db")
    assert [name for name, way in found.items() if len(way) == 1] == ["db", "network"]


@given(without_cycles(), st.sets(st.sampled_from(NAMES)))
def test_a_cause_needs_nothing_that_is_sick_and_whatever_is_sick_has_one(
    needs: dict[str, tuple[str, ...]], sick: set[str]
) -> None:
    found = Graph(needs).causes(dict.fromkeys(sorted(sick)))
    assert set(found) == sick
    for name, way in found.items():
        assert way[0] == name
        assert way[-1] in sick
        assert not reached(way[-1], needs) & sick
        assert all(after in needs[before] for before, after in pairwise(way))
        assert (len(way) == 1) is not bool(reached(name, needs) & sick)
    assert cycles(needs) == []


@given(without_cycles())
def test_above_and_below_are_two_sides_of_the_same(needs: dict[str, tuple[str, ...]]) -> None:
    graph = Graph(needs)
    for name in needs:
        assert set(graph.below(name)) == reached(name, needs)
        assert all(name in graph.below(above) for above in graph.above(name))
        assert all(name in graph.above(below) for below in graph.below(name))
