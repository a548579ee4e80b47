"""WebSocket connections and messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from exporter.event import Batch, Fields
from exporter.mapping.rule import OTHER, UNKNOWN
from exporter.stats.minutes import NAMES_MAX, Lately, ratio, seconds_of
from exporter.stats.words import is_accepted


class WebSocket:
    name = "websocket"
    help = "WebSocket connections, attempts and messages lately, as JSON."
    asked: Mapping[str, Fields] = {
        "websocket_attempt": Fields(texts=("accepted", "rejection_reason")),
        "websocket_opened": Fields(texts=("user_type",)),
        "websocket_closed": Fields(texts=("user_type",), numbers=("duration_seconds",)),
        "websocket_message": Fields(texts=("direction",)),
        "websocket_throttled": Fields(),
    }

    def __init__(self, *, now: float) -> None:
        self._since = now
        self._lately = Lately()
        self._active: dict[str, int] = {}

    def take(self, batch: Batch, *, now: float) -> None:
        counts: dict[str, Mapping[str, int]] = {}
        match batch.kind:
            case "websocket_attempt":
                accepted = list(map(is_accepted, batch.texts("accepted")))
                reasons = zip(batch.texts("rejection_reason"), accepted, strict=True)
                counts["verdict"] = Counter("accepted" if yes else "rejected" for yes in accepted)
                counts["reason"] = Counter(reason or UNKNOWN for reason, yes in reasons if not yes)
            case "websocket_opened":
                self._change(batch.texts("user_type"), 1)
            case "websocket_closed":
                self._change(batch.texts("user_type"), -1)
            case "websocket_message":
                counts["message"] = Counter(direction or UNKNOWN for direction in batch.texts("direction"))
            case "websocket_throttled":
                counts["throttled"] = {"hits": batch.size}
        for each in self._lately.bins(now):
            for kind, named in counts.items():
                each.count(kind, named)
            if batch.kind == "websocket_closed":
                each.measure("duration_seconds", batch.numbers("duration_seconds"))

    def said(self, minutes: int, *, now: float) -> dict[str, object]:
        window = self._lately.window(minutes, now)
        verdicts = window.of("verdict")
        attempts = window.total("verdict")
        active = dict(sorted(self._active.items()))
        return {
            "window_minutes": minutes,
            "active": {"total": sum(active.values()), "by_user_type": active},
            "attempts": attempts,
            "accepted": verdicts.get("accepted", 0),
            "rejected": verdicts.get("rejected", 0),
            "acceptance_rate": ratio(verdicts.get("accepted", 0), attempts),
            "reasons": window.of("reason"),
            "duration_seconds": window.said("duration_seconds"),
            "messages": window.of("message"),
            "messages_per_second": window.total("message") / seconds_of(minutes, now, since=self._since),
            "throttle_hits": window.total("throttled"),
        }

    def _change(self, types: Sequence[str | None], by: int) -> None:
        """Never below zero: who was connected before we began was not seen to come."""
        for text, number in Counter(each or UNKNOWN for each in types).items():
            known = text in self._active
            # Who leaves and was not seen to come under that name may have come as one of many.
            name = text if known or (by > 0 and len(self._active) < NAMES_MAX) else OTHER
            left = self._active.get(name, 0) + by * number
            if left > 0:
                self._active[name] = left
            else:
                self._active.pop(name, None)
