"""What the receiver's tests build: Alertmanager's bodies, messages, and a clock that stands still."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from receiver.incident import AlertRecord, Group, Incident, Status
from receiver.message import Kind, Message, compose, compose_digest

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
# How long a test waits for something that must happen, before it fails instead of hanging.
SURELY = 20.0
_STATUSES = {Kind.ACKNOWLEDGED: Status.ACKNOWLEDGED, Kind.RESOLVED: Status.RESOLVED}


class Clock:
    """Stands still until it is set on."""

    def __init__(self, at: datetime = AT) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def alert(**changes: object) -> dict[str, object]:
    """One alert as Alertmanager writes it; None takes a key away."""
    whole: dict[str, object] = {
        "status": "firing",
        "labels": {"alertname": "Down", "severity": "critical"},
        "annotations": {"summary": "it is down"},
        "startsAt": "2026-03-01T08:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def named(name: str, **changes: object) -> dict[str, object]:
    return alert(labels={"alertname": name, "severity": "critical"}, **changes)


def document(alerts: Sequence[object] | None = None, **changes: object) -> dict[str, object]:
    """A body of version 4, not yet encoded; None takes a key away."""
    whole: dict[str, object] = {
        "version": "4",
        "groupKey": '{}:{alertname="Down"}',
        "truncatedAlerts": 0,
        "receiver": "tocsin",
        "status": "firing",
        "groupLabels": {"alertname": "Down"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": [alert()] if alerts is None else list(alerts),
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def webhook(alerts: Sequence[object] | None = None, **changes: object) -> bytes:
    return json.dumps(document(alerts, **changes)).encode() + b"\n"


def broken(body: bytes, chance: random.Random, *, count: int) -> Iterator[bytes]:
    """The body, each time with some of it changed, doubled, cut or taken out."""
    for _ in range(count):
        changed = bytearray(body)
        for _ in range(chance.randrange(1, 4)):
            begin = chance.randrange(len(changed) + 1)
            end = min(len(changed), begin + chance.choice([0, 1, 1, 3, 20, 200]))
            few = bytes(chance.choice(b'"{}[]:,0aT-1 \\\x00\xff') for _ in range(chance.randrange(4)))
            changed[begin:end] = chance.choice([few, bytes(changed[begin:end]) * 2, b"null", b""])
        yield bytes(changed)


def message(
    incident: str = "T-1",
    *,
    step: int = 1,
    channel: str = "chat",
    kind: Kind = Kind.OPENED,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    title: str = "Down",
    firing: int = 1,
    acknowledged_by: str | None = None,
    assigned_to: str | None = None,
    status: Status | None = None,
) -> Message:
    """A message about an incident with alerts that all look alike."""
    shown = dict(labels if labels is not None else {"alertname": "Down", "severity": "critical"})
    opened = Incident(
        id=incident,
        position=1,
        group=Group("am", "tocsin", "key"),
        status=status or _STATUSES.get(kind, Status.OPEN),
        severity=shown.get("severity", "none"),
        title=title,
        labels=shown,
        group_labels={},
        kinds=("Down",),
        opened_at=AT,
        updated_at=AT,
        why="a test",
        firing=0 if kind is Kind.RESOLVED else firing,
        resolved=firing if kind is Kind.RESOLVED else 0,
        acknowledged_by=acknowledged_by,
        assigned_to=assigned_to,
    )
    alerts = [
        AlertRecord(
            source="am",
            fingerprint=f"{number:016x}",
            incident=incident,
            episode=1,
            status="resolved" if kind is Kind.RESOLVED else "firing",
            labels=shown,
            annotations=dict(annotations or {}),
            generator_url="",
            starts_at=AT,
            ended_at=None,
            changed_at=AT,
            changed=1,
        )
        for number in range(firing)
    ]
    return compose(journal="j", incident=opened, step=step, channel=channel, kind=kind, alerts=alerts, at=AT)


def digest(
    count: int,
    *,
    left_out: int = 0,
    position: int = 8,
    channel: str = "chat",
    titles: Sequence[str] = (),
    statuses: Sequence[Status] = (),
) -> Message:
    """A message about T-1, T-2 and so on."""
    incidents = [
        Incident(
            id=f"T-{number + 1}",
            position=number + 1,
            group=Group("am", "tocsin", f"key{number}"),
            status=statuses[number] if statuses else Status.OPEN,
            severity="warning",
            title=titles[number] if titles else "Slow",
            labels={"alertname": "Slow"},
            group_labels={},
            kinds=("Slow",),
            opened_at=AT,
            updated_at=AT,
            why="a test",
            firing=1,
        )
        for number in range(count)
    ]
    return compose_digest(
        journal="j", channel=channel, incidents=incidents, left_out=left_out, position=position, at=AT
    )
