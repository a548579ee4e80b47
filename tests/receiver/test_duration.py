"""Durations are Prometheus' own."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receiver.policy.duration import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta(0)),
        ("0s", timedelta(0)),
        ("500ms", timedelta(milliseconds=500)),
        ("30s", timedelta(seconds=30)),
        ("5m", timedelta(minutes=5)),
        ("1h30m", timedelta(minutes=90)),
        ("90m", timedelta(minutes=90)),
        ("1d", timedelta(days=1)),
        ("2w", timedelta(weeks=2)),
        ("1y1w1d1h1m1s1ms", timedelta(days=373, hours=1, minutes=1, seconds=1, milliseconds=1)),
    ],
)
def test_what_prometheus_accepts_is_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "5",
        "-5m",
        "+5m",
        "5 m",
        "5m ",
        "1.5h",
        "m",
        "5M",
        "30m1h",
        "5m5m",
        "5min",
        "1e3s",
        "٥m",
        "5m\n",
        "101y",
        "9" * 80 + "s",
    ],
)
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


@given(st.integers(0, 100 * 365 * 86_400_000))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@given(st.text(max_size=20))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse_duration(text) >= timedelta(0)
