"""One line of StatsD or DogStatsD taken apart. Pure: bytes in, values out, or `Wrong` with the reason.

A line is `NAME:VALUE|TYPE`, and then `|@RATE`, `|#TAG:VALUE,…` and what else DogStatsD appends. Tags may also stand in
the name, in the styles of Librato (`name#a=b`), InfluxDB (`name,a=b`) and SignalFX (`name[a=b]`). What stands before
the first colon is the head here, what stands behind the first bar the tail: both come again and again, and only the
value between them is new.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal, NamedTuple

# A longer line is a fault.
LINE_BYTES_MAX = 8_192
# Further tags of a line are left out.
TAGS_MAX = 32
# A smaller rate says that a line stands for more than anybody has sampled.
RATE_LEAST = 1e-6
# Sums of so many more than anybody can send stay finite.
VALUE_LARGEST = 1e100

Type = Literal["c", "g", "ms", "h", "d", "s"]
TYPES: dict[bytes, Type] = {b"c": "c", b"g": "g", b"ms": "ms", b"h": "h", b"d": "d", b"s": "s"}
# DogStatsD's events and service checks: not metrics, and no faults.
NOT_METRICS = (b"_e{", b"_sc|")
# What DogStatsD appends and no series needs: container, time, external data, cardinality.
UNUSED_SECTIONS = (b"c:", b"T", b"e:", b"card:")


class Reason(StrEnum):
    """Why a line is none, or is not counted; the values are those of the label `reason`."""

    MALFORMED = "malformed"
    ENCODING = "encoding"
    TOO_LONG = "too_long"
    VALUE = "value"
    TYPE = "type"
    RATE = "rate"
    SECTION = "section"
    MIXED_TAGS = "mixed_tags"
    NEGATIVE = "negative"
    CONFLICT = "conflict"
    METRICS_MAX = "metrics_max"
    SET_FULL = "set_full"


class Wrong(Exception):
    """A line that is not counted."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Styles(NamedTuple):
    """Which styles of tags are read; a tag of another one is part of the name."""

    dogstatsd: bool = True
    influxdb: bool = True
    librato: bool = True
    signalfx: bool = True


Tags = dict[str, str]


class Tail(NamedTuple):
    type: Type
    # Of a line that stands for several: 0.1 stands for ten.
    rate: float
    tags: Tags
    # Tags that are none: without a name, or without a value.
    dropped: int


def parts(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Head, value and tail. Raises `Wrong`."""
    if len(line) > LINE_BYTES_MAX:
        raise Wrong(Reason.TOO_LONG)
    head, colon, rest = line.partition(b":")
    value, bar, tail = rest.partition(b"|")
    if not (head and colon and bar):
        raise Wrong(Reason.MALFORMED)
    return head, value, tail


def head_of(head: bytes, styles: Styles) -> tuple[str, Tags, int]:
    """The name, the tags that stand in it, and how many of them are none. Raises `Wrong`."""
    name = _text(head)
    if styles.signalfx and "[" in name and "]" in name:
        before, _, rest = name.partition("[")
        inside, bracket, after = rest.partition("]")
        if bracket:
            return _named(before + after, inside.split(","), "=")
    marks = [mark for mark, read in (("#", styles.librato), (",", styles.influxdb)) if read and mark in name]
    if marks:
        mark = min(marks, key=name.index)
        name, _, inside = name.partition(mark)
        return _named(name, inside.split(","), "=")
    return _named(name, [], "=")


def tail_of(tail: bytes, styles: Styles) -> Tail:
    """Raises `Wrong`."""
    kind, *sections = tail.split(b"|")
    found = TYPES.get(kind)
    if found is None:
        raise Wrong(Reason.TYPE)
    rate = 1.0
    tags: Tags = {}
    dropped = 0
    for section in sections:
        if section.startswith(b"@"):
            rate = _rate(section[1:])
        elif section.startswith(b"#"):
            if styles.dogstatsd:
                tags, more = _tags(_text(section[1:]).split(","), ":")
                dropped += more
        elif not section.startswith(UNUSED_SECTIONS):
            raise Wrong(Reason.SECTION)
    return Tail(found, rate, tags, dropped)


def several(value: bytes, tail: bytes) -> Iterator[tuple[bytes, bytes]]:
    """A line with several values, each with its tail: `1:2:3|ms` (DogStatsD) or `1|c:2|c` (StatsD)."""
    if b":" in value:
        yield from ((each, tail) for each in value.split(b":"))
        return
    for each in (value + b"|" + tail).split(b":"):
        one, bar, rest = each.partition(b"|")
        if not bar:
            raise Wrong(Reason.MALFORMED)
        yield one, rest


def number_of(value: bytes) -> float:
    """Raises `Wrong`."""
    try:
        number = float(value)
    except ValueError:
        raise Wrong(Reason.VALUE) from None
    # NaN compares as neither; Python's own underscores are nobody else's.
    if not -VALUE_LARGEST <= number <= VALUE_LARGEST or b"_" in value:
        raise Wrong(Reason.VALUE)
    return number


def _named(name: str, tags: list[str], separator: str) -> tuple[str, Tags, int]:
    if not name:
        raise Wrong(Reason.MALFORMED)
    found, dropped = _tags(tags, separator)
    return name, found, dropped


def _tags(texts: list[str], separator: str) -> tuple[Tags, int]:
    """A tag that comes twice has its last value, as with statsd_exporter."""
    found: Tags = {}
    dropped = 0
    for text in texts:
        name, _, value = text.removeprefix("#").partition(separator)
        if name and value and (name in found or len(found) < TAGS_MAX):
            found[name] = value
        elif text:
            dropped += 1
    return found, dropped


def _rate(text: bytes) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise Wrong(Reason.RATE) from None
    if not RATE_LEAST <= rate <= 1 or b"_" in text:
        raise Wrong(Reason.RATE)
    return rate


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Wrong(Reason.ENCODING) from None
