"""Regular expressions over texts that anybody may have sent: which of them end in time, and what they put in place.

Python's expressions go back and try again. One with a repetition inside a repetition can do so for longer than anybody
lives, for a text of thirty characters. So those are refused, repetitions in a row are few, and no more of a text is
looked at than a short beginning. What never goes back (`++`, `*+`, `?+`) is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from exporter.event import REMEMBERED_MAX

# Of a text. The rest of a longer one is not looked at.
LOOKED_AT_CHARACTERS_MAX = 256
# In one expression. With both, the worst text takes some tenths of a second, once.
REPETITIONS_MAX = 3
CHOICES_MAX = 4
# Of both together, in a group that is written so many times in a row: `(?:\d{1,3}\.){3}` has three.
UNROLLED_MAX = 3

_QUANTIFIER = re.compile(r"(?:[*+?]|\{(\d*)(,?)(\d*)\})([+?]?)")
_OPENING = re.compile(r"\((?:\?(?:P<\w+>|P=\w+|[a-zA-Z-]*:|<?[=!]|>|#[^)]*|[a-zA-Z-]*(?=\))|\(\w+\)))?")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REFERENCE = re.compile(r"\$(?:(\$)|([0-9]+))")


class Group(NamedTuple):
    """What a group holds that can be matched in several ways."""

    repetitions: int = 0
    choices: int = 0

    @property
    def varies(self) -> bool:
        return self.repetitions + self.choices > 0


def compiled(expression: str) -> re.Pattern[str]:
    """ValueError says what was expected."""
    found = legal(expression, re.DOTALL)
    _check(expression)
    return found


def legal(expression: str, flags: int = 0) -> re.Pattern[str]:
    """In the form that `varying` can judge; ValueError says what was expected."""
    try:
        found = re.compile(expression, flags)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"a regular expression that compiles ({error})") from None
    if found.flags & re.VERBOSE:
        raise ValueError("an expression without the flag x")
    return found


def _check(expression: str) -> None:
    """Whether it ends in time; ValueError says what was expected."""
    whole = varying(expression)
    if whole.repetitions > REPETITIONS_MAX:
        raise ValueError(
            f"at most {REPETITIONS_MAX} repetitions in one expression; those that never go back (++, *+) do not count"
        )
    if whole.choices > CHOICES_MAX and whole.repetitions:
        raise ValueError(f"at most {CHOICES_MAX} choices (? and |) in an expression that has repetitions too")


def varying(expression: str) -> Group:
    """What of a legal expression can be matched in several ways; ValueError where these are far too many."""
    around: list[Group] = []
    group, last, place = Group(), Group(), 0
    while place < len(expression):
        here = expression[place]
        if here == "\\":
            last, place = Group(), place + 2
        elif here == "[" and (found := _CLASS.match(expression, place)):
            last, place = Group(), found.end()
        elif here == "(" and (found := _OPENING.match(expression, place)):
            place = found.end()
            around.append(group)
            group, last = Group(), Group()
        elif here == ")" and around:
            last, group, place = group, around.pop(), place + 1
            group = Group(group.repetitions + last.repetitions, group.choices + last.choices)
        elif here == "|":
            group, last, place = group._replace(choices=group.choices + 1), Group(), place + 1
        elif found := _QUANTIFIER.match(expression, place):
            group, place = _repeated(group, last, found), found.end()
            last = Group()
        else:
            last, place = Group(), place + 1
    return group


def _repeated(group: Group, last: Group, found: re.Match[str]) -> Group:
    least, comma, most, how = found.groups()
    if found[0].startswith("{") and not comma:
        # So many times, and neither more nor fewer; but each of them may vary.
        most = least
        fixed = True
    else:
        fixed = how == "+"
    once = found[0].startswith("?") or most in ("0", "1")
    if last.varies and not once and how != "+":
        times = int(most or UNROLLED_MAX + 1)
        if times * (last.repetitions + last.choices) > UNROLLED_MAX:
            raise ValueError(
                "no repetition or choice inside of a repetition, as some texts would keep it busy for ever; "
                "those that never go back (++, *+) may be there"
            )
        # It is no more than the same written as often; once it has been counted.
        more = times - 1
        group = Group(group.repetitions + more * last.repetitions, group.choices + more * last.choices)
    if fixed:
        return group
    if once:
        return group._replace(choices=group.choices + 1)
    return group._replace(repetitions=group.repetitions + 1)


class Replaced(dict[str | None, str | None]):
    """What texts become: the first expression that matches a whole text says it. Remembered, and bounded."""

    def __init__(self, replacements: Sequence[tuple[str, str]]) -> None:
        self._replacements = [(compiled(each), template(text)) for each, text in replacements]
        super().__init__({None: None})

    def __missing__(self, text: str) -> str:
        if len(self) > REMEMBERED_MAX:
            self.clear()
            self[None] = None
        found = self[text] = self._replaced(text)
        return found

    def _replaced(self, text: str) -> str:
        for expression, put in self._replacements:
            match = expression.fullmatch(text[:LOOKED_AT_CHARACTERS_MAX])
            if match is not None:
                return put(match)
        return text


def template(text: str, groups: re.Pattern[str] | None = None) -> Callable[[re.Match[str]], str]:
    """Of `$1`; `$$` is a dollar. With `groups`, ValueError where they are not those of that expression."""
    if groups is not None:
        for found in _REFERENCE.finditer(text):
            if found[2] and int(found[2]) > groups.groups:
                raise ValueError(f"{found[0]} to be a group of the expression, which has {groups.groups}")

    def put(match: re.Match[str]) -> str:
        return _REFERENCE.sub(lambda found: "$" if found[1] else match[int(found[2])] or "", text)

    return put
