"""Pages that every parser reads back as they were meant."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.exposition import Format, render
from exporter.family import Family, single

# Anything that UTF-8 can carry; surrogates are a case of their own.
LABEL_VALUES = st.text(st.characters(exclude_categories=["Cs"]))
HOSTILE = st.one_of(LABEL_VALUES, st.text('\\"\n{}=,# \r\t', max_size=8))


def labelled(*values: tuple[str, str], name: str = "node_uname_info") -> Family:
    samples = [(pair, float(index)) for index, pair in enumerate(values)]
    return Family.of(name=name, type="gauge", help="A test.", labels=("a", "b"), samples=samples)


def read_back(family: Family, form: Format) -> list[tuple[dict[str, str], float]]:
    page = render([family], form).decode()
    parse = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    found: list[Metric] = list(parse(page))
    return [(sample.labels, sample.value) for metric in found for sample in metric.samples]


@given(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=4, unique=True))
def test_hostile_label_values_come_back_from_openmetrics(values: list[tuple[str, str]]) -> None:
    expected = [({"a": a, "b": b}, float(index)) for index, (a, b) in enumerate(values)]
    assert read_back(labelled(*values), Format.OPENMETRICS) == expected


@given(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=4, unique=True))
def test_hostile_label_values_come_back_from_the_text_format(values: list[tuple[str, str]]) -> None:
    expected = [({"a": a, "b": b}, float(index)) for index, (a, b) in enumerate(values)]
    assert read_back(labelled(*values), Format.TEXT) == expected


@given(st.floats(allow_nan=False))
def test_every_number_comes_back_exactly(value: float) -> None:
    family = Family.of(name="node_load1", type="gauge", help="A test.", samples=single(value))
    for form in Format:
        assert read_back(family, form) == [({}, value)]


def test_not_a_number_is_written_in_prometheus_words() -> None:
    family = Family.of(name="node_load1", type="gauge", help="A test.", samples=single(math.nan))
    assert b"node_load1 NaN\n" in render([family], Format.TEXT)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_hostile_help_text_stays_one_line(text: str) -> None:
    family = Family.of(name="node_load1", type="gauge", help=text, samples=single(1))
    page = render([family], Format.TEXT).decode()
    assert page.count("\n") == 3
    assert page.endswith("\n# TYPE node_load1 gauge\nnode_load1 1\n")


def test_a_surrogate_does_not_cost_the_page() -> None:
    assert b'a="?"' in render([labelled(("\udc80", ""))], Format.TEXT)


def test_the_text_format_shows_help_then_type_then_samples() -> None:
    family = Family.of(name="node_forks_total", type="counter", help='A "test".', samples=single(7))
    assert render([family], Format.TEXT).decode() == (
        '# HELP node_forks_total A "test".\n# TYPE node_forks_total counter\nnode_forks_total 7\n'
    )


def test_openmetrics_names_the_counter_without_its_suffix_and_ends_with_eof() -> None:
    family = Family.of(name="node_forks_total", type="counter", help='A "test".', samples=single(7))
    assert render([family], Format.OPENMETRICS).decode() == (
        '# TYPE node_forks counter\n# HELP node_forks A \\"test\\".\nnode_forks_total 7\n# EOF\n'
    )


def test_an_unknown_type_has_the_word_of_each_format() -> None:
    family = Family.of(name="node_vmstat_pgfault", type="unknown", help="A test.", samples=single(7))
    assert b"# TYPE node_vmstat_pgfault untyped\n" in render([family], Format.TEXT)
    assert b"# TYPE node_vmstat_pgfault unknown\n" in render([family], Format.OPENMETRICS)


def test_a_family_without_samples_leaves_no_trace() -> None:
    assert render([labelled()], Format.TEXT) == b""
    assert render([labelled()], Format.OPENMETRICS) == b"# EOF\n"


def test_the_same_families_are_the_same_bytes() -> None:
    families = [labelled(("x", "y"), ("y", "x")), labelled(("z", ""), name="node_other")]
    assert render(families, Format.TEXT) == render(list(families), Format.TEXT)
