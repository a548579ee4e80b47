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

from exporter.points import LABEL_NAME, Count, Histogram, InvalidFamily, Summary, Value

Type = Literal["counter", "gauge", "unknown", "histogram", "summary", "info", "stateset"]
Samples = Sequence[tuple[tuple[str, ...], Value]]

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
# What OpenMetrics appends to the name of a family of this type; the parts of two families must not meet.
SUFFIXES: dict[Type, tuple[str, ...]] = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "summary": ("_count", "_sum", "_created"),
    "info": ("_info",),
}
# A gauge so named could be taken for a part of another family. What has no type (a script wrote it) keeps its name.
RESERVED_SUFFIXES = ("_total", "_created", "_bucket", "_count", "_sum")
# These end the name of a family; the name without it is what OpenMetrics calls the family.
OWN_SUFFIX: dict[Type, str] = {"counter": "_total", "info": "_info"}
# Labels that a type writes itself.
OWN_LABEL: dict[Type, str] = {"histogram": "le", "summary": "quantile"}
# What the values of a type are made of.
VALUES: dict[Type, type[Histogram] | type[Summary]] = {"histogram": Histogram, "summary": Summary}


class Shape(msgspec.Struct, frozen=True):
    """What stays the same of a family from scrape to scrape. Made once, and checked then.

    `name` is that of the samples: a counter's ends in `_total`, an info's in `_info`. The last label of a stateset has
    the name of the family, and the state as its value.
    """

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_names(self.name, self.type, self.labels)

    @property
    def base_name(self) -> str:
        return base_name(self.name, self.type)

    @property
    def claims(self) -> tuple[str, ...]:
        """Every name that this family takes in any format. No other family may have one of them."""
        base = self.base_name
        return (base, *(base + suffix for suffix in SUFFIXES.get(self.type, ())))

    def of(self, samples: Samples) -> "Family":
        return Family(self, samples)

    def single(self, value: Value) -> "Family":
        """The family without labels that has this value."""
        return Family(self, single(value))


class Family(msgspec.Struct, frozen=True):
    """Samples are pairs of label values, in the order of the shape's labels, and a value.

    The value is a number. That of a counter may be a `Count`; a histogram has `Histogram`s, a summary has `Summary`s.
    """

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
    return name.removesuffix(OWN_SUFFIX.get(kind, ""))


def single(value: Value) -> Samples:
    """The samples of a family without labels."""
    return (((), value),)


def _check_names(name: str, kind: Type, labels: tuple[str, ...]) -> None:
    if not METRIC_NAME.fullmatch(name):
        raise InvalidFamily(f"{name!r} is not a metric name")
    suffix = OWN_SUFFIX.get(kind)
    if suffix is not None and (not name.endswith(suffix) or name == suffix):
        raise InvalidFamily(f"the {kind} {name} does not end in {suffix}")
    if suffix is None and kind != "unknown" and name.endswith(RESERVED_SUFFIXES):
        raise InvalidFamily(f"the {kind} {name} ends in a reserved suffix")
    for label in labels:
        if not LABEL_NAME.fullmatch(label) or label.startswith("__"):
            raise InvalidFamily(f"{name}: {label!r} is not a label name")
    if len(set(labels)) != len(labels):
        raise InvalidFamily(f"{name}: a label name is given twice")
    if OWN_LABEL.get(kind) in labels:
        raise InvalidFamily(f"{name}: a {kind} has the label {OWN_LABEL[kind]} by itself")
    if kind == "stateset" and labels[-1:] != (name,):
        raise InvalidFamily(f"{name}: the last label of a stateset has the name of the family")


def _check_samples(family: Family) -> None:
    width = len(family.labels)
    seen: set[tuple[str, ...]] = set()
    for values, value in family.samples:
        if len(values) != width:
            raise InvalidFamily(f"{family.name}: found {len(values)} label values, expected {width}")
        _check_value(family.name, family.type, value)
        seen.add(values)
    if len(seen) != len(family.samples):
        raise InvalidFamily(f"{family.name}: two samples have the same labels")


def _check_value(name: str, kind: Type, value: Value) -> None:
    expected = VALUES.get(kind)
    if expected is not None:
        if not isinstance(value, expected):
            raise InvalidFamily(f"{name}: a {kind} cannot be {value!r}")
        return
    if kind == "counter" and isinstance(value, Count):
        value = value.value
    if not isinstance(value, (int, float)):
        raise InvalidFamily(f"{name}: a {kind} cannot be {value!r}")
    if kind == "counter" and not value >= 0:
        raise InvalidFamily(f"{name}: a counter cannot be {value}")
    if kind == "info" and value != 1:
        raise InvalidFamily(f"{name}: an info is always 1, not {value}")
    if kind == "stateset" and value not in (0, 1):
        raise InvalidFamily(f"{name}: a state is 0 or 1, not {value}")
