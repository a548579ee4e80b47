"""A metric family: one name, one type, one help text, and its samples.

This is the only value that travels from collectors to the page. A family that exists can be written in
every format: names are legal, counters end in `_total` and never fall below zero, no two samples share
their labels. What stays the same from scrape to scrape is its shape, which is made once; the family around
it is built fresh at each scrape and never changed. It keeps no history.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import msgspec

Type = Literal["counter", "gauge", "unknown"]
Samples = Sequence[tuple[tuple[str, ...], float]]

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Suffixes that OpenMetrics gives a meaning of their own: a gauge so named could be taken for a part of
# another family.
RESERVED_SUFFIXES = ("_total", "_created", "_bucket", "_count", "_sum")


class InvalidFamily(ValueError):
    """A family that no format could carry; the message says which rule it breaks."""


class Shape(msgspec.Struct, frozen=True):
    """What stays the same of a family from scrape to scrape. Made once, and checked then."""

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_names(self.name, self.type, self.labels)

    @property
    def base_name(self) -> str:
        return base_name(self.name, self.type)

    def of(self, samples: Samples) -> "Family":
        return Family(self, samples)

    def single(self, value: float) -> "Family":
        """The family without labels that has this value."""
        return Family(self, single(value))


class Family(msgspec.Struct, frozen=True):
    """Samples are pairs of label values, in the order of the shape's labels, and a number."""

    shape: Shape
    samples: Samples

    def __post_init__(self) -> None:
        _check_samples(self)

    @staticmethod
    def of(*, name: str, type: Type, help: str, samples: Samples, labels: tuple[str, ...] = ()) -> "Family":  # noqa: A002
        """For a family whose shape nobody keeps."""
        return Family(shape(name, type, help, labels), samples)

    @property
    def name(self) -> str:
        return self.shape.name

    @property
    def type(self) -> Type:
        return self.shape.type

    @property
    def help(self) -> str:
        return self.shape.help

    @property
    def labels(self) -> tuple[str, ...]:
        return self.shape.labels

    @property
    def base_name(self) -> str:
        return self.shape.base_name


@lru_cache(maxsize=4096)
def shape(name: str, kind: Type, description: str, labels: tuple[str, ...] = ()) -> Shape:
    """The one shape of this description; for names that the kernel or a file chooses."""
    return Shape(name, kind, description, labels)


def base_name(name: str, kind: Type) -> str:
    """The name that OpenMetrics gives a family: two families must not share it."""
    return name.removesuffix("_total") if kind == "counter" else name


def single(value: float) -> Samples:
    """The samples of a family without labels."""
    return (((), value),)


def _check_names(name: str, kind: Type, labels: tuple[str, ...]) -> None:
    if not METRIC_NAME.fullmatch(name):
        raise InvalidFamily(f"{name!r} is not a metric name")
    if kind == "counter" and not name.endswith("_total"):
        raise InvalidFamily(f"the counter {name} does not end in _total")
    if kind != "counter" and name.endswith(RESERVED_SUFFIXES):
        raise InvalidFamily(f"the {kind} {name} ends in a reserved suffix")
    for label in labels:
        if not LABEL_NAME.fullmatch(label) or label.startswith("__"):
            raise InvalidFamily(f"{name}: {label!r} is not a label name")
    if len(set(labels)) != len(labels):
        raise InvalidFamily(f"{name}: a label name is given twice")


def _check_samples(family: Family) -> None:
    width = len(family.labels)
    seen: set[tuple[str, ...]] = set()
    for values, number in family.samples:
        if len(values) != width:
            raise InvalidFamily(f"{family.name}: found {len(values)} label values, expected {width}")
        if family.type == "counter" and not number >= 0:
            raise InvalidFamily(f"{family.name}: a counter cannot be {number}")
        seen.add(values)
    if len(seen) != len(family.samples):
        raise InvalidFamily(f"{family.name}: two samples have the same labels")
