"""Names beyond ASCII, for scrapers that read them and for those that do not."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from prometheus_client.openmetrics.exposition import escape_label_name, escape_metric_name
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.escaping import LABEL_NAME, METRIC_NAME, Escaping, escape_label, escape_metric, is_legal
from exporter.exposition import Format, render
from exporter.family import Shape
from exporter.points import Bucket, Histogram, InvalidFamily

NAMES = st.text(min_size=1, max_size=12).filter(is_legal)
SCHEMES = [Escaping.UNDERSCORES, Escaping.DOTS, Escaping.VALUES]


@pytest.mark.parametrize(
    ("name", "underscores", "dots", "values"),
    [
        ("node_load1", "node_load1", "node_load1", "node_load1"),
        ("http.requests_total", "http_requests_total", "http_dot_requests__total", "U__http_2e_requests__total"),
        ("1st", "_st", "__st", "U___31_st"),
        ("größe", "gr__e", "gr____e", "U__gr_f6__df_e"),
        ("a b", "a_b", "a__b", "U__a_20_b"),
        ("🔔", "_", "__", "U___1f514_"),
    ],
)
def test_a_name_by_each_scheme(name: str, underscores: str, dots: str, values: str) -> None:
    assert [escape_metric(name, scheme) for scheme in SCHEMES] == [underscores, dots, values]


@given(NAMES)
def test_the_schemes_are_those_of_the_client_library(name: str) -> None:
    for scheme in SCHEMES:
        assert METRIC_NAME.fullmatch(escape_metric(name, scheme))
        assert LABEL_NAME.fullmatch(escape_label(name, scheme))
        # That library also rewrites legal names by `dots`; Prometheus' own one, and we, do not.
        if not METRIC_NAME.fullmatch(name):
            assert escape_metric(name, scheme) == escape_metric_name(name, scheme.value)
        if not LABEL_NAME.fullmatch(name):
            assert escape_label(name, scheme) == escape_label_name(name, scheme.value)


@given(NAMES, NAMES, st.text(st.characters(exclude_categories=["Cs"]), max_size=8))
def test_a_name_beyond_ascii_comes_back_from_both_formats(name: str, label: str, value: str) -> None:
    assume("_total" not in name)
    family = Shape(f"{name}_total", "counter", "A test.", (f"n{label}",), utf8=True).of([((value,), 7)])
    for form, parse in ((Format.OPENMETRICS, parse_openmetrics), (Format.TEXT_1_0_0, parse_text)):
        page = render([family], form, Escaping.ALLOW_UTF8).decode()
        (metric,) = parse(page)
        assert [(sample.name, sample.labels, sample.value) for sample in metric.samples] == [
            (f"{name}_total", {f"n{label}": value}, 7.0)
        ]


def test_how_a_name_beyond_ascii_is_written() -> None:
    shape = Shape("http.wait.seconds", "histogram", "A test.", ("http.route",), utf8=True)
    family = shape.of([(("/",), Histogram((Bucket(float("inf"), 1),), 0.5))])
    assert render([family], Format.OPENMETRICS, Escaping.ALLOW_UTF8).decode() == (
        '# TYPE "http.wait.seconds" histogram\n# HELP "http.wait.seconds" A test.\n'
        '{"http.wait.seconds_bucket","http.route"="/",le="+Inf"} 1\n'
        '{"http.wait.seconds_sum","http.route"="/"} 0.5\n{"http.wait.seconds_count","http.route"="/"} 1\n# EOF\n'
    )
    assert render([family], Format.TEXT).decode() == (
        "# HELP http_wait_seconds A test.\n# TYPE http_wait_seconds histogram\n"
        'http_wait_seconds_bucket{http_route="/",le="+Inf"} 1\n'
        'http_wait_seconds_sum{http_route="/"} 0.5\nhttp_wait_seconds_count{http_route="/"} 1\n'
    )


@pytest.mark.parametrize("name", ["", "a\nb", "\x00", "\udc80", "x" * 257])
def test_a_name_that_cannot_be_printed_is_refused(name: str) -> None:
    with pytest.raises(InvalidFamily, match="not a metric name"):
        Shape(name, "gauge", "A test.", utf8=True)
    with pytest.raises(InvalidFamily, match="not a label name"):
        Shape("x", "gauge", "A test.", (name,), utf8=True)


@pytest.mark.parametrize("labels", [("a.b", "a_b"), ("a.b", "a_dot_b"), ("a.b", "a b"), ("nä", "U__n_e4_")])
def test_labels_that_a_scheme_would_make_the_same_are_refused(labels: tuple[str, str]) -> None:
    with pytest.raises(InvalidFamily, match="given twice"):
        Shape("x", "gauge", "A test.", labels, utf8=True)


def test_a_name_is_taken_as_every_scheme_writes_it() -> None:
    taken = Shape("http.wait", "gauge", "A test.", utf8=True).claims
    assert set(taken) == {"http.wait", "http_wait", "http_dot_wait", "U__http_2e_wait"}


@pytest.mark.parametrize("label", ["über", "änameä", "üü"])
def test_a_label_that_a_scheme_would_make_a_reserved_one_is_refused(label: str) -> None:
    with pytest.raises(InvalidFamily, match="becomes a reserved one by the scheme"):
        Shape("x", "gauge", "A test.", (label,), utf8=True)


def test_a_gauge_may_become_what_we_would_not_call_one() -> None:
    family = Shape("a.total", "gauge", "A test.", utf8=True).single(1)
    assert b"# TYPE a_total gauge\na_total 1\n" in render([family], Format.TEXT)
