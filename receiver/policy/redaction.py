"""What of labels and annotations leaves by which channel: the rules as people write them, and frozen.

A name in a rule may hold `*`, which stands for any characters. There are no regular expressions here: they could be
slow, and a dot is a part of many a label's name.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from receiver.policy.shapes import Told, items, listed, names, one_of

RULES_MAX = 100
NAMES_MAX = 100
# Severity decides how a message looks and how loud it is: it is not hidden.
ALWAYS_SHOWN = "severity"

NamePattern = Annotated[
    str,
    Meta(
        pattern=r"^[^\s\[\](){}|+?^$\\\"',=~!<>]{1,100}$",
        description="a label's or an annotation's name; * stands for any characters",
    ),
]


class Way(enum.StrEnum):
    """How a value leaves."""

    SHOWN = "shown"
    MASKED = "masked"
    HASHED = "hashed"
    DROPPED = "dropped"


class RedactFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the values of some labels and annotations leave. The first rule with the name wins."""

    labels: Annotated[list[NamePattern], Meta(min_length=1, max_length=NAMES_MAX)]
    way: Annotated[
        Literal["shown", "masked", "hashed", "dropped"],
        Meta(description="as they are; as •••; as the same short hash for the same value; not at all"),
    ] = msgspec.field(name="as")
    channels: Annotated[list[str], Meta(min_length=1, description="names of channels; none: all of them")] | None = None


class Redact(msgspec.Struct, frozen=True):
    """One rule. No channels: all of them."""

    names: tuple[str, ...]
    way: Way
    channels: tuple[str, ...] = ()

    def takes(self, name: str) -> bool:
        return any(_matches(pattern, name) for pattern in self.names)


def redact_of(files: Iterable[RedactFile]) -> tuple[Redact, ...]:
    return tuple(
        Redact(names=tuple(dict.fromkeys(each.labels)), way=Way(each.way), channels=tuple(each.channels or ()))
        for each in files
    )


def rules_for(rules: tuple[Redact, ...], channel: str) -> tuple[Redact, ...]:
    """Those that a channel has. The ways to people (`ana@mail`) have those of the channel that they are made of."""
    name = channel.rpartition("@")[2]
    return tuple(rule for rule in rules if not rule.channels or name in rule.channels)


def redact_faults(rules: object, channels: object) -> Iterator[Told]:
    """Each is given as it was written, whatever its shape is."""
    known = names(channels)
    for index, rule in enumerate(listed(rules)):
        written = dict(items(rule))
        for place, name in enumerate(listed(written.get("labels"))):
            if isinstance(name, str) and ".*" in name:
                expected = f"`*` alone, which stands for any characters: {name.replace('.*', '*')!r}"
                yield ("redact", index, "labels", place), f"{name!r}, a regular expression", expected
            elif name == ALWAYS_SHOWN and written.get("as") != Way.SHOWN:
                expected = "another label: how a message looks and how loud it is follows from the severity"
                yield ("redact", index, "labels", place), f"{name!r}, which is always shown", expected
        yield from _channels(index, listed(written.get("channels")), known)


def _channels(index: int, written: Iterable[object], known: Collection[str]) -> Iterator[Told]:
    for place, name in enumerate(written):
        if isinstance(name, str) and name not in known:
            yield ("redact", index, "channels", place), f"{name!r}", one_of(known)


def _matches(pattern: str, name: str) -> bool:
    """In time that grows with the name only as fast as a search for each part does."""
    if "*" not in pattern:
        return pattern == name
    first, *between, last = pattern.split("*")
    at, end = len(first), len(name) - len(last)
    if at > end or not (name.startswith(first) and name.endswith(last)):
        return False
    for part in between:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
