"""Redaction of hostile texts takes time that grows as the text does, and no faster."""

import time
from collections.abc import Callable

import pytest

from guard.redaction import path, sql
from guard.redaction.text import redacted

HOSTILE = (
    *(
        "a",
        "@",
        "a@",
        "1",
        "1.",
        "1 ",
        "1-",
        "0 ",
        "01 ",
        "(0",
        "+1",
        "a:",
        "::",
        "1:",
        "f",
        "f:",
        "A1",
        "a1B",
        "é",
        "٤",
    ),
    *("%25", "%", "/", "/1", "'", '"', '"@', "(", "?,", "$", "=", "a=", "x='", "password=", "token: ", "://", "://a@"),
    *(
        "eyJ",
        "Bearer ",
        "-----BEGIN PRIVATE KEY-----",
        "\\u0040",
        "&#",
        "&#x1;",
        "/*",
        "--",
        "$a$",
        "a.",
        ".",
        " ",
        "\n",
    ),
    *(
        "gh",
        "DE12 ",
        "\\",
        "SG.",
        "1.2.3.",
        "A-",
        "a_",
        "x: ",
        "a/",
        "[",
        "{",
        "<",
        "1:1:1:1:1:1:1:1:",
        "4111 ",
        "a b ",
    ),
)
SHORT, LONG = 1_000, 8_000
WAYS: dict[str, Callable[[str], str]] = {
    "text": redacted,
    "path": lambda text: path.template(text, str),
    "sql": lambda text: sql.template(text, str),
}


def seconds(way: Callable[[str], str], text: str) -> float:
    """Of this thread alone, the least of a few times."""
    least = 1.0
    for _ in range(3):
        before = time.thread_time()
        way(text)
        least = min(least, time.thread_time() - before)
    return least


@pytest.mark.parametrize("way", WAYS)
def test_time_grows_with_the_text_and_no_faster(way: str) -> None:
    hide = WAYS[way]
    slow = {}
    for part in HOSTILE:
        short, long = (seconds(hide, (part * size)[:size]) for size in (SHORT, LONG))
        # What is squared would take 64 times as long.
        if long > 24 * max(short, 0.000_2):
            slow[part] = (short, long)
    assert slow == {}
