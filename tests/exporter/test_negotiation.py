"""What headers ask for, and that no header is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.exposition import Format
from exporter.negotiation import accepts_gzip, choose_format, scrape_seconds

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
OPENMETRICS_UTF8 = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_2 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        (BROWSER, TEXT),
        (PROMETHEUS_3, OPENMETRICS_UTF8),
        (PROMETHEUS_2, TEXT),
        ("text/plain", TEXT),
        ("text/*", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ('Application/OpenMetrics-Text; Version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; escaping=dots", OPENMETRICS),
        ("application/openmetrics-text; version=2.0.0", TEXT),
        ("application/openmetrics-text; q=0.2, text/plain; q=0.3", TEXT),
        ("text/plain; q=0.3, application/openmetrics-text; q=0.8", OPENMETRICS),
        ("application/openmetrics-text, text/plain", OPENMETRICS),
        ("text/plain, application/openmetrics-text", TEXT),
        ("application/openmetrics-text; q=0", TEXT),
        ("application/openmetrics-text; q=nonsense, text/plain; q=0.1", TEXT),
        ("application/openmetrics-text; q=7, text/plain; q=0.1", TEXT),
        ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", TEXT),
    ],
)
def test_the_format_follows_the_qualities_and_falls_back_to_text(accept: str, content_type: str) -> None:
    assert choose_format(accept)[1] == content_type


@given(st.text())
def test_no_accept_header_is_an_error(accept: str) -> None:
    form, content_type = choose_format(accept)
    assert form in Format
    assert content_type.startswith(form.value)


@pytest.mark.parametrize(
    ("accept_encoding", "compressed"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip;q=x", False),
        ("x-gzip", False),
    ],
)
def test_gzip_is_used_where_it_is_wanted(accept_encoding: str, compressed: bool) -> None:
    assert accepts_gzip(accept_encoding) is compressed


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 8.0),
        ("10", 8.0),
        ("5", 4.5),
        ("5.25", 4.75),
        ("0.6", 0.3),
        ("0.1", 0.05),
        ("5e-324", 0.01),
        ("0", 8.0),
        ("-3", 8.0),
        ("nan", 8.0),
        ("inf", 8.0),
        ("-inf", 8.0),
        ("1e308", 8.0),
        ("ten", 8.0),
        ("", 8.0),
    ],
)
def test_the_deadline_is_the_scrapers_less_the_way_back(header: str | None, seconds: float) -> None:
    assert scrape_seconds(header, offset=0.5, longest=8.0) == pytest.approx(seconds)


@given(st.text() | st.floats().map(repr), st.floats(0, 3600), st.floats(0.1, 600))
def test_every_header_gives_a_deadline_that_can_be_kept(header: str, offset: float, longest: float) -> None:
    assert 0 < scrape_seconds(header, offset=offset, longest=longest) <= longest
