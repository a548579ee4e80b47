"""Queries that were looked at before they ran."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from exporter.event import Batch, Fields
from exporter.mapping.rule import UNKNOWN
from exporter.stats.minutes import Lately, ratio, seconds_of
from exporter.stats.words import is_accepted

MEASURES = {
    "complexity": "complexity",
    "depth": "depth",
    "fields": "field_count",
    "duration_seconds": "duration_seconds",
}


class GraphQL:
    name = "graphql"
    help = "GraphQL queries that were accepted and rejected lately, and how large they were, as JSON."
    asked: Mapping[str, Fields] = {
        "graphql_validation": Fields(texts=("accepted", "rejection_reason"), numbers=tuple(MEASURES.values())),
    }

    def __init__(self, *, now: float) -> None:
        self._since = now
        self._lately = Lately()

    def take(self, batch: Batch, *, now: float) -> None:
        accepted = list(map(is_accepted, batch.texts("accepted")))
        verdicts = Counter("accepted" if yes else "rejected" for yes in accepted)
        reasons = Counter(
            reason or UNKNOWN for reason, yes in zip(batch.texts("rejection_reason"), accepted, strict=True) if not yes
        )
        for each in self._lately.bins(now):
            each.count("verdict", verdicts)
            each.count("reason", reasons)
            for name, field in MEASURES.items():
                each.measure(name, batch.numbers(field))

    def said(self, minutes: int, *, now: float) -> dict[str, object]:
        window = self._lately.window(minutes, now)
        verdicts = window.of("verdict")
        total = window.total("verdict")
        return {
            "window_minutes": minutes,
            "total": total,
            "accepted": verdicts.get("accepted", 0),
            "rejected": verdicts.get("rejected", 0),
            "acceptance_rate": ratio(verdicts.get("accepted", 0), total),
            "queries_per_second": total / seconds_of(minutes, now, since=self._since),
            **{name: window.said(name) for name in MEASURES},
            "reasons": window.of("reason"),
        }
