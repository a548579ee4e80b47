"""What is held and what is too much, for a person who asks why: metrics by their series, labels by their values.

Numbers and names; no label value is told but those of the last event that counted for nothing, which are redacted as
all are.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.mapping.rule import Metric
from exporter.series.held import Held
from exporter.series.store import Store
from exporter.series.trouble import Conflict

# Those with fewer series are counted only.
METRICS_SHOWN_MAX = 200
VALUE_CHARACTERS_MAX = 100


def report(store: Store) -> Mapping[str, object]:
    held = sorted(store.held, key=lambda each: (-each.series, each.metric.name))
    overflowed = store.trouble.overflowed
    return {
        "lines": store.room.lines,
        "lines_max": store.room.lines_max,
        "series": sum(each.series for each in held),
        "metrics": [_metric(each, overflowed) for each in held[:METRICS_SHOWN_MAX]],
        "metrics_left_out": max(0, len(held) - METRICS_SHOWN_MAX),
        "conflicts": [_conflict(each) for each in reversed(store.trouble.conflicts.values())],
    }


def _metric(held: Held, overflowed: Mapping[tuple[str, str], int]) -> Mapping[str, object]:
    metric, values = held.metric, held.values
    return {
        "name": metric.name,
        "type": metric.type,
        "series": held.series,
        "series_max": metric.series_max,
        "ttl_seconds": metric.ttl_seconds,
        "labels": {
            label.name: {
                "values": values[label.name],
                "values_max": label.values_max,
                "overflowed": overflowed.get((metric.name, label.name), 0),
            }
            for label in metric.labels
        },
    }


def _conflict(conflict: Conflict) -> Mapping[str, object]:
    offered = conflict.offered
    values = (value[:VALUE_CHARACTERS_MAX] for value in conflict.last)
    return {
        "reason": conflict.reason.value,
        "events": conflict.events,
        "offered": _shape(offered),
        "there": None if conflict.owner is None else _shape(conflict.owner),
        "last_labels": dict(zip(offered.label_names, values, strict=True)),
    }


def _shape(metric: Metric) -> Mapping[str, object]:
    return {"name": metric.name, "type": metric.type, "labels": metric.label_names}
