"""Rules as YAML that could stand in exporter.yml, the bundled ones too."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from exporter.mapping.file import NEVER
from exporter.mapping.rule import SERIES_MAX, TTL_SECONDS, UNKNOWN, VALUES_MAX, Action, Label, Metric, Rule


def written(rules: Sequence[Rule]) -> str:
    entries = list(_entries(rules))
    return yaml.safe_dump(
        {"mapping": entries}, sort_keys=False, allow_unicode=True, default_flow_style=None, width=10_000
    )


def _entries(rules: Sequence[Rule]) -> Iterator[dict[str, Any]]:
    said: dict[str, Metric] = {}
    for rule in rules:
        metric = rule.metric
        entry: dict[str, Any] = {"match": rule.event}
        if rule.where:
            entry["where"] = [
                f"{each.field}{each.operator}{json.dumps(each.value, ensure_ascii=False)}" for each in rule.where
            ]
        entry["name"] = metric.name
        first = metric.name not in said
        said.setdefault(metric.name, metric)
        if first:
            entry |= {"type": metric.type, "help": metric.help}
        if metric.labels:
            entry["labels"] = {label.name: _label(label, whole=first) for label in metric.labels}
        entry |= _value(rule)
        if first:
            entry |= _metric(metric)
        yield entry


def _label(label: Label, *, whole: bool) -> str | dict[str, Any]:
    """`whole` is what only the first rule of a metric says."""
    more: dict[str, Any] = {}
    if label.missing != UNKNOWN:
        more["missing"] = label.missing
    if whole and label.known:
        more["known"] = list(label.known)
    if whole and label.values_max != VALUES_MAX:
        more["values_max"] = label.values_max
    if label.replace:
        more["replace"] = dict(label.replace)
    return {"field": label.field, **more} if more else label.field


def _value(rule: Rule) -> Iterator[tuple[str, Any]]:
    if rule.value:
        yield "value", rule.value
    if rule.scale != 1.0:
        yield "scale", rule.scale
    if rule.action is not Action.SET:
        yield "action", str(rule.action)
    if rule.moment:
        yield "moment", True
    if rule.from_zero:
        yield "from_zero", True


def _metric(metric: Metric) -> Iterator[tuple[str, Any]]:
    if metric.least is not None:
        yield "least", metric.least
    if metric.buckets:
        yield "buckets", list(metric.buckets)
    if metric.quantiles:
        yield "quantiles", list(metric.quantiles)
    if metric.ttl_seconds != TTL_SECONDS:
        yield "ttl", NEVER if metric.ttl_seconds is None else _duration(metric.ttl_seconds)
    if metric.series_max != SERIES_MAX:
        yield "limits", {"series_max": metric.series_max}


def _duration(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
