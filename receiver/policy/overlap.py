"""What matchers have to do with each other: whether they can hold together, and whether one holds wherever others do.

It says so only where that is sure. A regular expression is looked into if it is a list of words, such as
`page|critical`; any other is compared with others as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from guard.matcher import Matcher

_WORDS = re.compile(r"[A-Za-z0-9_ :/@%,;-]*(?:\|[A-Za-z0-9_ :/@%,;-]*)*", re.ASCII)
_ANYTHING = (".*", "(.*)", ".*?")
_OPPOSITES = {"=": "!=", "=~": "!~"}


def at_odds(matchers: Sequence[Matcher]) -> tuple[Matcher, ...]:
    """Those of them that never hold together, all on one label; none if there are no such."""
    for name in dict.fromkeys(each.name for each in matchers):
        mine = tuple(each for each in matchers if each.name == name)
        if values_of(mine, name) == () or any(_opposite(each) in mine for each in mine):
            return mine
    return ()


def values_of(matchers: Sequence[Matcher], name: str) -> tuple[str, ...] | None:
    """The values that a label has where these hold; None where they are not a few that can be told."""
    mine = [each for each in matchers if each.name == name]
    for each in mine:
        listed = _listed(each)
        if listed is not None:
            return tuple(value for value in listed if allows(mine, name, value))
    return None


def allows(matchers: Sequence[Matcher], name: str, value: str) -> bool:
    """Whether those on this label hold for the value."""
    return all(each.matches({name: value}) for each in matchers if each.name == name)


class Together:
    """Matchers that all hold, asked again and again what follows from that."""

    def __init__(self, matchers: Sequence[Matcher]) -> None:
        self._matchers = frozenset(matchers)
        self._values = {each.name: values_of(matchers, each.name) for each in matchers}

    def imply(self, matcher: Matcher) -> bool:
        """Whether it holds wherever all of them do."""
        values = self._values.get(matcher.name)
        if values is not None:
            return all(matcher.matches({matcher.name: value}) for value in values)
        return matcher in self._matchers or (matcher.operator == "=~" and matcher.value in _ANYTHING)


def _opposite(matcher: Matcher) -> Matcher | None:
    operator = _OPPOSITES.get(matcher.operator)
    return None if operator is None else Matcher(matcher.name, operator, matcher.value)


def _listed(matcher: Matcher) -> tuple[str, ...] | None:
    match matcher.operator:
        case "=":
            return (matcher.value,)
        case "=~" if _WORDS.fullmatch(matcher.value):
            return tuple(dict.fromkeys(matcher.value.split("|")))
        case _:
            return None
