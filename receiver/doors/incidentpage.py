"""GET /incidents/ID: one incident for people to read: what it is, its alerts, and its story, the latest first.

The page of a signed link (ack.py) shows the same, with buttons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from aiohttp import web
from msgspec.structs import replace

from receiver.clock import Clock
from receiver.doors.answers import RETRY
from receiver.doors.sheet import lines, sheet, table, words
from receiver.incident import Status, Step, severity_rank
from receiver.policy.redaction import Redact
from receiver.redaction import Hiding
from receiver.store import Store, StoreFailed
from receiver.view import AlertView, IncidentView, alert_view, incident_view

ALERTS_READ_MAX = 1_000
ALERTS_SHOWN_MAX = 50
ALERTS_CHARACTERS_MAX = 500_000
STEPS_SHOWN_MAX = 50
TEXTS_SHOWN_MAX = 30
LABELS_CHARACTERS_MAX = 2_000
_FIRST_TEXTS = ("summary", "description", "message", "runbook_url")


class Known(NamedTuple):
    """An incident as it is committed, with as much of it as a page shows."""

    incident: IncidentView
    alerts: Sequence[AlertView]
    steps: Sequence[Step]

    @property
    def title(self) -> str:
        return f"{self.incident.id} {self.incident.severity}: {self.incident.title}"


class IncidentPage:
    def __init__(self, *, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def get(self, request: web.Request) -> web.Response:
        identifier = request.match_info["id"]
        try:
            known = await known_of(self._store, identifier)
        except StoreFailed as error:
            return store_fails(error)
        if known is None:
            return no_such(identifier)
        return sheet(known.title, head(known.incident, self._clock.now()), *body(known))


async def known_of(
    store: Store, identifier: str, *, rules: tuple[Redact, ...] = (), hash_key: bytes = b""
) -> Known | None:
    """As far as the rules of a channel let it be seen. Raises StoreFailed."""
    incident = await store.incident(identifier)
    if incident is None:
        return None
    alerts = await store.alerts(limit=ALERTS_READ_MAX, incident=identifier)
    steps = await store.steps(identifier, STEPS_SHOWN_MAX)
    here = (each for each in alerts if not each.moved_on)
    shown = sorted(here, key=lambda each: not each.firing)[:ALERTS_SHOWN_MAX]
    if not rules:
        return Known(incident_view(incident), [alert_view(each) for each in shown], steps)

    def hidden() -> Known:
        hiding = Hiding(rules, key=hash_key, incident=incident, alerts=alerts)
        whys = hiding.texts([step.why for step in steps])
        told = [replace(step, why=why) for step, why in zip(steps, whys, strict=True)]
        return Known(hiding.incident(), hiding.alerts(shown), told)

    # In a thread: there may be much to search.
    return await asyncio.to_thread(hidden)


def no_such(identifier: str) -> web.Response:
    text = f"There is no incident {words(identifier, 80)}. What is over for long is put away, and deleted at last."
    return sheet("No such incident", "<h1>No such incident</h1>", f"<p>{text}</p>", status=404)


def store_fails(error: StoreFailed) -> web.Response:
    text = f"<p>The receiver cannot use its disk just now ({words(str(error), 200)}). Try again in a moment.</p>"
    return sheet("Not now", "<h1>Not now</h1>", text, status=503, headers=RETRY)


def head(incident: IncidentView, now: datetime) -> str:
    """What somebody must see at once."""
    color = "over" if incident.status == Status.RESOLVED else f"s{severity_rank(incident.severity)}"
    since = incident.resolved_at or incident.opened_at
    ago = f"{'over for' if incident.resolved_at else 'since'} {_for_people((now - since).total_seconds())}"
    counts = f"{incident.alerts.firing} firing, {incident.alerts.resolved} resolved"
    return (
        f'<header class="{color}"><h1>{words(incident.severity, 40)}: {words(incident.title, 600)}</h1>'
        f"<p><b>{state(incident)}</b> · {counts} · {ago}</p></header>"
    )


def state(incident: IncidentView) -> str:
    """Its status, and in whose hands it is, as HTML."""
    if incident.merged_into is not None:
        other = words(incident.merged_into)
        return f'merged into <a href="../incidents/{other}">{other}</a>'
    if incident.status == Status.RESOLVED:
        return "resolved" + (f" by {words(incident.resolved_by)}" if incident.resolved_by else "")
    if incident.snoozed_until is not None:
        return f"snoozed until {_moment(incident.snoozed_until)}"
    if incident.status == Status.ACKNOWLEDGED:
        return f"acknowledged by {words(incident.acknowledged_by or 'somebody')}"
    return words(incident.status)


def body(known: Known) -> Iterator[str]:
    """What is known, the alerts, the story."""
    incident = known.incident
    yield "<h2>What is known</h2>" + table(_facts(incident))
    shown = list(_within_bounds(map(_alert, known.alerts)))
    left_out = incident.alerts.firing + incident.alerts.resolved - len(shown)
    yield "<h2>Alerts</h2>"
    yield from shown
    if left_out > 0:
        yield f'<p class="muted">and {left_out} more</p>'
    yield "<h2>Story</h2><ol>"
    yield from (_step(each) for each in reversed(known.steps))
    yield "</ol>"
    if known.steps and known.steps[0].number > 1:
        yield f'<p class="muted">and {known.steps[0].number - 1} earlier steps</p>'


def _within_bounds(alerts: Iterable[str]) -> Iterator[str]:
    """The first, and as many more as somebody loads on a phone."""
    characters = 0
    for alert in alerts:
        if characters and characters + len(alert) > ALERTS_CHARACTERS_MAX:
            return
        characters += len(alert)
        yield alert


def _facts(incident: IncidentView) -> Iterator[tuple[str, str]]:
    yield "incident", words(incident.id)
    yield "opened", _moment(incident.opened_at)
    if incident.flaps:
        yield "opened again", "once" if incident.flaps == 1 else f"{incident.flaps} times"
    if incident.resolved_at is not None:
        yield "resolved", _moment(incident.resolved_at)
    if incident.assigned_to is not None:
        yield "assigned to", words(incident.assigned_to)
    if incident.next_stage_at is not None:
        yield "next stage", f"{_moment(incident.next_stage_at)}, unless somebody acknowledges it"
    yield "labels", _labels(incident.labels) or "none that all alerts share"
    yield "source", words(incident.source)
    yield "route", f"{words(incident.route or 'none')}, escalation {words(incident.escalation or 'none')}"
    yield "why", words(incident.why, 600)


def _alert(alert: AlertView) -> str:
    ended = f" to {_moment(alert.ends_at)}" if alert.ends_at is not None and alert.status != "firing" else ""
    order = {name: place for place, name in enumerate(_FIRST_TEXTS)}
    names = sorted(alert.annotations, key=lambda name: (order.get(name, len(order)), name))
    rows = [("when", f"{_moment(alert.starts_at)}{ended}"), ("labels", _labels(alert.labels))]
    rows += [(name, lines(alert.annotations[name])) for name in names[:TEXTS_SHOWN_MAX]]
    if len(names) > TEXTS_SHOWN_MAX:
        rows.append(("annotations", f"and {len(names) - TEXTS_SHOWN_MAX} more"))
    if alert.generator_url:
        rows.append(("from", lines(alert.generator_url)))
    status = f"{alert.status}, {alert.hidden}" if alert.hidden else alert.status
    return f"<article><b>{words(status, 40)}</b>{table(rows)}</article>"


def _step(step: Step) -> str:
    who = "" if step.by == "tocsin" else f" · {words(step.by)}" + (f" by {words(step.via, 40)}" if step.via else "")
    return (
        f'<li><span class="muted">{_moment(step.at)}{who}</span><br><b>{words(step.what)}</b>: {words(step.why)}</li>'
    )


def _labels(labels: dict[str, str]) -> str:
    return words(", ".join(f"{name}={value}" for name, value in sorted(labels.items())), LABELS_CHARACTERS_MAX)


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"


def _for_people(seconds: float) -> str:
    for unit, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name}"
    return f"{max(0, int(seconds))} s"
