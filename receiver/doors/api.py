"""GET /api/v1/...: what is committed, as JSON. Reads the store, never the state of the engine."""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from guard.version import VERSION
from receiver.chaincheck import ChainCheck
from receiver.clock import Clock
from receiver.doors.answers import answer, limit_of, refuse
from receiver.incident import Status, Step
from receiver.outbox import Outbox
from receiver.reconcile import Reconciliation
from receiver.runner import Runner
from receiver.state import State
from receiver.store import Store
from receiver.view import AlertView, IncidentView, alert_view, incident_view

LIMIT_MAX = 10_000
OUTCOMES = ("owed", "delivered", "refused", "withdrawn")
STATUSES = ("active", "all", *Status)


class StepView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A step's own fields. The later ones are shown where there is something to show."""

    at: datetime
    what: str
    why: str
    by: str
    via: str = ""  # by which way, where a person did it
    entry: int = 0  # the position in the journal of what it follows from
    seconds: float | None = None  # how long the delivery took


class WholeIncident(msgspec.Struct, frozen=True):
    """One incident with its alerts and its story."""

    incident: IncidentView
    alert_views: list[AlertView]
    timeline: list[StepView]

    def document(self) -> dict[str, object]:
        """The incident's own keys; its counts of alerts give way to the alerts themselves."""
        shown: dict[str, object] = msgspec.structs.asdict(self.incident)
        shown["alert_counts"] = shown["alerts"]
        return {**shown, "alerts": self.alert_views, "timeline": self.timeline}


class Api:
    def __init__(
        self,
        *,
        store: Store,
        runner: Runner,
        outbox: Outbox,
        clock: Clock,
        started_at: datetime,
        reconciliation: Reconciliation,
        chain: ChainCheck,
    ) -> None:
        self._store = store
        self._runner = runner
        self._outbox = outbox
        self._clock = clock
        self._started_at = started_at
        self._reconciliation = reconciliation
        self._chain = chain

    async def incidents(self, request: web.Request) -> web.Response:
        status = request.query.get("status", "active")
        if status not in STATUSES:
            refuse(400, f"status: found {status[:40]!r}, expected one of: {', '.join(STATUSES)}")
        found = await self._store.incidents(
            status=status,
            text=request.query.get("q", "")[:200],
            limit=limit_of(request, default=500, most=LIMIT_MAX),
        )
        return answer({"incidents": [incident_view(incident) for incident in found]})

    async def incident(self, request: web.Request) -> web.Response:
        return answer(await incident_document(self._store, request.match_info["id"]))

    async def alerts(self, request: web.Request) -> web.Response:
        found = await self._store.alerts(limit=limit_of(request, default=1000, most=LIMIT_MAX))
        return answer({"alerts": [alert_view(alert) for alert in found]})

    async def deliveries(self, request: web.Request) -> web.Response:
        outcome = request.query.get("outcome", "")
        if outcome not in ("", *OUTCOMES):
            refuse(400, f"outcome: found {outcome[:40]!r}, expected one of: {', '.join(OUTCOMES)}")
        found = await self._store.deliveries(
            limit=limit_of(request, default=500, most=LIMIT_MAX),
            channel=request.query.get("channel", ""),
            incident=request.query.get("incident", ""),
            outcome=outcome,
        )
        return answer({"deliveries": found})

    async def status(self, _: web.Request) -> web.Response:
        size = await self._store.size()
        aside = await self._store.last_set_aside(5)
        undecided = await self._store.entries_set_aside(5)
        now = self._clock.now()
        return answer(
            {
                "version": VERSION,
                "role": "leader",
                "started_at": self._started_at,
                "policy": self._runner.state.policy.digest,
                "journal": {
                    "name": self._runner.state.journal,
                    "entries": size.entries,
                    "trimmed": size.trimmed,
                    "decided": self._runner.position,
                    "lag": self._runner.lag,
                    "bytes": size.bytes,
                    "writable": self._runner.failing is None,
                    "error": self._runner.failing,
                    "chain": self._chain.result,
                },
                "lag": self._runner.lag,
                "audit": self._runner.audit,
                "channels": {
                    name: {
                        "owed": owed,
                        "held": _held(self._runner.state, name),
                        "oldest_seconds": (now - oldest).total_seconds() if oldest else None,
                        "delivered": watcher.delivered,
                        "failed_attempts": watcher.failures,
                        "refused": watcher.refused,
                        "withdrawn": watcher.withdrawn,
                        "up": not watcher.down,
                        "error": watcher.last_error,
                    }
                    for name, (owed, oldest, watcher) in self._outbox.by_channel().items()
                },
                "sources": {
                    name: {
                        "alertmanager": watcher.error or ("reachable" if watcher.last_success else "not asked yet"),
                        "last_look": watcher.last_look,
                        "last_success": watcher.last_success,
                        "looks": watcher.looks,
                        "failures": watcher.failures,
                        "news": watcher.news,
                    }
                    for name, watcher in self._reconciliation.by_source().items()
                },
                "set_aside": {
                    "count": size.set_aside,
                    "last": [
                        {
                            "at": each.at,
                            "source": each.source,
                            "reason": each.reason,
                            "problem": each.problem,
                            "begins": each.body[:200].decode(errors="replace"),
                        }
                        for each in aside
                    ],
                },
                "entries_set_aside": {"count": size.entries_set_aside, "last": undecided},
            }
        )


async def incident_document(store: Store, identifier: str) -> dict[str, object]:
    """One incident as it is committed, or 404."""
    incident = await store.incident(identifier)
    if incident is None:
        refuse(404, f"there is no incident {identifier[:80]!r}")
    alerts = await store.alerts(limit=LIMIT_MAX, incident=identifier)
    steps = await store.steps(identifier, LIMIT_MAX)
    return WholeIncident(incident_view(incident), [alert_view(alert) for alert in alerts], _story(steps)).document()


def _story(steps: list[Step]) -> list[StepView]:
    return [
        StepView(
            at=step.at,
            what=step.what,
            why=step.why,
            by=step.by,
            via=step.via,
            entry=step.entry,
            seconds=step.seconds,
        )
        for step in steps
    ]


def _held(state: State, channel: str) -> dict[str, object]:
    """What a storm holds back from a channel, and when its digest is due."""
    waiting = state.held().get(channel)
    if waiting is None:
        return {"incidents": 0, "since": None, "digest_at": None}
    known = state.channels.get(channel)
    return {
        "incidents": waiting.incidents,
        "since": waiting.since,
        "digest_at": None if known is None else known.due_at,  # none: it waits for the channel's answer
    }
