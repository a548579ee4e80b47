"""A metric family: one name, one type, one help text, and its samples.

This is the only value that travels from collectors to the page. A family that exists can be written in
every format: names are legal, counters end in `_total` and never fall below zero, no two samples share
their labels. What stays the same from scrape to scrape is its shape, which is made once; the family around
it is built fresh at each scrape and never changed.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import inf, isfinite
from typing import Literal

from exporter.escaping import LABEL_NAME, METRIC_NAME, Escaping, escape_label, escape_metric, is_legal
from exporter.layout import PIECE_SERIES, SERIES_MAX, Layout, check_keys
from exporter.points import Count, Distribution, Histogram, InvalidFamily, Summary, Value

Type = Literal["counter", "gauge", "unknown", "histogram", "summary", "info", "stateset"]
Samples = Sequence[tuple[tuple[str, ...], Value]]

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
# Types whose values are these, and no numbers.
COMPOUND: dict[Type, type | tuple[type, ...]] = {"histogram": (Histogram, Distribution), "summary": Summary}
# About so many lines a sample takes.
LINES: dict[Type, int] = {"histogram": 14, "summary": 6}
# A whole number beyond what a float can hold reads back as infinity, or as an error.
LARGEST = 2.0**1023
# The types whose numbers need no closer look from here on.
LEAST: dict[Type, float] = {"gauge": -LARGEST, "unknown": -LARGEST, "counter": 0.0}


class Shape:
    """What stays the same of a family from scrape to scrape. Made once, checked then, and not changed any more.

    `name` is that of the samples: a counter's ends in `_total`, an info's in `_info`. The last label of a stateset has
    the name of the family, and the state as its value. Names beyond ASCII are for what others chose, and are said to
    be so (`utf8`), as most of ours would be mistakes. `layout` and `heads` are what writing it has found out, `last` is
    its last family.
    """

    __slots__ = ("_least", "base_name", "claims", "heads", "help", "labels", "last", "layout", "name", "type", "utf8")

    def __init__(
        self,
        name: str,
        type: Type,  # noqa: A002
        help: str,  # noqa: A002
        labels: tuple[str, ...] = (),
        *,
        utf8: bool = False,
    ) -> None:
        _check_names(name, type, labels, utf8=utf8)
        self._fill(name, type, help, labels, utf8=utf8)

    def _fill(self, name: str, type: Type, help: str, labels: tuple[str, ...], *, utf8: bool) -> None:  # noqa: A002
        self.name = name
        self.type = type
        self.help = help
        self.labels = labels
        self.utf8 = utf8 and not (METRIC_NAME.fullmatch(name) and all(map(LABEL_NAME.fullmatch, labels)))
        self.base_name = base_name(name, type)
        self.claims = claims(name, type)
        self.layout: Layout | None = None
        self.last: Family | None = None
        self.heads: dict[bool, bytes] = {}
        # For a family without labels: the number below which its value needs a closer look.
        self._least = inf if labels or utf8 else LEAST.get(type, inf)

    def rewritten(self, scheme: Escaping) -> "Shape":
        """As a scraper sees it that has asked for this scheme. Not checked, as a scheme may write what we do not."""
        labels = tuple(escape_label(label, scheme) for label in self.labels)
        found = Shape.__new__(Shape)
        found._fill(escape_metric(self.name, scheme), self.type, self.help, labels, utf8=False)
        return found

    def of(self, samples: Samples) -> "Family":
        """Where the samples are those of the last family, that one again. A list that its owner changes is not that."""
        last = self.last
        if last is not None and last.samples is not samples and last.samples == samples:
            return last
        family = Family(self, samples)
        self.last = family if len(samples) <= SERIES_MAX else None
        return family

    def single(self, value: Value) -> "Family":
        """The family without labels that has this value."""
        # Most families of a page are so, and a page has hundreds: nothing is looked at twice here.
        if (type(value) is float or type(value) is int) and self._least <= value <= LARGEST:
            family = Family.__new__(Family)
            family.shape = self
            family.samples = (((), value),)
            family.lines = f"{self.name} {value!r}\n".encode()
            return family
        return Family(self, single(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Shape) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def __repr__(self) -> str:
        return f"Shape({self.name!r}, {self.type!r}, {self.help!r}, {self.labels!r})"

    def _said(self) -> tuple[object, ...]:
        return (self.name, self.type, self.help, self.labels)


class Family:
    """Samples are pairs of label values, in the order of the shape's labels, and a value.

    The value is a number. That of a counter may be a `Count`; a histogram has `Histogram`s, a summary has `Summary`s.
    """

    __slots__ = ("lines", "samples", "shape", "written")
    lines: bytes | None

    def __init__(self, shape: Shape, samples: Samples) -> None:
        self.shape = shape
        self.samples = samples
        # The same in every format; None for a family that is not so simple, or too large to be kept.
        self.lines = _lines(shape, samples)
        # Of one that is not so simple, and that its owner keeps: its lines by format, once they were asked for.
        self.written: dict[bool, bytes] | None = None

    @staticmethod
    def of(*, name: str, type: Type, help: str, samples: Samples, labels: tuple[str, ...] = ()) -> "Family":  # noqa: A002
        """For a family whose shape nobody keeps."""
        return Family(shape(name, type, help, labels), samples)

    @staticmethod
    def vouched(shape: Shape, samples: Samples) -> "Family":
        """Where the owner sees to it that labels fit and differ, and that each value is what it has to be."""
        family = Family.__new__(Family)
        family.shape = shape
        family.samples = samples
        family.lines = None if samples else b""
        family.written = None
        return family

    @property
    def size(self) -> int:
        """About how many lines it has."""
        return len(self.samples) * LINES.get(self.shape.type, 1)

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

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Family) and self.shape == other.shape and list(self.samples) == list(other.samples)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Family({self.shape!r}, {self.samples!r})"


@lru_cache(maxsize=4096)
def shape(name: str, kind: Type, description: str, labels: tuple[str, ...] = (), *, utf8: bool = False) -> Shape:
    """The one shape of this description; for names that the kernel or a file chooses."""
    return Shape(name, kind, description, labels, utf8=utf8)


@lru_cache(maxsize=4096)
def rewritten(shape: Shape, scheme: Escaping) -> Shape:
    return shape.rewritten(scheme)


def base_name(name: str, kind: Type) -> str:
    """The name that OpenMetrics gives a family: two families must not share it."""
    return name.removesuffix(OWN_SUFFIX.get(kind, ""))


def claims(name: str, kind: Type) -> tuple[str, ...]:
    """Every name that the family takes in any format and by any scheme. No other family may have one of them."""
    bases = dict.fromkeys(base_name(escape_metric(name, scheme), kind) for scheme in Escaping)
    return tuple(base + suffix for base in bases for suffix in ("", *SUFFIXES.get(kind, ())))


def single(value: Value) -> Samples:
    """The samples of a family without labels."""
    return (((), value),)


def _lines(shape: Shape, samples: Samples) -> bytes | None:
    """The lines of a family of numbers, checked where they are not those of the scrape before."""
    if not samples:
        return b""
    if shape.type in COMPOUND or len(samples) > SERIES_MAX:
        _check_samples(shape, samples)
        return None
    keys, numbers = zip(*samples)  # noqa: B905 - each is a pair
    layout = shape.layout
    if layout is not None and layout.keys != keys:
        layout = None
    if layout is not None:
        before, text = layout.last
        if before == numbers:
            return text
    try:
        finite = isfinite(sum(numbers))
    except (TypeError, OverflowError):
        # A `Count` among the numbers, or what is none at all.
        _check_samples(shape, samples)
        return None
    if shape.type != "gauge" and not (finite and shape.type == "counter" and min(numbers) >= 0):
        _check_values(shape, numbers)
    if layout is None:
        layout = shape.layout = Layout(shape.name, shape.labels, keys)
    return layout.lines(numbers, finite=finite)


def _check_names(name: str, kind: Type, labels: tuple[str, ...], *, utf8: bool) -> None:
    if not (is_legal(name) if utf8 else METRIC_NAME.fullmatch(name)):
        raise InvalidFamily(f"{name!r} is not a metric name")
    suffix = OWN_SUFFIX.get(kind)
    if suffix is not None and (not name.endswith(suffix) or name == suffix):
        raise InvalidFamily(f"the {kind} {name} does not end in {suffix}")
    if suffix is None and kind != "unknown" and name.endswith(RESERVED_SUFFIXES):
        raise InvalidFamily(f"the {kind} {name} ends in a reserved suffix")
    for label in labels:
        if not (is_legal(label) if utf8 else LABEL_NAME.fullmatch(label)) or label.startswith("__"):
            raise InvalidFamily(f"{name}: {label!r} is not a label name")
    for scheme in Escaping:
        written = {escape_label(label, scheme) for label in labels}
        if len(written) != len(labels):
            raise InvalidFamily(f"{name}: a label name is given twice")
        if any(label.startswith("__") for label in written):
            raise InvalidFamily(f"{name}: a label name becomes a reserved one by the scheme {scheme}")
    if OWN_LABEL.get(kind) in labels:
        raise InvalidFamily(f"{name}: a {kind} has the label {OWN_LABEL[kind]} by itself")
    if kind == "stateset" and (labels[-1:] != (name,) or ":" in name):
        raise InvalidFamily(f"{name}: the last label of a stateset has the name of the family")


def _check_samples(shape: Shape, samples: Samples) -> None:
    check_keys(shape.name, shape.labels, [key for key, _ in samples])
    _check_values(shape, [value for _, value in samples])


def _check_values(shape: Shape, values: Sequence[Value]) -> None:
    for start in range(0, len(values), PIECE_SERIES):
        piece = values[start : start + PIECE_SERIES]
        if not _are_clearly_fine(shape.type, piece):
            for value in piece:
                _check_value(shape, value)


def _are_clearly_fine(kind: Type, values: Sequence[Value]) -> bool:
    """A quick look at many at once, as most of them are plain numbers."""
    try:
        finite = isfinite(sum(values))  # type: ignore[arg-type]
    except (TypeError, OverflowError):
        return False
    return finite and (kind in ("gauge", "unknown") or (kind == "counter" and min(values) >= 0))  # type: ignore[operator,type-var]


def _check_value(shape: Shape, value: Value) -> None:
    kind, expected = shape.type, COMPOUND.get(shape.type)
    if expected is not None:
        if not isinstance(value, expected):
            raise InvalidFamily(f"{shape.name}: a {kind} cannot be {value!r}")
        return
    number = value.value if kind == "counter" and isinstance(value, Count) else value
    if not isinstance(number, (int, float)) or (isinstance(number, int) and abs(number) > LARGEST):
        raise InvalidFamily(f"{shape.name}: a {kind} cannot be {value!r}"[:300])
    if kind == "counter" and not number >= 0:
        raise InvalidFamily(f"{shape.name}: a counter cannot be {number}")
    if kind == "info" and number != 1:
        raise InvalidFamily(f"{shape.name}: an info is always 1, not {number}")
    if kind == "stateset" and number not in (0, 1):
        raise InvalidFamily(f"{shape.name}: a state is 0 or 1, not {number}")
