"""What is no fault of a metric, and hardly meant: names, units and labels that people who read the page stumble over.

The part about names holds what `promtool check metrics` holds; a test compares them. Of a name with several units,
promtool looks at one by chance, and this at the last. The rest is what experience adds:
labels that targets have anyway, fields that never stop having new values, buckets that suit another unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.mapping.file import RuleFile
from exporter.mapping.made import metrics_of
from exporter.mapping.rule import Label, Metric, Rule
from guard.faults import Path, Problem
from guard.wording import quote

_BASE = ("amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "seconds", "volts")
_UNITS = {
    **{unit: unit for unit in _BASE},
    **dict.fromkeys(("minutes", "hours", "days", "weeks"), "seconds"),
    **dict.fromkeys(("fahrenheit", "rankine"), "celsius"),
    "kelvins": "kelvin",
    **dict.fromkeys(("inches", "yards", "miles"), "meters"),
    "bits": "bytes",
    "calories": "joules",
    **dict.fromkeys(("pounds", "ounces"), "grams"),
}
_PREFIXES = (
    *("pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega", "mibi", "giga"),
    *("gibi", "tera", "tebi", "peta", "pebi"),
)
_TYPES = ("counter", "gauge", "histogram", "summary")
_ABBREVIATED = ("s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d")
_CAMEL_CASE = re.compile(r"[a-z][A-Z]")

# What Prometheus or its targets usually have: two labels of one name are two that somebody has to tell apart.
_OF_TARGETS = (
    *("job", "instance", "service", "env", "environment", "region", "zone", "cluster", "availability_zone", "az"),
    *("datacenter", "dc", "owner", "customer", "stage", "team"),
)
# Names of fields that have a new value for each person, each request or each thing.
_ENDLESS = re.compile(
    r"(?:.*[._-])?(?:ip|addr|address|client|remote|host|user|username|user_?id|email|mail|phone|session|token|cookie"
    r"|uuid|guid|id|url|uri|path|query|sql|message|msg|error_message|stack|user_?agent|referr?er|timestamp|time)",
    re.IGNORECASE,
)


class Complaint(NamedTuple):
    """Of the metric's `key`: what is there, and what people expect."""

    key: Path
    found: str
    expected: str


def names(metric: Metric) -> Iterator[Complaint]:
    """What `promtool check metrics` says of such a metric."""
    name, kind = metric.name, metric.published_type
    lower = name.lower()
    for expected in _of_names(name, lower, kind):
        yield Complaint(("name",), quote(name), expected)
    for label in metric.label_names:
        if _CAMEL_CASE.search(label):
            yield Complaint(("labels", label), "this key", "a name in snake_case")


def _of_names(name: str, lower: str, kind: str) -> Iterator[str]:
    unit = next(filter(None, map(_unit, reversed(name.split("_")))), None)
    if unit is not None and unit[0] != unit[1]:
        yield f"the unit {unit[1]} in place of {unit[0]}"
    if kind == "counter" and not name.endswith("_total"):
        yield "the name of a counter to end in _total"
    if kind not in ("counter", "unknown") and name.endswith("_total"):
        yield f"the name of a {kind} not to end in _total"
    if kind not in ("histogram", "unknown") and name.endswith("_bucket"):
        yield "no name that looks like a part of a histogram"
    if kind not in ("histogram", "summary", "unknown") and name.endswith(("_count", "_sum")):
        yield "no name that looks like a part of a histogram or a summary"
    if any(f"_{word}_" in lower or lower.endswith(f"_{word}") for word in _TYPES):
        yield "a name without a type"
    if ":" in name:
        yield "a name without colons, which are for recording rules"
    if _CAMEL_CASE.search(name):
        yield "a name in snake_case"
    if any(f"_{unit}_" in lower or lower.endswith(f"_{unit}") for unit in _ABBREVIATED):
        yield "units that are written out"


def _unit(part: str) -> tuple[str, str] | None:
    """What a part of a name is measured in, and what it should be."""
    if part in _UNITS:
        return part, _UNITS[part]
    for prefix in _PREFIXES:
        if part.startswith(prefix) and part.removeprefix(prefix) in _UNITS:
            return part, _UNITS[part.removeprefix(prefix)]
    return None


def labels(metric: Metric) -> Iterator[Complaint]:
    """Those that will be too many, or two of one name."""
    for label in metric.labels:
        if label.name in _OF_TARGETS or label.name == "type":
            yield Complaint(
                ("labels", label.name), "this key", "a name that says more, as targets or others use this one"
            )
        if _is_endless(label):
            yield Complaint(
                ("labels", label.name),
                f"the field {quote(label.field)}",
                f"one with few values, or `replace` or `known`; after {label.values_max} different ones all are other",
            )


def _is_endless(label: Label) -> bool:
    return bool(_ENDLESS.fullmatch(label.field)) and not label.replace and not label.known


def buckets(metric: Metric) -> Iterator[Complaint]:
    if metric.type == "histogram" and not metric.buckets and not metric.name.endswith("_seconds"):
        yield Complaint(("buckets",), "nothing", "bounds that suit the unit, as the default is for seconds")


def complaints(metric: Metric) -> Iterator[Complaint]:
    for look in (names, labels, buckets):
        yield from look(metric)


def warnings(entries: Sequence[RuleFile], *, bundled: Sequence[Rule]) -> Iterator[Problem]:
    """Of each metric that a file adds, at the rule that says it first."""
    metrics = metrics_of(entries, bundled=bundled)
    seen = {rule.metric.name for rule in bundled}
    for at, entry in enumerate(entries):
        if entry.name not in seen:
            seen.add(entry.name)
            for complaint in complaints(metrics[entry.name]):
                yield Problem(("mapping", at, *complaint.key), complaint.found, complaint.expected)
