"""What is found in texts of all kinds, and what is left alone."""

import re
from pathlib import Path

import pytest

from guard.redaction import PATTERNS
from guard.redaction.text import redacted
from tests.guard.personal import HARMLESS, PERSONAL

PAGE = Path(__file__).parents[2] / "docs" / "redaction.md"
AROUND = (
    "{}",
    "x {} y",
    "({})",
    "<{}>",
    "from={}, ",
    "peer {}.",
    "[{}]",
    '"{}"',
    "{}\n{}",
    "a; {}; b",
    "é {} ü",
    "{}|1",
)


def seen_in(text: str) -> tuple[str, list[str]]:
    seen: list[str] = []
    return redacted(text, seen=seen.append), seen


@pytest.mark.parametrize(("pattern", "value"), [(name, value) for name, all_of in PERSONAL.items() for value in all_of])
def test_what_is_personal_is_found_and_named(pattern: str, value: str) -> None:
    found, seen = seen_in(value)
    assert value not in found
    assert pattern in seen
    assert set(seen) <= set(PATTERNS)


def test_the_page_for_people_lists_every_pattern() -> None:
    _, _, part = PAGE.read_text().partition("\n## What is found\n")
    rows = re.findall(r"^\| `(\w+)` \|", part.partition("\n## ")[0], re.MULTILINE)
    assert sorted(rows) == sorted([*PATTERNS, "pattern"])


@pytest.mark.parametrize("around", AROUND)
def test_what_is_personal_is_found_in_the_middle_of_a_text(around: str) -> None:
    kept = [value for values in PERSONAL.values() for value in values if value in redacted(around.replace("{}", value))]
    assert kept == []


def test_what_is_personal_is_found_between_letters_of_other_words() -> None:
    glued = ("ana@example.org", "192.0.2.7", "4111111111111111", "+491701234567", "2001:db8::1")
    assert [value for value in glued if value in redacted(f"zz_{value}_zz")] == []


def test_two_of_them_are_two() -> None:
    text, seen = seen_in("ana@example.org from 192.0.2.7 with 4111 1111 1111 1111 and +49 170 1234567")
    assert text == "[EMAIL] from [IP] with [CARD] and [PHONE]"
    assert seen == ["email", "ip", "card", "phone"]


def test_what_is_hidden_twice_over_is_found_beside_what_is_not() -> None:
    assert redacted("192.0.2.7 ana%2540example.org") == "[IP] [EMAIL]"


def test_a_text_with_harmless_escapes_stays_as_it_was() -> None:
    assert redacted("a%20b \\u0041 &amp; ①") == "a%20b \\u0041 &amp; ①"


def test_what_says_nothing_about_a_person_stays() -> None:
    changed = {text: redacted(text) for text in HARMLESS}
    assert {text: found for text, found in changed.items() if found != text} == {}
    assert len(HARMLESS) > 500
