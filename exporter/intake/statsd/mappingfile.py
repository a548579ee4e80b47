"""A mapping file of statsd_exporter, as it is, and everything that can be wrong with it.

Only imported where there is one, as what reads it is large.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from exporter.control import Refused
from exporter.escaping import LABEL_NAME
from exporter.intake.statsd.mapping import Mapped, Mapper, Observer, expression, help_or
from exporter.mapping.file import QUANTILES_MAX
from exporter.mapping.rule import TTL_SECONDS
from guard import configfile
from guard.faults import Kind, Problem

MAPPING_BYTES_MAX = 4 * 1024 * 1024
MAPPINGS_MAX = 10_000
BUCKETS_MAX = 200
# What it multiplies stays finite.
SCALE_LARGEST = 1e100

_GO_DURATION = re.compile(r"(?:(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNIT_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GLOB = re.compile(r"(?:\*|[a-zA-Z0-9_-]+)(?:\.(?:\*|[a-zA-Z0-9_-]+))*")
_NAME = re.compile(r"(?:[a-zA-Z_]|\$\{?\w+\}?)(?:[a-zA-Z0-9_]|\$\{?\w+\}?)*")

ObserverSaid = Literal["histogram", "summary", ""]
MatchType = Literal["glob", "regex", ""]
Duration = str | int | float
Buckets = Annotated[list[float], Meta(max_length=BUCKETS_MAX)]


class Quantile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How large its error may be is known and not used."""

    quantile: Annotated[float, Meta(ge=0, le=1)]
    error: float = 0.0


Quantiles = Annotated[list[Quantile], Meta(max_length=QUANTILES_MAX)]


class SummaryOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All but the quantiles is known and not used: they are those of the last minutes."""

    quantiles: Quantiles = []
    max_age: Duration = 0
    age_buckets: int = 0
    buf_cap: int = 0


class HistogramOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What native histograms want is known and not used."""

    buckets: Buckets = []
    native_histogram_bucket_factor: float = 0.0
    native_histogram_max_buckets: int = 0


class Defaults(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    observer_type: ObserverSaid = ""
    timer_type: ObserverSaid = ""
    match_type: MatchType = ""
    glob_disable_ordering: bool = False
    ttl: Duration | None = None
    buckets: Buckets = []
    quantiles: Quantiles = []
    histogram_options: HistogramOptions = HistogramOptions()
    summary_options: SummaryOptions = SummaryOptions()


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    match: str
    name: str = ""
    labels: dict[str, str | int | float | bool] = {}
    honor_labels: bool = False
    observer_type: ObserverSaid = ""
    timer_type: ObserverSaid = ""
    buckets: Buckets = []
    quantiles: Quantiles = []
    match_type: MatchType = ""
    help: str = ""
    action: Literal["map", "drop", ""] = ""
    match_metric_type: Literal["counter", "gauge", "observer", "timer", ""] = ""
    ttl: Duration | None = None
    summary_options: SummaryOptions | None = None
    histogram_options: HistogramOptions | None = None
    scale: float = 1.0


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    defaults: Defaults = Defaults()
    mappings: Annotated[list[Entry], Meta(max_length=MAPPINGS_MAX)] = []


def seconds(value: Duration) -> float:
    """As Go writes durations: 1m20s, 1.5h; 0 is none. ValueError says what was expected."""
    text = str(value)
    if not text.strip("0."):
        return 0.0
    if not _GO_DURATION.fullmatch(text):
        raise ValueError("a duration such as 1m20s, or 0")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in _PART.findall(text))


def _proven(file: File) -> Iterable[Problem]:
    """What the schema cannot say."""
    yield from _ttl(("defaults", "ttl"), file.defaults.ttl)
    yield from _bounds(("defaults", "buckets"), file.defaults.buckets)
    yield from _bounds(("defaults", "histogram_options", "buckets"), file.defaults.histogram_options.buckets)
    for number, entry in enumerate(file.mappings):
        here = ("mappings", number)
        yield from _ttl((*here, "ttl"), entry.ttl)
        yield from _bounds((*here, "buckets"), entry.buckets)
        if entry.histogram_options is not None:
            yield from _bounds((*here, "histogram_options", "buckets"), entry.histogram_options.buckets)
        if (entry.match_type or file.defaults.match_type) == "regex":
            try:
                expression(entry.match)
            except ValueError as error:
                yield Problem((*here, "match"), f"{entry.match!r}", str(error))
        elif not _GLOB.fullmatch(entry.match):
            expected = "parts of letters, digits, underscores and hyphens, or *, with dots between"
            yield Problem((*here, "match"), f"{entry.match!r}", expected)
        if not abs(entry.scale) <= SCALE_LARGEST:
            yield Problem(
                (*here, "scale"), f"the number {entry.scale}", f"one from -{SCALE_LARGEST} to {SCALE_LARGEST}"
            )
        if entry.action != "drop" and not _NAME.fullmatch(entry.name):
            expected = "a name of a metric, in which $1 stands for the first part that was matched"
            yield Problem((*here, "name"), f"{entry.name!r}" if entry.name else "nothing", expected)
        for label in entry.labels:
            if not LABEL_NAME.fullmatch(label):
                yield Problem((*here, "labels", label), f"{label!r}", "letters, digits and underscores")


