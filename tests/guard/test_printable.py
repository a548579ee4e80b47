"""What a terminal is shown is one line, and drives nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Down: it is 90 % full", "Down: it is 90 % full"),
        ("警報 in Köln", "警報 in Köln"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\u202egnp.exe\u2028", r"\u202egnp.exe\u2028"),
        ("C:\\new", "C:\\new"),
    ],
)
def test_what_does_not_print_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_what_is_too_long_ends_with_an_ellipsis() -> None:
    assert printable("abcdef", 6) == "abcdef"
    assert printable("abcdefg", 6) == "abcde…"


@given(st.text(), st.integers(min_value=1, max_value=20))
def test_whatever_it_says_it_is_one_printable_line(text: str, characters_max: int) -> None:
    assert printable(text).isprintable()
    assert printable(text, characters_max).isprintable()
    assert len([*text][:characters_max]) <= len(printable(text, characters_max))
