"""Alertmanager's matchers: name="value", !=, =~, !~. Regular expressions are anchored at both ends."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

# What may stand before the operator: a label of Prometheus, or a field of an event, which may be called anything that
# can be told from an operator.
LABEL = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
FIELD = re.compile(r"[^\s\"'{}=!~,]+")
_SHAPE = re.compile(r"\s*([^\s=!~]+)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_BARE_FORBIDDEN = frozenset("{}\"',=~! \t\n\\`")
_EXPECTED = 'a matcher such as severity="critical" or job=~"node|db"'


class Matcher(msgspec.Struct, frozen=True):
    """One condition on one label; a label that is absent has the value ""."""

    name: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{json.dumps(self.value, ensure_ascii=False)}"

    def matches(self, labels: Mapping[str, str]) -> bool:
        found = labels.get(self.name, "")
        match self.operator:
            case "=":
                return found == self.value
            case "!=":
                return found != self.value
            case "=~":
                return _pattern(self.value).fullmatch(found) is not None
            case _:
                return _pattern(self.value).fullmatch(found) is None


@lru_cache(maxsize=4096)
def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)


def parse_matcher(text: str, *, name: re.Pattern[str] = LABEL) -> Matcher:
    """The matcher that `text` writes; ValueError with what was expected otherwise."""
    found = _SHAPE.fullmatch(text)
    if found is None or not name.fullmatch(found[1]):
        raise ValueError(_EXPECTED)
    left, operator, written = found.groups()
    value = _value(written)
    if operator in ("=~", "!~"):
        try:
            re.compile(value)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"a regular expression that compiles ({error})") from None
    return Matcher(left, operator, value)


def _value(written: str) -> str:
    if written.startswith('"'):
        try:
            value = json.loads(written, strict=False)
        except ValueError:
            raise ValueError("a value in double quotes, with \\ before a quote or a backslash inside it") from None
        return str(value)
    if any(character in _BARE_FORBIDDEN for character in written):
        raise ValueError(f"{_EXPECTED}, with the value in double quotes")
    return written


def matches_all(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    for matcher in matchers:  # noqa: SIM110 - asked for every alert and rule: twice as fast as all() over a generator
        if not matcher.matches(labels):
            return False
    return True
