"""An incident and an alert, as the API and every message show them."""

from __future__ import annotations

from datetime import datetime

import msgspec

from receiver.incident import AlertRecord, Incident, Status


class AlertCounts(msgspec.Struct, frozen=True):
    firing: int
    resolved: int


class IncidentView(msgspec.Struct, frozen=True):
    """An incident as the API and every message show it."""

    id: str
    status: str
    severity: str
    title: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    acknowledged_by: str | None
    source: str
    labels: dict[str, str]
    alerts: AlertCounts
    route: str | None
    escalation: str | None
    next_stage_at: datetime | None
    why: str
    # These came later: messages that an older version wrote down do not have them.
    snoozed_until: datetime | None = None
    resolved_by: str | None = None
    assigned_to: str | None = None
    rule: str = ""
    flaps: int = 0
    muted: bool = False
    quiet_until: datetime | None = None
    held_from: tuple[str, ...] = ()  # channels that hear of it in their next digest
    calm_at: datetime | None = None
    stale_at: datetime | None = None
    merged: tuple[str, ...] = ()
    merged_into: str | None = None
    acknowledged_until: datetime | None = None


class AlertView(msgspec.Struct, frozen=True):
    """An alert as the API and every message show it."""

    fingerprint: str
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: datetime
    ends_at: datetime | None
    generator_url: str
    source: str
    incident: str
    episode: int = 1
    hidden: str = ""
    unconfirmed: bool = False  # a resolve came that is not believed yet
    moved_on: bool = False  # it is in another incident now; this is what the older one keeps of it


def incident_view(incident: Incident) -> IncidentView:
    return IncidentView(
        id=incident.id,
        status=incident.status,
        severity=incident.severity,
        title=incident.title,
        opened_at=incident.opened_at,
        updated_at=incident.updated_at,
        resolved_at=incident.resolved_at,
        acknowledged_by=incident.acknowledged_by,
        source=incident.group.source,
        labels=incident.labels,
        alerts=AlertCounts(firing=incident.firing, resolved=incident.resolved),
        route=incident.route,
        escalation=incident.escalation,
        next_stage_at=incident.due_at if incident.status is Status.OPEN else None,
        why=incident.why,
        snoozed_until=incident.snoozed_until,
        resolved_by=incident.resolved_by,
        assigned_to=incident.assigned_to,
        rule=incident.rule,
        flaps=incident.reopened,
        muted=incident.muted,
        quiet_until=incident.quiet_until,
        held_from=tuple(sorted(incident.held)),
        calm_at=incident.calm_at,
        stale_at=incident.stale_at,
        merged=incident.merged,
        merged_into=incident.merged_into,
        acknowledged_until=incident.answer_ends,
    )


def alert_view(alert: AlertRecord) -> AlertView:
    return AlertView(
        fingerprint=alert.fingerprint,
        status=alert.status,
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=alert.ended_at,
        generator_url=alert.generator_url,
        source=alert.source,
        incident=alert.incident,
        episode=alert.episode,
        hidden=alert.hidden,
        unconfirmed=alert.unconfirmed is not None,
        moved_on=alert.moved_on,
    )
