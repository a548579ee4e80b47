"""Families of every type with hostile names, labels, values and help texts, for property tests of whole pages."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from exporter.family import SUFFIXES, Family, Shape, Type
from exporter.points import Bucket, Count, Distribution, Exemplar, Histogram, InvalidFamily, Summary, Value

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TEXTS = st.one_of(ANY_TEXT, st.text('\\"\n{}=,# %rs\r\t', max_size=8), st.sampled_from(["", "+Inf", "# EOF", "1.0"]))
# Few, so that they meet; some end as parts of others do.
STEMS = ["a", "b", "a_b", "a_sum", "a_count", "a_bucket", "a_total", "a_created", "a_info", "a_seconds", "a_bytes"]
BEYOND = ["a.b", "a b", "ä", 'a"b', "a\\b", "a.seconds", "a{b}"]
LABELS = ["x", "y", "le", "quantile", "a"]
LABELS_BEYOND = ["x.y", "x y", "ü", 'x"', "x,y"]
KINDS: tuple[Type, ...] = ("counter", "gauge", "unknown", "histogram", "summary", "info", "stateset")
NUMBERS = st.one_of(st.floats(), st.integers(-(2**80), 2**80))
COUNTS = st.one_of(st.floats(0, 1e300), st.integers(0, 2**80))
MOMENTS = st.one_of(st.none(), st.floats(0, 4e9))
# The client library cannot read an exemplar whose value has an escaped quote, so those have a test of their own.
EXEMPLARS = st.one_of(
    st.none(),
    st.builds(
        lambda text, value, at: Exemplar((("trace_id", text),), value, at),
        st.text("ab {}#", max_size=4),
        NUMBERS,
        MOMENTS,
    ),
)


@st.composite
def histograms(draw: st.DrawFn) -> Histogram:
    bounds = sorted(draw(st.sets(st.floats(allow_nan=False, allow_infinity=False), max_size=3)))
    counts = sorted(draw(st.lists(st.integers(0, 2**60), min_size=len(bounds) + 1, max_size=len(bounds) + 1)))
    buckets = [Bucket(bound, count, draw(EXEMPLARS)) for bound, count in zip([*bounds, math.inf], counts, strict=True)]
    return Histogram(tuple(buckets), draw(NUMBERS), draw(MOMENTS))


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    bounds = sorted(draw(st.sets(st.floats(allow_nan=False, allow_infinity=False), max_size=3)))
    counts = draw(st.lists(st.integers(0, 2**50), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    exemplars = {place: each for place in range(len(counts)) for each in [draw(EXEMPLARS)] if each is not None}
    return Distribution(tuple(bounds), tuple(counts), draw(NUMBERS), draw(MOMENTS), exemplars)


@st.composite
def summaries(draw: st.DrawFn) -> Summary:
    quantiles = sorted(draw(st.sets(st.floats(0, 1), max_size=3)))
    return Summary(
        draw(st.integers(0, 2**60)), draw(NUMBERS), tuple((each, draw(NUMBERS)) for each in quantiles), draw(MOMENTS)
    )


VALUES: dict[Type, st.SearchStrategy[Value]] = {
    "counter": st.one_of(COUNTS, st.builds(Count, COUNTS, EXEMPLARS, MOMENTS)),
    "gauge": NUMBERS,
    "unknown": NUMBERS,
    "histogram": st.one_of(histograms(), distributions()),
    "summary": summaries(),
    "info": st.just(1),
    "stateset": st.integers(0, 1),
}


@st.composite
def families(draw: st.DrawFn) -> Family | None:
    """A family, or None where the rules refuse it: whatever is not refused must be written well."""
    kind = draw(st.sampled_from(KINDS))
    name = draw(st.sampled_from([*STEMS, *BEYOND])) + draw(st.sampled_from(["", *SUFFIXES.get(kind, ())]))
    labels = draw(st.lists(st.sampled_from([*LABELS, *LABELS_BEYOND]), max_size=2, unique=True))
    if kind == "stateset":
        labels.append(name)
    keys = draw(st.lists(st.tuples(*(TEXTS for _ in labels)), max_size=3, unique=True))
    try:
        shape = Shape(name, kind, draw(TEXTS), tuple(labels), utf8=True)
        return shape.of([(key, draw(VALUES[kind])) for key in keys])
    except InvalidFamily:
        return None
