"""A command line with values of labels in it. Whoever sends an alert chooses those: each is what its pattern says, is
one part of one argument, and cannot become an option. There is no shell, so nothing in it means anything else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

VALUE_CHARACTERS_MAX = 256
PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class Unfit(Exception):
    """A value does not fit, so nothing runs."""


def placeholders(argument: str) -> list[str]:
    return PLACEHOLDER.findall(argument)


def filled(command: Sequence[str], patterns: Mapping[str, str], labels: Mapping[str, str]) -> list[str]:
    """The arguments as the program gets them. Raises Unfit."""
    return [_filled(argument, patterns, labels) for argument in command]


def _filled(argument: str, patterns: Mapping[str, str], labels: Mapping[str, str]) -> str:
    whole = PLACEHOLDER.sub(lambda found: _value(found[1], patterns, labels), argument)
    if PLACEHOLDER.match(argument) and whole.startswith("-"):
        raise Unfit(f"the value for {argument} begins with -, and could be an option")
    return whole


def _value(name: str, patterns: Mapping[str, str], labels: Mapping[str, str]) -> str:
    if name not in labels:
        raise Unfit(f"the alerts of the incident do not share a label {name}")
    value = labels[name]
    if len(value) > VALUE_CHARACTERS_MAX:
        raise Unfit(f"the label {name} has {len(value)} characters, and {VALUE_CHARACTERS_MAX} are the most")
    if "\0" in value or not _can_be_written(value):
        raise Unfit(f"the label {name} has a character that no argument can have")
    if re.compile(patterns[name], re.DOTALL).fullmatch(value) is None:
        raise Unfit(f"the label {name} is {value!r}, which does not match {patterns[name]}")
    return value


def _can_be_written(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
