"""Pages that every parser reads back as they were meant."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.exposition import Format, render
from exporter.family import Family, Shape, single
from exporter.points import Bucket, Count, Exemplar, Histogram, Summary

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


TRACED = Exemplar((("trace_id", "ab"),), 0.25, at=1520879607.5)


def both(family: Family) -> tuple[str, str]:
    """The page in each format; the strict parser has read the second one."""
    openmetrics = render([family], Format.OPENMETRICS).decode()
    list(parse_openmetrics(openmetrics))
    return render([family], Format.TEXT).decode(), openmetrics


def test_a_histogram_in_both_formats() -> None:
    shape = Shape("shop_request_seconds", "histogram", "A test.", ("route",))
    buckets = (Bucket(0.5, 2, TRACED), Bucket(1, 3), Bucket(math.inf, 3))
    text, openmetrics = both(shape.of([(("/",), Histogram(buckets, 1.5, created=1700000000.0))]))
    assert text == (
        "# HELP shop_request_seconds A test.\n# TYPE shop_request_seconds histogram\n"
        'shop_request_seconds_bucket{route="/",le="0.5"} 2\n'
        'shop_request_seconds_bucket{route="/",le="1.0"} 3\n'
        'shop_request_seconds_bucket{route="/",le="+Inf"} 3\n'
        'shop_request_seconds_sum{route="/"} 1.5\n'
        'shop_request_seconds_count{route="/"} 3\n'
    )
    assert openmetrics == (
        "# TYPE shop_request_seconds histogram\n# UNIT shop_request_seconds seconds\n"
        "# HELP shop_request_seconds A test.\n"
        'shop_request_seconds_bucket{route="/",le="0.5"} 2 # {trace_id="ab"} 0.25 1520879607.5\n'
        'shop_request_seconds_bucket{route="/",le="1.0"} 3\n'
        'shop_request_seconds_bucket{route="/",le="+Inf"} 3\n'
        'shop_request_seconds_sum{route="/"} 1.5\n'
        'shop_request_seconds_count{route="/"} 3\n'
        'shop_request_seconds_created{route="/"} 1700000000.0\n# EOF\n'
    )


def test_openmetrics_has_no_sum_that_could_fall() -> None:
    """With observations below zero a sum is no counter, and without a sum there is no count."""
    shape = Shape("shop_balance", "histogram", "A test.")
    for histogram in (Histogram((Bucket(-1, 1), Bucket(math.inf, 2)), 3.0), Histogram((Bucket(math.inf, 2),), -3.0)):
        text, openmetrics = both(shape.single(histogram))
        assert "shop_balance_sum" in text
        assert "shop_balance_count" in text
        assert "shop_balance_sum" not in openmetrics
        assert "shop_balance_count" not in openmetrics


def test_a_summary_in_both_formats() -> None:
    shape = Shape("shop_wait_seconds", "summary", "A test.")
    summary = Summary(4, 6.0, ((0.5, 1.5), (1, math.nan)), created=1.0)
    text, openmetrics = both(shape.single(summary))
    lines = (
        'shop_wait_seconds{quantile="0.5"} 1.5\nshop_wait_seconds{quantile="1.0"} NaN\n'
        "shop_wait_seconds_sum 6.0\nshop_wait_seconds_count 4\n"
    )
    assert text == f"# HELP shop_wait_seconds A test.\n# TYPE shop_wait_seconds summary\n{lines}"
    assert f"{lines}shop_wait_seconds_created 1.0\n# EOF\n" in openmetrics
    text, openmetrics = both(shape.single(Summary(1, -1.0, ((0.5, -1.0),))))
    assert "-1.0" in text
    assert "-1.0" not in openmetrics


def test_a_count_has_its_exemplar_and_its_beginning_in_openmetrics_alone() -> None:
    shape = Shape("shop_orders_total", "counter", "A test.", ("shop",))
    samples = [(("a",), Count(2, TRACED, created=1.5)), (("b",), 3)]
    text, openmetrics = both(shape.of(samples))
    assert text.endswith('shop_orders_total{shop="a"} 2\nshop_orders_total{shop="b"} 3\n')
    assert openmetrics.endswith(
        'shop_orders_total{shop="a"} 2 # {trace_id="ab"} 0.25 1520879607.5\nshop_orders_created{shop="a"} 1.5\n'
        'shop_orders_total{shop="b"} 3\n# EOF\n'
    )


def test_a_hostile_exemplar_stays_on_its_line() -> None:
    exemplar = Exemplar((("a", '"\n\\'), ("b", "")), math.inf)
    page = render([Shape("shop_total", "counter", "A test.").single(Count(1, exemplar))], Format.OPENMETRICS)
    assert b'shop_total 1 # {a="\\"\\n\\\\",b=""} +Inf\n# EOF\n' in page


def test_the_text_format_has_no_word_for_info_and_stateset() -> None:
    text, openmetrics = both(Shape("shop_build_info", "info", "A test.", ("version",)).of([(("1",), 1)]))
    assert "# TYPE shop_build_info gauge\n" in text
    assert "# TYPE shop_build info\n" in openmetrics
    states = [(("open",), 1), (("closed",), 0)]
    text, openmetrics = both(Shape("shop_breaker", "stateset", "A test.", ("shop_breaker",)).of(states))
    assert "# TYPE shop_breaker gauge\n" in text
    assert '# TYPE shop_breaker stateset\n# HELP shop_breaker A test.\nshop_breaker{shop_breaker="open"} 1\n' in (
        openmetrics
    )


def test_openmetrics_names_the_unit_that_ends_a_name() -> None:
    units = {
        Shape("node_cpu_seconds_total", "counter", "A test."): b"# UNIT node_cpu_seconds seconds\n",
        Shape("node_memory_MemFree_bytes", "gauge", "A test."): b"# UNIT node_memory_MemFree_bytes bytes\n",
    }
    for shape, line in units.items():
        assert line in render([shape.single(1)], Format.OPENMETRICS)
    for name in ("bytes", "node_load1", "node_hwmon_temp_celsius_info"):
        assert b"# UNIT" not in render([Shape(name, "gauge", "A test.").single(1)], Format.OPENMETRICS)
