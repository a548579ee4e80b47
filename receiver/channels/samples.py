"""Messages about incidents that do not exist, to try templates with: of every kind; with all that can be there, with
nothing that need not be there, and with texts that mean harm."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from receiver.message import Document, Kind
from receiver.view import AlertCounts, AlertView, IncidentView

_AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
_STATUSES = {Kind.ACKNOWLEDGED: "acknowledged", Kind.RESOLVED: "resolved"}
_HARM = "\"quoted\" 'quoted' \\ {{ 7 * 7 }} </title><b>&amp;\r\nBcc: eve@example.org\t\x1b[31m \u202e \U0001f525"


def samples() -> Iterator[tuple[str, Document]]:
    """Each with a word for what is special about it."""
    for kind in Kind:
        yield "everything", _document(kind, _incident(kind), [_alert(1), _alert(2)])
        bare = replace(_incident(kind), labels={}, title="", why="", route=None, escalation=None, source="")
        yield "nothing", _document(kind, bare, [replace(_alert(1), labels={}, annotations={}, generator_url="")])
        yield "no alerts", _document(kind, bare, [])
        yield "quotes, line breaks and HTML", _document(kind, _harmed(_incident(kind)), [_harmed_alert(), _alert(2)])


def _document(kind: Kind, incident: IncidentView, alerts: list[AlertView]) -> Document:
    digest = kind is Kind.DIGEST
    return Document(
        version="1",
        id=f"sample-{incident.id}-1-channel",
        kind=kind,
        incident=incident,
        alerts=[] if digest else alerts,
        alerts_left_out=0 if digest or not alerts else 3,
        incidents=[incident, replace(incident, id="T-8", status="resolved")] if digest else [],
        incidents_left_out=2 if digest else 0,
    )


def _incident(kind: Kind) -> IncidentView:
    resolved = kind is Kind.RESOLVED
    return IncidentView(
        id="T-7",
        status=_STATUSES.get(kind, "open"),
        severity="critical",
        title="DiskFull: the disk is full (cluster=eu1)",
        opened_at=_AT,
        updated_at=_AT + timedelta(minutes=5),
        resolved_at=_AT + timedelta(minutes=5) if resolved else None,
        acknowledged_by="ana" if kind is Kind.ACKNOWLEDGED else None,
        source="eu1",
        labels={"alertname": "DiskFull", "cluster": "eu1", "severity": "critical"},
        alerts=AlertCounts(firing=0 if resolved else 5, resolved=5 if resolved else 0),
        route="everything",
        escalation="on-call",
        next_stage_at=None if resolved else _AT + timedelta(minutes=10),
        why="alerts of a group began to fire",
    )


def _alert(number: int) -> AlertView:
    return AlertView(
        fingerprint=f"{number:016x}",
        status="firing",
        labels={"alertname": "DiskFull", "cluster": "eu1", "severity": "critical", "instance": f"db-{number}"},
        annotations={
            "summary": f"the disk of db-{number} is full",
            "description": "Nothing can be written any more.",
            "runbook_url": "https://runbooks.example.org/disk-full",
        },
        starts_at=_AT,
        ends_at=None,
        generator_url="http://prometheus.example.org/graph?g0.expr=up",
        source="eu1",
        incident="T-7",
    )


def _harmed(incident: IncidentView) -> IncidentView:
    labels = {**incident.labels, "alertname": _HARM, "instance": _HARM}
    return replace(incident, title=_HARM, why=_HARM, labels=labels, acknowledged_by=_HARM, assigned_to=_HARM)


def _harmed_alert() -> AlertView:
    alert = _alert(1)
    labels = dict.fromkeys(alert.labels, _HARM)
    annotations = dict.fromkeys(alert.annotations, _HARM)
    return replace(alert, labels=labels, annotations=annotations, generator_url=_HARM)
