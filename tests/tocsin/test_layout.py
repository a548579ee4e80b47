"""Text on a terminal: cut and wrapped by columns, and durations as people read them."""

from __future__ import annotations

import io
import os
import pty
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.layout import COLUMNS_LEAST, columns_of, cut, lasting, table, taking, width, wrapped

TEXTS = st.text(st.sampled_from("ab cdé警報\u0301 "))


@pytest.mark.parametrize(("text", "columns"), [("", 0), ("abc", 3), ("警報", 4), ("Ko\u0308ln", 4)])
def test_width_counts_columns(text: str, columns: int) -> None:
    assert width(text) == columns


@given(TEXTS, st.integers(min_value=1, max_value=30))
def test_what_is_cut_fits_and_says_so(text: str, columns: int) -> None:
    shown = cut(text, columns)
    assert width(shown) <= columns
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


@given(TEXTS, st.integers(min_value=2, max_value=6))
def test_wrapped_lines_fit_and_lose_only_spaces(text: str, indent: int) -> None:
    columns = indent + COLUMNS_LEAST
    lines = wrapped(text, columns, indent=indent, lines_max=1000)
    assert all(line.startswith(" " * indent) and width(line) <= columns for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@given(TEXTS, st.integers(min_value=1, max_value=4))
def test_no_more_lines_than_asked_for_and_what_is_missing_is_marked(text: str, lines_max: int) -> None:
    lines = wrapped(text, COLUMNS_LEAST, indent=0, lines_max=lines_max)
    assert len(lines) <= lines_max
    whole = "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert whole or lines[-1].endswith("…")


def test_lines_break_between_words_where_they_can() -> None:
    text = "the first route that matches is everything, also " + "x" * 30
    assert wrapped(text, 24, indent=2, lines_max=9) == [
        "  the first route that",
        "  matches is everything,",
        "  also xxxxxxxxxxxxxxxxx",
        "  xxxxxxxxxxxxx",
    ]
    assert wrapped(text, None, indent=2, lines_max=9) == [f"  {text}"]


def test_a_table_has_columns_as_wide_as_what_is_in_them() -> None:
    rows = [("ID", "WHO", "TITLE"), ("T-2", "警報", "x" * 40), ("T-10", "-", "short")]
    assert table(rows, 32).splitlines() == [
        "ID    WHO   TITLE",
        f"T-2   警報  {'x' * 19}…",
        "T-10  -     short",
    ]
    assert table(rows, None).splitlines()[1] == f"T-2   警報  {'x' * 40}"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0.9, "0s"), (59, "59s"), (62, "1m2s"), (3600, "1h"), (5405, "1h30m"), (187_200, "2d4h")],
)
def test_a_duration_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert lasting(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0124, "12ms"), (1.52, "1.5s"), (75.0, "1m15s")])
def test_how_long_a_machine_took(seconds: float, text: str) -> None:
    assert taking(seconds) == text


@pytest.mark.parametrize(
    ("said", "columns"), [("100", 100), ("0", None), ("", None), ("wide", None), ("-3", None), ("٣", None)]
)
def test_the_width_is_what_columns_says_and_none_for_a_pipe(said: str, columns: int | None) -> None:
    assert columns_of(io.StringIO(), {"COLUMNS": said}) == columns


def test_the_width_is_that_of_the_terminal() -> None:
    master, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, 73))
    with os.fdopen(master, "wb"), os.fdopen(terminal, "w") as out:
        assert columns_of(out, {}) == 73
        assert columns_of(out, {"COLUMNS": "50"}) == 50
