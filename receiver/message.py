"""What goes out: one message for one decision and one channel, complete when it is decided.

Its identifier is derived from the decision (journal, incident, step, channel), never drawn: the same decision
made again after a crash gives the same message, and a receiver that knows the identifier shows it once.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime

import msgspec

from receiver.incident import AlertRecord, AlertView, Incident, IncidentView, alert_view, incident_view

ALERTS_MAX = 500


class Kind(enum.StrEnum):
    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Message(msgspec.Struct, frozen=True):
    """One line of the outbox. `body` is the document that a `webhook` channel posts as it is."""

    id: str
    channel: str
    incident: str
    kind: Kind
    created_at: datetime
    body: bytes


class Document(msgspec.Struct, frozen=True):
    """What a channel makes its text of. `alerts_left_out` counts what was over the limit of a message."""

    version: str
    id: str
    kind: str
    incident: IncidentView
    alerts: list[AlertView]
    alerts_left_out: int = 0


_encoder = msgspec.json.Encoder(order="deterministic")
_decoder = msgspec.json.Decoder(Document)


def message_id(*, journal: str, incident: str, step: int, channel: str) -> str:
    return f"{journal}-{incident}-{step}-{channel}"


def compose(
    *,
    journal: str,
    incident: Incident,
    step: int,
    channel: str,
    kind: Kind,
    alerts: Sequence[AlertRecord],
    at: datetime,
) -> Message:
    """The message that tells `channel` of one step of an incident, with the first of its alerts."""
    identifier = message_id(journal=journal, incident=incident.id, step=step, channel=channel)
    document = Document(
        version="1",
        id=identifier,
        kind=kind,
        incident=incident_view(incident),
        alerts=[alert_view(alert) for alert in alerts],
        alerts_left_out=max(0, incident.firing + incident.resolved - len(alerts)),
    )
    return Message(
        id=identifier,
        channel=channel,
        incident=incident.id,
        kind=kind,
        created_at=at,
        body=_encoder.encode(document),
    )


def read(message: Message) -> Document:
    return _decoder.decode(message.body)
