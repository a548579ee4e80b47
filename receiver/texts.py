"""The texts of alerts that come together, each kept in memory once.

Such alerts are much alike: the same job, the same cluster, the same summary. A parser makes new texts of each.
"""

from __future__ import annotations

CHARACTERS_MAX = 8192


def cut(text: str) -> str:
    """At most as much as is kept; what was longer ends with …, so that nobody takes it for the whole."""
    return text if len(text) <= CHARACTERS_MAX else text[: CHARACTERS_MAX - 1] + "…"


class TooLong(Exception):
    """It is over the limit."""


class Texts(dict[str, str]):
    """`texts[text]` is an equal text, the first that came. TooLong for one that is over the limit."""

    def __missing__(self, text: str) -> str:
        if len(text) > CHARACTERS_MAX:
            raise TooLong
        self[text] = text
        return text