def _ttl(path: tuple[str | int, ...], value: Duration | None) -> Iterable[Problem]:
    try:
        seconds(0 if value is None else value)
    except ValueError as error:
        yield Problem(path, repr(value), str(error))


def _bounds(path: tuple[str | int, ...], buckets: list[float]) -> Iterable[Problem]:
    if any(not one < other for one, other in pairwise(buckets)):
        yield Problem(path, "bounds in another order", "each bound above the one before")


KIND: Kind[File] = Kind(name="statsd", struct=File, title="A mapping file of statsd_exporter", prove=_proven)


def read(path: Path) -> Mapper:
    """Raises `Refused` with all that is wrong."""
    try:
        with path.open("rb") as opened:
            data = opened.read(MAPPING_BYTES_MAX + 1)
        if len(data) > MAPPING_BYTES_MAX:
            raise Refused((f"{path}: found a larger file, expected at most {MAPPING_BYTES_MAX} bytes",))
        # Here ${1} is a part of a name, and no variable of the environment.
        text = data.decode("utf-8-sig").replace("${", "$${")
        return mapper(configfile.read_text(text, str(path), KIND, environ={}))
    except OSError as error:
        raise Refused((f"{path}: found {error.strerror}, expected a mapping file of statsd_exporter",)) from None
    except UnicodeDecodeError:
        raise Refused((f"{path}: found bytes that are not UTF-8, expected UTF-8 text",)) from None
    except configfile.InvalidConfig as invalid:
        raise Refused(tuple(map(str, invalid.faults))) from None


def mapper(file: File) -> Mapper:
    """Of a file without faults."""
    defaults = file.defaults
    buckets = tuple(defaults.histogram_options.buckets or defaults.buckets)
    quantiles = _ascending(defaults.summary_options.quantiles or defaults.quantiles)
    ttl_seconds = _ttl_seconds(defaults.ttl, TTL_SECONDS)
    return Mapper(
        [_mapped(entry, defaults, buckets, quantiles, ttl_seconds) for entry in file.mappings],
        ordered=not defaults.glob_disable_ordering,
        observer=defaults.observer_type or defaults.timer_type or "histogram",
        buckets=buckets,
        quantiles=quantiles,
        ttl_seconds=ttl_seconds,
    )


def _mapped(
    entry: Entry,
    defaults: Defaults,
    buckets: tuple[float, ...],
    quantiles: tuple[float, ...],
    ttl_seconds: float | None,
) -> Mapped:
    said = entry.summary_options.quantiles if entry.summary_options is not None else []
    own = entry.histogram_options.buckets if entry.histogram_options is not None else []
    kind = "observer" if entry.match_metric_type == "timer" else entry.match_metric_type
    match_type: Any = entry.match_type or defaults.match_type or "glob"
    return Mapped(
        match=entry.match,
        match_type=match_type,
        name=entry.name,
        labels=tuple((name, _text(value)) for name, value in entry.labels.items()),
        drops=entry.action == "drop",
        of_class=kind,
        help=help_or(entry.help),
        observer=_observer(entry, defaults),
        buckets=tuple(own or entry.buckets) or buckets,
        quantiles=_ascending(said or entry.quantiles) or quantiles,
        ttl_seconds=_ttl_seconds(entry.ttl, ttl_seconds),
        scale=entry.scale,
        honor_labels=entry.honor_labels,
    )


def _observer(entry: Entry, defaults: Defaults) -> Observer:
    """A histogram where nobody says it, as those can be added up; but whoever says how a summary is to be wants one."""
    said = entry.observer_type or entry.timer_type or defaults.observer_type or defaults.timer_type
    if said:
        return said
    return "summary" if entry.quantiles or entry.summary_options is not None else "histogram"


def _ascending(quantiles: list[Quantile]) -> tuple[float, ...]:
    return tuple(sorted({each.quantile for each in quantiles}))


def _ttl_seconds(value: Duration | None, otherwise: float | None) -> float | None:
    """0 is for ever, as there."""
    return otherwise if value is None else seconds(value) or None


def _text(value: str | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
