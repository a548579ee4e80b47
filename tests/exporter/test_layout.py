"""Lines that are written by what was remembered are those that would be written from scratch."""

import math
from enum import IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition import Format, render
from exporter.family import Family, Samples, Shape
from exporter.layout import PIECE_SERIES, SERIES_MAX
from exporter.points import InvalidFamily

KEYS = st.lists(st.tuples(st.text(max_size=3), st.text('%rs\n "\\', max_size=6)), max_size=4, unique=True)
NUMBERS = st.one_of(st.floats(), st.integers(-(2**70), 2**70), st.booleans())


class Level(IntEnum):
    HIGH = 3


def page_of(shape: Shape, samples: Samples) -> bytes:
    return render([shape.of(samples)], Format.TEXT)


def read(page: bytes) -> list[tuple[bytes, str]]:
    """Each line in two parts: 1 and 1.0 are the same number, and the one may stand for the other."""
    parts = [line.rpartition(b" ") for line in page.split(b"\n")[:-1] if line[:1] != b"#"]
    return [(series, repr(float(number) + 0.0)) for series, _, number in parts]


@given(st.lists(st.tuples(KEYS, st.lists(NUMBERS, min_size=4, max_size=4)), min_size=1, max_size=5))
def test_a_shape_that_was_used_before_writes_what_a_new_one_writes(
    scrapes: list[tuple[list[tuple[str, str]], list[float]]],
) -> None:
    used = Shape("node_x", "gauge", "A test.", ("a", "b"))
    for keys, numbers in scrapes:
        samples = list(zip(keys, numbers, strict=False))
        fresh = Shape("node_x", "gauge", "A test.", ("a", "b"))
        assert read(page_of(used, samples)) == read(page_of(fresh, samples))


@given(st.lists(NUMBERS, min_size=1, max_size=5))
def test_a_family_without_labels_is_written_alike_by_both_ways(numbers: list[float]) -> None:
    shape = Shape("node_x", "gauge", "A test.")
    for number in numbers:
        assert read(render([shape.single(number)], Format.TEXT)) == read(page_of(shape, [((), number)]))


@pytest.mark.parametrize(
    ("number", "text"),
    [(True, "1"), (Level.HIGH, "3"), (2**70, "1180591620717411303424"), (math.nan, "NaN"), (-math.inf, "-Inf")],
)
def test_each_number_is_written_as_prometheus_reads_it(number: float, text: str) -> None:
    for shape in (Shape("node_x", "gauge", "A test."), Shape("node_x", "gauge", "A test.", ("a",))):
        key = ("%r %s",) * len(shape.labels)
        assert page_of(shape, [(key, 1.5)]).endswith(b" 1.5\n")
        assert page_of(shape, [(key, number)]).endswith(f" {text}\n".encode())


@pytest.mark.parametrize("number", [2**1024, -(2**1024), "1", None])
def test_what_is_no_number_is_refused(number: float) -> None:
    with pytest.raises(InvalidFamily, match="cannot be"):
        Shape("node_x", "gauge", "A test.").single(number)


def test_a_family_too_large_to_be_remembered_is_written_just_the_same() -> None:
    shape = Shape("node_x", "gauge", "A test.", ("a",))
    samples = [((f"{index}%",), index / 2) for index in range(SERIES_MAX + PIECE_SERIES + 1)]
    large = shape.of(samples)
    assert shape.layout is None
    lines = render([large], Format.TEXT).splitlines()[2:]
    assert lines == [f'node_x{{a="{key}"}} {number!r}'.encode() for (key,), number in samples]
    with pytest.raises(InvalidFamily, match="same labels"):
        shape.of([*samples, samples[0]])
    with pytest.raises(InvalidFamily, match="found 2 label values"):
        shape.of([*samples, (("a", "b"), 1)])
    with pytest.raises(InvalidFamily, match="a counter cannot be"):
        Shape("node_x_total", "counter", "A test.", ("a",)).of([*samples, (("a",), -1)])


def test_only_the_last_scrape_is_remembered() -> None:
    shape = Shape("node_x", "gauge", "A test.", ("a",))
    for index in range(3):
        shape.of([((str(index),), 1)])
    assert shape.layout is not None
    assert shape.layout.keys == (("2",),)


def test_families_of_the_same_words_are_equal() -> None:
    families = [Family.of(name="node_x", type="gauge", help="A test.", samples=(((), 1),)) for _ in range(2)]
    assert families[0] == families[1] == Shape("node_x", "gauge", "A test.").single(1)
    assert families[0] != Shape("node_y", "gauge", "A test.").single(1)
