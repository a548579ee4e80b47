"""Small values to put into a store: enough to tell one from another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from receiver.alert import parse
from receiver.entry import AlertsReceived, Delivered, Fact, TimePassed
from receiver.incident import AlertRecord, Group, Incident, Status, Step
from receiver.message import Kind, Message
from tests.stories.story import webhook

BEGIN = datetime(2026, 1, 1, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return BEGIN + timedelta(seconds=seconds, microseconds=seconds)


def fact(number: int) -> Fact:
    match number % 3:
        case 0:
            return TimePassed()
        case 1:
            return Delivered(f"m{number}", f"T-{number}", "chat", 1, 0.5, "ünïcode \u2603")
        case _:
            labels = {"alertname": f"A{number}"}
            body = webhook("g", [{"status": "firing", "labels": labels, "startsAt": "2026-01-01T00:00:00Z"}])
            return AlertsReceived("am", body, parse(body))


def incident(number: int, *, status: Status = Status.OPEN, title: str = "Down", updated: int = 0) -> Incident:
    return Incident(
        id=f"T-{number}",
        position=number,
        group=Group("am", "r", f"g{number}"),
        status=status,
        severity="critical",
        title=title,
        labels={"service": f"shop{number}"},
        group_labels={},
        kinds=("Down",),
        opened_at=at(number),
        updated_at=at(updated),
        why="because",
        firing=0 if status is Status.RESOLVED else 1,
        due_at=at(updated + 3600),
        owed={f"m{number}": "chat"},
    )


def alert(number: int, *, incident: int, changed: int) -> AlertRecord:
    return AlertRecord(
        source="am",
        fingerprint=f"f{number}",
        incident=f"T-{incident}",
        episode=1,
        status="firing",
        labels={"alertname": f"A{number}"},
        annotations={},
        generator_url="",
        starts_at=at(changed),
        ended_at=None,
        changed_at=at(changed),
        changed=changed,
    )


def step(incident: int, number: int) -> Step:
    return Step(f"T-{incident}", number, at(number), "did", f"because {number}")


def message(number: int, *, incident: int = 1) -> Message:
    return Message(f"m{number}", "chat", f"T-{incident}", Kind.OPENED, at(number), b'{"n": %d}' % number)
