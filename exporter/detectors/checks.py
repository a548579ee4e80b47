"""What can be wrong with `detectors:` beyond its schema."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET, UnsetType

from exporter.columns import FIELD_NAME, FIELD_NAME_EXPECTED
from exporter.detectors.anomaly.amounts import OF_NUMBERS
from exporter.detectors.own import is_sliding
from exporter.detectors.settings import (
    INTERVAL_SECONDS_MAX,
    INTERVALS_MAX,
    INTERVALS_MIN,
    OWN_BASELINE,
    OWN_DISTINCT_MAX,
    WINDOW_SECONDS_MIN,
    DetectorsSettings,
    Own,
    Rate,
)
from exporter.finding import EVENT
from exporter.mapping.checks import OWN_FIELDS
from exporter.mapping.made import condition
from exporter.mapping.pattern import compiled

# Where, what is there, what should be.
Wrong = tuple[tuple[str | int, ...], str, str]

_SPLITS = ("by", "by_address", "by_person")
_RATIOS = ("ratio", "spike")
_OF_METHODS = ("limit", "baseline", "least", "blame")


def wrong(settings: DetectorsSettings) -> Iterator[Wrong]:
    bundled = [name for name in DetectorsSettings.__struct_fields__ if name != "own"]
    for name in bundled:
        chosen = getattr(settings, name)
        if isinstance(chosen, Rate):
            for where, found, expected in _of_baseline(chosen.baseline, chosen):
                yield (name, *where), found, expected
    names: dict[str, str] = dict.fromkeys(bundled, "a bundled detector")
    for at, own in enumerate(settings.own):
        if own.name in names:
            yield ("own", at, "name"), repr(own.name), f"another name than that of {names[own.name]}"
        names.setdefault(own.name, f"detectors.own[{at}]")
        for where, found, expected in _of_own(own):
            yield ("own", at, *where), found, expected


def _of_own(own: Own) -> Iterator[Wrong]:
    if EVENT in ((own.event,) if isinstance(own.event, str) else own.event):
        yield ("event",), repr(EVENT), "another kind: detectors do not look at what they have found"
    for at, text in enumerate(own.where):
        yield from _of_condition(at, text)
    for key in ("field", *_SPLITS, "blame"):
        yield from _of_field(key, getattr(own, key))
    if own.measure == "count" and own.field:
        yield ("field",), repr(own.field), "a measure other than count, or no field"
    if own.measure != "count" and not own.field:
        yield ("field",), "nothing", f"the field of which it is the {own.measure}"
    split = [key for key in _SPLITS if getattr(own, key)]
    if len(split) > 1:
        yield (split[1],), f"it beside {split[0]}", "one of them"
    if (own.threshold is UNSET) is (own.method is UNSET):
        found = "nothing" if own.threshold is UNSET else "a threshold beside a method"
        yield ("threshold",), found, "either a threshold or a method"
    elif own.method is UNSET:
        yield from _of_threshold(own, split)
    else:
        yield from _of_method(own, split)


def _of_threshold(own: Own, split: list[str]) -> Iterator[Wrong]:
    for key in _OF_METHODS:
        if getattr(own, key) not in (UNSET, ""):
            yield (key,), "it beside a threshold", "a method instead of the threshold"
    if not is_sliding(own):
        yield from _of_intervals(own, split)
        return
    if own.direction != "up":
        yield ("direction",), repr(own.direction), "a method, as only high numbers of events pass a threshold"
    for key in ("in_a_row", "samples"):
        if getattr(own, key) is not UNSET:
            yield (key,), "it beside a threshold for events", "a method, or a measure of numbers"
    if own.window_seconds < WINDOW_SECONDS_MIN:
        yield ("window",), repr(own.window), "between 6s and 24h, as it has a threshold"
    threshold = 0.0 if isinstance(own.threshold, UnsetType) else own.threshold
    if threshold < 0:
        yield ("threshold",), f"the number {threshold:g}", "a number that is not negative"
    if own.measure == "distinct" and threshold > OWN_DISTINCT_MAX:
        yield ("threshold",), f"the number {threshold:g}", f"at most {OWN_DISTINCT_MAX} different values"


def _of_method(own: Own, split: list[str]) -> Iterator[Wrong]:
    if own.method in _RATIOS and not isinstance(own.limit, UnsetType) and own.limit <= 1:
        yield ("limit",), f"the number {own.limit:g}", f"more than 1, of a {own.method}"
    if own.blame and (own.measure != "count" or split or own.direction != "up"):
        yield ("blame",), repr(own.blame), "it where all events are counted together, and high numbers are found"
    if own.samples is not UNSET and own.measure not in OF_NUMBERS:
        yield ("samples",), f"it of a {own.measure}", "a measure of numbers"
    yield from _of_intervals(own, split)
    if own.window_seconds <= INTERVAL_SECONDS_MAX:
        yield from _of_baseline(OWN_BASELINE if isinstance(own.baseline, UnsetType) else own.baseline, own)


def _of_intervals(own: Own, split: list[str]) -> Iterator[Wrong]:
    for key in split:
        if key != "by":
            yield (key,), repr(getattr(own, key)), "a threshold, with a measure of count or distinct"
    if own.window_seconds > INTERVAL_SECONDS_MAX:
        yield ("window",), repr(own.window), "between 1s and 1h, as windows are compared"


def _of_baseline(baseline: str, said: Rate | Own) -> Iterator[Wrong]:
    windows = said.baseline_seconds / said.window_seconds
    if not INTERVALS_MIN <= windows <= INTERVALS_MAX:
        expected = f"from {INTERVALS_MIN} to {INTERVALS_MAX} windows"
        yield ("baseline",), f"{baseline!r}, which is {windows:g} windows", expected


def _of_condition(at: int, text: str) -> Iterator[Wrong]:
    try:
        found = condition(text)
        if found.operator in ("=~", "!~"):
            compiled(found.value)
    except ValueError as error:
        yield ("where", at), repr(text), str(error)
        return
    for _, _, expected in _of_field("", found.field):
        yield ("where", at), repr(text), expected


def _of_field(key: str, name: str) -> Iterator[Wrong]:
    if not FIELD_NAME.fullmatch(name):
        yield (key,), repr(name), FIELD_NAME_EXPECTED
    elif name in OWN_FIELDS:
        yield (key,), repr(name), "a field of its own kind, not one that every event has"
