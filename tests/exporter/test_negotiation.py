"""What headers ask for, and that no header is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.escaping import Escaping
from exporter.exposition import Format
from exporter.negotiation import (
    OFFERS,
    RANGES_MAX,
    Wishes,
    WrongSelection,
    accepts_gzip,
    choose_collectors,
    choose_format,
    scrape_seconds,
)

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
OPENMETRICS_UTF8 = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=allow-utf-8"
OPENMETRICS_OLD = "application/openmetrics-text; version=0.0.1; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
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
        (PROMETHEUS_2, OPENMETRICS_OLD),
        ("text/plain", TEXT),
        ("text/*", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ('Application/OpenMetrics-Text; Version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; escaping=dots", OPENMETRICS.replace("underscores", "dots")),
        ("application/openmetrics-text; version=1.0.0; escaping=values", OPENMETRICS.replace("underscores", "values")),
        ("application/openmetrics-text; version=1.0.0; escaping=nonsense", OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1; escaping=allow-utf-8", OPENMETRICS_OLD),
        ("text/plain; version=1.0.0", TEXT_1),
        ("text/plain; version=1.0.0; escaping=allow-utf-8", TEXT_1.replace("underscores", "allow-utf-8")),
        ("text/plain; version=0.0.4; escaping=allow-utf-8", TEXT),
        ("text/plain; version=7, application/openmetrics-text; version=0.0.2", TEXT),
        ("application/*", OPENMETRICS),
        ("application/*, */*", OPENMETRICS),
        ("*/*, application/openmetrics-text; version=1.0.0; q=0.9", TEXT),
        # The closest range decides about a format, whatever wider ones say.
        ("*/*; q=0.9, text/plain; q=0.1, application/openmetrics-text; version=1.0.0; q=0.2", OPENMETRICS),
        ("text/plain; q=0, */*; q=0.1", OPENMETRICS),
        ("text/plain; version=0.0.4; q=0, text/*; q=1", TEXT),
        ("application/openmetrics-text; version=1.0.0; q=0, application/openmetrics-text", TEXT),
        # What stands between quotes separates nothing.
        ('text/plain; version="0.0.4, application/openmetrics-text"; q=0.1', TEXT),
        ('text/html; title="a;q=1,b", application/openmetrics-text; q=0.1', OPENMETRICS),
        ('text/html; title="never closed, application/openmetrics-text', TEXT),
        (",;,=;q=,", TEXT),
        (",", TEXT),
        (",".join(["text/html"] * RANGES_MAX) + ",application/openmetrics-text", TEXT),
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
    form, escaping = choose_format(accept)
    assert Wishes(1.0, form, escaping).content_type == content_type


@given(st.text())
def test_no_accept_header_is_an_error(accept: str) -> None:
    form, escaping = choose_format(accept)
    assert form in Format
    assert escaping in Escaping


RANGES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["text/plain", "text/*", "*/*", "application/*", "application/openmetrics-text", "text/html"]),
    st.sampled_from(["", ";version=0.0.4", ";version=1.0.0", ";version=0.0.1", ";version=2.0.0"]),
    st.sampled_from(["", ";q=0", ";q=0.1", ";q=0.5", ";q=1"]),
)


@given(st.lists(RANGES, min_size=1, max_size=5))
def test_what_is_sent_was_asked_for_or_is_plain_text(ranges: list[str]) -> None:
    form, _ = choose_format(",".join(ranges))
    media_type, version = next((offer.media_type, offer.version) for offer in OFFERS if offer.form is form)
    exactly = [each for each in ranges if each.startswith(f"{media_type};version={version}")]
    loosely = [each for each in ranges if "version" not in each]
    wanted = any(not each.endswith(";q=0") for each in exactly or loosely)
    assert form is Format.TEXT or wanted


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
        ("x-gzip", True),
        ("gzip;q=0.5, identity", False),
        ("gzip, identity", True),
        ("gzip;q=0.2, identity;q=0.1", True),
        ("identity;q=0", True),
        ("identity;q=0, *;q=0", False),
        ("identity;q=0, gzip;q=0", False),
        ("br, deflate", False),
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


THERE = ("cpu", "meminfo", "time")


@pytest.mark.parametrize(
    ("collect", "exclude", "chosen"),
    [
        ([], [], None),
        (["time", "cpu"], [], ("cpu", "time")),
        (["cpu", "cpu"], [], ("cpu",)),
        (["time", "cpu", "meminfo"], [], None),
        ([], ["cpu"], ("meminfo", "time")),
        ([], ["time", "cpu", "meminfo"], ()),
    ],
)
def test_collectors_are_chosen_by_name(collect: list[str], exclude: list[str], chosen: tuple[str, ...] | None) -> None:
    assert choose_collectors(collect, exclude, there=THERE) == chosen


@pytest.mark.parametrize(
    ("collect", "exclude", "said"),
    [
        (["disk"], [], "no collector 'disk' is enabled here; these are: cpu, meminfo, time"),
        ([], ["x" * 999], f"no collector '{'x' * 80}' is enabled here"),
        ([""], [], "no collector '' is enabled here"),
        (["cpu"], ["time"], r"collect\[\] and exclude\[\] cannot be used together"),
    ],
)
def test_a_selection_that_cannot_be_followed_says_why(collect: list[str], exclude: list[str], said: str) -> None:
    with pytest.raises(WrongSelection, match=said):
        choose_collectors(collect, exclude, there=THERE)
