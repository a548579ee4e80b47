"""The texts of alerts that come together, each kept in memory once.

Such alerts are much alike: the same job, the same cluster, the same summary. A parser makes new texts of each.
"""

from __future__ import annotations

CHARACTERS_MAX = 8192


class TooLong(Exception):
    """It is over the limit."""


class Texts(dict[str, str]):
    """`texts[text]` is an equal text, the first that came. TooLong for one that is over the limit."""

    def __missing__(self, text: str) -> str:
        if len(text) > CHARACTERS_MAX:
            raise TooLong
        self[text] = text
        return text
